"""Means of arms: normal values of known standard deviation with normal priors, each arm by itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

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

REACH = 7.0
"""Standard deviations on either side of a mean between which the quadrature adds up."""

STEP = 0.5
"""Standard deviations of the narrowest mean from node to node: the trapezoidal rule is exact to 1e-10 then."""


class ArmMeans(NamedTuple):
    """Normal priors of the means, and the bounds that are asked about."""

    mean: np.ndarray  # (arms,) of the prior
    precision: np.ndarray  # (arms,) of the prior
    information: float  # of one value: 1 / variance
    sign: float  # 1 where the larger mean is the better one, else -1
    compares: int
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a difference of means, or a mean
    truth: np.ndarray  # (arms,) the true effect; NaN where there is none
    within: float  # the margin of equivalence


@kernel
def _posterior(analysis, number, patients, total):
    """Return mean and standard deviation of an arm's mean, with the prior of arm `number`."""
    precision = analysis.precision[number] + patients * analysis.information
    mean = (analysis.precision[number] * analysis.mean[number] + total * analysis.information) / precision
    return mean, 1.0 / math.sqrt(precision)


@weigh_arms.case
def weigh_arm_means(analysis: ArmMeans, desk):
    """Write mean and standard deviation of each arm."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if takes_part(desk, number):
            arm.effect, arm.error = _posterior(analysis, number, arm.patients, arm.total)


@kernel
def _better_by(analysis, desk, number, bound):
    """Return P(the arm is better than its controls by more than the bound), and the mean difference."""
    arm = desk.arms[number]
    mean, sd = _posterior(analysis, desk.state[0].control, arm.control_patients, arm.control_total)
    difference = arm.effect - mean
    return normal_cdf(analysis.sign * (difference - bound) / math.hypot(arm.error, sd)), difference


@tail_of_arm.case
def tail_of_arm_mean(analysis: ArmMeans, desk, arm, bound):
    """The normal distribution."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return _better_by(analysis, desk, arm, analysis.bound[bound])[0]
    of = desk.arms[arm]
    return normal_cdf(analysis.sign * (of.effect - analysis.bound[bound]) / of.error)


@kernel
def _narrowest(desk):
    narrowest = math.inf
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number):
            narrowest = min(narrowest, desk.arms[number].error)
    return narrowest


@kernel
def _sum_over_others(desk, number, step, sign, within):
    """Return the sum over the arm's mean of its density times what the others have on the worse side of it.

    With `within`: of them what they have between it and so much above. step: from node to node.
    """
    arm = desk.arms[number]
    scale = step / (arm.error * math.sqrt(2.0 * math.pi))
    total = 0.0
    for node in range(2 * int(REACH * arm.error / step) + 1):
        mean = arm.effect + (node - int(REACH * arm.error / step)) * step
        z = (mean - arm.effect) / arm.error
        product = scale * math.exp(-0.5 * z * z)
        for other in range(desk.arms.shape[0]):
            left = runs(desk.arms[other]) if within > 0.0 else takes_part(desk, other)
            if other != number and left and product > 0.0:
                of = desk.arms[other]
                if within > 0.0:
                    product *= normal_cdf((mean + within - of.effect) / of.error) - normal_cdf(
                        (mean - of.effect) / of.error
                    )
                else:
                    product *= normal_cdf(sign * (mean - of.effect) / of.error)
        total += product
    return total


@rank_arms.case
def rank_arm_means(analysis: ArmMeans, desk):
    """Sums over the means, in steps that the narrowest of them needs."""
    step = STEP * _narrowest(desk)
    for number in range(desk.arms.shape[0]):
        desk.arms[number].best = 0.0
        if takes_part(desk, number):
            desk.arms[number].best = min(_sum_over_others(desk, number, step, analysis.sign, 0.0), 1.0)


@better_than_control.case
def better_mean_than_control(analysis: ArmMeans, desk, arm):
    """The normal distribution."""
    return _better_by(analysis, desk, arm, 0.0)[0]


@all_alike.case
def means_all_alike(analysis: ArmMeans, desk):
    """The lowest mean at a node, and all others between it and the margin above: summed over who is the lowest."""
    step = STEP * _narrowest(desk)
    alike = 0.0
    for number in range(desk.arms.shape[0]):
        if runs(desk.arms[number]):
            alike += _sum_over_others(desk, number, step, 1.0, analysis.within)
    return min(alike, 1.0)


@beyond_effect.case
def beyond_effect_of_mean(analysis: ArmMeans, desk, arm, effect):
    """Of the difference to the control."""
    return _better_by(analysis, desk, arm, effect)[0]


@moments_of_arm.case
def moments_of_arm_mean(analysis: ArmMeans, desk, arm):
    """Of the difference of means."""
    of = desk.arms[arm]
    mean, sd = _posterior(analysis, desk.state[0].control, of.control_patients, of.control_total)
    return of.effect - mean, of.error * of.error + sd * sd, 4.0 / analysis.information


@estimate_of_arm.case
def estimate_arm_mean(analysis: ArmMeans, desk, arm):
    """Posterior mean of the difference of means, or of the mean where nothing is compared."""
    of, truth = desk.arms[arm], analysis.truth[arm]
    if not analysis.compares:
        return of.effect, math.nan if math.isnan(truth) else normal_cdf((of.effect - truth) / of.error)
    return _better_by(analysis, desk, arm, 0.0)[1], (
        math.nan if math.isnan(truth) else _better_by(analysis, desk, arm, truth)[0]
    )
