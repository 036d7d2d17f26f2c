"""From what a person wrote of a platform design to the numbers that kernels read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.arm_rates import ABSOLUTE, AGAINST_CONTROL, MOST_REMEMBERED, ArmRates, nodes_for, table_of
from lmd_trialsim.checks.platforms import control_of
from lmd_trialsim.designs.arm_allocation import allocation_of
from lmd_trialsim.designs.arm_looks import schedule_of
from lmd_trialsim.designs.asking import TIE
from lmd_trialsim.designs.platform import ArmCondition, ByArm, Place, Platform
from lmd_trialsim.engine.arm_plan import BEST, COUNTED, ESTIMATE, TAILS, ArmLimits, ArmPlan
from lmd_trialsim.engine.backends import Room
from lmd_trialsim.engine.cell_plan import CellRules
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel import rules as verdicts
from lmd_trialsim.kernel.jit import canonical
from lmd_trialsim.kernel.randomising import CONTROLS_ALL, CONTROLS_ELIGIBLE, CONTROLS_OPEN, Randomising
from lmd_trialsim.kernel.rules import CONDITION, RULE
from lmd_trialsim.lowering import endpoint_of, rates_of, shares_of

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

Array = NDArray[np.float64]
NO_CAP = 2**62
VERDICTS = {"efficacy": verdicts.EFFICACY, "futility": verdicts.FUTILITY, "harm": verdicts.HARM}
CONTROLS = {"concurrent": CONTROLS_OPEN, "concurrently_eligible": CONTROLS_ELIGIBLE, "all": CONTROLS_ALL}


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
        return getattr(self.endpoint, "better", "higher") == "lower"

    @property
    def scale(self) -> str:
        """What estimates are of, in words."""
        return "difference to the control" if self.control is not None else "rate"

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
    def in_all(self) -> int:
        """The most patients of all arms together."""
        return self.design.max_patients

    def rates(self, truth: str) -> Array:
        """Return the true rate of each arm in the strata that it is open to, (arms,)."""
        strata = self.scenario.population.stratum_names()
        rates = np.array(rates_of(self.scenario, self.scenario.truths[truth], self.design.endpoint, self.arms, strata))
        weight = self.takes * np.array(shares_of(self.scenario))
        return np.asarray((rates * weight).sum(axis=1) / weight.sum(axis=1))

    def effects(self, truth: str) -> Array:
        """Return the true effect of each arm, (arms,): the difference to the control in the strata that it is open to.

        Of the control, and where there is none, the rate.
        """
        strata = self.scenario.population.stratum_names()
        rates = np.array(rates_of(self.scenario, self.scenario.truths[truth], self.design.endpoint, self.arms, strata))
        weight = self.takes * np.array(shares_of(self.scenario))
        if self.control is not None:
            rates = np.vstack([rates[:1], rates[1:] - rates[0]])
        return np.asarray((rates * weight).sum(axis=1) / weight.sum(axis=1))


def null_arms(setting: PlatformSetting, truth: str) -> tuple[bool, ...]:
    """Return whether success of each arm is a type I error, (arms,): it does no better than the control.

    Without a control: it is not the one best arm. The control's own entry is True.
    """
    sign = -1.0 if setting.lower_is_better else 1.0
    effects = sign * setting.effects(truth)
    if setting.control is not None:
        return (True, *(bool(effect <= 1e-12) for effect in effects[1:]))
    best = [bool(effect >= effects.max() - 1e-12) for effect in effects]
    return tuple(not (one and sum(best) == 1) for one in best)


class _Rules:
    """Fills in the table of rules and collects the bounds of posterior probabilities."""

    def __init__(self, setting: PlatformSetting) -> None:
        self.setting = setting
        self.looks = setting.design.look_count
        self.bounds: list[tuple[str, float]] = []
        self.rules: list[Any] = []
        self.conditions: list[tuple[int, float]] = []
        self.thresholds: list[Array] = []
        for rule in setting.design.rules:
            first = len(self.conditions)
            for condition in rule.conditions:
                self._add(condition, rule.looks(self.looks))
            self.rules.append((VERDICTS[rule.stop_for], rule.from_patients, 1, first, len(self.conditions)))

    def _add(self, condition: ArmCondition, speaks: list[int]) -> None:
        sign = 1.0 if condition.comparison in ("exceeds", "at_least") else -1.0
        cuts = self._cuts(condition, speaks)
        cuts = cuts + (TIE if condition.comparison in ("exceeds", "at_most") else -TIE)
        question = {"estimate_of": ESTIMATE, "number_of": COUNTED}.get(condition.subject, BEST)
        if condition.probability_that not in (None, "best"):
            below = condition.below is not None
            bound = condition.below if below else condition.above
            assert bound is not None
            assert condition.probability_that is not None
            if below != self.setting.lower_is_better:  # bounds are of P(better than the bound)
                sign, cuts = -sign, 1.0 - cuts
            key = (condition.probability_that, bound)
            if key not in self.bounds:
                self.bounds.append(key)
            question = TAILS + self.bounds.index(key)
        self.conditions.append((question, sign))
        self.thresholds.append(cuts)

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


def bounds_of(setting: PlatformSetting) -> list[tuple[str, float]]:
    """Return the quantities and bounds of posterior probabilities that rules look at."""
    return _Rules(setting).bounds


def _rates(setting: PlatformSetting, bounds: list[tuple[str, float]], truth: str) -> ArmRates:
    """Return the analysis of response rates."""
    analysis: Any = setting.design.analysis
    arms, lower = setting.arms, setting.lower_is_better
    sign = -1.0 if lower else 1.0
    priors = [analysis.of_arm(arm) for arm in arms]
    pairs = [(p.beta, p.alpha) if lower else (p.alpha, p.beta) for p in priors]
    compares = setting.control is not None
    effects = setting.effects(truth)
    shifts = [0.0]
    alike = setting.design.ends_if_alike

    def section(difference: float) -> int:
        near = [i for i, known in enumerate(shifts) if abs(known - difference) < 1e-12]
        if not near:
            shifts.append(difference)
        return near[0] if near else len(shifts) - 1

    kinds, values, sections = [], [], []
    for quantity, bound in bounds:
        absolute = quantity == "rate"
        kinds.append(ABSOLUTE if absolute else AGAINST_CONTROL)
        values.append((1.0 - bound if lower else bound) if absolute else sign * bound)
        sections.append(0 if absolute else section(sign * bound))
    of_truth = [section(sign * effect) if compares and number else 0 for number, effect in enumerate(effects)]
    within = section(alike.within) if alike is not None else 0
    node, weight = nodes_for(setting.in_all, min(min(pair) for pair in pairs))
    distinct = list(dict.fromkeys(pairs))
    tabulated, table = table_of(distinct, setting.in_all, node, weight, np.array(shifts))
    return ArmRates(
        np.array([a for a, _ in pairs]),
        np.array([b for _, b in pairs]),
        np.array([distinct.index(pair) for pair in pairs]),
        int(lower),
        int(compares),
        node,
        weight,
        np.array(shifts),
        np.array(kinds or [0]),
        np.array(values or [0.0]),
        np.array(sections or [0]),
        effects,
        np.array(of_truth),
        within,
        tabulated,
        table,
    )


def _randomising(setting: PlatformSetting, truth: str, analysis: Any) -> Randomising:
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
        allocation_of(design.allocation, setting.arms),
        analysis,
        setting.takes,
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
    )


def _keep(design: Platform, looks: int) -> NDArray[np.int64]:
    listed = list(design.keep_best[: looks - 1])
    return np.array([*listed, *([10_000] * (looks - len(listed)))])


def lower_platform(scenario: Scenario, design_name: str, truth: str) -> tuple[ArmPlan, Room]:
    """Return the plan of a platform design under a truth, and the room that a trial of it needs."""
    setting = PlatformSetting.of(scenario, design_name)
    design = setting.design
    rules = _Rules(setting)
    analysis = _rates(setting, rules.bounds, truth)
    alike = design.ends_if_alike
    ranks = any(c.probability_that == "best" for rule in design.rules for c in rule.conditions)
    limits = ArmLimits(
        rules.looks,
        setting.delay,
        design.months_to_decide,
        len(rules.bounds),
        int(ranks),
        int(design.ends_with == "first_success"),
        int(setting.control is None),
        0,
        -1.0 if setting.lower_is_better else 1.0,
        math.inf if alike is None else alike.exceeds,
    )
    plan = ArmPlan(
        _randomising(setting, truth, analysis),
        schedule_of(design.looks, setting.delay),
        analysis,
        rules.table(),
        _keep(design, rules.looks),
        limits,
    )
    arms, strata = len(setting.arms), len(scenario.population.stratum_names())
    size = len(analysis.node) * (1 + len(analysis.shift))
    entries = 1
    if analysis.tabulated < setting.in_all:
        entries = 2 ** max(math.floor(math.log2(MOST_REMEMBERED / size)), math.ceil(math.log2(4 * arms)))
    room = Room(setting.in_all, arms, strata, TAILS + len(rules.bounds) + 1, size, (entries, size))
    return canonical(plan), room
