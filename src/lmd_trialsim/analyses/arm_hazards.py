"""Exponential times of arms under gamma priors: each look needs the events and patient-months of the arms only."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.analyses.arm_tests import AGAINST_CONTROL
from lmd_trialsim.analyses.gamma_exponential import ratio_below
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    better_than_control,
    beyond_effect,
    estimate_of_arm,
    moments_of_arm,
    rank_arms,
    tail_of_arm,
    weigh_arms,
)
from lmd_trialsim.kernel.special import digamma, gamma_cdf, trigamma

REACH = 7.0
"""Standard deviations of a log hazard on either side of its mean between which the quadrature adds up."""

STEP = 0.35
"""Standard deviations of the narrowest log hazard from node to node: probabilities are right to 1e-6 then."""

MOST_NODES = 4096


class ArmHazards(NamedTuple):
    """Gamma priors of the hazards a month, and the bounds that are asked about."""

    events: np.ndarray  # (arms,)
    months: np.ndarray  # (arms,)
    compares: int  # 1 where arms are compared with their controls
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a hazard ratio, or a hazard
    truth: np.ndarray  # (arms,) the true log hazard ratio, or log median; NaN where there is none


@kernel
def _posterior(analysis, desk, number):
    """Return shape and rate of the hazard of an arm."""
    arm = desk.arms[number]
    return analysis.events[number] + arm.events, analysis.months[number] + arm.months


@kernel
def _of_controls(analysis, desk, number):
    """Return shape and rate of the hazard of the patients that an arm is compared with."""
    arm, control = desk.arms[number], desk.state[0].control
    return analysis.events[control] + arm.control_events, analysis.months[control] + arm.control_months


@weigh_arms.case
def weigh_arm_hazards(analysis: ArmHazards, desk):
    """Nothing is to be made ready."""


@kernel
def _ratio_below(analysis, desk, number, ratio):
    """Return P(hazard of the arm < ratio * hazard of its controls)."""
    shape, rate = _posterior(analysis, desk, number)
    other_shape, other_rate = _of_controls(analysis, desk, number)
    return ratio_below(shape, rate, other_shape, other_rate, ratio)


@tail_of_arm.case
def tail_of_arm_hazard(analysis: ArmHazards, desk, arm, bound):
    """A beta or a gamma distribution function."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return _ratio_below(analysis, desk, arm, analysis.bound[bound])
    shape, rate = _posterior(analysis, desk, arm)
    return gamma_cdf(shape, analysis.bound[bound] * rate)


@kernel
def widen(low, high, narrowest, shape, rate):
    """Return the ends of a grid, and the narrowest log hazard on it, so that one more log hazard is on it."""
    width, middle = 1.0 / math.sqrt(shape), math.log(shape / rate)
    # The log hazard of few events has a long tail to the left, that falls like exp(shape * log hazard).
    return min(low, middle - (REACH + 16.0 * width) * width), max(high, middle + REACH * width), min(narrowest, width)


@kernel
def divide(low, high, narrowest):
    """Return (step, nodes) of a grid between its ends."""
    step = max(STEP * narrowest, (high - low) / (MOST_NODES - 2.0))
    return step, int((high - low) / step) + 2


@kernel
def _span(analysis, desk):
    """Return (first log hazard, step, nodes) of a grid that holds the log hazards of all arms that take part."""
    low, high, narrowest = math.inf, -math.inf, 1.0
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number):
            shape, rate = _posterior(analysis, desk, number)
            low, high, narrowest = widen(low, high, narrowest, shape, rate)
    step, nodes = divide(low, high, narrowest)
    return low, step, nodes


@kernel
def tabulate_hazard(scratch, first, shape, rate, low, step, nodes):
    """Write density times step, and the upper tail, of a log hazard at the nodes to scratch[first:].

    The distribution function is the sum of the densities so far, with two terms of the Euler-Maclaurin formula.
    """
    constant = shape * math.log(rate) - math.lgamma(shape)
    growth, scaled = math.exp(step), rate * math.exp(low)  # rate times hazard
    summed = 0.0
    for node in range(nodes):
        density = math.exp(constant + shape * (low + node * step) - scaled)
        slope = shape - scaled  # of the log density; its own slope is -scaled
        third = slope * slope * slope - 3.0 * slope * scaled - scaled
        below = summed + step * density * (0.5 + step * (step * step * third / 720.0 - slope / 12.0))
        summed += step * density
        scratch[first + node] = step * density
        scratch[first + MOST_NODES + node] = min(max(1.0 - below, 0.0), 1.0)
        scaled *= growth


@kernel
def sum_best(desk, nodes):
    """Write to arms.best the sum over log hazards of an arm's density and the others' upper tails, as tabulated."""
    product = desk.scratch[2 * desk.arms.shape[0] * MOST_NODES :]
    for number in range(desk.arms.shape[0]):
        desk.arms[number].best = 0.0
        if not takes_part(desk, number):
            continue
        first = 2 * number * MOST_NODES
        for node in range(nodes):
            product[node] = desk.scratch[first + node]
        for other in range(desk.arms.shape[0]):
            if other != number and takes_part(desk, other):
                tail = (2 * other + 1) * MOST_NODES
                for node in range(nodes):
                    product[node] *= desk.scratch[tail + node]
        total = 0.0
        for node in range(nodes):
            total += product[node]
        desk.arms[number].best = min(total, 1.0)


@rank_arms.case
def rank_arm_hazards(analysis: ArmHazards, desk):
    """Sums over a grid of log hazards."""
    low, step, nodes = _span(analysis, desk)
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number):
            shape, rate = _posterior(analysis, desk, number)
            tabulate_hazard(desk.scratch, 2 * number * MOST_NODES, shape, rate, low, step, nodes)
    sum_best(desk, nodes)


@better_than_control.case
def better_hazard_than_control(analysis: ArmHazards, desk, arm):
    """A beta distribution function."""
    return _ratio_below(analysis, desk, arm, 1.0)


@kernel
def _estimate(analysis, desk, arm):
    """Return the posterior mean of the log hazard ratio, or of the log median, and the probability beyond the truth."""
    shape, rate = _posterior(analysis, desk, arm)
    truth = analysis.truth[arm]
    if not analysis.compares:
        beyond = math.nan if math.isnan(truth) else gamma_cdf(shape, rate * math.log(2.0) * math.exp(-truth))
        return math.log(math.log(2.0) * rate) - digamma(shape), beyond
    other_shape, other_rate = _of_controls(analysis, desk, arm)
    beyond = math.nan if math.isnan(truth) else _ratio_below(analysis, desk, arm, math.exp(truth))
    return digamma(shape) - digamma(other_shape) + math.log(other_rate / rate), beyond


@estimate_of_arm.case
def estimate_arm_hazard(analysis: ArmHazards, desk, arm):
    """Posterior mean of the log hazard ratio, or of the log median where nothing is compared."""
    return _estimate(analysis, desk, arm)


@beyond_effect.case
def beyond_effect_of_hazard(analysis: ArmHazards, desk, arm, effect):
    """Of the log hazard ratio to the control."""
    return _ratio_below(analysis, desk, arm, math.exp(effect))


@moments_of_arm.case
def moments_of_arm_hazard(analysis: ArmHazards, desk, arm):
    """Of the log hazard ratio; a new trial of D events knows it by 4 / D (Schoenfeld 1981)."""
    shape, _ = _posterior(analysis, desk, arm)
    other_shape, _ = _of_controls(analysis, desk, arm)
    return _estimate(analysis, desk, arm)[0], trigamma(shape) + trigamma(other_shape), 4.0
