"""Looks at cells that fill at their own pace: when each has so many patients, when one has, when all together have."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.designs.looks import MOST_LOOKS, Every, Number, check_increasing, one_unit
from lmd_trialsim.evidence.quantities import PlainPositiveMonths, Spec
from lmd_trialsim.kernel.desk import NOT_EVALUABLE
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.screening import STUCK, WAITS, last_assessed, month_of_place
from lmd_trialsim.kernel.seams import lacks_patients, limit_places, mark_judged, may_settle, month_due
from lmd_trialsim.reading import At

InCells = Every | Annotated[list[Number | dict[str, Number]], Field(min_length=1, max_length=MOST_LOOKS)]
NO_LIMIT = 2**62
UNITS = ("in_each", "in_one", "in_all", "months")


class BasketLooks(Spec):
    """Interim looks of a basket trial; the final look is when the baskets are full, whatever is said here."""

    in_each: InCells | None = Field(
        None, description="when every open basket has so many evaluable patients (or is full); all are judged"
    )
    in_one: InCells | None = Field(
        None, description="when a basket has so many evaluable patients (or is full); that one is judged"
    )
    in_all: Every | Annotated[list[Number], Field(min_length=1, max_length=MOST_LOOKS)] | None = Field(
        None, description="when all baskets together have so many evaluable patients; all are judged"
    )
    months: Annotated[list[PlainPositiveMonths], Field(min_length=1, max_length=MOST_LOOKS)] | None = Field(
        None, description="at calendar months; all are judged"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> BasketLooks:
        given = one_unit(self, UNITS)
        if given is None:
            raise At((), "says no look", allowed=", ".join(UNITS), way_out="Leave looks out for a final look only.")
        listed = self.listed()
        names = {name for item in listed if isinstance(item, dict) for name in item}
        for name in names or {""}:
            numbers = [item.get(name, 0) if isinstance(item, dict) else item for item in listed]
            check_increasing(numbers, (given,))
        return self

    @property
    def unit(self) -> str:
        """What the looks are counted in."""
        return str(one_unit(self, UNITS))

    def listed(self) -> list[Any]:
        """Return the interim looks as they are written."""
        given = getattr(self, self.unit)
        return given.numbers() if isinstance(given, Every) else list(given)


class InEach(NamedTuple):
    """When every open cell has so many patients who can be analysed, or is full."""

    number: np.ndarray  # (looks, cells)
    delay: float


class InOne(NamedTuple):
    """When one cell has so many; each cell has looks of its own."""

    number: np.ndarray  # (looks, cells)
    delay: float


class InAll(NamedTuple):
    """When all cells together have so many."""

    number: np.ndarray  # (looks,)
    delay: float


class AtCalendarMonths(NamedTuple):
    """At calendar months; the last one is inf: when all are full and assessed."""

    month: np.ndarray  # (looks,)
    delay: float


class OncePooled(NamedTuple):
    """Other numbers once the cells are judged as one."""

    apart: Any
    together: Any
    most: np.ndarray  # (cells,) places of each cell then
    in_all: int  # and of all


def interim_looks(looks: BasketLooks | None, baskets: list[str], most: list[int], in_all: int) -> list[Any]:
    """Return the numbers or months of the interim looks, (looks,) or (looks, baskets).

    One that asks for the last patient is the final look, which comes by itself.
    """
    if looks is None:
        return []
    listed = looks.listed()
    if looks.unit == "months":
        return listed
    if looks.unit == "in_all":
        return [number for number in listed if number < in_all]
    rows = [
        [min(item.get(b, m) if isinstance(item, dict) else item, m) for b, m in zip(baskets, most, strict=True)]
        for item in listed
    ]
    return [row for row in rows if row != most]


def schedule_of(looks: BasketLooks | None, baskets: list[str], most: list[int], in_all: int, delay: float) -> Any:
    """Return the schedule that kernels read, with the final look behind the interim ones."""
    interim = interim_looks(looks, baskets, most, in_all)
    unit = looks.unit if looks is not None else "in_each"
    if unit == "months":
        return AtCalendarMonths(np.array([*interim, math.inf]), delay)
    if unit == "in_all":
        return InAll(np.array([*interim, in_all]), delay)
    return (InOne if unit == "in_one" else InEach)(np.array([*interim, most]), delay)


def pooled_schedule(apart: Any, most: list[int], in_all: int | None) -> OncePooled:
    """Return the schedule with other final numbers once cells are pooled: of each cell, or of all together."""
    looks = len(apart.number)
    if in_all is not None:
        return OncePooled(apart, InAll(np.full(looks, in_all), apart.delay), np.array(most), in_all)
    number = np.minimum(apart.number, np.array(most))
    return OncePooled(apart, InEach(number, apart.delay), np.array(most), NO_LIMIT)  # a cell may have overshot


@kernel
def _reaches(plan, desk, number, wanted):
    """Return whether the cell has the wanted places filled, or is full."""
    cell = desk.cells[0, number]
    return cell.placed >= wanted or cell.enrolled >= plan.most[number]


@kernel
def _all_full(plan, desk):
    """Return whether no open cell has room."""
    for number in range(desk.cells.shape[1]):
        if desk.cells[0, number].open and not _reaches(plan, desk, number, plan.most[number]):
            return False
    return True


@kernel
def _mark_all(desk, look):
    for number in range(desk.cells.shape[1]):
        desk.cells[0, number].due = desk.cells[0, number].open
        desk.cells[0, number].look = look


@kernel
def _month_if_lacking(schedule, desk, lack):
    """Return when a look comes that lacks patients; -1 where it lacks none.

    Never, while they may come; where they will not, as the final look, when all there are have been assessed.
    """
    if lack == WAITS:
        return math.inf
    if lack == STUCK:
        desk.state[0].exhausted = 1
        return last_assessed(desk, schedule.delay)
    return -1.0


@limit_places.case
def limit_in_each(schedule: InEach, plan, desk, look):
    """Where accrual pauses, no cell takes more than the look needs."""
    if plan.pauses:
        for number in range(desk.cells.shape[1]):
            desk.cells[0, number].wanted = schedule.number[look, number]


@lacks_patients.case
def lacks_in_each(schedule: InEach, plan, desk, look):
    """Until the last of the open cells has its number, or is full."""
    for number in range(desk.cells.shape[1]):
        if desk.cells[0, number].open and not _reaches(plan, desk, number, schedule.number[look, number]):
            return True
    return False


@may_settle.case
def may_settle_in_each(schedule: InEach, plan, desk, look, cell):
    """Where the cell has what the look needs."""
    return _reaches(plan, desk, cell, schedule.number[look, cell])


@month_due.case
def month_in_each(schedule: InEach, plan, desk, look, lack):
    """When the last of these numbers has been assessed."""
    month = _month_if_lacking(schedule, desk, lack)
    if month >= 0.0:
        return month
    for number in range(desk.cells.shape[1]):
        desk.cells[0, number].upto = desk.cells[0, number].placed
    for patient in range(desk.state[0].enrolled - 1, -1, -1):
        person = desk.patients[patient]
        cell = desk.cells[0, person.stratum]
        evaluable = 1 if person.outcome != NOT_EVALUABLE else 0
        if cell.open and cell.upto < schedule.number[look, person.stratum] + evaluable:
            return person.arrival + schedule.delay
        cell.upto -= evaluable
    return 0.0


@mark_judged.case
def mark_in_each(schedule: InEach, plan, desk, look, month):
    """All open cells are judged."""
    _mark_all(desk, look)


@limit_places.case
def limit_in_one(schedule: InOne, plan, desk, look):
    """Where accrual pauses, a cell takes no more than its own next look needs."""
    if plan.pauses:
        for number in range(desk.cells.shape[1]):
            cell = desk.cells[0, number]
            if cell.open:
                cell.wanted = schedule.number[cell.look, number]


@lacks_patients.case
def lacks_in_one(schedule: InOne, plan, desk, look):
    """Until the first of the open cells has its next number, or is full."""
    for number in range(desk.cells.shape[1]):
        cell = desk.cells[0, number]
        if cell.open and _reaches(plan, desk, number, schedule.number[cell.look, number]):
            return False
    return True


@may_settle.case
def may_settle_in_one(schedule: InOne, plan, desk, look, cell):
    """Where the cell has what its next look needs."""
    return _reaches(plan, desk, cell, schedule.number[desk.cells[0, cell].look, cell])


@kernel
def _month_of_one(schedule, plan, desk, number):
    """Return when the cell's next look is due; inf while it lacks patients."""
    wanted = schedule.number[desk.cells[0, number].look, number]
    if not desk.cells[0, number].open or not _reaches(plan, desk, number, wanted):
        return math.inf
    return month_of_place(desk, number, wanted) + schedule.delay


@month_due.case
def month_in_one(schedule: InOne, plan, desk, look, lack):
    """When the first of these numbers has been assessed."""
    month = _month_if_lacking(schedule, desk, lack)
    if month >= 0.0:
        return month
    month = math.inf
    for number in range(desk.cells.shape[1]):
        month = min(month, _month_of_one(schedule, plan, desk, number))
    return month


@mark_judged.case
def mark_in_one(schedule: InOne, plan, desk, look, month):
    """The cells that are ready are judged; it is the final look of one that will have no more patients."""
    last = schedule.number.shape[0] - 1
    if desk.state[0].exhausted:
        _mark_all(desk, last)
        return
    for number in range(desk.cells.shape[1]):
        cell = desk.cells[0, number]
        cell.due = 1 if _month_of_one(schedule, plan, desk, number) <= month else 0
        if cell.due:
            wanted = schedule.number[cell.look, number]
            cell.look = last if cell.placed < wanted or wanted >= plan.most[number] else cell.look


@limit_places.case
def limit_in_all(schedule: InAll, plan, desk, look):
    """Where accrual pauses, all cells together take no more than the look needs."""
    if plan.pauses:
        desk.state[0].wanted = schedule.number[look]


@lacks_patients.case
def lacks_in_all(schedule: InAll, plan, desk, look):
    """Until all cells together, closed ones too, have so many."""
    return desk.state[0].placed < schedule.number[look] and not _all_full(plan, desk)


@may_settle.case
def may_settle_in_all(schedule: InAll, plan, desk, look, cell):
    """Where there are enough, or the cell is full."""
    return desk.state[0].placed >= schedule.number[look] or _reaches(plan, desk, cell, plan.most[cell])


@month_due.case
def month_in_all(schedule: InAll, plan, desk, look, lack):
    """When so many have been assessed."""
    short = lack != WAITS and desk.state[0].placed < schedule.number[look]  # though all cells may be full
    month = _month_if_lacking(schedule, desk, STUCK if short else lack)
    if month >= 0.0:
        return month
    return month_of_place(desk, -1, schedule.number[look]) + schedule.delay


@mark_judged.case
def mark_in_all(schedule: InAll, plan, desk, look, month):
    """All open cells are judged."""
    _mark_all(desk, look)


@limit_places.case
def limit_at_months(schedule: AtCalendarMonths, plan, desk, look):
    """Looks by months need no number of patients."""


@lacks_patients.case
def lacks_at_months(schedule: AtCalendarMonths, plan, desk, look):
    """While cells fill up, which would bring the final look forward."""
    return not _all_full(plan, desk)


@may_settle.case
def may_settle_at_months(schedule: AtCalendarMonths, plan, desk, look, cell):
    """Where the cell is full."""
    return _reaches(plan, desk, cell, plan.most[cell])


@month_due.case
def month_at_months(schedule: AtCalendarMonths, plan, desk, look, lack):
    """At the month; before it, as the final look, when all patients that there will be have been assessed."""
    state = desk.state[0]
    month = max(schedule.month[look], state.decided)
    if lack == WAITS:
        return month
    known = last_assessed(desk, schedule.delay)
    if math.isinf(month) or (known <= month and (lack != STUCK or state.enrolled >= plan.in_all)):
        state.exhausted = 1
        return known
    return month


@mark_judged.case
def mark_at_months(schedule: AtCalendarMonths, plan, desk, look, month):
    """All open cells are judged."""
    _mark_all(desk, look)


@limit_places.case
def limit_once_pooled(schedule: OncePooled, plan, desk, look):
    """Once pooled, cells take no more than the pool needs, whether accrual pauses or not."""
    if desk.state[0].pooled != 1:
        limit_places(schedule.apart, plan, desk, look)
        return
    for number in range(desk.cells.shape[1]):
        desk.cells[0, number].wanted = schedule.most[number]
    desk.state[0].wanted = schedule.in_all
    limit_places(schedule.together, plan, desk, look)


@lacks_patients.case
def lacks_once_pooled(schedule: OncePooled, plan, desk, look):
    """As the schedule that holds."""
    if desk.state[0].pooled == 1:
        return lacks_patients(schedule.together, plan, desk, look)
    return lacks_patients(schedule.apart, plan, desk, look)


@may_settle.case
def may_settle_once_pooled(schedule: OncePooled, plan, desk, look, cell):
    """As the schedule that holds."""
    if desk.state[0].pooled == 1:
        return may_settle(schedule.together, plan, desk, look, cell)
    return may_settle(schedule.apart, plan, desk, look, cell)


@month_due.case
def month_once_pooled(schedule: OncePooled, plan, desk, look, lack):
    """As the schedule that holds."""
    if desk.state[0].pooled == 1:
        return month_due(schedule.together, plan, desk, look, lack)
    return month_due(schedule.apart, plan, desk, look, lack)


@mark_judged.case
def mark_once_pooled(schedule: OncePooled, plan, desk, look, month):
    """All open cells are judged."""
    _mark_all(desk, look)
