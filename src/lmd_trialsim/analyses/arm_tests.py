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
from lmd_trialsim.kernel.special import normal_cdf

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
