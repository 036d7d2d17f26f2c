"""Exponential event times with gamma priors on the hazards: conjugate; a look needs events and patient-months only."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer, estimate
from lmd_trialsim.kernel.special import beta_cdf, beta_quantile, digamma, gamma_cdf, gamma_quantile


class GammaPrior(NamedTuple):
    """Gamma(events, rate = months) on each arm's hazard a month."""

    events: np.ndarray  # (arms,)
    months: np.ndarray  # (arms,)


class HazardRatioBelow(NamedTuple):
    """P(hazard of treatment / hazard of control < ratio)."""

    prior: GammaPrior
    ratio: float


class HazardBelow(NamedTuple):
    """P(hazard of one arm < hazard); a median above a month, or survival above a rate, is the same event."""

    prior: GammaPrior
    arm: int
    hazard: float


class HazardRatioEstimate(NamedTuple):
    """Posterior mean and equal-tailed 95 % limits of the log hazard ratio."""

    prior: GammaPrior


class LogHazardEstimate(NamedTuple):
    """Posterior mean and equal-tailed 95 % limits of a single arm's log hazard a month."""

    prior: GammaPrior


@kernel
def events_of(desk, arm):
    """Return the events of an arm over all strata."""
    events = 0
    for stratum in range(desk.cells.shape[1]):
        events += desk.cells[arm, stratum].events
    return events


@kernel
def months_of(desk, arm):
    """Return the patient-months of an arm over all strata."""
    months = 0.0
    for stratum in range(desk.cells.shape[1]):
        months += desk.cells[arm, stratum].months
    return months


@kernel
def ratio_below(a_t, b_t, a_c, b_c, ratio):
    """P(G(a_t, b_t) / G(a_c, b_c) < ratio) for independent gammas: a beta distribution function."""
    scaled = ratio * b_t
    return beta_cdf(a_t, a_c, scaled / (scaled + b_c))


@answer.case
def answer_hazard_ratio(question: HazardRatioBelow, stream, desk, look):
    """Events and months of either arm are added to its prior."""
    prior = question.prior
    return ratio_below(
        prior.events[1] + events_of(desk, 1),
        prior.months[1] + months_of(desk, 1),
        prior.events[0] + events_of(desk, 0),
        prior.months[0] + months_of(desk, 0),
        question.ratio,
    )


@answer.case
def answer_hazard(question: HazardBelow, stream, desk, look):
    """A gamma distribution function."""
    shape = question.prior.events[question.arm] + events_of(desk, question.arm)
    rate = question.prior.months[question.arm] + months_of(desk, question.arm)
    return gamma_cdf(shape, question.hazard * rate)


@estimate.case
def estimate_hazard_ratio(estimator: HazardRatioEstimate, desk):
    """The ratio's quantiles are those of an F distribution, here through the beta's."""
    a_t = estimator.prior.events[1] + events_of(desk, 1)
    b_t = estimator.prior.months[1] + months_of(desk, 1)
    a_c = estimator.prior.events[0] + events_of(desk, 0)
    b_c = estimator.prior.months[0] + months_of(desk, 0)
    scale = math.log(b_c / b_t)
    low = beta_quantile(a_t, a_c, 0.025)
    high = beta_quantile(a_c, a_t, 0.025)  # 1 - quantile(0.975), without the cancellation
    return (
        digamma(a_t) - digamma(a_c) + scale,
        math.log(low) - math.log1p(-low) + scale,
        math.log1p(-high) - math.log(high) + scale,
    )


@estimate.case
def estimate_log_hazard(estimator: LogHazardEstimate, desk):
    """Gamma quantiles on the log scale."""
    shape = estimator.prior.events[0] + events_of(desk, 0)
    scale = math.log(estimator.prior.months[0] + months_of(desk, 0))
    return (
        digamma(shape) - scale,
        math.log(gamma_quantile(shape, 0.025)) - scale,
        math.log(gamma_quantile(shape, 0.975)) - scale,
    )
