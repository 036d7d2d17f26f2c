"""From what a person wrote to the numbers that kernels read: one design under one truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmd_trialsim.checks import arms_of
from lmd_trialsim.designs.allocation import AllToOne
from lmd_trialsim.designs.asking import Asker
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.engine.plan import Limits, TrialPlan
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.enrolment import Enrolment
from lmd_trialsim.kernel.jit import canonical
from lmd_trialsim.patients.binary import Binary, LossyBinary
from lmd_trialsim.patients.continuous import Continuous
from lmd_trialsim.patients.course import OF_RATES, Curve, course_in, curve_in, hazards_of, mean_in, rate_in
from lmd_trialsim.patients.loss import LOSS
from lmd_trialsim.patients.strata import OneStratum, Strata
from lmd_trialsim.patients.time_to_event import TimeToEvent, nobody

if TYPE_CHECKING:
    from lmd_trialsim.scenario import DropOut, Scenario, Truth


class Setting(NamedTuple):
    """A design with the names resolved that it uses."""

    scenario: Scenario
    design: General
    arms: list[str]
    strata: list[str]

    @classmethod
    def of(cls, scenario: Scenario, design: str) -> Setting:
        """Return the setting of the design of this name."""
        spec = scenario.designs[design]
        assert not isinstance(spec, Basket | Platform)
        general = spec.general()
        return cls(scenario, general, arms_of(scenario, general), scenario.population.stratum_names())

    @property
    def shares(self) -> list[float]:
        """The shares of the strata."""
        return shares_of(self.scenario)

    @property
    def max_patients(self) -> int:
        """No more patients than this, by the design or because no more exist."""
        cap = self.scenario.population.enrolment_cap
        return min(self.design.max_patients, cap or self.design.max_patients)

    @property
    def planned(self) -> list[int]:
        """The planned numbers of looks that are counted in patients; of a final look by follow-up, all patients."""
        numbers = [*self.design.looks.numbers(), self.max_patients]
        return [int(number) for number in numbers[: self.design.looks.count]]

    @property
    def delay(self) -> float:
        """Months from entry to the assessment of a binary endpoint."""
        return float(getattr(self.scenario.endpoints[self.design.endpoint], "assessed_after_months", 0.0))

    def curves(self, truth: Truth) -> list[list[Curve]]:
        """Return the event times by arm and stratum."""
        courses = truth.courses[self.design.endpoint]
        return [
            [curve_in(courses, arm, stratum, self.scenario.control) for stratum in self.strata] for arm in self.arms
        ]

    def rates(self, truth: Truth) -> list[list[float]]:
        """Return the probability of a binary endpoint's outcome by arm and stratum."""
        return rates_of(self.scenario, truth, self.design.endpoint, self.arms, self.strata)

    def lossless(self, truth: Truth) -> bool:
        """Whether every patient comes to the assessment."""
        return lossless(self.scenario, truth, self.design.endpoint)


def shares_of(scenario: Scenario) -> list[float]:
    """Return the shares of the strata."""
    given = [share.value for share in scenario.population.strata.values()] or [1.0]
    return [share / sum(given) for share in given]


def rates_of(
    scenario: Scenario, truth: Truth, endpoint: str, arms: Sequence[str], strata: Sequence[str]
) -> list[list[float]]:
    """Return the probability of a binary endpoint's outcome by arm and stratum."""
    spec, courses, control = scenario.endpoints[endpoint], truth.courses[endpoint], scenario.control

    def rate(arm: str, stratum: str) -> float:
        course = course_in(courses, arm, stratum)
        if spec.kind == "survival_at_month" and all(getattr(course, way) is None for way in OF_RATES):
            return curve_in(courses, arm, stratum, control).survival(spec.month)
        return rate_in(courses, arm, stratum, control)

    return [[rate(arm, stratum) for stratum in strata] for arm in arms]


def drop_out_hazard(given: DropOut) -> float:
    """Return the hazard of a drop-out, per month."""
    if given.per_month is not None:
        return float(given.per_month.value)
    assert given.proportion is not None
    assert given.by_month is not None
    return -math.log1p(-given.proportion.value) / given.by_month.value


def _drop_out(truth: Truth, arms: int, strata: int) -> list[list[Curve]]:
    assert truth.drop_out is not None
    return [[Curve(1.0, 0.0, (0.0,), (drop_out_hazard(truth.drop_out),))] * strata] * arms


def endpoint_of(scenario: Scenario, truth: Truth, name: str, arms: Sequence[str], strata: Sequence[str]) -> Any:
    """Return what happens to patients of these arms and strata, as kernels read it."""
    endpoint = _steady(scenario, truth, name, arms, strata)
    return endpoint if truth.drift is None else truth.drift.plan(endpoint, list(arms))


def _steady(scenario: Scenario, truth: Truth, name: str, arms: Sequence[str], strata: Sequence[str]) -> Any:
    """Return the same without drift."""
    endpoint: Any = scenario.endpoints[name]
    shape, control = (len(arms), len(strata)), scenario.control

    def curves(courses: Any) -> list[list[Curve]]:
        return [[curve_in(courses, arm, stratum, control) for stratum in strata] for arm in arms]

    drops_out = hazards_of(_drop_out(truth, *shape)) if truth.drop_out is not None else nobody(*shape)
    if endpoint.kind == "time_to_event":
        followed = endpoint.followed_for_months or math.inf
        return TimeToEvent(
            hazards_of(curves(truth.courses[name])), drops_out, int(truth.drop_out is not None), followed
        )
    if endpoint.kind == "continuous":
        return _continuous(scenario, truth, name, arms, strata)
    rates = np.array(rates_of(scenario, truth, name, arms, strata))
    purpose = random.RESPONSE if endpoint.kind == "binary" else random.EVENT
    if lossless(scenario, truth, name):
        return Binary(rates, purpose, endpoint.assessed_after_months)
    dies, if_dead = nobody(*shape), LOSS["failure"]
    if endpoint.kind == "binary":
        if_dead = LOSS[endpoint.death_before_assessment]
        dies = hazards_of(curves(truth.death)) if truth.death else dies
    if_out = LOSS[endpoint.drop_out_before_assessment]
    return LossyBinary(rates, purpose, endpoint.assessed_after_months, dies, drops_out, if_dead, if_out)


def means_of(
    scenario: Scenario, truth: Truth, endpoint: str, arms: Sequence[str], strata: Sequence[str]
) -> tuple[list[list[float]], list[list[float]]]:
    """Return means and standard deviations of a continuous endpoint by arm and stratum."""
    courses, control = truth.courses[endpoint], scenario.control
    pairs = [[mean_in(courses, arm, stratum, control) for stratum in strata] for arm in arms]
    return [[mean for mean, _ in row] for row in pairs], [[sd for _, sd in row] for row in pairs]


def _continuous(scenario: Scenario, truth: Truth, name: str, arms: Sequence[str], strata: Sequence[str]) -> Continuous:
    endpoint: Any = scenario.endpoints[name]
    shape, control = (len(arms), len(strata)), scenario.control
    dies, drops_out = nobody(*shape), nobody(*shape)
    if truth.death:
        dies = hazards_of([[curve_in(truth.death, arm, stratum, control) for stratum in strata] for arm in arms])
    if truth.drop_out is not None:
        drops_out = hazards_of(_drop_out(truth, *shape))
    means, sds = means_of(scenario, truth, name, arms, strata)
    loses = endpoint.assessed_after_months > 0.0 and (bool(truth.death) or truth.drop_out is not None)
    return Continuous(
        np.array(means),
        np.array(sds),
        random.EVENT,
        endpoint.assessed_after_months,
        int(loses),
        dies,
        drops_out,
        LOSS[endpoint.death_before_assessment],
        LOSS[endpoint.drop_out_before_assessment],
    )


def lossless(scenario: Scenario, truth: Truth, name: str) -> bool:
    """Whether every patient comes to the assessment of the endpoint."""
    endpoint: Any = scenario.endpoints[name]
    if endpoint.kind == "time_to_event":
        return False
    dies = bool(truth.death) and endpoint.kind == "binary"
    return not (endpoint.assessed_after_months > 0.0 and (dies or truth.drop_out is not None))


def _asked(setting: Setting, design_name: str, truth: Truth) -> tuple[Any, Any, Any]:
    """Return questions, rules and estimator: the tables of a design, built once for all truths that are alike to it."""
    known = setting.scenario._asked
    key = design_name, setting.lossless(truth)
    if key not in known:
        asker = Asker(setting, truth)
        rules = asker.rules()
        known[key] = canonical((asker.questions(), rules, asker.estimator()))
    questions, rules, estimator = known[key]
    return questions, rules, estimator


def lower(scenario: Scenario, design_name: str, truth_name: str) -> TrialPlan:
    """Return the plan of one design under one truth.

    Both must exist in the scenario; everything else has been checked when it was read.
    """
    setting = Setting.of(scenario, design_name)
    design, truth = setting.design, scenario.truths[truth_name]
    questions, rules, estimator = _asked(setting, design_name, truth)
    allocation = design.allocation.plan(setting.arms) if isinstance(design, TwoArm) else AllToOne(0)
    upto = np.cumsum(setting.shares)
    upto[-1] = 1.0
    enrolment = Enrolment(
        scenario.population.accrual.plan(),
        Strata(upto) if len(setting.strata) > 1 else OneStratum(1),
        allocation,
        endpoint_of(scenario, truth, design.endpoint, setting.arms, setting.strata),
        int(design.accrual_at_looks == "pauses"),
    )
    limits = Limits(design.looks.count, setting.max_patients, design.max_months or math.inf, design.months_to_decide)
    plan = TrialPlan(enrolment, design.looks.plan(setting.delay), questions, rules, estimator, limits)
    return canonical(plan)  # type: ignore[no-any-return]
