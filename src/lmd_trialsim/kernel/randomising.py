"""Randomising: arms enter when their time has come and there is a place, and patients get one of those open to them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import CLOSING, ENDED, FULL, NOT_EVALUABLE, OPEN, RESPONSE, WAITING
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.screening import next_arrival, stratum_of
from lmd_trialsim.kernel.seams import admit, draw_arm, note_early, open_strata, open_to, share_out, times_differ

CONTROLS_ALL, CONTROLS_OPEN, CONTROLS_ELIGIBLE, CONTROLS_TESTED = 0, 1, 2, 3
"""Randomising.controls: an arm is compared with all control patients, those who came while it was open, those among
them who could have got it, or with all where these do not differ from those who came while it was open."""

ALL_ARMS = -1
"""As bits."""


class OpenThroughout(NamedTuple):
    """An arm is open to its strata as long as it is open."""

    takes: np.ndarray  # (arms, strata) 1 where the arm is open to the stratum


@open_strata.case
def open_strata_throughout(strata: OpenThroughout, desk):
    """Nothing is to be done."""


@open_to.case
def open_to_throughout(strata: OpenThroughout, desk, number, stratum):
    """As the design says."""
    return strata.takes[number, stratum]


class Randomising(NamedTuple):
    """Who comes, what becomes of them, which arms there are and when. Arrays are (arms,), the control first."""

    accrual: Any
    upto: np.ndarray  # (strata,) cumulative shares of the strata, the last one 1
    endpoint: Any
    purpose: int  # of the uniform that decides what becomes of a patient
    allocation: Any
    analysis: Any  # that shares follow
    strata: Any  # which strata the arms are open to: OpenThroughout, or strata that may close
    most: np.ndarray  # patients that an arm takes at most
    enters_month: np.ndarray  # month from which it may enter
    enters_patients: np.ndarray  # patients that have been taken before it may
    enters_rate: float  # arms a month that become ready at random, those whose month is inf, in their order
    at_once: int  # arms, the control aside, that are open at a time
    in_all: int  # patients at most
    exist: int  # patients who come at all, taken or turned away
    closes: float  # month at which the trial closes as it stands; inf where it does not
    control: int  # 0, or -1 where there is none
    controls: int  # CONTROLS_ALL, ...
    pool_below: float  # z of the difference between control patients of both times below which they are pooled


@kernel
def open_trial(plan, stream, desk):
    """Make arms and the stream of patients ready for a trial."""
    state = desk.state[0]
    state.arrivals = 0
    state.arrived = 0
    state.clocked = 0
    state.enrolled = 0
    state.known = 0
    state.ready = 0
    state.evaluable = 0
    state.placed = 0
    state.exhausted = 0
    state.decided = 0.0
    state.month = 0.0
    state.due = math.inf
    state.stale = 1
    state.waiting = desk.arms.shape[0]
    state.control = plan.control
    state.period = -1
    state.are_open = 0
    desk.clock[0] = 0.0
    ready = 0.0
    arms, strata = desk.cells.shape
    for number in range(arms):
        arm = desk.arms[number]
        arm.status = WAITING
        arm.queued = plan.enters_month[number]
        if math.isinf(arm.queued) and plan.enters_rate > 0.0:
            ready -= math.log(random.uniform(stream, number, random.ARM_ENTRY, 0)) / plan.enters_rate
            arm.queued = ready
        arm.ready = 0
        arm.opened = math.inf
        arm.last = 0.0
        arm.enrolled = 0
        arm.most = plan.most[number]
        arm.placed = 0
        arm.look = 0
        arm.settles = math.inf
        arm.verdict = 0
        for stratum in range(strata):
            desk.cells[number, stratum].places = 0
    for stratum in range(strata):
        desk.cells[0, stratum].upto = 0
    open_strata(plan.strata, desk)
    forget_arms(desk)


@kernel
def forget_arms(desk):
    """Clear what is known of the arms."""
    desk.state[0].known = 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.patients = 0
        arm.responses = 0
        arm.events = 0
        arm.months = 0.0
        arm.total = 0.0
        arm.squares = 0.0
        arm.control_patients = 0
        arm.control_responses = 0
        arm.control_events = 0
        arm.control_months = 0.0
        arm.control_total = 0.0
        arm.control_squares = 0.0


@kernel
def runs(arm):
    """Return whether the arm has entered and has not been decided on."""
    return arm.status in (OPEN, FULL)


@kernel
def takes_part(desk, number):
    """Return whether an arm takes part in comparisons: it has entered and has not been closed."""
    status = desk.arms[number].status
    return status not in (WAITING, ENDED)


@kernel
def is_open(arm):
    """Return whether the arm takes patients: it has entered, has a place, and no decision on it is out."""
    return (arm.status == OPEN or arm.status == CLOSING) and arm.enrolled < arm.most


@kernel
def let_arms_enter(plan, desk, month):
    """Open the arms whose time has come, in their order, as long as there are places."""
    state = desk.state[0]
    taken = 0
    for number in range(desk.arms.shape[0]):
        taken += 1 if number != state.control and is_open(desk.arms[number]) else 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if arm.status != WAITING or state.enrolled < plan.enters_patients[number] or arm.queued > month + A_MOMENT:
            continue
        if not arm.ready:
            arm.queued = month
        arm.ready = 1
        if number == plan.control or taken < plan.at_once:
            arm.status = OPEN
            arm.opened = month
            state.waiting -= 1
            taken += 1 if number != plan.control else 0
            state.stale = 1


@kernel
def next_comer(plan, stream, desk):
    """Return the month at which the next patient comes who has been neither taken nor turned away; inf if none does."""
    group = desk.state[0].clocked
    month = next_arrival(plan, stream, desk)
    if desk.state[0].clocked > group:
        random.write_eight(stream, random.ALLOCATION, group, desk.coming[3])
    return month


@kernel
def may_take(plan, desk):
    """Return whether some patient to come could be taken, as things stand or when an arm has entered."""
    state = desk.state[0]
    if state.enrolled >= plan.in_all:
        return False
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        comes = arm.status == WAITING and state.enrolled >= plan.enters_patients[number] and arm.queued < math.inf
        if number != state.control and (is_open(arm) or comes):
            return True
    return False


@kernel
def somebody_comes(plan, stream, desk):
    """Return whether there is a patient to come, and an arm that is open to him or may enter."""
    return may_take(plan, desk) and not math.isinf(next_comer(plan, stream, desk))


@kernel
def _eligible(plan, desk, stratum):
    """Return (arms that are open, arms open to the stratum), as bits; (., 0) where none but the control is."""
    are_open = 0
    eligible = 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if is_open(arm):
            are_open |= 1 << number
            eligible |= open_to(plan.strata, desk, number, stratum) << number
    others = eligible & ~(1 << desk.state[0].control) if desk.state[0].control >= 0 else eligible
    return are_open, eligible if others else 0


@kernel
def take_or_turn_away(plan, stream, desk, month):
    """Take the next patient, who comes at `month`, or turn him away; return his arm, or -1."""
    state = desk.state[0]
    arrival = state.arrivals
    lane = arrival & 7
    state.arrivals += 1
    if state.waiting:
        let_arms_enter(plan, desk, month)
    stratum = stratum_of(plan.upto, desk.coming[1, lane])
    are_open, eligible = _eligible(plan, desk, stratum)
    if eligible == 0:
        return -1
    if state.stale:
        state.stale = 0
        share_out(plan.allocation, plan, desk)
    number = draw_arm(plan.allocation, desk, desk.coming[3, lane], stratum, eligible)
    arm = desk.arms[number]
    person = desk.patients[state.enrolled]
    person.arrival = month
    person.stratum = stratum
    person.arm = number
    if are_open != state.are_open:
        state.period += 1
        state.are_open = are_open
    person.period = state.period
    person.matches = eligible if plan.controls == CONTROLS_ELIGIBLE else are_open
    if plan.controls == CONTROLS_ALL:
        person.matches = ALL_ARMS
    admit(plan.endpoint, stream, desk, state.enrolled, arrival, stratum, desk.coming[2, lane])
    note_early(plan.allocation, stream, desk, state.enrolled, arrival, stratum, desk.coming[2, lane])
    state.enrolled += 1
    state.arrived = state.arrivals
    arm.enrolled += 1
    arm.last = month
    if person.outcome != NOT_EVALUABLE:
        arm.placed += 1
        state.placed += 1
    if arm.enrolled >= arm.most and number != state.control:
        state.stale = 1
        if arm.status == OPEN:
            arm.status = FULL
    return number


@kernel
def share_controls(desk):
    """Compare each arm with all patients of the control."""
    control = desk.state[0].control
    if control < 0:
        return
    for number in range(desk.arms.shape[0]):
        compare_with_all(desk.arms[number], desk.arms[control])


@kernel
def compare_with_all(arm, control):
    """Compare the arm with all patients of the control."""
    arm.control_patients = control.patients
    arm.control_responses = control.responses
    arm.control_events = control.events
    arm.control_months = control.months
    arm.control_total = control.total
    arm.control_squares = control.squares


@kernel
def test_and_pool(endpoint, desk, pool_below):
    """Compare each arm with all patients of the control, where those of other times do not differ from its own."""
    control = desk.arms[desk.state[0].control]
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if number != desk.state[0].control and abs(times_differ(endpoint, arm, control)) < pool_below:
            compare_with_all(arm, control)


@kernel
def count_assessed_in_arms(delay, desk, month, upto):
    """Add the outcomes that have come due by `month`, of the first `upto` patients, to their arms and comparisons."""
    state = desk.state[0]
    control = state.control
    while state.known < upto and desk.patients[state.known].arrival <= month - delay + A_MOMENT:
        person = desk.patients[state.known]
        state.known += 1
        if person.outcome > RESPONSE:
            continue
        arm = desk.arms[person.arm]
        arm.patients += 1
        arm.responses += person.outcome
        if person.arm == control:
            for number in range(desk.arms.shape[0]):
                matches = (person.matches >> number) & 1
                desk.arms[number].control_patients += matches
                desk.arms[number].control_responses += matches * person.outcome
