"""A time-to-event endpoint with drop-out and staggered entry."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import FAILURE
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import forget_arms
from lmd_trialsim.kernel.seams import (
    admit,
    arrival_month,
    draw_course,
    observe,
    observe_arms,
    observe_cells,
    times_differ,
)
from lmd_trialsim.patients.hazard import Hazards, months_to_event


class TimeToEvent(NamedTuple):
    """Event and drop-out times; each patient is followed for at most `followed` months."""

    event: Hazards
    drop_out: Hazards
    drops_out: int  # 0 where nobody does: then no uniform is drawn
    followed: float  # months; inf where the follow-up has no end of its own


@draw_course.case
def draw_time_to_event(endpoint: TimeToEvent, accrual, stream, desk, start, stop):
    """Event and drop-out by inversion of one uniform each."""
    random.fill_chances(stream, random.EVENT, start, stop, desk.patients)
    for patient in range(start, stop):
        person = desk.patients[patient]
        person.arrival = arrival_month(accrual, desk, patient)
        person.event = months_to_event(endpoint.event, person.arm, person.stratum, person.chance)
        person.censor = endpoint.followed
    if endpoint.drops_out:
        random.fill_chances(stream, random.DROPOUT, start, stop, desk.patients)
        for patient in range(start, stop):
            person = desk.patients[patient]
            left = months_to_event(endpoint.drop_out, person.arm, person.stratum, person.chance)
            person.censor = min(endpoint.followed, left)


@admit.case
def admit_to_follow_up(endpoint: TimeToEvent, stream, desk, patient, arrival, stratum, chance):
    """Event and drop-out by inversion of one uniform each; everybody is followed, and so evaluable."""
    person = desk.patients[patient]
    person.event = months_to_event(endpoint.event, person.arm, stratum, chance)
    person.censor = endpoint.followed
    if endpoint.drops_out:
        left = months_to_event(
            endpoint.drop_out, person.arm, stratum, random.uniform(stream, arrival, random.DROPOUT, 0)
        )
        person.censor = min(endpoint.followed, left)
    person.outcome = FAILURE


@kernel
def follow_up(person, month):
    """Write follow-up and status of a patient at a calendar month; an event on the day of the censoring is seen."""
    # Compared on the calendar, as `await_look` counts events: month - arrival would miss the very last by rounding.
    person.status = 1 if person.event <= person.censor and person.arrival + person.event <= month else 0
    person.follow = person.event if person.status else max(0.0, min(person.censor, month - person.arrival))


@observe_cells.case
def observe_time_to_event_cells(endpoint: TimeToEvent, delay, desk, month):
    """Events and patient-months of every patient taken, whether looks count him yet or not."""
    arms, cells = desk.cells.shape
    for arm in range(arms):
        for number in range(cells):
            cell = desk.cells[arm, number]
            cell.patients = 0
            cell.events = 0
            cell.months = 0.0
    for patient in range(desk.state[0].enrolled):
        person = desk.patients[patient]
        follow_up(person, month)
        cell = desk.cells[person.arm, person.stratum]
        cell.patients += 1
        cell.events += person.status
        cell.months += person.follow


@observe_arms.case
def observe_times_of_arms(endpoint: TimeToEvent, desk, month, upto):
    """Events and patient-months of every arm, and of the patients it is compared with."""
    forget_arms(desk)
    state = desk.state[0]
    state.known = upto
    for patient in range(upto):
        person = desk.patients[patient]
        follow_up(person, month)
        arm = desk.arms[person.arm]
        arm.patients += 1
        arm.events += person.status
        arm.months += person.follow
        if person.arm == state.control:
            for number in range(desk.arms.shape[0]):
                if (person.matches >> number) & 1:
                    of = desk.arms[number]
                    of.control_patients += 1
                    of.control_events += person.status
                    of.control_months += person.follow


@times_differ.case
def hazards_of_times_differ(endpoint: TimeToEvent, arm, control):
    """As logarithms of exponential rates, whose variance is one over the events."""
    d, e = arm.control_events, control.events - arm.control_events
    if d == 0 or e == 0:
        return 0.0
    ratio = d / arm.control_months * (control.months - arm.control_months) / e
    return math.log(ratio) / math.sqrt(1.0 / d + 1.0 / e)


@observe.case
def observe_time_to_event(endpoint: TimeToEvent, accrual, desk, month):
    """Follow-up and status of every enrolled patient; an event on the day of the censoring counts as seen."""
    state = desk.state[0]
    state.events = 0
    state.evaluable = state.enrolled
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].events = 0
            desk.cells[arm, stratum].months = 0.0
    for patient in range(state.enrolled):
        person = desk.patients[patient]
        follow_up(person, month)
        cell = desk.cells[person.arm, person.stratum]
        cell.events += person.status
        cell.months += person.follow
        state.events += person.status


def nobody(arms: int, strata: int) -> Hazards:
    """Return hazards under which nothing ever happens."""
    shape = (arms, strata)
    knot = np.zeros((*shape, 1))
    return Hazards(np.ones(shape), np.zeros(shape), knot, knot, knot)
