"""Event times by risk sets: log-rank, Cox, Kaplan-Meier, from each patient's months of follow-up and status.

Sources: docs/scenario.md, "analysis"; docs/methods.md, "Event times", and those named at each function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from scipy import stats
from scipy.optimize import brentq

from lmd_trialsim.designs.analyses import Cox, LogRank, MilestoneSurvival, RestrictedMean
from lmd_trialsim.reference.twin.counts import UNTOLD, Limits
from lmd_trialsim.reference.twin.seen import Context, Seen

HIGH_Z = float(stats.norm.ppf(0.975))
A_MOMENT = 1e-9
"""Months: follow-up that ends so little before a month reaches it, and what is missing is rounding."""


def wald(middle: float, error: float) -> Limits:
    """Return the estimate with its limits on both sides."""
    return Limits(middle, middle - HIGH_Z * error, middle + HIGH_Z * error)


def in_units_of(error: float, gain: float) -> float:
    """Return the gain in standard errors; where there is no variance, 0 of no gain and else infinitely many."""
    if gain == 0.0 or math.isnan(gain):
        return gain
    return gain / error if error > 0.0 else math.copysign(math.inf, gain)


# ---- risk sets -------------------------------------------------------------------------------------------------------


class RiskSet(NamedTuple):
    """Those who were followed up to a month of events, and whose events they were."""

    treated: int
    controls: int
    events: tuple[int, ...]  # the arms of those who had one

    @property
    def at_risk(self) -> int:
        """Patients in follow-up just before."""
        return self.treated + self.controls


def groups(seen: Sequence[Seen], stratified: bool) -> list[list[Seen]]:
    """Return the patients by stratum, or all in one group."""
    if not stratified:
        return [list(seen)]
    return [[p for p in seen if p.stratum == stratum] for stratum in sorted({p.stratum for p in seen})]


def risk_sets(patients: Sequence[Seen]) -> Iterator[RiskSet]:
    """Yield the risk set of each month with an event; who is censored in that month is at risk yet."""
    for month in sorted({p.months for p in patients if p.event}):
        followed = [p for p in patients if p.months >= month]
        treated = sum(p.arm for p in followed)
        yield RiskSet(treated, len(followed) - treated, tuple(p.arm for p in followed if p.event and p.months == month))


# ---- log-rank and Cox ------------------------------------------------------------------------------------------------


def z_of_log_rank(analysis: LogRank, seen: Sequence[Seen]) -> float:
    """Return expected less observed events of the treatment in standard errors, weights S(t-)^rho (1 - S(t-))^gamma.

    Mantel (1966), each event of a tie with the variance p (1 - p) of a single one; Fleming and Harrington (1991), with
    S the Kaplan-Meier curve of both arms within a stratum.
    """
    score = variance = 0.0
    for group in groups(seen, analysis.stratified):
        survival = 1.0
        for risk in risk_sets(group):
            weight = survival**analysis.rho * (1.0 - survival) ** analysis.gamma
            share = risk.treated / risk.at_risk
            for arm in risk.events:
                score += weight * (share - arm)
                variance += weight**2 * share * (1.0 - share)
            survival *= 1.0 - len(risk.events) / risk.at_risk
    return score / math.sqrt(variance) if variance > 0.0 else math.nan


def cox_of(analysis: Cox | LogRank, seen: Sequence[Seen]) -> tuple[float, float]:
    """Return the posterior mode of the log hazard ratio and its standard error; NaN where there is no maximum.

    Cox (1972), Breslow's likelihood of ties; without a prior the mode is the estimate of maximum likelihood.
    """
    prior = getattr(analysis, "prior", None)
    mean, precision = (prior.mean, prior.sd**-2) if prior else (0.0, 0.0)
    sets = [risk for group in groups(seen, analysis.stratified) for risk in risk_sets(group)]

    def share(risk: RiskSet, log_ratio: float) -> float:
        if risk.treated == 0 or risk.controls == 0:
            return float(risk.controls == 0)
        return 1.0 / (1.0 + risk.controls / risk.treated * math.exp(-log_ratio))

    def score(log_ratio: float) -> float:
        of_data = math.fsum(arm - share(risk, log_ratio) for risk in sets for arm in risk.events)
        return of_data - precision * (log_ratio - mean)

    if precision == 0.0:
        # The likelihood has a maximum only if it falls on both sides in the end.
        rises = sum(arm - (risk.controls == 0) for risk in sets for arm in risk.events)
        falls = sum(arm - (risk.treated > 0) for risk in sets for arm in risk.events)
        if not (rises > 0 and falls < 0):
            return math.nan, math.nan
    reach = 1.0
    while score(mean - reach) < 0.0 or score(mean + reach) > 0.0:
        reach *= 2.0
    mode = float(brentq(score, mean - reach, mean + reach, xtol=1e-13))
    shares = [share(risk, mode) for risk in sets for _ in risk.events]
    return mode, 1.0 / math.sqrt(precision + math.fsum(p * (1.0 - p) for p in shares))


# ---- Kaplan-Meier ----------------------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """A Kaplan-Meier curve up to a month."""

    survival: float
    greenwood: float  # sum of d / (n (n - d)), of which the variance is survival^2 times
    area: float  # the restricted mean
    variance_of_area: float


def curve_of(patients: Sequence[Seen], month: float) -> Curve | None:
    """Return the curve; None where it is unknown: beyond the last follow-up, unless it has come down to 0 before.

    Greenwood (1926); the variance of the area is the sum of d / (n (n - d)) times the squared area beyond that event
    (Royston and Parmar 2013). The event of the last one at risk leaves nothing beyond, and adds nothing.
    """
    deaths = [month_of for month_of in sorted({p.months for p in patients if p.event}) if month_of <= month + A_MOMENT]
    survival, greenwood = 1.0, 0.0
    steps = [(0.0, 1.0, 0.0)]  # from month, survival, Greenwood's term
    for death in deaths:
        n = sum(p.months >= death for p in patients)
        d = sum(p.event and p.months == death for p in patients)
        survival *= (n - d) / n
        term = d / (n * (n - d)) if n > d else 0.0
        greenwood += term
        steps.append((death, survival, term))
    last = max((p.months for p in patients), default=-1.0)
    if last < month - A_MOMENT and survival > 0.0:
        return None
    ends = [step[0] for step in steps[1:]] + [month]
    areas = [height * (end - start) for (start, height, _), end in zip(steps, ends, strict=True)]
    spread = math.fsum(steps[i][2] * math.fsum(areas[i:]) ** 2 for i in range(1, len(steps)))
    return Curve(survival, greenwood, math.fsum(areas), spread)


def curves(context: Context, seen: Sequence[Seen], month: float) -> list[Curve] | None:
    """Return the curve of each arm; None where one of them is unknown."""
    found = [curve_of([p for p in seen if p.arm == arm], month) for arm in range(len(context.arms))]
    known = [curve for curve in found if curve is not None]
    return known if len(known) == len(found) else None


def contrast_of_curves(
    analysis: MilestoneSurvival | RestrictedMean, context: Context, seen: Sequence[Seen]
) -> tuple[float, float]:
    """Return the difference of survival or of restricted means (a single arm: the value), and its standard error."""
    found = curves(context, seen, analysis.month)
    if found is None:
        return math.nan, math.nan
    value: Callable[[Curve], float]
    variance: Callable[[Curve], float]
    if analysis.kind == "milestone_survival":
        value, variance = (lambda c: c.survival), (lambda c: c.survival**2 * c.greenwood)
    else:
        value, variance = (lambda c: c.area), (lambda c: c.variance_of_area)
    middle = value(found[1]) - value(found[0]) if len(found) == 2 else value(found[0])
    return middle, math.sqrt(math.fsum(variance(curve) for curve in found))


def z_of_curves(analysis: MilestoneSurvival | RestrictedMean, context: Context, seen: Sequence[Seen]) -> float:
    """Return z of the difference less its margin; of a single arm, of log(-log S) below that of the null survival."""
    if len(context.arms) == 2:
        middle, error = contrast_of_curves(analysis, context, seen)
        return in_units_of(error, middle - analysis.margin)
    assert isinstance(analysis, MilestoneSurvival)
    assert analysis.null_survival is not None
    found = curves(context, seen, analysis.month)
    if found is None:
        return math.nan
    (curve,) = found
    if curve.survival in (0.0, 1.0):  # all dead, all alive
        return math.inf if curve.survival else -math.inf
    hazard, null = -math.log(curve.survival), -math.log(analysis.null_survival)
    return (math.log(null) - math.log(hazard)) / (math.sqrt(curve.greenwood) / hazard)


def estimate_of_curves(analysis: MilestoneSurvival | RestrictedMean, context: Context, seen: Sequence[Seen]) -> Limits:
    """Return the estimate with Wald limits."""
    middle, error = contrast_of_curves(analysis, context, seen)
    return UNTOLD if math.isnan(middle) else wald(middle, error)
