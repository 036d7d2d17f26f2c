"""From what a person wrote of a basket design to the numbers that kernels read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.pooled_tests import Tested, Untested, scratch_of
from lmd_trialsim.checks.baskets import arms_of_baskets
from lmd_trialsim.designs.asking import TIE, VERDICTS
from lmd_trialsim.designs.basket import Basket, BasketCondition, BasketRule, ByBasket, Place
from lmd_trialsim.designs.cell_looks import InEach, pooled_schedule, schedule_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.measures import (
    HAZARD_RATIO,
    MEDIAN,
    ODDS_RATIO,
    RATE,
    RATIOS,
    Measure,
    higher_is_better,
    measure_of,
)
from lmd_trialsim.designs.rules import PowerCutOff
from lmd_trialsim.engine.backends import Room
from lmd_trialsim.engine.cell_anew import Anew
from lmd_trialsim.engine.cell_memory import ENTRIES, TAILS, Likeness
from lmd_trialsim.engine.cell_plan import CellLimits, CellPlan, CellRules
from lmd_trialsim.engine.cell_states import judge_states
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import canonical
from lmd_trialsim.kernel.rules import CONDITION, EFFICACY, RULE
from lmd_trialsim.kernel.screening import ALL_PAUSE, EACH_PAUSES, Screening
from lmd_trialsim.lowering import endpoint_of, lossless, rates_of, shares_of
from lmd_trialsim.patients.course import Curve, curve_in, lives_no_longer, log_hazard_ratio

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

Array = NDArray[np.float64]
NO_CAP = 2**62
MOST_VALUE = 1e6  # stands for a median that is never reached


class BasketSetting(NamedTuple):
    """A basket design with the names resolved that it uses."""

    scenario: Scenario
    design: Basket
    arms: list[str]  # control first
    places: list[Place]

    @classmethod
    def of(cls, scenario: Scenario, design: str) -> BasketSetting:
        """Return the setting of the basket design of this name."""
        spec = scenario.designs[design]
        assert isinstance(spec, Basket)
        places = spec.places(scenario.population.stratum_names())
        return cls(scenario, spec, arms_of_baskets(scenario, spec), places)

    @property
    def baskets(self) -> list[str]:
        """The names of the baskets."""
        return [place.name for place in self.places]

    @property
    def most(self) -> list[int]:
        """The most patients of each basket."""
        return [place.max_patients for place in self.places]

    @property
    def in_all(self) -> int:
        """The most patients of all baskets together."""
        return self.design.in_all(self.places)

    @property
    def pauses(self) -> int:
        """How accrual pauses at looks (kernel.screening)."""
        if self.design.accrual_at_looks == "continues":
            return 0
        return EACH_PAUSES if self.design.looks is not None and self.design.looks.unit == "in_one" else ALL_PAUSE

    def block(self) -> NDArray[np.int64]:
        """Return the places of each arm in a permuted block, (arms,)."""
        if self.design.arms is None:
            return np.ones(1, np.int64)
        return np.asarray(self.design.allocation.plan(self.arms, by_stratum=True).places)

    @property
    def delay(self) -> float:
        """Months from entry to the assessment, or for which a patient has been followed when looks count him."""
        if self.endpoint.kind == "time_to_event":
            return self.design.follow_up_months
        return float(self.endpoint.assessed_after_months)

    @property
    def measure(self) -> Measure:
        """What the baskets are judged by."""
        return measure_of(self.endpoint.kind, self.design.arms is not None)

    @property
    def endpoint(self) -> Any:
        """The endpoint."""
        return self.scenario.endpoints[self.design.endpoint]

    def curves(self, truth: str) -> list[list[Curve]]:
        """Return the event times of each basket, by arm."""
        courses = self.scenario.truths[truth].courses[self.design.endpoint]
        return [[curve_in(courses, arm, name, self.scenario.control) for arm in self.arms] for name in self.baskets]

    @property
    def planned(self) -> Any:
        """When the baskets are looked at while each is judged by itself, the final look included."""
        return schedule_of(self.design.looks, self.baskets, self.most, self.in_all, self.delay)

    @property
    def schedule(self) -> Any:
        """When the baskets are looked at, pooled or not."""
        pooling = self.design.pooling
        if pooling is None or (pooling.max_patients is None and pooling.max_in_all is None):
            return self.planned
        return pooled_schedule(self.planned, pooling.most(self.baskets, self.most), pooling.max_in_all)

    @property
    def paths(self) -> list[Any]:
        """The schedules that may come to hold: of baskets by themselves, and pooled."""
        planned, schedule = self.planned, self.schedule
        return [planned, planned if schedule is planned or type(schedule) is type(planned) else schedule.together]

    def pooling(self, scratch: int) -> Tested | Untested:
        """Return how the baskets are tested, and whether they are judged as one. scratch: what the model works on."""
        pooling, rules = self.design.pooling, self.design.rules
        if pooling is None and all(c.p_value is None for rule in rules for c in rule.conditions):
            return Untested(0)
        null = np.array([math.nan if place.null is None else place.null for place in self.places])
        at, above = (self.looks, 1.0) if pooling is None else (pooling.settled_at(self.looks), -1.0)
        if pooling is not None and pooling.when is not None:
            above = pooling.when.exceeds + TIE
        return Tested(null, at, above, scratch, sum(self.most) + 1)

    @property
    def looks(self) -> int:
        """How many looks there are."""
        return self.design.look_count(self.places)

    def values(self, truth: str) -> list[float]:
        """Return the true value of the measure in each basket.

        A median is inf where half never have the event; a ratio is NaN where there is not one.
        """
        if self.measure is MEDIAN:
            return [curve.median() for (curve,) in self.curves(truth)]
        if self.measure is HAZARD_RATIO:
            return [math.exp(log_hazard_ratio(*pair)) for pair in self.curves(truth)]
        if self.measure is RATE:
            return [rate for (rate,) in self.rates(truth)]
        return [odds_ratio(*pair) for pair in self.rates(truth)]

    def rates(self, truth: str) -> list[list[float]]:
        """Return the true rates of each basket, by arm."""
        strata, world = self.scenario.population.stratum_names(), self.scenario.truths[truth]
        rates = rates_of(self.scenario, world, self.design.endpoint, self.arms, strata)
        return [[row[strata.index(name)] for row in rates] for name in self.baskets]

    def estimand(self, truth: str) -> Array:
        """Return what is estimated in each basket, (baskets,), on the scale of estimates; NaN where nothing is."""
        values = np.array(self.values(truth))
        return self.measure.scaled(np.where(np.isfinite(values), values, math.nan))

    def fixed_numbers(self, truth: str) -> str | None:
        """Return why a look may find other numbers of patients than planned; None where it finds just those."""
        design, schedule = self.design, self.planned
        if self.measure in RATIOS:
            return "The outcomes of two arms in every basket are too many to be listed."
        if self.measure is MEDIAN:
            return "Times to an event are continuous: there are no outcomes to be listed."
        if not isinstance(schedule, InEach):
            return "Looks that are not in_each find random numbers of patients in the baskets."
        if design.accrual_at_looks == "continues" and len(schedule.number) > 1:
            return "Baskets go on while others fill up to the look: say accrual_at_looks: pauses."
        if not lossless(self.scenario, self.scenario.truths[truth], design.endpoint):
            return "Deaths or drop-outs before the assessment make the number of analysed patients random."
        if design.max_months is not None or self.scenario.population.accrual.dries_up:
            return "The trial may close as it stands, with random numbers of patients."
        if self.scenario.population.enrolment_cap is not None:
            return "Patients who come are limited (enrolment_cap), with random numbers in the baskets."
        if self.in_all < sum(self.most):
            return "There are fewer patients in all than the baskets take, so who fills them is random."
        if design.pooling is not None and design.pooling.max_in_all is not None:
            return "Once pooled, whoever comes fills the trial (max_in_all): say max_patients of each basket."
        if any(place.spec.closes_if is not None for place in self.places):
            return "Baskets that fill slowly close, with random numbers of patients."
        return None

    def occurring(self, truth: str) -> list[int]:
        """Return the numbers of evaluable patients that a basket can have at a look."""
        if self.fixed_numbers(truth) is None:
            return sorted({int(n) for path in self.paths for n in path.number.ravel()})
        return list(range(max(self.most) + 1))


def odds_ratio(control: float, treatment: float) -> float:
    """Return the odds ratio of two rates; NaN where there is none that is finite and above 0."""
    if not (0.0 < control < 1.0 and 0.0 < treatment < 1.0):
        return math.nan
    return treatment / (1.0 - treatment) * (1.0 - control) / control


def null_cells(setting: BasketSetting, truth: str) -> tuple[bool, ...] | None:
    """Return whether each basket's true rate or median is a null one; None where some basket has no null value."""
    if any(place.null is None for place in setting.places):
        return None
    higher = higher_is_better(setting.endpoint, setting.measure)
    no_effect = all(place.null == 1.0 for place in setting.places)
    if setting.measure is ODDS_RATIO and no_effect:
        sign = 1.0 if higher else -1.0
        return tuple(sign * (treated - control) <= 1e-12 for control, treated in setting.rates(truth))
    if setting.measure is HAZARD_RATIO and no_effect:
        return tuple(lives_no_longer(*pair) for pair in setting.curves(truth))
    pairs = zip(setting.values(truth), setting.places, strict=True)
    return tuple(
        value <= float(place.null or 0.0) + 1e-12 if higher else value >= float(place.null or 0.0) - 1e-12
        for value, place in pairs
    )


class _Rules:
    """Fills in the table of rules and collects the bounds of posterior probabilities."""

    def __init__(self, setting: BasketSetting) -> None:
        self.setting = setting
        self.looks = setting.looks
        self.bounds: list[tuple[float, ...]] = []
        self.rules: list[Any] = []
        self.conditions: list[tuple[Any, float]] = []
        self.thresholds: list[Array] = []
        for rule in setting.design.rules:
            first = len(self.conditions)
            for condition in rule.conditions:
                self._add(condition, rule)
            self.rules.append((VERDICTS["stop_for", rule.stop_for], rule.from_patients, 1, first, len(self.conditions)))

    def _add(self, condition: BasketCondition, rule: BasketRule) -> None:
        sign = 1.0 if condition.comparison in ("exceeds", "at_least") else -1.0
        cuts = self._cuts(condition, rule.looks(self.looks))
        if condition.estimate_of is not None:
            cuts = self.setting.measure.scaled(cuts)
        cuts = cuts + (TIE if condition.comparison in ("exceeds", "at_most") else -TIE)
        if condition.below is not None:  # P(rate < b) > c is P(rate > b) < 1 - c.
            sign, cuts = -sign, 1.0 - cuts
        if condition.subject == "probability_that":
            bound = condition.below if condition.below is not None else condition.above
            values = tuple(self.setting.design.bound(bound, place) for place in self.setting.places)
            if values not in self.bounds:
                self.bounds.append(values)
            question: Any = self.bounds.index(values)
        else:
            question = condition.p_value or condition.subject
        if condition.subject == "predictive_probability_of":
            cuts[-1] = math.nan  # nothing is left to predict
        if self.setting.design.pooling is not None:  # looks at a pool follow the others
            silent = np.full_like(cuts, math.nan)
            cuts = np.concatenate([silent, cuts] if rule.of == "pool" else [cuts, silent])
        self.conditions.append((question, sign))
        self.thresholds.append(cuts)

    def _cuts(self, condition: BasketCondition, speaks: list[int]) -> Array:
        """Return the threshold at each look and basket, (looks, baskets); NaN where the rule is silent."""
        cut, setting = condition.cut, self.setting
        cuts = np.full((self.looks, len(setting.places)), math.nan)
        if isinstance(cut, ByBasket):
            cuts[speaks] = [cut.by_basket[name] for name in setting.baskets]
        elif isinstance(cut, PowerCutOff):
            numbers = setting.planned.number
            share = numbers / numbers[-1]
            cuts[speaks] = cut.scale * np.broadcast_to(share.reshape(self.looks, -1), cuts.shape)[speaks] ** cut.power
        elif isinstance(cut, list):
            cuts[speaks] = np.array(cut)[:, None]
        else:
            cuts[speaks] = cut
        return cuts

    def table(self) -> CellRules:
        """Return the table."""
        tails = len(self.bounds)
        place = {
            "estimate_of": tails, "number_of": tails + 1, "predictive_probability_of": tails + 2,
            "one_sided": tails + 3, "bonferroni": tails + 4,
        }  # fmt: skip
        conditions = [(place.get(question, question), sign) for question, sign in self.conditions]
        return CellRules(np.array(self.rules, RULE), np.array(conditions, CONDITION), np.stack(self.thresholds))


def bounds_of(setting: BasketSetting) -> list[tuple[float, ...]]:
    """Return the bounds of posterior probabilities that rules look at, each by basket."""
    return _Rules(setting).bounds


def frame_of(setting: BasketSetting, truth: str) -> Frame:
    """Return what the model of the design is built for under a truth."""
    values = np.array(setting.values(truth))
    judged, most = bounds_of(setting), 1.0 - 1e-9 if setting.measure is RATE else MOST_VALUE
    bounds = np.array([*judged, np.clip(values, 1e-9, most)])

    def numbers(values: list[float | None]) -> Array:
        return np.array([math.nan if value is None else value for value in values])

    return Frame(
        setting.baskets,
        setting.most,
        setting.occurring(truth),
        numbers([place.null for place in setting.places]),
        numbers([place.target for place in setting.places]),
        bounds,
        len(judged),
        setting.measure,
    )


def likeness_of(setting: BasketSetting, frame: Frame) -> Likeness:
    """Return which baskets are alike to the model: by their rates, their bounds, and priors of their own."""
    analysis: Any = setting.design.analysis
    keys = [
        (
            place.null,
            place.target,
            tuple(frame.bounds[:, k]),
            *(repr(getattr(analysis, name, {}).get(place.name)) for name in ("priors", "own")),
        )
        for k, place in enumerate(setting.places)
    ]
    kinds = [keys.index(key) for key in keys]
    order = sorted(range(len(kinds)), key=lambda k: (kinds[k], k))
    return Likeness(np.array(order), np.array([kinds[k] for k in order]))


def _alone(plan: CellPlan, room: Room, most: list[int]) -> NDArray[np.int64]:
    """Return which responses of a full basket conclude efficacy at the final look with all others empty."""
    found = np.zeros((len(most), max(most) + 1), np.int64)
    for cell, number in enumerate(most):
        x = np.zeros((number + 1, len(most)), np.int64)
        n, still_open = np.zeros_like(x), np.zeros_like(x)
        x[:, cell], n[:, cell], still_open[:, cell] = np.arange(number + 1), number, 1
        judged = judge_states(plan, room, plan.limits.looks - 1, n, x, still_open, 1)
        found[cell, : number + 1] = judged.verdict[:, cell] == EFFICACY
    return found


def _model(setting: BasketSetting, frame: Frame) -> tuple[Any, Any]:
    """Return the analysis made ready; built once for all rules with the same bounds."""
    known = setting.scenario._models
    key = "|".join(
        part.tobytes().hex() if isinstance(part, np.ndarray) else repr(part)
        for part in (setting.design.analysis, *frame)
    )
    if key not in known:
        known[key] = setting.design.analysis.model(frame)
    model, scratch = known[key]
    return model, scratch


def lower_baskets(scenario: Scenario, design: str, truth: str) -> tuple[CellPlan, Room]:
    """Return the plan of a basket design under one truth, and what its desk must hold."""
    setting = BasketSetting.of(scenario, design)
    strata = scenario.population.stratum_names()
    rules = _Rules(setting)
    frame = frame_of(setting, truth)
    model, scratch = _model(setting, frame)
    upto = np.cumsum(shares_of(scenario))
    upto[-1] = 1.0
    slow = [place.spec.closes_if for place in setting.places]
    endpoint = endpoint_of(scenario, scenario.truths[truth], setting.design.endpoint, setting.arms, strata)
    screening = Screening(
        scenario.population.accrual.plan(),
        upto,
        np.array([setting.baskets.index(name) if name in setting.baskets else -1 for name in strata]),
        endpoint,
        random.EVENT if setting.endpoint.kind == "time_to_event" else endpoint.purpose,
        np.array(setting.most),
        np.array([place.spec.opens_at_month for place in setting.places]),
        np.array([math.inf if spec is None else spec.by_month for spec in slow]),
        np.array([0 if spec is None else spec.fewer_than for spec in slow]),
        setting.in_all,
        scenario.population.enrolment_cap or NO_CAP,
        setting.design.max_months or math.inf,
        setting.pauses,
        setting.block(),
    )
    conditions = [condition for rule in setting.design.rules for condition in rule.conditions]
    predicts = any(condition.predictive_probability_of is not None for condition in conditions)
    limits = CellLimits(
        setting.looks, setting.delay, setting.design.months_to_decide, len(rules.bounds), int(predicts),
        setting.design.succeeds_with,
    )  # fmt: skip
    cells = len(setting.places)
    alone = np.zeros((cells, max(setting.most) + 1), np.int64)
    anew = setting.measure is not RATE
    data = Anew(0) if anew else likeness_of(setting, frame)
    pooling = setting.pooling(scratch)
    if isinstance(pooling, Tested):
        scratch += scratch_of(setting.most)
    plan = canonical(CellPlan(screening, setting.schedule, model, data, rules.table(), alone, limits, pooling))
    entry = cells * (TAILS + limits.bounds + 1)
    room = Room(setting.in_all, len(setting.arms), cells, limits.bounds + 5, scratch, (1 if anew else ENTRIES, entry))
    return (plan._replace(alone=_alone(plan, room, setting.most)) if predicts else plan), room
