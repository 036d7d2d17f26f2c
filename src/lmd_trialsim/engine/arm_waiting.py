"""Waiting for a look at arms: patients come, arms enter and fill, until the schedule says that the look is due."""

from __future__ import annotations

import math

from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import may_take, next_comer, take_or_turn_away
from lmd_trialsim.kernel.screening import CLOSED
from lmd_trialsim.kernel.seams import settle


@kernel
def pass_time(schedule, plan, delay, stream, desk, look, until):
    """Take patients until look number `look` is due, and return its month; with look -1, those who come by `until`.

    state.exhausted: the look is the last whatever its number, as nobody is left to be assessed `delay` after entry.
    """
    state = desk.state[0]
    while True:
        month = until
        if look >= 0:
            month = max(state.decided, settle(schedule, desk, look))
        open_to_somebody = may_take(plan, desk)
        arrival = next_comer(plan, stream, desk) if open_to_somebody else math.inf
        if arrival <= min(month, plan.closes) + A_MOMENT and not math.isinf(arrival):
            take_or_turn_away(plan, stream, desk, arrival)
            continue
        if look < 0:
            return month
        if math.isinf(arrival):
            complete = max(state.decided, last_arrival(desk) + delay)
            if month >= complete - A_MOMENT:
                month = complete
                state.exhausted = 1
        if month > plan.closes:
            month = max(state.decided, plan.closes)
            state.exhausted = CLOSED
        return month


@kernel
def last_arrival(desk):
    """Return the month at which the last patient was taken; 0 where there is none."""
    enrolled = desk.state[0].enrolled
    return desk.patients[enrolled - 1].arrival if enrolled > 0 else 0.0
