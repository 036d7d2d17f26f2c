"""The true effect of a truth, on the scale that a design estimates, and whether the truth is a null one."""

from __future__ import annotations

import math
from typing import Any

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import SingleArm, TwoArm
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.lowering import Setting
from lmd_trialsim.lowering_baskets import BasketSetting, null_cells
from lmd_trialsim.lowering_platforms import PlatformSetting, may_be_false, null_arms
from lmd_trialsim.patients.course import Curve, lives_no_longer, log_hazard_ratio
from lmd_trialsim.scenario import Scenario

SCALES = {
    "beta_binomial": "difference", "difference_of_proportions": "difference", "fisher_exact": "difference",
    "exact_binomial": "rate", "log_rank": "log hazard ratio", "cox": "log hazard ratio",
    "gamma_exponential": "log hazard ratio", "piecewise_gamma_exponential": "survival difference",
    "milestone_survival": "survival difference", "restricted_mean": "months",
}  # fmt: skip


def scale_of(scenario: Scenario, design: str) -> str:
    """Return what the design's estimate is an estimate of, in words."""
    setting = Setting.of(scenario, design)
    analysis = setting.design.analysis
    effect = getattr(analysis, "effect", None)
    if isinstance(setting.design, SingleArm):
        single = {"gamma_exponential": "log hazard a month", "restricted_mean": "months"}
        return single.get(analysis.kind, "rate" if setting.design.looks.unit == "evaluable" else "survival")
    return {"ratio": "log ratio", "odds_ratio": "log odds ratio"}.get(str(effect), SCALES[analysis.kind])


def true_effect(scenario: Scenario, design: str, truth: str) -> float:
    """Return the true effect; NaN where there is not one (a hazard ratio that changes, a rate of 0 on a log scale)."""
    setting = Setting.of(scenario, design)
    analysis: Any = setting.design.analysis
    world = scenario.truths[truth]
    two = isinstance(setting.design, TwoArm)
    if scenario.endpoints[setting.design.endpoint].kind != "time_to_event":
        rates = [_average(row, setting.shares) for row in setting.rates(world)]
        if not two:
            return rates[0]
        control, treatment = rates
        effect = getattr(analysis, "effect", "difference")
        if effect == "difference":
            return treatment - control
        if min(rates) <= 0.0 or (effect == "odds_ratio" and max(rates) >= 1.0):
            return math.nan
        odds = [rate / (1.0 - rate) if effect == "odds_ratio" else rate for rate in rates]
        return math.log(odds[1] / odds[0])
    curves = setting.curves(world)
    if analysis.kind in ("log_rank", "cox", "gamma_exponential"):
        return _log_hazard_ratio(curves) if two else _log_hazard(curves[0])

    def survival(row: list[Curve], month: float) -> float:
        return _average([curve.survival(month) for curve in row], setting.shares)

    if analysis.kind == "restricted_mean":
        means = [_restricted_mean(row, setting.shares, analysis.month) for row in curves]
    else:
        means = [survival(row, analysis.month) for row in curves]
    return means[1] - means[0] if two else means[0]


def _average(values: list[float], shares: list[float]) -> float:
    return math.fsum(value * share for value, share in zip(values, shares, strict=True))


def _restricted_mean(row: list[Curve], shares: list[float], month: float) -> float:
    from scipy.integrate import quad

    breaks = sorted({k ** (1.0 / c.shape) for c in row for k in c.knots if 0.0 < k ** (1.0 / c.shape) < month})
    value, _ = quad(
        lambda t: _average([c.survival(t) for c in row], shares), 0.0, month, points=breaks or None, limit=200
    )
    return float(value)


def _log_hazard(row: list[Curve]) -> float:
    curve = row[0]
    simple = all(c == curve for c in row) and curve.shape == 1.0 and curve.cured == 0.0 and len(set(curve.slopes)) == 1
    return math.log(curve.slopes[0]) if simple and curve.slopes[0] > 0.0 else math.nan


def _log_hazard_ratio(curves: list[list[Curve]]) -> float:
    """Return the one hazard ratio of all strata and times, NaN where there is none."""
    ratios = {log_hazard_ratio(control, treatment) for control, treatment in zip(*curves, strict=True)}
    return ratios.pop() if len(ratios) == 1 else math.nan


def is_null(scenario: Scenario, design: str, truth: str) -> bool | None:
    """Return whether success under this truth is a type I error; None where the design does not say its null.

    Of a basket design: in every basket; of a platform, of every arm.
    """
    found = nulls(scenario, design, truth)
    return None if found is None else all(found)


def any_null(scenario: Scenario, design: str, truth: str) -> bool:
    """Return whether there can be a false success under this truth, in some basket or of some arm."""
    if isinstance(scenario.designs[design], Platform):
        arms = PlatformSetting.of(scenario, design)
        return any(may_be_false(arms, truth)[int(arms.control is not None) :])
    return any(nulls(scenario, design, truth) or ())


def nulls(scenario: Scenario, design: str, truth: str) -> tuple[bool, ...] | None:
    """Return whether success is a type I error, of each basket, arm under trial, or (1,) of the whole trial.

    None where the design does not say its null.
    """
    if isinstance(scenario.designs[design], Basket):
        return null_cells(BasketSetting.of(scenario, design), truth)
    if isinstance(scenario.designs[design], Platform):
        arms = PlatformSetting.of(scenario, design)
        return null_arms(arms, truth)[int(arms.control is not None) :]
    one = _is_null(scenario, design, truth)
    return None if one is None else (one,)


def _is_null(scenario: Scenario, design: str, truth: str) -> bool | None:
    setting = Setting.of(scenario, design)
    world = scenario.truths[truth]
    endpoint: Any = scenario.endpoints[setting.design.endpoint]
    binary = endpoint.kind != "time_to_event"
    if isinstance(setting.design, SingleArm):
        null = setting.design.null_rate
        if not binary or null is None:
            return None
        rate = _average(setting.rates(world)[0], setting.shares)
        lower_is_better = endpoint.better == "lower"
        return rate >= null - 1e-12 if lower_is_better else rate <= null + 1e-12
    if binary:
        control, treatment = setting.rates(world)
        sign = 1.0 if endpoint.better == "higher" else -1.0
        return all(sign * (t - c) <= 1e-12 for t, c in zip(treatment, control, strict=True))
    return all(lives_no_longer(control, treatment) for control, treatment in zip(*setting.curves(world), strict=True))
