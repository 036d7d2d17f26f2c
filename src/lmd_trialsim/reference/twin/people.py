"""Who comes to a trial, to which arm, and what happens to them: one uniform each at its address, by inversion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lmd_trialsim.designs.allocation import AllocationSpec
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import General, SingleArm, TwoArm
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.patients.accrual import AccrualSpec
from lmd_trialsim.patients.endpoints import BinaryEndpoint, SurvivalAtMonth, TimeToEventEndpoint
from lmd_trialsim.reference.twin.courses import NEVER, Fate, fate, rate
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.seen import Context
from lmd_trialsim.scenario import Scenario, Truth

Outcome = Literal["yes", "no", "missing", "not_evaluable"]


@dataclass(frozen=True)
class Person:
    """One patient: when it comes if nothing is put off, and what happens to it; months of its own count from entry."""

    comes: float
    """Calendar month; inf where the accrual dries up before."""
    stratum: int
    arm: int
    outcome: Outcome
    """Of binary endpoints."""
    event: float
    """Months to the event, of event times."""
    censor: float
    """Months of follow-up at most."""

    @property
    def keeps_place(self) -> bool:
        """Whether it counts among the planned patients of a binary endpoint."""
        return self.outcome != "not_evaluable"


def context_of(scenario: Scenario, design_name: str) -> Context:
    """Return the design of this name, in its general form, with the names resolved that it uses."""
    spec = scenario.designs[design_name]
    assert not isinstance(spec, Basket | Platform)
    design: General = spec.general()
    endpoint = scenario.endpoints[design.endpoint]
    cap = scenario.population.enrolment_cap
    return Context(
        arms=_arms(scenario, design),
        better="lower" if isinstance(endpoint, BinaryEndpoint) and endpoint.better == "lower" else "higher",
        strata=max(1, len(scenario.population.strata)),
        design=design,
        endpoint=endpoint,
        max_patients=design.max_patients if cap is None else min(cap, design.max_patients),
    )


def _arms(scenario: Scenario, design: General) -> tuple[str, ...]:
    treatments = [name for name, arm in scenario.arms.items() if not arm.control]
    if isinstance(design, SingleArm):
        return (design.arm or treatments[0],)
    assert isinstance(design, TwoArm)
    if design.arms is not None:
        return design.arms.control, design.arms.treatment
    return next(name for name, arm in scenario.arms.items() if arm.control), treatments[0]


def people(scenario: Scenario, context: Context, truth: Truth, draws: Draws) -> list[Person]:
    """Return the patients in order of arrival, as many as may be enrolled."""
    strata = list(scenario.population.strata) or ["all"]
    shares = [share.value for share in scenario.population.strata.values()] or [1.0]
    allocation = Allocation(context, draws)
    months = arrivals(scenario.population.accrual, draws, context.max_patients)
    happening = [[_happening(scenario, context, truth, arm, stratum) for stratum in strata] for arm in context.arms]
    found = []
    for patient, month in enumerate(months):
        stratum = 0 if len(strata) == 1 else chosen(draws.uniform(patient, "stratum"), shares)
        arm = allocation.arm_of(patient, stratum)
        found.append(Person(month, stratum, arm, *happening[arm][stratum](patient, draws)))
    return found


# Arrivals.


def arrivals(accrual: AccrualSpec, draws: Draws, patients: int) -> list[float]:
    """Return the calendar months of the first patients; inf for those who never come."""
    if accrual.arrivals == "equally_spaced":
        return [month_expecting(accrual, number + 1.0) for number in range(patients)]
    months, expected = [], 0.0
    for patient in range(patients):
        expected -= math.log(draws.uniform(patient, "arrival"))
        months.append(month_expecting(accrual, expected))
    return months


def month_expecting(accrual: AccrualSpec, patients: float) -> float:
    """Return the first month by which so many patients are expected; inf if there is none."""
    if isinstance(accrual.patients_per_month, list):
        steps = [(step.from_month.value, step.rate.value) for step in accrual.patients_per_month]
    elif accrual.patients_per_month is not None:
        steps = [(0.0, accrual.patients_per_month.value)]
    else:
        assert accrual.sites is not None
        assert accrual.patients_per_site_month is not None
        steps = [(0.0, accrual.sites * accrual.patients_per_site_month.value)]
    ramp = accrual.ramp_up_months.value if accrual.ramp_up_months else 0.0
    starts = sorted({start for start, _ in steps} | {ramp})
    left = patients
    for start, end in zip(starts, [*starts[1:], math.inf], strict=True):
        level = [rate for month, rate in steps if month <= start][-1]
        if level <= 0.0:
            continue
        if start < ramp:  # the rate is level * month / ramp: its integral is a difference of squares
            month = math.sqrt(start**2 + 2.0 * ramp * left / level)
            whole = level * (end**2 - start**2) / (2.0 * ramp)
        else:
            month = start + left / level
            whole = level * (end - start)
        if left <= whole:
            return min(month, end)
        left -= whole
    return math.inf


def chosen(chance: float, shares: Sequence[float]) -> int:
    """Return which share of the whole the uniform falls in."""
    point, upto = chance * sum(shares), 0.0
    for number, share in enumerate(shares[:-1]):
        upto += share
        if point < upto:
            return number
    return len(shares) - 1


# Allocation.


class Allocation:
    """To which arm each patient goes; asked in order of arrival."""

    def __init__(self, context: Context, draws: Draws) -> None:
        design = context.design
        self._how: AllocationSpec | None = design.allocation if isinstance(design, TwoArm) else None
        self._arms, self._draws = context.arms, draws
        self._open: dict[int, list[int]] = {}
        """Places left in the open block, by stratum where each has its own."""

    def arm_of(self, patient: int, stratum: int) -> int:
        """Return the arm of the next patient."""
        how = self._how
        if how is None:
            return 0
        if how.order is not None:
            return self._arms.index(how.order[patient % len(how.order)])
        chance = self._draws.uniform(patient, "allocation")
        shares = [(how.ratio or {}).get(arm, 1) for arm in self._arms]
        if how.method == "simple":
            return chosen(chance, shares)
        own = stratum if how.stratify_by else 0
        if not any(self._open.get(own, [])):
            times = (how.block or 2 * sum(shares)) // sum(shares)
            self._open[own] = [share * times for share in shares]
        # Each place that is left in the block is as likely as any other: so are all orders of a block.
        arm = chosen(chance, self._open[own])
        self._open[own][arm] -= 1
        return arm


# What happens.

Happens = Callable[[int, Draws], tuple[Outcome, float, float]]


def _happening(scenario: Scenario, context: Context, truth: Truth, arm: str, stratum: str) -> Happens:
    """Return the function that says outcome, months to the event, and months of follow-up of a patient."""
    endpoint, control = context.endpoint, scenario.control
    courses = truth.courses[context.design.endpoint]
    leaves = _drop_out(truth)
    if isinstance(endpoint, TimeToEventEndpoint):
        course, followed = fate(courses, arm, stratum, control), endpoint.followed_for_months or math.inf

        def of_times(patient: int, draws: Draws) -> tuple[Outcome, float, float]:
            left = math.inf if leaves is NEVER else leaves.month_of(draws.uniform(patient, "drop_out"))
            return "missing", course.month_of(draws.uniform(patient, "event")), min(left, followed)

        return of_times
    assert isinstance(endpoint, BinaryEndpoint | SurvivalAtMonth)
    month = endpoint.month if isinstance(endpoint, SurvivalAtMonth) else None
    chance = rate(courses, arm, stratum, control, month)
    dies = NEVER
    if isinstance(endpoint, BinaryEndpoint) and truth.death:
        dies = fate(truth.death, arm, stratum, control)
    answer: Literal["response", "event"] = "response" if month is None else "event"

    def of_binary(patient: int, draws: Draws) -> tuple[Outcome, float, float]:
        lost = _lost(endpoint, patient, draws, dies, leaves)
        if lost is not None:
            return lost, math.inf, math.inf
        return "yes" if draws.uniform(patient, answer) < chance else "no", math.inf, math.inf

    return of_binary


def _drop_out(truth: Truth) -> Fate:
    given = truth.drop_out
    if given is None:
        return NEVER
    if given.per_month is not None:
        return Fate(0.0, 1.0, ((0.0, given.per_month.value),))
    assert given.proportion is not None
    assert given.by_month is not None
    return Fate(0.0, 1.0, ((0.0, -math.log(1.0 - given.proportion.value) / given.by_month.value),))


def _lost(
    endpoint: BinaryEndpoint | SurvivalAtMonth, patient: int, draws: Draws, dies: Fate, leaves: Fate
) -> Outcome | None:
    """Return what stands for the outcome of a patient who is lost before the assessment; None if it comes there."""
    death = math.inf if dies is NEVER else dies.month_of(draws.uniform(patient, "death"))
    leaving = math.inf if leaves is NEVER else leaves.month_of(draws.uniform(patient, "drop_out"))
    if min(death, leaving) > endpoint.assessed_after_months:
        return None
    if death <= leaving:
        assert isinstance(endpoint, BinaryEndpoint)
        word = endpoint.death_before_assessment
    else:
        word = endpoint.drop_out_before_assessment
    return "no" if word == "failure" else word
