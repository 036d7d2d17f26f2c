"""Tests of each arm against its control patients: an estimate, its standard error, and their ratio."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    better_than_control,
    beyond_effect,
    estimate_of_arm,
    moments_of_arm,
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

    sign: float  # -1: a lower hazard is the better one
    bound: np.ndarray  # (bounds,) log hazard ratios
    truth: np.ndarray  # (arms,) true log hazard ratios; NaN where there is not one


class DifferenceOfMeans(NamedTuple):
    """Student's test with one variance for both groups, or the normal test where the standard deviation is known."""

    sd: float  # 0 where it is estimated
    sign: float  # 1 where the larger value is the better one, else -1
    bound: np.ndarray  # (bounds,) differences
    truth: np.ndarray  # (arms,) true differences


class DifferenceOfProportions(NamedTuple):
    """The normal test of two proportions, its variance pooled over both groups."""

    sign: float  # 1 where the higher rate is the better one, else -1
    bound: np.ndarray  # (bounds,) differences
    truth: np.ndarray  # (arms,) true differences


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


@kernel
def beyond(arm, bound, sign):
    """Return P(sign * effect > sign * bound), the effect a multiple of Student's t about its estimate."""
    t = sign * (arm.effect - bound) / arm.error
    if math.isinf(arm.freedom):
        return normal_cdf(t)
    return student_cdf(arm.freedom, t) if arm.freedom > 0.0 else math.nan


def _tail(analysis, desk, arm, bound):
    """Student's distribution, or the normal one."""
    return beyond(desk.arms[arm], analysis.bound[bound], analysis.sign)


def _better(analysis, desk, arm):
    """Student's distribution, or the normal one; one half where nothing is known."""
    of = desk.arms[arm]
    return 0.5 if math.isnan(of.error) else beyond(of, 0.0, analysis.sign)


def _statistic(analysis, desk, arm):
    """The estimate over its standard error, as a z: of Student's t, the normal quantile of the p-value's complement."""
    of = desk.arms[arm]
    t = analysis.sign * of.effect / of.error
    if math.isinf(of.freedom) or math.isnan(t):
        return t
    # From the tail that is small, so that nothing is lost to rounding.
    return math.copysign(normal_quantile(student_cdf(of.freedom, -abs(t))), t) if of.freedom > 0.0 else math.nan


def _estimate(analysis, desk, arm):
    """The effect."""
    truth = analysis.truth[arm]
    return desk.arms[arm].effect, math.nan if math.isnan(truth) else beyond(desk.arms[arm], truth, 1.0)


def _beyond_effect(analysis, desk, arm, effect):
    """Student's distribution, or the normal one."""
    return beyond(desk.arms[arm], effect, 1.0)


def _moments(analysis, desk, arm):
    """The effect and the square of its error; what a new trial knows of it, by what this one does."""
    of = desk.arms[arm]
    size = of.events + of.control_events
    if size == 0:
        size = of.patients + of.control_patients
    # Four times the product of the shares: a new trial has half of its patients in either arm.
    share = of.patients / max(of.patients + of.control_patients, 1)
    return of.effect, of.error * of.error, of.error * of.error * size * 4.0 * share * (1.0 - share)


def is_a_test(analysis):
    """Register what all tests share: those that write effect, error and freedom of each arm when they weigh."""
    for seam, case in (
        (tail_of_arm, _tail),
        (better_than_control, _better),
        (statistic_of_arm, _statistic),
        (moments_of_arm, _moments),
        (estimate_of_arm, _estimate),
        (beyond_effect, _beyond_effect),
    ):
        seam.cases[analysis] = case


for _test in (LogRankOfArms, DifferenceOfMeans, DifferenceOfProportions):
    is_a_test(_test)


@weigh_arms.case
def weigh_log_rank(analysis: LogRankOfArms, desk):
    """Peto's estimate and its standard error."""
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number) and number != desk.state[0].control:
            surplus, variance = log_rank_of_arm(desk, number)
            arm = desk.arms[number]
            arm.effect = -surplus / variance if variance > 0.0 else math.nan
            arm.error = 1.0 / math.sqrt(variance) if variance > 0.0 else math.nan
            arm.freedom = math.inf


@weigh_arms.case
def weigh_difference_of_means(analysis: DifferenceOfMeans, desk):
    """Difference, standard error and degrees of freedom."""
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
            all_squares = arm.squares + arm.control_squares
            variance = within / arm.freedom if arm.freedom > 0.0 and within > 1e-12 * all_squares else math.nan
        arm.error = math.sqrt(max(variance, 0.0) * (1.0 / n + 1.0 / m)) if n > 0 and m > 0 else math.nan


@weigh_arms.case
def weigh_difference_of_proportions(analysis: DifferenceOfProportions, desk):
    """Difference and standard error; NaN where all patients, or none, have responded."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        n, m = arm.patients, arm.control_patients
        arm.effect, arm.error, arm.freedom = math.nan, math.nan, math.inf
        if takes_part(desk, number) and number != desk.state[0].control and n > 0 and m > 0:
            arm.effect = arm.responses / n - arm.control_responses / m
            rate = (arm.responses + arm.control_responses) / (n + m)
            variance = rate * (1.0 - rate) * (1.0 / n + 1.0 / m)
            arm.error = math.sqrt(variance) if variance > 0.0 else math.nan
