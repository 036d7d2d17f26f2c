"""Looks at cells that fill at their own pace: when each has so many patients, when one has, when all together have."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.designs.looks import MOST_LOOKS, Every, Number, check_increasing
from lmd_trialsim.evidence.quantities import PlainPositiveMonths, Spec
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.screening import CLOSED, month_of_place, next_arrival, screen, screen_until
from lmd_trialsim.kernel.seams import await_cells
from lmd_trialsim.reading import At

InCells = Every | Annotated[list[Number | dict[str, Number]], Field(min_length=1, max_length=MOST_LOOKS)]
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
        given = [unit for unit in UNITS if getattr(self, unit) is not None]
        if len(given) > 1:
            raise At((given[1],), f"contradicts {given[0]}: looks are counted in one unit. Remove one", key=True)
        if not given:
            raise At((), "says no look", allowed=", ".join(UNITS), way_out="Leave looks out for a final look only.")
        listed = self.listed()
        names = {name for item in listed if isinstance(item, dict) for name in item}
        for name in names or {""}:
            numbers = [item.get(name, 0) if isinstance(item, dict) else item for item in listed]
            check_increasing(numbers, (given[0],))
        return self

    @property
    def unit(self) -> str:
        """What the looks are counted in."""
        return next(unit for unit in UNITS if getattr(self, unit) is not None)

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


def schedule_of(looks: BasketLooks | None, baskets: list[str], most: list[int], in_all: int, delay: float) -> Any:
    """Return the schedule that kernels read, with the final look behind the interim ones."""
    listed = looks.listed() if looks is not None else []
    unit = looks.unit if looks is not None else "in_each"
    if unit == "months":
        return AtCalendarMonths(np.array([*listed, math.inf]), delay)
    if unit == "in_all":
        return InAll(np.array([*(n for n in listed if n < in_all), in_all]), delay)
    rows = [[min(item.get(b, m) if isinstance(item, dict) else item, m) for b, m in zip(baskets, most, strict=True)]
            for item in listed]  # fmt: skip
    rows = [row for row in rows if row != most]
    return (InOne if unit == "in_one" else InEach)(np.array([*rows, most]), delay)


@kernel
def _mark_all(desk, look):
    for number in range(desk.cells.shape[1]):
        desk.cells[0, number].due = desk.cells[0, number].open
        desk.cells[0, number].look = look


@kernel
def _lacks(plan, desk, number, wanted):
    """Return whether the cell has fewer than the wanted places filled, and can still fill them."""
    cell = desk.cells[0, number]
    return cell.open and cell.placed < wanted and cell.enrolled < plan.most[number]


@kernel
def _any_lacks(plan, desk, wanted):
    for number in range(desk.cells.shape[1]):
        if _lacks(plan, desk, number, wanted[number]):
            return True
    return False


@kernel
def _screen_one(plan, stream, desk):
    """Take or turn away the next patient; where none comes any more, say that the present look is the last."""
    state = desk.state[0]
    month = next_arrival(plan, stream, desk)
    if state.enrolled >= plan.in_all or math.isinf(month):
        state.exhausted = 1
    elif month > plan.closes:
        state.exhausted = CLOSED
    else:
        screen(plan, stream, desk, month)


@kernel
def _come_to(plan, stream, desk, month):
    """Take whoever comes until the look at `month`, or until the trial closes; return the month of the look."""
    state = desk.state[0]
    month = max(month, state.decided)
    if state.exhausted == CLOSED or month > plan.closes:
        state.exhausted = CLOSED
        month = plan.closes
    if not plan.pauses:
        screen_until(plan, stream, desk, month)
    return month


@kernel
def _last_assessed(desk, delay):
    """Return when the last patient has been assessed."""
    enrolled = desk.state[0].enrolled
    return desk.patients[enrolled - 1].arrival + delay if enrolled > 0 else 0.0


@await_cells.case
def await_each(schedule: InEach, plan, stream, desk, look):
    """Patients are taken until the last of the open cells has its number."""
    state = desk.state[0]
    cells = desk.cells.shape[1]
    wanted = schedule.number[look]
    if plan.pauses:
        for number in range(cells):
            desk.cells[0, number].wanted = wanted[number]
    while not state.exhausted and _any_lacks(plan, desk, wanted):
        _screen_one(plan, stream, desk)
    _mark_all(desk, look)
    month = _last_assessed(desk, schedule.delay)
    if not state.exhausted:
        month = 0.0
        for number in range(cells):
            if desk.cells[0, number].open:
                month = max(month, month_of_place(desk, number, wanted[number]) + schedule.delay)
    return _come_to(plan, stream, desk, month)


@await_cells.case
def await_one(schedule: InOne, plan, stream, desk, look):
    """Patients are taken until the first of the open cells has its next number; only that one is judged."""
    state = desk.state[0]
    cells = desk.cells.shape[1]
    ready = False
    while not (ready or state.exhausted):
        still_open = 0
        for number in range(cells):
            cell = desk.cells[0, number]
            if cell.open:
                wanted = schedule.number[cell.look, number]
                cell.wanted = wanted if plan.pauses else plan.most[number]
                ready = ready or not _lacks(plan, desk, number, wanted)
                still_open += 1
        if still_open == 0:
            state.exhausted = 1
        elif not ready:
            _screen_one(plan, stream, desk)
    if state.exhausted:
        _mark_all(desk, schedule.number.shape[0] - 1)
        return _come_to(plan, stream, desk, _last_assessed(desk, schedule.delay))
    first = math.inf
    for number in range(cells):
        cell = desk.cells[0, number]
        if cell.open and not _lacks(plan, desk, number, schedule.number[cell.look, number]):
            first = min(first, month_of_place(desk, number, schedule.number[cell.look, number]) + schedule.delay)
    first = max(first, state.decided)
    for number in range(cells):
        cell = desk.cells[0, number]
        cell.due = 0
        if cell.open and not _lacks(plan, desk, number, schedule.number[cell.look, number]):
            assessed = month_of_place(desk, number, schedule.number[cell.look, number]) + schedule.delay
            cell.due = 1 if assessed <= first else 0
    month = _come_to(plan, stream, desk, first)
    if state.exhausted:
        _mark_all(desk, schedule.number.shape[0] - 1)
    return month


@await_cells.case
def await_all(schedule: InAll, plan, stream, desk, look):
    """Patients are taken until so many have a place in all, or no open cell takes any."""
    state = desk.state[0]
    last = schedule.number.shape[0] - 1
    missing = True
    while missing and not state.exhausted:
        placed = 0
        for number in range(desk.cells.shape[1]):
            placed += desk.cells[0, number].placed
        missing = placed < schedule.number[look]
        if missing and not _any_lacks(plan, desk, plan.most):
            state.exhausted = 1
        elif missing:
            _screen_one(plan, stream, desk)
    _mark_all(desk, last if state.exhausted else look)
    return _come_to(plan, stream, desk, _last_assessed(desk, schedule.delay))


@await_cells.case
def await_calendar(schedule: AtCalendarMonths, plan, stream, desk, look):
    """Patients are taken until the month; at the final look, until all cells are full."""
    state = desk.state[0]
    month = schedule.month[look]
    if math.isinf(month):
        while not state.exhausted and _any_lacks(plan, desk, plan.most):
            _screen_one(plan, stream, desk)
    else:
        screen_until(plan, stream, desk, min(month, plan.closes))
    if math.isinf(month) or not _any_lacks(plan, desk, plan.most):
        month = min(month, _last_assessed(desk, schedule.delay))
        state.exhausted = max(state.exhausted, 1)
    _mark_all(desk, look)
    return _come_to(plan, stream, desk, month)
