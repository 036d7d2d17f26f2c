"""Looks at arms: when all together have so many patients, at calendar months, when each arm has so many of its own."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.designs.looks import MOST_LOOKS, Every, Numbers, check_increasing, one_unit
from lmd_trialsim.evidence.quantities import PlainPositiveMonths, Spec
from lmd_trialsim.kernel.desk import FULL, NOT_EVALUABLE
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import runs
from lmd_trialsim.kernel.screening import month_of_place
from lmd_trialsim.kernel.seams import known_at, mark_due, settle
from lmd_trialsim.kernel.sorting import kth_smallest
from lmd_trialsim.reading import At

UNITS = ("patients", "evaluable", "events", "in_each", "months")


class EveryMonths(Spec):
    """Looks at regular months: from, from + every, ..., up to and with the last one that is not beyond `to`."""

    first: PlainPositiveMonths = Field(alias="from", description="the first look")
    every: PlainPositiveMonths = Field(description="months from look to look")
    to: PlainPositiveMonths = Field(description="the last look at most")

    @model_validator(mode="after")
    def _some_looks(self) -> EveryMonths:
        if self.to < self.first:
            way_out = "Raise it."
            raise At(("to",), f"comes before the first look, {self.first:g}", got=f"{self.to:g}", way_out=way_out)
        if len(self.months()) > MOST_LOOKS:
            allowed = f"up to {MOST_LOOKS:,}"
            raise At(("every",), "makes too many looks", got=f"{len(self.months()):,}", allowed=allowed)
        return self

    def months(self) -> list[float]:
        """Return the months."""
        count = math.floor((self.to - self.first) / self.every + 1e-9) + 1
        return [self.first + k * self.every for k in range(min(count, MOST_LOOKS + 1))]


class ArmLooks(Spec):
    """Interim looks; an arm's last look is when it is full, or the trial over, and its patients have been assessed."""

    patients: Numbers | None = Field(None, description="when all arms together have taken so many patients")
    evaluable: Numbers | None = Field(
        None, description="when so many patients of all arms together have come to their assessment"
    )
    events: Numbers | None = Field(None, description="when so many events have been seen in all arms together")
    in_each: Numbers | None = Field(
        None, description="when an arm has so many evaluable patients of its own; that arm is judged"
    )
    months: EveryMonths | Annotated[list[PlainPositiveMonths], Field(min_length=1, max_length=MOST_LOOKS)] | None = (
        Field(None, description="at calendar months; all arms are judged")
    )
    lag_patients: Annotated[int, Field(ge=0, le=100_000)] = Field(
        0, description="with patients: nothing is known yet of the last so many, as some other programs count delays"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> ArmLooks:
        given = one_unit(self, UNITS)
        if given is None:
            raise At((), "says no look", allowed=", ".join(UNITS), way_out="Leave looks out for last looks only.")
        if self.lag_patients and self.patients is None:
            raise At(("lag_patients",), "goes with patients. Remove it.", key=True)
        check_increasing(self.listed(), (given,))
        return self

    @property
    def unit(self) -> str:
        """What the looks are counted in."""
        return str(one_unit(self, UNITS))

    def listed(self) -> list[Any]:
        """Return the interim looks."""
        given = getattr(self, self.unit)
        if isinstance(given, Every):
            return given.numbers()
        return given.months() if isinstance(given, EveryMonths) else list(given)


class AllTogether(NamedTuple):
    """When all arms together have so many patients."""

    number: np.ndarray  # (looks,)
    delay: float  # months from entry to assessment; 0 where the patients need not have been assessed
    lag: int  # patients, the last ones, of whom nothing is known


class OnEvents(NamedTuple):
    """When all arms together have so many events."""

    number: np.ndarray  # (looks,)


class OnMonths(NamedTuple):
    """At calendar months."""

    month: np.ndarray  # (looks,)


class EachForItself(NamedTuple):
    """When an arm has so many patients of its own."""

    number: np.ndarray  # (looks,)
    delay: float


def schedule_of(looks: ArmLooks | None, delay: float) -> Any:
    """Return the schedule that kernels read."""
    if looks is None:
        return EachForItself(np.zeros(0, int), delay)
    listed = np.array(looks.listed(), float)
    if looks.unit == "months":
        return OnMonths(listed)
    if looks.unit == "in_each":
        return EachForItself(listed.astype(int), delay)
    if looks.unit == "events":
        return OnEvents(listed.astype(int))
    counted = looks.unit == "evaluable"
    return AllTogether(listed.astype(int), delay if counted else 0.0, looks.lag_patients)


@kernel
def _mark_all(desk):
    """Mark the arms that run and have patients."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.due = 1 if number != desk.state[0].control and runs(arm) and arm.enrolled > 0 else 0


@settle.case
def settle_all_together(schedule: AllTogether, desk, look):
    """The month of the so-manieth patient, or of his assessment."""
    state = desk.state[0]
    if look >= schedule.number.shape[0] or state.placed < schedule.number[look]:
        return math.inf
    if math.isinf(state.due):
        state.due = month_of_place(desk, -1, schedule.number[look]) + schedule.delay
    return state.due


@settle.case
def settle_on_events(schedule: OnEvents, desk, look):
    """The month of the so-manieth event of the patients taken; an event of one who comes later can only be earlier.

    work[4] holds the months of their events, work[5] a copy to be put in order; state.ready counts the patients in it,
    state.evaluable those among them whose event will be seen.
    """
    state, due = desk.state[0], desk.work[4]
    wanted = schedule.number[look] if look < schedule.number.shape[0] else 0
    while state.ready < state.enrolled:
        person = desk.patients[state.ready]
        seen = person.event <= person.censor and not math.isinf(person.event)
        month = person.arrival + person.event if seen else math.inf
        due[state.ready] = month
        state.ready += 1
        state.evaluable += 1 if seen else 0
        if wanted and month < state.due < math.inf:
            state.due = _largest_below(due, state.ready, state.due)
    if not wanted:
        return math.inf
    if math.isinf(state.due) and state.evaluable >= wanted:
        for patient in range(state.ready):
            desk.work[5, patient] = due[patient]
        state.due = kth_smallest(desk.work[5], state.ready, wanted - 1)
    return state.due


@kernel
def _largest_below(values, count, bound):
    """Return the largest of values[:count] that is below the bound."""
    largest = 0.0
    for place in range(count):
        largest = max(largest, values[place] if values[place] < bound else 0.0)
    return largest


@settle.case
def settle_on_months(schedule: OnMonths, desk, look):
    """The month."""
    return schedule.month[look] if look < schedule.month.shape[0] else math.inf


@kernel
def _month_of_arm(desk, number, place):
    """Return the month at which the arm took its patient number `place` (from 1) among those with a place."""
    left = place
    for patient in range(desk.state[0].enrolled):
        person = desk.patients[patient]
        if person.arm == number and person.outcome != NOT_EVALUABLE:
            left -= 1
            if left == 0:
                return person.arrival
    return math.inf


@settle.case
def settle_each(schedule: EachForItself, desk, look):
    """The first month at which an arm has the number of its own next look, or is full and assessed."""
    looks = schedule.number.shape[0]
    first = math.inf
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if number == desk.state[0].control or not runs(arm):
            continue
        if math.isinf(arm.settles):
            if arm.look < looks and arm.placed >= schedule.number[arm.look]:
                arm.settles = _month_of_arm(desk, number, schedule.number[arm.look]) + schedule.delay
            elif arm.status == FULL:
                arm.settles = arm.last + schedule.delay
        first = min(first, arm.settles)
    return first


@mark_due.case
def mark_all_with_patients(schedule: AllTogether | OnEvents | OnMonths, desk, month):
    """All."""
    _mark_all(desk)


@mark_due.case
def mark_each(schedule: EachForItself, desk, month):
    """Those whose own look it is; all at the end of the trial."""
    _mark_all(desk)
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if arm.settles <= month + A_MOMENT:
            arm.settles = math.inf
        elif not desk.state[0].exhausted:
            arm.due = 0


@known_at.case
def known_with_lag(schedule: AllTogether, desk):
    """All but the last so many."""
    return max(desk.state[0].enrolled - schedule.lag, 0)


@known_at.case
def known_of_all(schedule: OnEvents | OnMonths | EachForItself, desk):
    """All."""
    return desk.state[0].enrolled
