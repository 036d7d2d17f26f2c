"""Tests of each arm against its control patients: an estimate, its standard error, and their ratio."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    all_alike,
    estimate_of_arm,
    rank_arms,
    statistic_of_arm,
    tail_of_arm,
    weigh_arms,
)
from lmd_trialsim.kernel.sorting import sort_by
from lmd_trialsim.kernel.special import normal_cdf, normal_quantile, student_cdf

AGAINST_CONTROL, ABSOLUTE = 0, 1
"""What a bound is of: the effect, or the arm alone."""


class LogRankOfArms(NamedTuple):
    """The log-rank test; the estimate is Peto's one-step log hazard ratio, (observed - expected) / variance."""

    bound: np.ndarray  # (bounds,) log hazard ratios
    truth: np.ndarray  # (arms,) true log hazard ratios; NaN where there is not one


@kernel
def _gather(desk, number):
    """Write the follow-up of the arm and its controls to desk.work[1], who they are to desk.order's end; return both.

    Rows: work[1] follow-up, work[2] 1 for the arm and 0 for a control, work[3] 1 where the event was seen.
    """
    control = desk.state[0].control
    count = 0
    treated = 0
    for patient in range(desk.state[0].known):
        person = desk.patients[patient]
        own = person.arm == number
        if own or (person.arm == control and person.matches >> number & 1):
            desk.work[1, count] = person.follow
            desk.work[2, count] = 1.0 if own else 0.0
            desk.work[3, count] = person.status
            treated += 1 if own else 0
            count += 1
    return count, treated


@kernel
def log_rank_of_arm(desk, number):
    """Return (expected - observed events of the arm, variance) from one sort of the follow-up times."""
    count, treated = _gather(desk, number)
    for place in range(count):
        desk.work[0, place] = desk.work[1, place]
    sort_by(desk.work[0], count, desk.order)
    at_risk = count
    surplus, variance = 0.0, 0.0
    tied, tied_treated, before = count, treated, -1.0
    for place in range(count):
        person = desk.order[place]
        if desk.work[1, person] != before:
            tied, tied_treated, before = at_risk, treated, desk.work[1, person]
        if desk.work[3, person] > 0.0:
            share = tied_treated / tied
            surplus += share - desk.work[2, person]
            variance += share * (1.0 - share)
        at_risk -= 1
        treated -= 1 if desk.work[2, person] > 0.0 else 0
    return surplus, variance


@weigh_arms.case
def weigh_log_rank(analysis: LogRankOfArms, desk):
    """Write estimate and standard error of each arm."""
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number) and number != desk.state[0].control:
            surplus, variance = log_rank_of_arm(desk, number)
            arm = desk.arms[number]
            arm.effect = -surplus / variance if variance > 0.0 else math.nan
            arm.error = 1.0 / math.sqrt(variance) if variance > 0.0 else math.nan


@kernel
def below(arm, bound):
    """Return P(effect < bound), the effect normal about its estimate."""
    return normal_cdf((bound - arm.effect) / arm.error)


@tail_of_arm.case
def tail_of_log_rank(analysis: LogRankOfArms, desk, arm, bound):
    """The normal distribution."""
    return below(desk.arms[arm], analysis.bound[bound])


@rank_arms.case
def rank_by_log_rank(analysis: LogRankOfArms, desk, better):
    """P(log hazard ratio < 0); an arm without a variance is as good as the control."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.better = 0.0
        if takes_part(desk, number) and number != desk.state[0].control:
            arm.better = 0.5 if math.isnan(arm.error) else below(arm, 0.0)


@all_alike.case
def log_rank_alike(analysis: LogRankOfArms, desk):
    """It is not asked of tests."""
    return math.nan


@statistic_of_arm.case
def log_rank_statistic(analysis: LogRankOfArms, desk, arm):
    """The estimate over its standard error, positive where the arm is better."""
    return -desk.arms[arm].effect / desk.arms[arm].error


@estimate_of_arm.case
def estimate_by_log_rank(analysis: LogRankOfArms, desk, arm):
    """The estimate."""
    truth = analysis.truth[arm]
    return desk.arms[arm].effect, math.nan if math.isnan(truth) else below(desk.arms[arm], truth)


class DifferenceOfMeans(NamedTuple):
    """Student's test with one variance for both groups, or the normal test where the standard deviation is known."""

    sd: float  # 0 where it is estimated
    sign: float  # 1 where the larger value is the better one, else -1
    bound: np.ndarray  # (bounds,) differences
    truth: np.ndarray  # (arms,) true differences


@kernel
def beyond_by_t(arm, bound, sign):
    """Return P(sign * effect > sign * bound), the effect a multiple of Student's t about its estimate."""
    t = sign * (arm.effect - bound) / arm.error
    if math.isinf(arm.freedom):
        return normal_cdf(t)
    return student_cdf(arm.freedom, t) if arm.freedom > 0.0 else math.nan


@kernel
def signed_z(arm, sign):
    """Return the z of the p-value of a one-sided test, positive where the arm is better."""
    t = sign * arm.effect / arm.error
    if math.isinf(arm.freedom) or math.isnan(t):
        return t
    # From the tail that is small, so that nothing is lost to rounding.
    return math.copysign(normal_quantile(student_cdf(arm.freedom, -abs(t))), t) if arm.freedom > 0.0 else math.nan


@weigh_arms.case
def weigh_difference_of_means(analysis: DifferenceOfMeans, desk):
    """Write difference, standard error and degrees of freedom of each arm."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if not takes_part(desk, number) or number == desk.state[0].control:
            continue
        n, m = arm.patients, arm.control_patients
        arm.effect = arm.total / n - arm.control_total / m if n > 0 and m > 0 else math.nan
        arm.freedom = math.inf
        variance = analysis.sd * analysis.sd
        if analysis.sd == 0.0 and n > 0 and m > 0:
            arm.freedom = n + m - 2.0
            within = arm.squares - arm.total * arm.total / n
            within += arm.control_squares - arm.control_total * arm.control_total / m
            variance = within / arm.freedom if arm.freedom > 0.0 else math.nan
        arm.error = math.sqrt(max(variance, 0.0) * (1.0 / n + 1.0 / m)) if n > 0 and m > 0 else math.nan


@tail_of_arm.case
def tail_of_difference_of_means(analysis: DifferenceOfMeans, desk, arm, bound):
    """Student's distribution, or the normal one."""
    return beyond_by_t(desk.arms[arm], analysis.bound[bound], analysis.sign)


@rank_arms.case
def rank_by_difference_of_means(analysis: DifferenceOfMeans, desk, better):
    """P(difference > 0); an arm of which nothing is known is as good as the control."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.better = 0.0
        if takes_part(desk, number) and number != desk.state[0].control:
            arm.better = 0.5 if math.isnan(arm.error) else beyond_by_t(arm, 0.0, analysis.sign)


@all_alike.case
def difference_of_means_alike(analysis: DifferenceOfMeans, desk):
    """It is not asked of tests."""
    return math.nan


@statistic_of_arm.case
def statistic_of_difference_of_means(analysis: DifferenceOfMeans, desk, arm):
    """The estimate over its standard error, as a z."""
    return signed_z(desk.arms[arm], analysis.sign)


@estimate_of_arm.case
def estimate_by_difference_of_means(analysis: DifferenceOfMeans, desk, arm):
    """The difference."""
    truth = analysis.truth[arm]
    return desk.arms[arm].effect, math.nan if math.isnan(truth) else beyond_by_t(desk.arms[arm], truth, 1.0)
