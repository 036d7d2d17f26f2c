"""Looks: when the data are looked at. Every schedule enrols as many patients as its next look takes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.desk import NOT_EVALUABLE
from lmd_trialsim.kernel.enrolment import count_enrolled, last_patient_followed, make_ready, month_enrolled
from lmd_trialsim.kernel.seams import await_look
from lmd_trialsim.kernel.sorting import kth_smallest


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
    while enrolled < state.cap and desk.patients[enrolled].arrival <= month:
        enrolled += 1
    state.enrolled = enrolled
    return month


@await_look.case
def await_months(schedule: AtMonths, plan, stream, desk, look):
    """The calendar month."""
    if look == schedule.month.shape[0] - 1 and schedule.final.follow_up >= 0.0:
        return last_patient_followed(plan, stream, desk, schedule.final.follow_up)
    desk.state[0].enrolled = count_enrolled(plan, stream, desk, schedule.month[look])
    return schedule.month[look]
