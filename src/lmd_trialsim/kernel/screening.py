"""Screening: patients come one after another, and are taken where their cell is open and has a place for them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.blocks import draw_from_block
from lmd_trialsim.kernel.desk import NOT_EVALUABLE, RESPONSE
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import admit, write_arrivals

CLOSED = 2
"""state.exhausted where the trial closed as it stood."""

ALL_PAUSE, EACH_PAUSES = 1, 2
"""Screening.pauses: nobody is taken while a look is decided on; no more are taken in a cell than its own look needs."""

READY, STUCK, WAITS = 0, 1, 2
"""What a look lacks: nothing; patients who will not come; patients who may."""


class Screening(NamedTuple):
    """Who comes, what becomes of them, and what the cells take. Arrays are (cells,)."""

    accrual: Any
    upto: np.ndarray  # (strata,) cumulative shares of the strata, the last one 1
    cell_of: np.ndarray  # (strata,) the cell of each stratum, -1 where none takes it
    endpoint: Any
    purpose: int  # of the uniform that decides what becomes of a patient
    most: np.ndarray  # patients that a cell takes at most
    opens: np.ndarray  # month at which it opens
    slow_month: np.ndarray  # by this month it must have so many patients, or it closes; inf where it need not
    slow_least: np.ndarray
    in_all: int  # patients that all cells take together at most
    exist: int  # patients who come at all, taken or turned away
    closes: float  # month at which the trial closes as it stands; inf where it does not
    pauses: int  # 0 where accrual goes on at looks
    places: np.ndarray  # (arms,) of each arm in a permuted block of a cell


@kernel
def open_cells(plan, desk):
    """Make the cells and the stream of patients ready for a trial."""
    state = desk.state[0]
    state.arrivals = 0
    state.clocked = 0
    state.enrolled = 0
    state.known = 0
    state.placed = 0
    state.wanted = plan.in_all
    state.exhausted = 0
    state.pooled = -1
    state.homogeneity = math.nan
    state.decided = 0.0
    state.checked = math.inf
    desk.clock[0] = 0.0
    for number in range(desk.cells.shape[1]):
        cell = desk.cells[0, number]
        cell.open = 1
        cell.enrolled = 0
        cell.placed = 0
        cell.wanted = plan.most[number]
        cell.look = 0
        for arm in range(desk.cells.shape[0]):
            desk.cells[arm, number].places = 0
            desk.cells[arm, number].patients = 0
            desk.cells[arm, number].responses = 0
        state.checked = min(state.checked, plan.slow_month[number])


@kernel
def next_arrival(plan, stream, desk):
    """Return the month at which the next patient comes who has been neither taken nor turned away; inf if none does."""
    state = desk.state[0]
    if state.arrivals >= plan.exist:
        return math.inf
    group = state.arrivals >> 3
    if group >= state.clocked:
        write_arrivals(plan.accrual, stream, desk, group)
        random.write_eight(stream, random.STRATUM, group, desk.coming[1])
        random.write_eight(stream, plan.purpose, group, desk.coming[2])
        state.clocked = group + 1
    return desk.coming[0, state.arrivals & 7]


@kernel
def stratum_of(upto, chance):
    """Return the stratum that `chance` draws by the cumulative shares."""
    stratum = 0
    for before in range(upto.shape[0] - 1):  # a sum: no branch that could be foretold wrongly
        stratum += 1 if chance >= upto[before] else 0
    return stratum


@kernel
def takes(plan, desk, number, month):
    """Return whether the cell has a place for a patient who comes at `month`."""
    cell, state = desk.cells[0, number], desk.state[0]
    if not cell.open or cell.placed >= cell.wanted or cell.enrolled >= plan.most[number] or month < plan.opens[number]:
        return False
    if state.enrolled >= plan.in_all or state.placed >= state.wanted:
        return False
    return plan.pauses != ALL_PAUSE or month >= state.decided


@kernel
def allocate_in_cell(plan, stream, desk, number, arrival):
    """Return the arm of the patient who came as number `arrival`: a draw from what is left of the cell's open block."""
    if plan.places.shape[0] == 1:
        return 0
    return draw_from_block(desk, plan.places, number, random.uniform(stream, arrival, random.ALLOCATION, 0))


@kernel
def evaluable_in(desk, number):
    """Return the evaluable patients of a cell, in all arms."""
    patients = 0
    for arm in range(desk.cells.shape[0]):
        patients += desk.cells[arm, number].patients
    return patients


@kernel
def screen(plan, stream, desk, month):
    """Take the next patient, who comes at `month`, or turn him away; return the cell that took him, or -1."""
    state = desk.state[0]
    lane = state.arrivals & 7
    arrival = state.arrivals
    state.arrivals += 1
    if month > state.checked:
        close_slow_cells(plan, desk, month)
    stratum = stratum_of(plan.upto, desk.coming[1, lane])
    number = plan.cell_of[stratum]
    if number < 0 or not takes(plan, desk, number, month):
        return -1
    person = desk.patients[state.enrolled]
    person.arrival = month
    person.stratum = number
    person.arm = allocate_in_cell(plan, stream, desk, number, arrival)
    admit(plan.endpoint, stream, desk, state.enrolled, arrival, stratum, desk.coming[2, lane])
    state.enrolled += 1
    cell = desk.cells[0, number]
    cell.enrolled += 1
    if person.outcome != NOT_EVALUABLE:
        cell.placed += 1
        state.placed += 1
    return number


@kernel
def screen_until(plan, stream, desk, month):
    """Take or turn away everybody who comes by `month`."""
    if math.isinf(month):
        return
    arrival = next_arrival(plan, stream, desk)
    while arrival <= month + A_MOMENT:
        screen(plan, stream, desk, arrival)
        arrival = next_arrival(plan, stream, desk)


@kernel
def close_slow_cells(plan, desk, month):
    """Close the cells that had too few patients by their month; those taken stay in the analysis."""
    following = math.inf
    for number in range(desk.cells.shape[1]):
        by = plan.slow_month[number]
        if by > month:
            following = min(following, by)
        elif desk.cells[0, number].open and desk.cells[0, number].enrolled < plan.slow_least[number]:
            desk.cells[0, number].open = 0
    desk.state[0].checked = following


@kernel
def month_of_place(desk, number, place):
    """Return the month at which the cell (-1: any) took its patient number `place` (from 1) among those with a place.

    Where it has fewer, that of its last patient; 0 where it has none.
    """
    month = 0.0
    left = place
    for patient in range(desk.state[0].enrolled):
        person = desk.patients[patient]
        if person.stratum == number or number < 0:
            month = person.arrival
            left -= 1 if person.outcome != NOT_EVALUABLE else 0
            if left <= 0:
                break
    return month


@kernel
def last_assessed(desk, delay):
    """Return when the last patient has been assessed; 0 where there is none."""
    enrolled = desk.state[0].enrolled
    return desk.patients[enrolled - 1].arrival + delay if enrolled > 0 else 0.0


@kernel
def any_open(desk):
    """Return whether a cell is open."""
    for number in range(desk.cells.shape[1]):
        if desk.cells[0, number].open:
            return True
    return False


@kernel
def count_assessed(delay, desk, month):
    """Add the patients whose assessment has come due by `month` to the counts of their cells."""
    state = desk.state[0]
    while state.known < state.enrolled and desk.patients[state.known].arrival <= month - delay + A_MOMENT:
        person = desk.patients[state.known]
        if person.outcome <= RESPONSE:
            cell = desk.cells[person.arm, person.stratum]
            cell.patients += 1
            cell.responses += person.outcome
        state.known += 1
