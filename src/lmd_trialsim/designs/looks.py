"""Looks: when the data are looked at. Every schedule enrols as many patients as its next look takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.evidence.quantities import PlainMonths, PlainPositiveMonths, Spec
from lmd_trialsim.kernel.desk import NOT_EVALUABLE
from lmd_trialsim.kernel.enrolment import A_MOMENT, count_enrolled, last_patient_followed, make_ready, month_enrolled
from lmd_trialsim.kernel.seams import await_look
from lmd_trialsim.kernel.sorting import kth_smallest
from lmd_trialsim.reading import At

MOST_LOOKS = 1000
Number = Annotated[int, Field(ge=1, le=100_000)]


class Every(Spec):
    """Looks at regular numbers: from, from + every, ..., up to and with the last one that is not beyond `to`."""

    first: Number = Field(alias="from", description="the first look")
    every: Number = Field(description="the step from look to look")
    to: Number = Field(description="the last look at most")

    @model_validator(mode="after")
    def _some_looks(self) -> Every:
        count = len(range(self.first, self.to + 1, self.every))
        if count < 1:
            raise At(("to",), f"comes before the first look, {self.first}", got=str(self.to), way_out="Raise it.")
        if count > MOST_LOOKS:
            allowed = f"up to {MOST_LOOKS:,}"
            raise At(("every",), "makes too many looks", got=f"{count:,}", allowed=allowed, way_out="Raise it.")
        return self

    def numbers(self) -> list[int]:
        """Return the numbers."""
        return list(range(self.first, self.to + 1, self.every))


Numbers = Every | Annotated[list[Number], Field(min_length=1, max_length=MOST_LOOKS)]


def check_increasing(numbers: Sequence[float], loc: tuple[str, ...]) -> None:
    """Refuse looks that do not increase."""
    for i in range(1, len(numbers)):
        if numbers[i] <= numbers[i - 1]:
            way_out = "Sort them, and name each once."
            raise At((*loc, i), "looks must increase", got=f"{numbers[i]:g}", way_out=way_out)


class FinalSpec(Spec):
    """A last look, set by the follow-up of the last patient."""

    follow_up_months: PlainMonths = Field(description="months from the last patient's entry to the last look")


UNITS = ("patients", "evaluable", "events", "months")


def one_unit(looks: Spec, units: Sequence[str]) -> str | None:
    """Return the unit that looks are counted in, None where none is said; raise At where several are."""
    given = [unit for unit in units if getattr(looks, unit) is not None]
    if len(given) > 1:
        raise At((given[1],), f"contradicts {given[0]}: looks are counted in one unit. Remove one", key=True)
    return given[0] if given else None


class LooksSpec(Spec):
    """When the data are looked at: by patients enrolled or evaluable, events, or months; a final one by follow-up."""

    patients: Numbers | None = Field(None, description="looks when so many patients are enrolled")
    evaluable: Numbers | None = Field(
        None, description="looks when so many patients have come to their assessment (binary endpoints)"
    )
    events: Numbers | None = Field(None, description="looks when so many events have been seen, or all that can be")
    months: Annotated[list[PlainPositiveMonths], Field(min_length=1, max_length=MOST_LOOKS)] | None = Field(
        None, description="looks at calendar months"
    )
    final: FinalSpec | None = Field(
        None,
        description="a last look so long after the last patient's entry; with `events`, the last listed look comes "
        "then at the latest",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> LooksSpec:
        given = one_unit(self, UNITS)
        if given is not None:
            check_increasing(self.listed(given), (given,))
        elif self.final is None:
            raise At((), "says no look", allowed=f"{', '.join(UNITS)}, final")
        return self

    @property
    def unit(self) -> str:
        """What the looks are counted in; "final" where there is only a final look by follow-up."""
        return one_unit(self, UNITS) or "final"

    def listed(self, unit: str) -> list[Any]:
        """Return the listed looks of this unit."""
        given = getattr(self, unit)
        return given.numbers() if isinstance(given, Every) else list(given)

    def numbers(self) -> list[float]:
        """Return the listed looks."""
        return [] if self.unit == "final" else self.listed(self.unit)

    @property
    def count(self) -> int:
        """How many looks there are, a final look by follow-up included."""
        extra = self.final is not None and self.unit != "events"
        return len(self.numbers()) + int(extra)

    def plan(self, delay: float) -> Any:
        """Return the schedule that kernels read; `delay` is the assessment's, in months from entry."""
        final = Final(self.final.follow_up_months if self.final else -1.0)
        numbers = np.array(self.numbers() + ([0] if self.count > len(self.numbers()) else []))
        if self.unit == "evaluable":
            return AtEvaluable(numbers, final, delay)
        if self.unit == "events":
            return AtEvents(numbers, final)
        if self.unit == "months":
            return AtMonths(numbers.astype(float), final)
        return AtPatients(numbers, final)


class Final(NamedTuple):
    """The last look when it is set by follow-up: so many months after the last patient; -1 where it is not."""

    follow_up: float


class AtPatients(NamedTuple):
    """Looks when so many patients are enrolled."""

    number: np.ndarray  # (looks,)
    final: Final


class AtEvaluable(NamedTuple):
    """Looks when so many patients have come to their assessment and can be analysed."""

    number: np.ndarray  # (looks,)
    final: Final
    delay: float  # months from entry to assessment


class AtEvents(NamedTuple):
    """Looks when so many events have been seen, or all that can be."""

    number: np.ndarray  # (looks,)
    final: Final


class AtMonths(NamedTuple):
    """Looks at calendar months."""

    month: np.ndarray  # (looks,)
    final: Final


@await_look.case
def await_patients(schedule: AtPatients, plan, stream, desk, look):
    """The month of the so-manieth enrolment."""
    last = schedule.number.shape[0] - 1
    if look == last and schedule.final.follow_up >= 0.0:
        return last_patient_followed(plan, stream, desk, schedule.final.follow_up)
    month = month_enrolled(plan, stream, desk, schedule.number[look])
    if math.isinf(month):
        return last_patient_followed(plan, stream, desk, max(schedule.final.follow_up, 0.0))
    desk.state[0].enrolled = schedule.number[look]
    return month


@await_look.case
def await_evaluable(schedule: AtEvaluable, plan, stream, desk, look):
    """The month at which the so-manieth patient who can be analysed comes to the assessment."""
    last = schedule.number.shape[0] - 1
    if look == last and schedule.final.follow_up >= 0.0:
        return last_patient_followed(plan, stream, desk, schedule.final.follow_up)
    state = desk.state[0]
    patient = state.known
    missing = schedule.number[look] - state.placed
    while missing > 0 and patient < state.cap:
        make_ready(plan, stream, desk, patient + missing)
        missing -= 1 if desk.patients[patient].outcome != NOT_EVALUABLE else 0
        patient += 1
    month = month_enrolled(plan, stream, desk, patient) + schedule.delay
    if missing > 0 or math.isinf(month):
        return last_patient_followed(plan, stream, desk, schedule.delay)
    state.enrolled = patient
    if schedule.delay > 0.0 and not plan.pauses:
        state.enrolled = count_enrolled(plan, stream, desk, month)
    return month


@await_look.case
def await_events(schedule: AtEvents, plan, stream, desk, look):
    """The month of the so-manieth event that will be seen, over all patients who can still come."""
    state = desk.state[0]
    enrolled = state.enrolled
    make_ready(plan, stream, desk, state.cap)
    due = desk.work[0]
    events = 0
    for patient in range(state.cap):
        person = desk.patients[patient]
        due[events] = person.arrival + person.event
        events += 1 if person.event <= person.censor and due[events] < math.inf else 0
    limit = math.inf
    if schedule.final.follow_up >= 0.0:
        limit = last_patient_followed(plan, stream, desk, schedule.final.follow_up)
        state.exhausted = 0
    wanted = schedule.number[look]
    month = limit
    if events >= wanted:
        month = kth_smallest(due, events, wanted - 1)
    elif math.isinf(limit):
        month = last_patient_followed(plan, stream, desk, 0.0)
        if events > 0:
            month = max(month, kth_smallest(due, events, events - 1))
    if month >= limit:
        state.exhausted = 1
        month = limit
    while enrolled < state.cap and desk.patients[enrolled].arrival <= month + A_MOMENT:
        enrolled += 1
    state.enrolled = enrolled
    return month


@await_look.case
def await_months(schedule: AtMonths, plan, stream, desk, look):
    """The calendar month; the final look, where everybody has been followed by then."""
    if schedule.final.follow_up >= 0.0:
        state = desk.state[0]
        enrolled = state.enrolled
        followed = last_patient_followed(plan, stream, desk, schedule.final.follow_up)
        if look == schedule.month.shape[0] - 1 or followed <= schedule.month[look]:
            return followed
        state.enrolled = enrolled
        state.exhausted = 0
    desk.state[0].enrolled = count_enrolled(plan, stream, desk, schedule.month[look])
    return schedule.month[look]
