"""From what a person wrote of a platform design to the numbers that kernels read."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from lmd_trialsim.analyses.arm_mixtures import OwnControls, PooledByPower, PooledByWeight
from lmd_trialsim.checks.platforms import control_of, followed_by
from lmd_trialsim.designs.arm_allocation import EarlyEndpoint, allocation_of
from lmd_trialsim.designs.arm_boundaries import boundary
from lmd_trialsim.designs.arm_frame import ArmFrame
from lmd_trialsim.designs.arm_looks import schedule_of
from lmd_trialsim.designs.arm_regression import ArmRegression
from lmd_trialsim.designs.asking import TIE, VERDICTS
from lmd_trialsim.designs.platform import ArmCondition, ArmRule, ByArm, Place, Platform
from lmd_trialsim.engine.arm_plan import (
    BEST,
    COUNTED,
    ESTIMATE,
    PREDICTIVE,
    STATISTIC,
    TAILS,
    ArmLimits,
    ArmPlan,
    ClosingStrata,
)
from lmd_trialsim.engine.backends import Room
from lmd_trialsim.engine.cell_plan import CellRules
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import canonical
from lmd_trialsim.kernel.randomising import (
    CONTROLS_ALL,
    CONTROLS_ELIGIBLE,
    CONTROLS_OPEN,
    CONTROLS_TESTED,
    OpenThroughout,
    Randomising,
)
from lmd_trialsim.kernel.rules import CONDITION, RULE
from lmd_trialsim.lowering import endpoint_of, means_of, rates_of, shares_of
from lmd_trialsim.patients.course import Curve, curve_in, lives_no_longer, log_hazard_ratio
from lmd_trialsim.patients.endpoints import lower_is_better

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

Array = NDArray[np.float64]
NO_CAP = 2**62
SMALLER = ("is_below", "at_most")
QUESTIONS = {
    "estimate_of": ESTIMATE,
    "number_of": COUNTED,
    "statistic": STATISTIC,
    "predictive_probability_of": PREDICTIVE,
}
CONTROLS = {
    "concurrent": CONTROLS_OPEN,
    "concurrently_eligible": CONTROLS_ELIGIBLE,
    "all": CONTROLS_ALL,
    "test_then_pool": CONTROLS_TESTED,
    "robust_mixture": CONTROLS_OPEN,  # those of other times are looked up where they are weighed
    "power": CONTROLS_OPEN,
}
POOL_LEVEL = 0.1
RATES = ("binary", "survival_at_month")
POOL_WEIGHT = 0.5


class PlatformSetting(NamedTuple):
    """A platform design with the names resolved that it uses."""

    scenario: Scenario
    design: Platform
    control: str | None
    places: list[Place]  # the arms under trial

    @classmethod
    def of(cls, scenario: Scenario, design: str) -> PlatformSetting:
        """Return the setting of the platform design of this name."""
        spec = scenario.designs[design]
        assert isinstance(spec, Platform)
        control = control_of(scenario, spec)
        return cls(scenario, spec, control, spec.places(list(scenario.arms), control))

    @property
    def arms(self) -> list[str]:
        """All arms, the control first."""
        control = [] if self.control is None else [self.control]
        return [*control, *(place.name for place in self.places)]

    @property
    def endpoint(self) -> Any:
        """The endpoint."""
        return self.scenario.endpoints[self.design.endpoint]

    @property
    def lower_is_better(self) -> bool:
        """Whether the lower rate is the better one."""
        return lower_is_better(self.endpoint)

    def lower_is_better_of(self, quantity: str) -> bool:
        """Whether a lower value of the quantity is the better one."""
        return quantity == "hazard_ratio" or (quantity != "median" and self.lower_is_better)

    @property
    def of_odds(self) -> bool:
        """Whether estimates are log odds ratios."""
        return isinstance(self.design.analysis, ArmRegression) and self.endpoint.kind in RATES

    @property
    def scale(self) -> str:
        """What estimates are of, in words."""
        if self.endpoint.kind == "time_to_event":
            return "log hazard ratio to the control" if self.control is not None else "log of the median"
        if self.of_odds:
            return "log odds ratio to the control"
        alone = "mean" if self.endpoint.kind == "continuous" else "rate"
        return "difference to the control" if self.control is not None else alone

    @property
    def direction(self) -> float:
        """1 where a larger estimate is the better one, -1 where a smaller one is."""
        lower = self.control is not None if self.endpoint.kind == "time_to_event" else self.lower_is_better
        return -1.0 if lower else 1.0

    @property
    def delay(self) -> float:
        """Months from entry to the assessment, or of the follow-up that a last look waits for."""
        if self.endpoint.kind == "time_to_event":
            return self.design.follow_up_months
        return float(self.endpoint.assessed_after_months)

    @property
    def takes(self) -> NDArray[np.int64]:
        """Which arm is open to which stratum, (arms, strata)."""
        strata = self.scenario.population.stratum_names()
        rows = [[1] * len(strata)] if self.control is not None else []
        rows += [[int(place.spec.strata is None or s in place.spec.strata) for s in strata] for place in self.places]
        return np.array(rows)

    @property
    def closes_strata(self) -> bool:
        """Whether some rule closes strata of arms."""
        return bool(self.design.rules_of_strata)

    @property
    def comes(self) -> NDArray[np.int64]:
        """Which arm is open to which stratum that patients come of, (arms, strata)."""
        return self.takes * (np.array(shares_of(self.scenario)) > 0.0)

    @property
    def in_all(self) -> int:
        """The most patients of all arms together."""
        return self.design.max_patients

    def by_stratum(self, truth: str) -> Array:
        """Return true rate, mean, or months free of the event in five years, (arms, strata)."""
        strata = self.scenario.population.stratum_names()
        if self.endpoint.kind == "time_to_event":
            return np.array([[_months_free(curve) for curve in row] for row in self.curves(truth)])
        world = self.scenario.truths[truth]
        if self.endpoint.kind == "continuous":
            return np.array(means_of(self.scenario, world, self.design.endpoint, self.arms, strata)[0])
        return np.array(rates_of(self.scenario, world, self.design.endpoint, self.arms, strata))

    def curves(self, truth: str) -> list[list[Curve]]:
        """Return the event times by arm and stratum."""
        courses = self.scenario.truths[truth].courses[self.design.endpoint]
        strata = self.scenario.population.stratum_names()
        return [[curve_in(courses, arm, stratum, self.scenario.control) for stratum in strata] for arm in self.arms]

    def _averaged(self, values: Array) -> Array:
        """Return the average over the strata that each arm is open to, (arms,), of (arms, strata)."""
        return self.averaged_in(values, self.takes)

    def averaged_in(self, values: Array, strata: NDArray[Any]) -> Array:
        """Return the average over these strata by their shares, (..., arms), of (arms, strata); strata: 1 where."""
        weight = strata * np.array(shares_of(self.scenario))
        return np.asarray((values * weight).sum(axis=-1) / weight.sum(axis=-1))

    def values(self, truth: str) -> Array:
        """Return how good each arm is, (arms,): its true rate or mean, or months free of the event in five years.

        Beside a control, less the control's, in the strata that the arm is open to: who their patients are is no merit
        of an arm.
        """
        values = self.by_stratum(truth)
        return self._averaged(values - values[0] if self.control is not None else values)

    def effects(self, truth: str) -> Array:
        """Return the true effect of each arm, (arms,), on the scale of estimates, in the strata that it is open to.

        The difference of rates, the log odds ratio or the log hazard ratio to the control; without one, the rate or the
        log of the median. NaN where there is no one such number.
        """
        if self.of_odds:
            return self._log_odds_ratios(truth)
        effects = self.effects_by_stratum(truth)
        if self.endpoint.kind == "time_to_event":
            return in_common(effects, self.takes)
        return self._averaged(effects)

    def effects_by_stratum(self, truth: str) -> Array:
        """Return the same of each arm in each stratum, (arms, strata); NaN where there is no one number."""
        if self.endpoint.kind != "time_to_event":
            rates = self.by_stratum(truth)
            return rates - rates[0] if self.control is not None else rates
        curves = self.curves(truth)
        found = [
            [
                math.log(curve.median()) if self.control is None else log_hazard_ratio(control, curve)
                for control, curve in zip(curves[0], row, strict=True)
            ]
            for row in curves
        ]
        return np.where(np.isfinite(found), found, math.nan)

    def effects_left(self, truth: str, left: NDArray[np.bool_]) -> Array:
        """Return the true effects in the strata that are left, (trials, arms), of (trials, arms, strata)."""
        effects = self.effects_by_stratum(truth)
        if self.endpoint.kind == "time_to_event":
            return in_common(effects, left)
        found = self.averaged_in(effects, left)
        return np.where((left == (self.comes > 0)).all(axis=-1), self.effects(truth), found)

    def information(self, said: list[float] | None) -> tuple[float, ...]:
        """Return the information of an arm at each look over that at its last, as said or by numbers of patients."""
        looks = self.design.looks
        if said is None:
            in_each = looks is not None and looks.unit == "in_each"
            last = max(place.max_patients for place in self.places) if in_each else self.design.max_patients
            said = [*(looks.listed() if looks is not None else []), last]
        return tuple(one / said[-1] for one in said)

    @property
    def borrows(self) -> OwnControls | PooledByWeight | PooledByPower:
        """What analyses make of control patients of other times."""
        design = self.design
        if design.controls == "robust_mixture":
            return PooledByWeight(POOL_WEIGHT if design.pool_weight is None else design.pool_weight)
        if design.controls == "power":
            assert design.pool_power is not None
            return PooledByPower(design.pool_power)
        return OwnControls(0)

    @property
    def control_ratio(self) -> float:
        """Patients of the control to one of an arm, in fixed shares; of unequal arms, to one on average."""
        allocation = self.design.allocation
        shares = [getattr(allocation, "ratio", {}).get(arm, 1) for arm in self.arms]
        return float(shares[0] * len(self.places) / sum(shares[1:]))

    def estimand(self, truth: str) -> Array:
        """Return what is estimated of each arm, (arms,): its effect; NaN where the control may be replaced."""
        effects = self.effects(truth)
        return np.full_like(effects, math.nan) if self.design.replace_control else effects

    def _log_odds_ratios(self, truth: str) -> Array:
        """Return those of the strata, where strata are adjusted for and all have one; else of all patients together."""
        rates, takes = self.by_stratum(truth), self.takes
        if getattr(self.design.analysis, "strata", None) is None:
            own, others = self._averaged(rates), self._averaged(np.broadcast_to(rates[0], rates.shape))
            rates, control, takes = own[:, None], others[:, None], np.ones((len(own), 1), int)
        else:
            control = rates[:1]
        with np.errstate(invalid="ignore"):
            ratios = logit(rates) - logit(control)
        found = [row[open_to > 0] for row, open_to in zip(ratios, takes, strict=True)]
        return np.array([row[0] if np.isfinite(row).all() and np.ptp(row) < 1e-9 else math.nan for row in found])


def in_common(values: Array, strata: NDArray[Any]) -> Array:
    """Return the value that these strata have in common, (..., arms), NaN where they have none; strata: 1 where."""
    low = np.where(strata, values, math.inf).min(axis=-1)
    high = np.where(strata, values, -math.inf).max(axis=-1)
    return np.where(low == high, low, math.nan)


@lru_cache(maxsize=256)
def _months_free(curve: Curve) -> float:
    """Return the mean months free of the event within five years."""
    months = np.linspace(0.0, 60.0, 601)
    return float(np.trapezoid([curve.survival(month) for month in months], months))


def null_arms(setting: PlatformSetting, truth: str) -> tuple[bool, ...]:
    """Return whether success of each arm is a type I error, (arms,): it does no better than the control.

    Without a control: it is not the one best arm. The control's own entry is True.
    """
    if setting.control is not None:
        return tuple((null_strata(setting, truth) | (setting.takes == 0)).all(axis=1).tolist())
    values = (-1.0 if setting.lower_is_better else 1.0) * setting.values(truth)
    best = [bool(value >= values.max() - 1e-12) for value in values]
    return tuple(not (one and sum(best) == 1) for one in best)


def null_strata(setting: PlatformSetting, truth: str) -> NDArray[np.bool_]:
    """Return whether each arm is no better than the control in each stratum, (arms, strata)."""
    if setting.endpoint.kind == "time_to_event":
        curves = setting.curves(truth)
        return np.array([[lives_no_longer(*pair) for pair in zip(curves[0], row, strict=True)] for row in curves])
    rates = setting.by_stratum(truth)
    return np.asarray((-1.0 if setting.lower_is_better else 1.0) * (rates - rates[0]) <= 1e-12)


def may_be_false(setting: PlatformSetting, truth: str) -> tuple[bool, ...]:
    """Return whether success of each arm can be a type I error, (arms,).

    Where strata may close it can be so of an arm that is no better in some of them: they may be those that are left.
    """
    if not setting.closes_strata:
        return null_arms(setting, truth)
    return tuple(bool(row.any()) for row in null_strata(setting, truth) & (setting.comes > 0))


class _Rules:
    """Fills in a table of rules; adds to the bounds of posterior probabilities."""

    def __init__(self, setting: PlatformSetting, rules: list[ArmRule], bounds: list[tuple[str, float]]) -> None:
        self.setting = setting
        self.looks = setting.design.look_count
        self.bounds = bounds
        self.rules: list[Any] = []
        self.conditions: list[tuple[int, float]] = []
        self.thresholds: list[Array] = []
        for rule in rules:
            first = len(self.conditions)
            for condition in rule.conditions:
                self._add(condition, rule.looks(self.looks))
            if rule.boundary is not None:
                self._add_boundary(rule)
            self.rules.append((VERDICTS["stop_for", rule.stop_for], rule.from_patients, 1, first, len(self.conditions)))

    def _add(self, condition: ArmCondition, speaks: list[int]) -> None:
        sign = 1.0 if condition.comparison in ("exceeds", "at_least") else -1.0
        cuts = self._cuts(condition, speaks)
        cuts = cuts + (TIE if condition.comparison in ("exceeds", "at_most") else -TIE)
        question = QUESTIONS.get(condition.subject, BEST)
        if condition.probability_that not in (None, "best"):
            below = condition.below is not None
            bound = condition.below if below else condition.above
            assert bound is not None
            assert condition.probability_that is not None
            if below != self.setting.lower_is_better_of(condition.probability_that):  # bounds are of P(better)
                sign, cuts = -sign, 1.0 - cuts
            key = (condition.probability_that, bound)
            if key not in self.bounds:
                self.bounds.append(key)
            question = TAILS + self.bounds.index(key)
        self.conditions.append((question, sign))
        self.thresholds.append(cuts)

    def _add_boundary(self, rule: ArmRule) -> None:
        """Add the condition that z is at or beyond the boundary; futility rules on z are taken to bind."""
        setting, speaks = self.setting, rule.looks(self.looks)
        assert rule.boundary is not None
        assert rule.alpha is not None
        below = [math.nan] * (self.looks - 1)
        for other in setting.design.rules_of_arms:
            for condition in other.conditions:
                if other.stop_for == "futility" and condition.statistic and condition.comparison in SMALLER:
                    cuts = self._cuts(condition, other.looks(self.looks))[: self.looks - 1, 0]
                    below = [b if math.isnan(cut) else cut for b, cut in zip(below, cuts, strict=True)]
        lower = tuple(-math.inf if math.isnan(b) else float(b) for b in below)
        upper, bottom = boundary(
            rule.boundary,
            rule.alpha,
            setting.information(rule.information),
            len(setting.places),
            setting.control_ratio,
            lower if any(math.isfinite(b) for b in lower) else None,
        )
        bounds = np.full((self.looks, len(setting.arms)), math.nan)
        efficacy = rule.stop_for == "efficacy"
        bounds[speaks] = np.array(upper if efficacy else bottom)[speaks, None] - TIE
        self.conditions.append((STATISTIC, 1.0 if efficacy else -1.0))
        self.thresholds.append(bounds)

    def _cuts(self, condition: ArmCondition, speaks: list[int]) -> Array:
        """Return the threshold at each look and arm, (looks, arms); NaN where the rule is silent."""
        cut, arms = condition.cut, self.setting.arms
        cuts = np.full((self.looks, len(arms)), math.nan)
        if isinstance(cut, ByArm):
            cuts[speaks] = [cut.by_arm.get(name, math.nan) for name in arms]
        elif isinstance(cut, list):
            cuts[speaks] = np.array(cut)[:, None]
        else:
            cuts[speaks] = cut
        return cuts

    def table(self) -> CellRules:
        """Return the table."""
        return CellRules(np.array(self.rules, RULE), np.array(self.conditions, CONDITION), np.stack(self.thresholds))


def _strata(setting: PlatformSetting, truth: str, analysis: Any, rules: _Rules) -> Any:
    """Return which strata the arms are open to, and with `rules` of strata what closes them."""
    if not rules.rules:
        return OpenThroughout(setting.takes)
    return ClosingStrata(
        setting.comes,
        rules.table(),
        analysis,
        _limits(setting, rules),
        int(_asks_of_best(setting.design.rules_of_strata)),
        int(setting.design.closed_strata == "counted"),
        np.array(shares_of(setting.scenario)),
        setting.effects_by_stratum(truth),
        int(setting.endpoint.kind != "time_to_event"),
    )


def _asks_of_best(rules: list[ArmRule]) -> bool:
    return any(condition.probability_that == "best" for rule in rules for condition in rule.conditions)


def _randomising(
    setting: PlatformSetting, truth: str, analysis: Any, early: EarlyEndpoint | None, of_strata: Any
) -> Randomising:
    scenario, design = setting.scenario, setting.design
    strata = scenario.population.stratum_names()
    upto = np.cumsum(shares_of(scenario))
    upto[-1] = 1.0
    endpoint = endpoint_of(scenario, scenario.truths[truth], design.endpoint, setting.arms, strata)
    specs = [place.spec for place in setting.places]
    first = [] if setting.control is None else [0]
    return Randomising(
        scenario.population.accrual.plan(),
        upto,
        endpoint,
        getattr(endpoint, "purpose", random.EVENT),
        allocation_of(design.allocation, setting.arms, early),
        analysis,
        of_strata,
        np.array([*(NO_CAP for _ in first), *(place.max_patients for place in setting.places)]),
        np.array(
            [
                *(float(one) for one in first),
                *(math.inf if s.enters_at_month == "random" else float(s.enters_at_month) for s in specs),
            ]
        ),
        np.array([*first, *(s.enters_at_patients for s in specs)]),
        (design.new_arms_per_year or 0.0) / 12.0,
        design.arms_at_once or len(specs),
        setting.in_all,
        scenario.population.enrolment_cap or NO_CAP,
        design.max_months or math.inf,
        0 if setting.control is not None else -1,
        CONTROLS[design.controls],
        float(ndtri(1.0 - 0.5 * (design.pool_level or POOL_LEVEL))),
    )


def _early(setting: PlatformSetting, truth: str) -> tuple[EarlyEndpoint | None, int]:
    """Return the early endpoint that shares follow, where there is one, and the scratch that its analysis needs."""
    follows = followed_by(setting.design)
    if follows is None:
        return None, 0
    scenario = setting.scenario
    strata = scenario.population.stratum_names()
    endpoint = endpoint_of(scenario, scenario.truths[truth], follows.endpoint, setting.arms, strata)
    lower = lower_is_better(scenario.endpoints[follows.endpoint])
    nothing = np.full(len(setting.arms), math.nan)
    frame = ArmFrame(
        setting.arms, setting.control is not None, lower, [], nothing, setting.in_all, 0.0, setting.borrows
    )
    analysis, memory = follows.analysis.model(frame)
    if memory.entries > 1:
        raise ValueError("the tables of the early endpoint would be too large: lower max_patients or max_per_arm.")
    return EarlyEndpoint(endpoint, analysis), memory.scratch


def _keep(design: Platform, looks: int) -> NDArray[np.int64]:
    listed = list(design.keep_best[: looks - 1])
    return np.array([*listed, *([10_000] * (looks - len(listed)))])


def lower_platform(scenario: Scenario, design_name: str, truth: str) -> tuple[ArmPlan, Room]:
    """Return the plan of a platform design under a truth, and the room that a trial of it needs."""
    setting = PlatformSetting.of(scenario, design_name)
    design = setting.design
    rules = _Rules(setting, design.rules_of_arms, [])
    shared = design.strata_analysis is None
    of_strata = _Rules(setting, design.rules_of_strata, rules.bounds if shared else [])
    alike = design.ends_if_alike
    frame = ArmFrame(
        setting.arms,
        setting.control is not None,
        setting.lower_is_better,
        rules.bounds,
        setting.estimand(truth),
        setting.in_all,
        alike.within if alike is not None else 0.0,
        setting.borrows,
        setting.endpoint.kind,
        len(scenario.population.stratum_names()),
        design.max_months,
    )
    analysis, memory = design.analysis.model(frame)
    in_strata: Any = analysis
    strata_memory = memory
    if design.strata_analysis is not None:
        in_strata, strata_memory = design.strata_analysis.model(frame._replace(bounds=of_strata.bounds))
    early, early_scratch = _early(setting, truth)
    scratch = max(memory.scratch, strata_memory.scratch, early_scratch)
    plan = ArmPlan(
        _randomising(setting, truth, analysis, early, _strata(setting, truth, in_strata, of_strata)),
        schedule_of(design.looks, setting.delay),
        analysis,
        rules.table(),
        _keep(design, rules.looks),
        _limits(setting, rules),
    )
    arms, strata = len(setting.arms), len(scenario.population.stratum_names())
    answers = TAILS + max(len(rules.bounds), len(of_strata.bounds))
    patients, closing = 0 if early is None else setting.in_all + 1, int(setting.closes_strata)
    room = Room(setting.in_all, arms, strata, answers, scratch, (memory.entries, memory.size), patients, closing)
    return canonical(plan), room


def _limits(setting: PlatformSetting, rules: _Rules) -> ArmLimits:
    design, alike = setting.design, setting.design.ends_if_alike
    following = design.confirmatory_trial
    return ArmLimits(
        looks=rules.looks,
        delay=setting.delay,
        months_to_decide=design.months_to_decide,
        bounds=len(rules.bounds),
        ranks=int(_asks_of_best(design.rules_of_arms) or design.replace_control),
        estimates=int(any(c.estimate_of is not None for rule in design.rules for c in rule.conditions)),
        ends_with_success=int(design.ends_with == "first_success"),
        last_wins=int(setting.control is None),
        replaces=int(design.replace_control),
        next_size=float(following.size) if following is not None else 0.0,
        next_z=float(ndtri(1.0 - following.alpha)) if following is not None else 0.0,
        direction=setting.direction,
        alike_above=math.inf if alike is None else alike.exceeds,
    )
