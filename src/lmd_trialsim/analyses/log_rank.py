"""The log-rank test, stratified or weighted if wanted, positive where treatment has fewer events than expected."""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.analyses.risk_sets import (
    AT_RISK_CONTROL,
    AT_RISK_TREATMENT,
    EVENT_MONTH,
    EVENT_STRATUM,
    OF_TREATMENT,
    tabulate_risk_sets,
)
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer


class LogRank(NamedTuple):
    """The z statistic of the (stratified) log-rank test (Mantel 1966)."""

    stratified: int


class WeightedLogRank(NamedTuple):
    """The z statistic of the log-rank test with weights S(t-) ** rho * (1 - S(t-)) ** gamma.

    S is the Kaplan-Meier curve of both arms together, of each stratum where `stratified` (Fleming and Harrington 1991,
    Counting Processes and Survival Analysis, chapter 7).
    """

    rho: float
    gamma: float
    stratified: int


@kernel
def log_rank_z(desk, events):
    """(expected - observed) / standard deviation of the treatment's events; NaN where the variance is 0."""
    surplus = 0.0
    variance = 0.0
    for event in range(events):
        treatment = desk.work[AT_RISK_TREATMENT, event]
        control = desk.work[AT_RISK_CONTROL, event]
        share = treatment / (treatment + control)
        surplus += share - desk.work[OF_TREATMENT, event]
        variance += share * (1.0 - share)
    return surplus / math.sqrt(variance) if variance > 0.0 else math.nan


@answer.case
def answer_log_rank(question: LogRank, stream, desk, look):
    """Sum over the events."""
    return log_rank_z(desk, tabulate_risk_sets(desk, question.stratified))


@kernel
def weighted_log_rank_z(desk, events, rho, gamma):
    """sum w (expected - observed) / sqrt(sum w**2 variance) of the treatment's events; NaN where the variance is 0.

    Events of one month and stratum count together, with the hypergeometric variance (Mantel 1966).
    """
    survival = desk.work[0]  # of each stratum; the risk sets have been counted, so the row is free
    survival[:] = 1.0
    surplus = 0.0
    variance = 0.0
    place = 0
    while place < events:
        event = place
        month = desk.work[EVENT_MONTH, event]
        stratum = int(desk.work[EVENT_STRATUM, event])
        together = 0
        observed = 0.0
        # Risk sets are written month by month, and within a month stratum by stratum.
        while place < events:
            if desk.work[EVENT_MONTH, place] != month or desk.work[EVENT_STRATUM, place] != stratum:
                break
            together += 1
            observed += desk.work[OF_TREATMENT, place]
            place += 1
        treatment = desk.work[AT_RISK_TREATMENT, event]
        at_risk = treatment + desk.work[AT_RISK_CONTROL, event]
        share = treatment / at_risk
        weight = survival[stratum] ** rho * (1.0 - survival[stratum]) ** gamma
        surplus += weight * (together * share - observed)
        if together < at_risk:
            remaining = (at_risk - together) / (at_risk - 1.0)
            variance += weight * weight * together * share * (1.0 - share) * remaining
        survival[stratum] *= 1.0 - together / at_risk
    return surplus / math.sqrt(variance) if variance > 0.0 else math.nan


@answer.case
def answer_weighted_log_rank(question: WeightedLogRank, stream, desk, look):
    """Sum over the events in the order of their months."""
    events = tabulate_risk_sets(desk, question.stratified)
    return weighted_log_rank_z(desk, events, question.rho, question.gamma)
