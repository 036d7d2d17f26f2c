"""Means of arms where a prior, or what is known of the control, is a mixture of normal distributions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.arm_means import REACH, STEP
from lmd_trialsim.analyses.arm_mixtures import NOTHING, NormalMixtures, controls_list, own_list, weigh_mixtures
from lmd_trialsim.analyses.arm_tests import AGAINST_CONTROL
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import runs, takes_part
from lmd_trialsim.kernel.seams import (
    all_alike,
    better_than_control,
    beyond_effect,
    estimate_of_arm,
    moments_of_arm,
    rank_arms,
    tail_of_arm,
    weigh_arms,
)
from lmd_trialsim.kernel.special import normal_cdf


class MixedMeans(NamedTuple):
    """Mixtures of normal distributions of the means, and the bounds that are asked about."""

    prior: NormalMixtures
    borrows: Any  # arm_mixtures: what an arm is compared with
    sign: float  # 1 where the larger mean is the better one, else -1
    compares: int
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a difference of means, or a mean
    truth: np.ndarray  # (arms,) the true effect; NaN where there is none
    within: float  # the margin of equivalence


@weigh_arms.case
def weigh_mixed_means(analysis: MixedMeans, desk):
    """Write the components of all arms, and of what they are compared with."""
    weigh_mixtures(analysis.borrows, analysis.prior, analysis.compares, desk)


@kernel
def _above(scratch, at, sign, bound):
    """Return P(sign * mean of a list > sign * bound): a sum of normal distribution functions."""
    total = 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        if scratch[place] > NOTHING:
            z = sign * (scratch[place + 1] - bound) * math.sqrt(scratch[place + 2])
            total += scratch[place] * normal_cdf(z)
    return total


@kernel
def _better_by(analysis, desk, number, bound):
    """Return P(the arm is better than its controls by more than the bound): a sum over pairs of components."""
    scratch = desk.scratch
    own, other = own_list(analysis.prior, number), controls_list(analysis.prior, number)
    total = 0.0
    for i in range(own + 1, own + 1 + 3 * int(scratch[own]), 3):
        for j in range(other + 1, other + 1 + 3 * int(scratch[other]), 3):
            weight = scratch[i] * scratch[j]
            if weight > NOTHING:
                difference = scratch[i + 1] - scratch[j + 1]
                sd = math.sqrt(1.0 / scratch[i + 2] + 1.0 / scratch[j + 2])
                total += weight * normal_cdf(analysis.sign * (difference - bound) / sd)
    return min(total, 1.0)


@tail_of_arm.case
def tail_of_mixed_mean(analysis: MixedMeans, desk, arm, bound):
    """A sum of normal distribution functions."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return _better_by(analysis, desk, arm, analysis.bound[bound])
    return _above(desk.scratch, own_list(analysis.prior, arm), analysis.sign, analysis.bound[bound])


@kernel
def _narrowest(analysis, desk):
    """Return the smallest standard deviation of a component of an arm that takes part."""
    precision = 0.0
    for number in range(desk.arms.shape[0]):
        at = own_list(analysis.prior, number)
        if takes_part(desk, number):
            for place in range(at + 1, at + 1 + 3 * int(desk.scratch[at]), 3):
                if desk.scratch[place] > NOTHING:
                    precision = max(precision, desk.scratch[place + 2])
    return 1.0 / math.sqrt(precision)


@kernel
def _others_at(analysis, desk, number, mean, sign, within):
    """Return what the other arms have on the worse side of a mean; with `within`, between it and so much above."""
    product = 1.0
    for other in range(desk.arms.shape[0]):
        left = runs(desk.arms[other]) if within > 0.0 else takes_part(desk, other)
        if other != number and left and product > 0.0:
            at = own_list(analysis.prior, other)
            if within > 0.0:
                product *= _above(desk.scratch, at, -1.0, mean + within) - _above(desk.scratch, at, -1.0, mean)
            else:
                product *= _above(desk.scratch, at, -sign, mean)
    return product


@kernel
def _sum_over_others(analysis, desk, number, step, sign, within):
    """Return the sum over the arm's mean, component by component, of its density times what the others have there.

    step: from node to node.
    """
    at = own_list(analysis.prior, number)
    total = 0.0
    for place in range(at + 1, at + 1 + 3 * int(desk.scratch[at]), 3):
        if desk.scratch[place] <= NOTHING:
            continue
        sd = 1.0 / math.sqrt(desk.scratch[place + 2])
        scale = desk.scratch[place] * step / (sd * math.sqrt(2.0 * math.pi))
        reach = int(REACH * sd / step)
        for node in range(-reach, reach + 1):
            z = node * step / sd
            mean = desk.scratch[place + 1] + node * step
            total += scale * math.exp(-0.5 * z * z) * _others_at(analysis, desk, number, mean, sign, within)
    return total


@rank_arms.case
def rank_mixed_means(analysis: MixedMeans, desk):
    """Sums over the means, in steps that the narrowest component needs."""
    step = STEP * _narrowest(analysis, desk)
    for number in range(desk.arms.shape[0]):
        desk.arms[number].best = 0.0
        if takes_part(desk, number):
            desk.arms[number].best = min(_sum_over_others(analysis, desk, number, step, analysis.sign, 0.0), 1.0)


@better_than_control.case
def better_mixed_mean_than_control(analysis: MixedMeans, desk, arm):
    """A sum over pairs of components."""
    return _better_by(analysis, desk, arm, 0.0)


@all_alike.case
def mixed_means_all_alike(analysis: MixedMeans, desk):
    """The lowest mean at a node, and all others between it and the margin above: summed over who is the lowest."""
    step = STEP * _narrowest(analysis, desk)
    alike = 0.0
    for number in range(desk.arms.shape[0]):
        if runs(desk.arms[number]):
            alike += _sum_over_others(analysis, desk, number, step, 1.0, analysis.within)
    return min(alike, 1.0)


@kernel
def _moments(scratch, at):
    """Return mean and variance of the mean of a list."""
    mean, square = 0.0, 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        mean += scratch[place] * scratch[place + 1]
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        square += scratch[place] * ((scratch[place + 1] - mean) ** 2 + 1.0 / scratch[place + 2])
    return mean, square


@beyond_effect.case
def beyond_effect_of_mixed_mean(analysis: MixedMeans, desk, arm, effect):
    """Of the difference to the control."""
    return _better_by(analysis, desk, arm, effect)


@moments_of_arm.case
def moments_of_mixed_mean(analysis: MixedMeans, desk, arm):
    """Of the difference of means."""
    mean, variance = _moments(desk.scratch, own_list(analysis.prior, arm))
    other, spread = _moments(desk.scratch, controls_list(analysis.prior, arm))
    return mean - other, variance + spread, 4.0 / analysis.prior.information


@estimate_of_arm.case
def estimate_mixed_mean(analysis: MixedMeans, desk, arm):
    """Posterior mean of the difference of means, or of the mean where nothing is compared."""
    truth, own = analysis.truth[arm], own_list(analysis.prior, arm)
    mean, known = _moments(desk.scratch, own)[0], not math.isnan(truth)
    if not analysis.compares:
        return mean, _above(desk.scratch, own, 1.0, truth) if known else math.nan
    beyond = _better_by(analysis, desk, arm, truth) if known else math.nan
    return mean - _moments(desk.scratch, controls_list(analysis.prior, arm))[0], beyond
