"""Exponential times of arms where a prior of a hazard, or what is known of the control, is a mixture of gammas."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.arm_hazards import MOST_NODES, divide, sum_best, tabulate_hazard, widen
from lmd_trialsim.analyses.arm_mixtures import NOTHING, GammaMixtures, controls_list, own_list, weigh_mixtures
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


class MixedHazards(NamedTuple):
    """Mixtures of gamma distributions of the hazards a month, and the bounds that are asked about."""

    prior: GammaMixtures
    borrows: Any  # arm_mixtures: what an arm is compared with
    compares: int  # 1 where arms are compared with their controls
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a hazard ratio, or a hazard
    truth: np.ndarray  # (arms,) the true log hazard ratio, or log median; NaN where there is none


@weigh_arms.case
def weigh_mixed_hazards(analysis: MixedHazards, desk):
    """Write the components of all arms, and of what they are compared with."""
    weigh_mixtures(analysis.borrows, analysis.prior, analysis.compares, desk)


@kernel
def _hazard_below(scratch, at, hazard):
    """Return P(hazard of a list < hazard): a sum of gamma distribution functions."""
    total = 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        if scratch[place] > NOTHING:
            total += scratch[place] * gamma_cdf(scratch[place + 1], hazard * scratch[place + 2])
    return total


@kernel
def _ratio_below(analysis, desk, number, ratio):
    """Return P(hazard of the arm < ratio * hazard of its controls): a sum over pairs of components."""
    scratch = desk.scratch
    own, other = own_list(analysis.prior, number), controls_list(analysis.prior, number)
    total = 0.0
    for i in range(own + 1, own + 1 + 3 * int(scratch[own]), 3):
        for j in range(other + 1, other + 1 + 3 * int(scratch[other]), 3):
            weight = scratch[i] * scratch[j]
            if weight > NOTHING:
                total += weight * ratio_below(scratch[i + 1], scratch[i + 2], scratch[j + 1], scratch[j + 2], ratio)
    return min(total, 1.0)


@tail_of_arm.case
def tail_of_mixed_hazard(analysis: MixedHazards, desk, arm, bound):
    """A sum of beta, or of gamma, distribution functions."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return _ratio_below(analysis, desk, arm, analysis.bound[bound])
    return _hazard_below(desk.scratch, own_list(analysis.prior, arm), analysis.bound[bound])


@kernel
def _span(analysis, desk):
    """Return (first log hazard, step, nodes) of a grid that holds the components of all arms that take part."""
    low, high, narrowest = math.inf, -math.inf, 1.0
    for number in range(desk.arms.shape[0]):
        at = own_list(analysis.prior, number)
        if takes_part(desk, number):
            for place in range(at + 1, at + 1 + 3 * int(desk.scratch[at]), 3):
                if desk.scratch[place] > NOTHING:
                    shape, rate = desk.scratch[place + 1], desk.scratch[place + 2]
                    low, high, narrowest = widen(low, high, narrowest, shape, rate)
    step, nodes = divide(low, high, narrowest)
    return low, step, nodes


@kernel
def _tabulate(desk, at, first, low, step, nodes):
    """Write density times step, and the upper tail, of the log hazard of a list to scratch[first:]."""
    scratch, spare = desk.scratch, (2 * desk.arms.shape[0]) * MOST_NODES
    for node in range(nodes):
        scratch[first + node] = 0.0
        scratch[first + MOST_NODES + node] = 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        weight = scratch[place]
        if weight > NOTHING:
            tabulate_hazard(scratch, spare, scratch[place + 1], scratch[place + 2], low, step, nodes)
            for node in range(nodes):
                scratch[first + node] += weight * scratch[spare + node]
                scratch[first + MOST_NODES + node] += weight * scratch[spare + MOST_NODES + node]


@rank_arms.case
def rank_mixed_hazards(analysis: MixedHazards, desk):
    """Sums over a grid of log hazards."""
    low, step, nodes = _span(analysis, desk)
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number):
            _tabulate(desk, own_list(analysis.prior, number), 2 * number * MOST_NODES, low, step, nodes)
    sum_best(desk, nodes)


@better_than_control.case
def better_mixed_hazard_than_control(analysis: MixedHazards, desk, arm):
    """A sum of beta distribution functions."""
    return _ratio_below(analysis, desk, arm, 1.0)


@kernel
def _log_moments(scratch, at):
    """Return mean and variance of the log hazard of a list."""
    mean, square = 0.0, 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        own = digamma(scratch[place + 1]) - math.log(scratch[place + 2])
        mean += scratch[place] * own
        square += scratch[place] * (own * own + trigamma(scratch[place + 1]))
    return mean, square - mean * mean


@estimate_of_arm.case
def estimate_mixed_hazard(analysis: MixedHazards, desk, arm):
    """Posterior mean of the log hazard ratio, or of the log median where nothing is compared."""
    truth, own = analysis.truth[arm], own_list(analysis.prior, arm)
    mean = _log_moments(desk.scratch, own)[0]
    known = not math.isnan(truth)
    if not analysis.compares:
        beyond = _hazard_below(desk.scratch, own, math.log(2.0) * math.exp(-truth)) if known else math.nan
        return math.log(math.log(2.0)) - mean, beyond
    beyond = _ratio_below(analysis, desk, arm, math.exp(truth)) if known else math.nan
    return mean - _log_moments(desk.scratch, controls_list(analysis.prior, arm))[0], beyond


@beyond_effect.case
def beyond_effect_of_mixed_hazard(analysis: MixedHazards, desk, arm, effect):
    """Of the log hazard ratio."""
    return _ratio_below(analysis, desk, arm, math.exp(effect))


@moments_of_arm.case
def moments_of_mixed_hazard(analysis: MixedHazards, desk, arm):
    """Of the log hazard ratio; a new trial of D events knows it by 4 / D (Schoenfeld 1981)."""
    mean, variance = _log_moments(desk.scratch, own_list(analysis.prior, arm))
    other, spread = _log_moments(desk.scratch, controls_list(analysis.prior, arm))
    return mean - other, variance + spread, 4.0
