"""Kaplan-Meier curves: survival at a month, and the mean of survival up to it, of one arm or of two compared.

Sources: Kaplan and Meier (1958); Greenwood (1926) for the variance of survival; Royston and Parmar (2013, BMC Med Res
Methodol 13:152) and Uno et al. (2014, J Clin Oncol 32:2380) for restricted means.

A curve is not known beyond the last follow-up in its arm unless it has come down to 0: then everything here is NaN.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer, estimate
from lmd_trialsim.kernel.sorting import sort_by

_QUANTILE = 1.959963984540054  # of the standard normal distribution at 0.975


class MilestoneSurvivalZ(NamedTuple):
    """z of survival at `month`, treatment less control less `margin`; uncensored, the unpooled z of proportions."""

    month: float
    margin: float


class RestrictedMeanZ(NamedTuple):
    """z of the mean months survived up to `month`, treatment less control less `margin` (months)."""

    month: float
    margin: float


class MilestoneSurvival(NamedTuple):
    """Survival of a single arm at `month`."""

    month: float


class SurvivalAboveZ(NamedTuple):
    """z of a single arm's survival at `month` against `null`, on the scale log(-log), positive where it is above.

    Where everybody is alive it is infinite, where nobody is, minus infinite: the scale's own limits.
    """

    month: float
    null: float


class MilestoneSurvivalEstimate(NamedTuple):
    """Survival at `month` and its 95 % Wald limits: treatment less control, or the arm's own where arms is 1."""

    month: float
    arms: int


class RestrictedMeanEstimate(NamedTuple):
    """Mean months survived up to `month` and 95 % Wald limits: treatment less control, or the arm's own."""

    month: float
    arms: int


A_MOMENT = 1e-9
"""Months: (entry + 6) - entry may round to less than 6, and whoever is followed that long has been followed for 6."""


@kernel
def curve_to(desk, arm, month):
    """Return survival at `month`, Greenwood's sum, the area under the curve up to `month`, and the area's variance.

    Greenwood's sum, of d / (n (n - d)) over the events, is the variance of survival over its square. Ties are broken:
    events one after another, then the censored; product and sum telescope to those with d events among n.
    """
    months = desk.work[0]
    enrolled = desk.state[0].enrolled
    patients = 0
    before = 0
    for patient in range(enrolled):
        person = desk.patients[patient]
        if person.arm == arm:
            patients += 1
            if person.status and person.follow <= month:
                months[before] = person.follow
                before += 1
    events = before
    for patient in range(enrolled):
        person = desk.patients[patient]
        if person.arm == arm and not person.status and person.follow < month - A_MOMENT:
            months[before] = person.follow
            before += 1
    sort_by(months, before, desk.order)
    desk.order[before] = before
    months[before] = month
    survival = 1.0
    greenwood = 0.0
    area = 0.0
    first_moment = 0.0  # sum over past events of d / (n (n - d)) times the area since
    area_variance = 0.0  # the same times the area squared
    last = 0.0
    for place in range(before + 1):
        entry = desk.order[place]
        gained = survival * (months[entry] - last)
        last = months[entry]
        area += gained
        area_variance += gained * (2.0 * first_moment + gained * greenwood)
        first_moment += gained * greenwood
        if entry < events:
            at_risk = patients - place
            survival *= (at_risk - 1.0) / at_risk
            if at_risk > 1:  # else the curve is at 0 and no area is left for the term to weigh
                greenwood += 1.0 / (at_risk * (at_risk - 1.0))
    if before == patients and survival > 0.0:
        return math.nan, math.nan, math.nan, math.nan
    return survival, greenwood, area, area_variance


@kernel
def milestone(desk, arms, month):
    """Return survival at `month`, treatment less control or a single arm's own, and its variance.

    An arm adds no variance where nobody or everybody had the event.
    """
    middle = 0.0
    variance = 0.0
    for arm in range(arms):
        survival, greenwood, _, _ = curve_to(desk, arm, month)
        middle = survival - middle
        variance += survival * survival * greenwood
    return middle, variance


@kernel
def restricted_mean(desk, arms, month):
    """Return the mean months survived up to `month`, treatment less control or a single arm's own, and its variance."""
    middle = 0.0
    variance = 0.0
    for arm in range(arms):
        _, _, area, area_variance = curve_to(desk, arm, month)
        middle = area - middle
        variance += area_variance
    return middle, variance


@kernel
def gain_z(gain, variance):
    """Return gain / standard error; 0 for no gain and infinite for any where the variance is 0, as z_of_proportions."""
    if variance == 0.0:
        return 0.0 if gain == 0.0 else math.copysign(math.inf, gain)
    return gain / math.sqrt(variance)


@kernel
def with_limits(middle, variance):
    """Return the estimate and its 95 % Wald limits."""
    half = _QUANTILE * math.sqrt(variance)
    return middle, middle - half, middle + half


@answer.case
def answer_milestone_z(question: MilestoneSurvivalZ, stream, desk, look):
    """Greenwood's variance on the plain scale."""
    difference, variance = milestone(desk, 2, question.month)
    return gain_z(difference - question.margin, variance)


@answer.case
def answer_restricted_mean_z(question: RestrictedMeanZ, stream, desk, look):
    """Areas under the two curves."""
    difference, variance = restricted_mean(desk, 2, question.month)
    return gain_z(difference - question.margin, variance)


@answer.case
def answer_milestone(question: MilestoneSurvival, stream, desk, look):
    """The estimate itself."""
    survival, _ = milestone(desk, 1, question.month)
    return survival


@kernel
def survival_above_z(desk, month, null):
    """(log(-log null) - log(-log S)) |log S| / sqrt(Greenwood's sum)."""
    survival, greenwood, _, _ = curve_to(desk, 0, month)
    if survival == 1.0:
        return math.inf
    if survival == 0.0:
        return -math.inf
    hazard = -math.log(survival)
    return (math.log(-math.log(null)) - math.log(hazard)) * hazard / math.sqrt(greenwood)


@answer.case
def answer_survival_above(question: SurvivalAboveZ, stream, desk, look):
    """The delta method on Greenwood's variance (Kalbfleisch and Prentice 1980, chapter 1)."""
    return survival_above_z(desk, question.month, question.null)


@estimate.case
def estimate_milestone(estimator: MilestoneSurvivalEstimate, desk):
    """Limits may leave the range of the estimate: they are Wald's."""
    middle, variance = milestone(desk, estimator.arms, estimator.month)
    return with_limits(middle, variance)


@estimate.case
def estimate_restricted_mean(estimator: RestrictedMeanEstimate, desk):
    """Wald limits."""
    middle, variance = restricted_mean(desk, estimator.arms, estimator.month)
    return with_limits(middle, variance)
