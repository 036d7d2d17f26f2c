"""A binary endpoint: assessed a fixed time after entry, lost to death or drop-out before, under a named estimand."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import FAILURE, MISSING, NOT_EVALUABLE, RESPONSE
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
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
from lmd_trialsim.patients.hazard import Hazards, months_to_event


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
    died = months_to_event(endpoint.death, arm, stratum, random.uniform(stream, patient, random.DEATH, 0))
    left = months_to_event(endpoint.drop_out, arm, stratum, random.uniform(stream, patient, random.DROPOUT, 0))
    if died <= endpoint.delay and died <= left:
        return endpoint.if_dead
    if left <= endpoint.delay:
        return endpoint.if_dropped_out
    return RESPONSE if chance < endpoint.rate[arm, stratum] else FAILURE


@kernel
def _admit(endpoint, stream, desk, patient, arrival, stratum, chance):
    person = desk.patients[patient]
    person.outcome = outcome_of(endpoint, stream, arrival, person.arm, stratum, chance)
    person.value = person.outcome


@admit.case
def admit_binary(endpoint: Binary, stream, desk, patient, arrival, stratum, chance):
    """The outcome is settled at entry, and known later."""
    _admit(endpoint, stream, desk, patient, arrival, stratum, chance)


@admit.case
def admit_lossy_binary(endpoint: LossyBinary, stream, desk, patient, arrival, stratum, chance):
    """The same, or a loss."""
    _admit(endpoint, stream, desk, patient, arrival, stratum, chance)


@observe_cells.case
def observe_binary_cells(endpoint: Binary, delay, desk, month):
    """Add those whose assessment has come due."""
    count_assessed(delay, desk, month)


@observe_cells.case
def observe_lossy_binary_cells(endpoint: LossyBinary, delay, desk, month):
    """Add those whose assessment has come due."""
    count_assessed(delay, desk, month)


@observe_arms.case
def observe_binary_arms(endpoint: Binary, desk, month, upto):
    """Add those whose assessment has come due."""
    count_assessed_in_arms(endpoint.delay, desk, month, upto)


@observe_arms.case
def observe_lossy_binary_arms(endpoint: LossyBinary, desk, month, upto):
    """Add those whose assessment has come due."""
    count_assessed_in_arms(endpoint.delay, desk, month, upto)


@kernel
def _rates_differ(arm, control):
    """Return the z of two proportions, its variance pooled."""
    n, m = arm.control_patients, control.patients - arm.control_patients
    rate = control.responses / max(control.patients, 1)
    variance = rate * (1.0 - rate) * (1.0 / max(n, 1) + 1.0 / max(m, 1))
    if n == 0 or m == 0 or variance <= 0.0:
        return 0.0
    return (arm.control_responses / n - (control.responses - arm.control_responses) / m) / math.sqrt(variance)


@times_differ.case
def rates_of_times_differ(endpoint: Binary, arm, control):
    """As proportions."""
    return _rates_differ(arm, control)


@times_differ.case
def lossy_rates_of_times_differ(endpoint: LossyBinary, arm, control):
    """As proportions."""
    return _rates_differ(arm, control)


@kernel
def _draw_outcomes(endpoint, stream, desk, start, stop):
    random.fill_chances(stream, endpoint.purpose, start, stop, desk.patients)
    for patient in range(start, stop):
        person = desk.patients[patient]
        person.outcome = outcome_of(endpoint, stream, patient, person.arm, person.stratum, person.chance)


@draw_course.case
def draw_binary(endpoint: Binary, accrual, stream, desk, start, stop):
    """Draw one uniform a patient."""
    _draw_outcomes(endpoint, stream, desk, start, stop)


@draw_course.case
def draw_lossy_binary(endpoint: LossyBinary, accrual, stream, desk, start, stop):
    """Draw one uniform a patient, and one each for death and drop-out."""
    _draw_outcomes(endpoint, stream, desk, start, stop)


@kernel
def _count_known(delay, accrual, desk, month):
    """Add the patients whose assessment has come due: the first so many, as the delay is the same for all."""
    state = desk.state[0]
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


@observe.case
def observe_binary(endpoint: Binary, accrual, desk, month):
    """Outcomes assessed by `month`; at once where the delay is 0."""
    _count_known(endpoint.delay, accrual, desk, month)


@observe.case
def observe_lossy_binary(endpoint: LossyBinary, accrual, desk, month):
    """A death counts at the day of the assessment, not before: else the first known would be the first dead."""
    _count_known(endpoint.delay, accrual, desk, month)


LOSS = {"failure": FAILURE, "missing": MISSING, "not_evaluable": NOT_EVALUABLE}
"""The words of the YAML for what a death or a drop-out before the assessment stands for."""
