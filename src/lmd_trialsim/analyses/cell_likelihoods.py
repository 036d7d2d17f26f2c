"""What the data of a basket say of its effect: log likelihoods at given effects."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.seams import write_log_likelihood

NEGLIGIBLE = -40.0
"""Logarithm of the share below which a rate of the control is left out."""


class ExponentialTimes(NamedTuple):
    """Events in patient-months of one arm; the effect is the log of the median, in months."""

    arm: int


class TwoHazards(NamedTuple):
    """Events in patient-months of control and treatment; the effect is the log hazard ratio.

    The control's hazard has a gamma prior, in each basket, and is integrated out.
    """

    events: float  # of the prior
    months: float


class TwoRates(NamedTuple):
    """Responses of control and treatment; the effect is the log odds ratio.

    The control's rate has a beta prior, in each basket, and is integrated out: by the trapezoid rule over its logit,
    which converges faster than any power of the step (Trefethen and Weideman 2014, SIAM Rev 56:385, section 5).
    """

    weight: np.ndarray  # (logits,) log prior density of the control's logit, with the step
    success: np.ndarray  # (logits,) log rate of the control
    failure: np.ndarray  # (logits,)
    treated_success: np.ndarray  # (logits, m) log rate of the treatment at effect m
    treated_failure: np.ndarray  # (logits, m)


@write_log_likelihood.case
def write_of_times(data: ExponentialTimes, desk, cell, eta, offset, found):
    """Poisson: events * log hazard - hazard * months, with hazard = log 2 / median."""
    seen = desk.cells[data.arm, cell]
    for m in range(eta.shape[0]):
        effect = eta[m] + offset
        exposed = math.log(2.0) * seen.months * math.exp(-effect) if seen.months > 0.0 else 0.0
        found[m] = -seen.events * effect - exposed


@write_log_likelihood.case
def write_of_two_hazards(data: TwoHazards, desk, cell, eta, offset, found):
    """Gamma-Poisson: exp(d_t effect) / (rate + T_c + T_t exp(effect)) ^ (shape + d_c + d_t)."""
    control, treated = desk.cells[0, cell], desk.cells[1, cell]
    shape = data.events + control.events + treated.events
    for m in range(eta.shape[0]):
        effect = eta[m] + offset
        exposed = treated.months * math.exp(effect) if treated.months > 0.0 else 0.0
        found[m] = treated.events * effect - shape * math.log(data.months + control.months + exposed)


@write_log_likelihood.case
def write_of_two_rates(data: TwoRates, desk, cell, eta, offset, found):
    """Two binomials, summed over the control's logit. The tables are made for offset 0."""
    control, treated = desk.cells[0, cell], desk.cells[1, cell]
    failures, treated_failures = control.patients - control.responses, treated.patients - treated.responses
    logits = data.weight.shape[0]
    most = -math.inf
    for q in range(logits):
        base = data.weight[q] + control.responses * data.success[q] + failures * data.failure[q]
        most = max(most, base)
    for m in range(eta.shape[0]):
        found[m] = 0.0
    for q in range(logits):
        base = data.weight[q] + control.responses * data.success[q] + failures * data.failure[q] - most
        if base > NEGLIGIBLE:
            won, lost = data.treated_success[q], data.treated_failure[q]
            for m in range(eta.shape[0]):
                found[m] += math.exp(base + treated.responses * won[m] + treated_failures * lost[m])
    for m in range(eta.shape[0]):
        found[m] = math.log(found[m]) if found[m] > 0.0 else -math.inf
