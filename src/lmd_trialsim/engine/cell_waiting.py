"""Waiting for a look at cells: patients come, slow cells close, until the schedule says that the look is due."""

from __future__ import annotations

import math

from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.screening import (
    ALL_PAUSE,
    CLOSED,
    READY,
    STUCK,
    WAITS,
    any_open,
    close_slow_cells,
    next_arrival,
    screen,
    screen_until,
)
from lmd_trialsim.kernel.seams import lacks_patients, limit_places, mark_judged, may_settle, month_due


@kernel
def await_cells(schedule, plan, stream, desk, look):
    """Take patients, and close slow cells, until look number `look` is due; return its month, and mark who is judged.

    No cell is where none is left open; the month is then that of the last closing. state.exhausted: the look is the
    last whatever its number.
    """
    state = desk.state[0]
    now = state.decided
    limit_places(schedule, plan, desk, look)
    while any_open(desk):
        lack = READY
        if lacks_patients(schedule, plan, desk, look):
            stuck = state.enrolled >= plan.in_all or math.isinf(next_arrival(plan, stream, desk))
            lack = STUCK if stuck else WAITS
        state.exhausted = 0
        month = max(now, month_due(schedule, plan, desk, look, lack))
        until = min(month, state.checked, plan.closes)
        if lack == WAITS and next_arrival(plan, stream, desk) <= until + A_MOMENT:
            now = max(now, _take_until_it_matters(schedule, plan, stream, desk, look, until))
        elif state.checked <= until:
            now = max(now, state.checked)
            come_until(plan, stream, desk, now)
            close_slow_cells(plan, desk, now)
        else:
            if month > plan.closes:
                state.exhausted = CLOSED
            come_until(plan, stream, desk, until)
            mark_judged(schedule, plan, desk, look, until)
            return until
    return now


@kernel
def _take_until_it_matters(schedule, plan, stream, desk, look, until):
    """Take whoever comes by `until`, up to a patient who may bring the look about; return when the last one came."""
    state = desk.state[0]
    arrival = next_arrival(plan, stream, desk)
    now = arrival
    while arrival <= until + A_MOMENT and not math.isinf(arrival):
        now = arrival
        cell = screen(plan, stream, desk, arrival)
        if cell >= 0 and (state.enrolled >= plan.in_all or may_settle(schedule, plan, desk, look, cell)):
            break
        arrival = next_arrival(plan, stream, desk)
    return now


@kernel
def come_until(plan, stream, desk, month):
    """Patients go on coming; where accrual pauses nobody is taken, and they are turned away when it is looked again."""
    if plan.pauses != ALL_PAUSE:
        screen_until(plan, stream, desk, min(month, plan.closes))
