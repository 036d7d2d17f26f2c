"""Enrolment: patients become ready as looks need them; who is enrolled by a month follows from the arrival clock."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lmd_trialsim.kernel.jit import kernel, long_kernel
from lmd_trialsim.kernel.seams import advance_clock, allocate, arrival_month, draw_course, draw_strata

A_MOMENT = 1e-9
"""Months: what is closer than this happens at the same time. Evenly spaced patients come on the day of a look."""


class Enrolment(NamedTuple):
    """Who comes, which arm they get, and what happens to them."""

    accrual: Any
    strata: Any
    allocation: Any
    endpoint: Any
    pauses: int  # 1 where accrual waits for each look


@long_kernel
def make_ready(plan, stream, desk, upto):
    """Draw arrival, stratum, arm and course of the patients up to number `upto`, as far as there are any."""
    state = desk.state[0]
    start = state.ready
    stop = min(upto, state.cap)
    if stop > start:
        advance_clock(plan.accrual, stream, desk, stop)
        draw_strata(plan.strata, stream, desk, start, stop)
        allocate(plan.allocation, stream, desk, start, stop)
        draw_course(plan.endpoint, plan.accrual, stream, desk, start, stop)
        state.ready = stop


@kernel
def count_enrolled(plan, stream, desk, month):
    """Return how many patients have arrived by `month`, those who are enrolled already among them."""
    state = desk.state[0]
    patient = state.enrolled
    while patient < state.cap:
        if patient >= state.ready:
            make_ready(plan, stream, desk, patient + 8)
        if arrival_month(plan.accrual, desk, patient) > month + A_MOMENT:
            break
        patient += 1
    return patient


@kernel
def month_enrolled(plan, stream, desk, number):
    """Return the month at which patient number `number` (from 1) is enrolled; inf if there will be none."""
    if number < 1:
        return 0.0
    if number > desk.state[0].cap:
        return math.inf
    make_ready(plan, stream, desk, number)
    return arrival_month(plan.accrual, desk, number - 1)


@kernel
def last_patient_followed(plan, stream, desk, follow_up):
    """Return the month at which the last patient has been followed for `follow_up`; enrols all, and ends the looks."""
    state = desk.state[0]
    state.exhausted = 1
    number = state.cap
    month = month_enrolled(plan, stream, desk, number)
    while math.isinf(month) and number > 0:  # The accrual dried up: the last who came.
        number -= 1
        month = month_enrolled(plan, stream, desk, number)
    state.enrolled = number
    return month + follow_up
