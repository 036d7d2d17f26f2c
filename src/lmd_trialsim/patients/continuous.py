"""A continuous endpoint: normal, measured a fixed time after entry; who dies or drops out before has no value."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.desk import FAILURE, RESPONSE
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.seams import admit, observe_arms, times_differ
from lmd_trialsim.kernel.special import normal_quantile
from lmd_trialsim.patients.hazard import Hazards
from lmd_trialsim.patients.loss import lost_before_assessment


class Continuous(NamedTuple):
    """Values of known mean and standard deviation, known `delay` months after entry."""

    mean: np.ndarray  # (arms, strata)
    sd: np.ndarray  # (arms, strata)
    purpose: int  # the uniform that decides the value
    delay: float  # months from entry to assessment
    loses: int  # 0 where nobody dies or drops out before the assessment: then no uniform is drawn
    death: Hazards
    drop_out: Hazards
    if_dead: int  # the outcome (of kernel.desk) that stands for a death before the assessment
    if_dropped_out: int


@admit.case
def admit_continuous(endpoint: Continuous, stream, desk, patient, arrival, stratum, chance):
    """The value by inversion; settled at entry, and known later."""
    person = desk.patients[patient]
    mean, sd = endpoint.mean[person.arm, stratum], endpoint.sd[person.arm, stratum]
    person.value = mean + sd * normal_quantile(chance)
    person.outcome = FAILURE
    if endpoint.loses:
        lost = lost_before_assessment(endpoint, stream, arrival, person.arm, stratum)
        person.outcome = FAILURE if lost == RESPONSE else lost


@observe_arms.case
def observe_values_of_arms(endpoint: Continuous, desk, month, upto):
    """Add the values that have come due to their arms and comparisons."""
    state = desk.state[0]
    while state.known < upto and desk.patients[state.known].arrival <= month - endpoint.delay + A_MOMENT:
        person = desk.patients[state.known]
        state.known += 1
        if person.outcome > RESPONSE:
            continue
        arm = desk.arms[person.arm]
        arm.patients += 1
        arm.total += person.value
        arm.squares += person.value * person.value
        if person.arm == state.control:
            for number in range(desk.arms.shape[0]):
                if person.matches >> number & 1:
                    of = desk.arms[number]
                    of.control_patients += 1
                    of.control_total += person.value
                    of.control_squares += person.value * person.value


@times_differ.case
def means_of_times_differ(endpoint: Continuous, arm, control):
    """As means, with the variance of all control patients."""
    n, m = arm.control_patients, control.patients - arm.control_patients
    if n == 0 or m == 0 or n + m < 3:
        return 0.0
    variance = (control.squares - control.total * control.total / (n + m)) / (n + m - 1.0)
    difference = arm.control_total / n - (control.total - arm.control_total) / m
    return difference / math.sqrt(variance * (1.0 / n + 1.0 / m)) if variance > 0.0 else 0.0
