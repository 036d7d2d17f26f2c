"""A binary endpoint: assessed a fixed time after entry, lost to death or drop-out before, under a named estimand."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import FAILURE, NOT_EVALUABLE, RESPONSE
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.randomising import count_assessed_in_arms
from lmd_trialsim.kernel.screening import count_assessed
from lmd_trialsim.kernel.seams import (
    admit,
    arrival_month,
    draw_course,
    observe,
    observe_arms,
    observe_cells,
    outcome_of,
    times_differ,
)
from lmd_trialsim.patients.hazard import Hazards
from lmd_trialsim.patients.loss import lost_before_assessment


class Binary(NamedTuple):
    """A response of known probability that every patient lives to show, known `delay` months after entry."""

    rate: np.ndarray  # (arms, strata) probability that the outcome is seen as 1
    purpose: int  # the uniform that decides it: RESPONSE, or EVENT where the outcome is survival to a month
    delay: float  # months from entry to assessment


class LossyBinary(NamedTuple):
    """The same, where patients may die or drop out before the assessment."""

    rate: np.ndarray
    purpose: int
    delay: float
    death: Hazards
    drop_out: Hazards
    if_dead: int  # the outcome (of kernel.desk) that stands for a death before the assessment
    if_dropped_out: int


@outcome_of.case
def outcome_of_all(endpoint: Binary, stream, patient, arm, stratum, chance):
    """Everybody lives to show it."""
    return RESPONSE if chance < endpoint.rate[arm, stratum] else FAILURE


@outcome_of.case
def outcome_or_loss(endpoint: LossyBinary, stream, patient, arm, stratum, chance):
    """What comes first, death or drop-out, stands for the outcome if it comes before the assessment."""
    lost = lost_before_assessment(endpoint, stream, patient, arm, stratum)
    if lost != RESPONSE:
        return lost
    return RESPONSE if chance < endpoint.rate[arm, stratum] else FAILURE


@admit.case
def admit_binary(endpoint: Binary | LossyBinary, stream, desk, patient, arrival, stratum, chance):
    """The outcome, or a loss, is settled at entry, and known later."""
    person = desk.patients[patient]
    person.outcome = outcome_of(endpoint, stream, arrival, person.arm, stratum, chance)
    person.value = person.outcome


@observe_cells.case
def observe_binary_cells(endpoint: Binary | LossyBinary, delay, desk, month):
    """Add those whose assessment has come due."""
    count_assessed(delay, desk, month)


@observe_arms.case
def observe_binary_arms(endpoint: Binary | LossyBinary, desk, month, upto):
    """Add those whose assessment has come due."""
    count_assessed_in_arms(endpoint.delay, desk, month, upto)


@times_differ.case
def rates_of_times_differ(endpoint: Binary | LossyBinary, arm, control):
    """As proportions, the variance pooled."""
    n, m = arm.control_patients, control.patients - arm.control_patients
    rate = control.responses / max(control.patients, 1)
    variance = rate * (1.0 - rate) * (1.0 / max(n, 1) + 1.0 / max(m, 1))
    if n == 0 or m == 0 or variance <= 0.0:
        return 0.0
    return (arm.control_responses / n - (control.responses - arm.control_responses) / m) / math.sqrt(variance)


@draw_course.case
def draw_binary(endpoint: Binary | LossyBinary, accrual, stream, desk, start, stop):
    """Draw one uniform a patient; where patients may be lost, one each for death and drop-out."""
    random.fill_chances(stream, endpoint.purpose, start, stop, desk.patients)
    for patient in range(start, stop):
        person = desk.patients[patient]
        person.outcome = outcome_of(endpoint, stream, patient, person.arm, person.stratum, person.chance)


@observe.case
def observe_binary(endpoint: Binary | LossyBinary, accrual, desk, month):
    """Add the patients whose assessment has come due: the first so many, as the delay is the same for all.

    A death counts at the day of the assessment, not before: else the first known would be the first dead.
    """
    state, delay = desk.state[0], endpoint.delay
    while state.known < state.enrolled and (
        delay == 0.0 or arrival_month(accrual, desk, state.known) + delay <= month + A_MOMENT
    ):
        person = desk.patients[state.known]
        if person.outcome <= RESPONSE:
            cell = desk.cells[person.arm, person.stratum]
            cell.patients += 1
            cell.responses += person.outcome
            state.evaluable += 1
        # A missing outcome keeps its place among the planned patients; one that is not evaluable is replaced.
        state.placed += 1 if person.outcome != NOT_EVALUABLE else 0
        state.known += 1
