"""What a regression of all arms sees of the patients: cells of those who are alike, and how likely these are.

Patients of one arm, stratum, time of entry and interval of follow-up share their linear predictor eta; a cell holds two
numbers of them that the likelihood needs, and the places of what eta adds up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.kernel.desk import RESPONSE
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import (
    bends,
    cell_terms,
    samples_of_stratum,
    sort_into_cells,
    time_of_entry,
    unit_information,
)

TERMS = 4
"""Of a linear predictor: the level at the time of entry, the stratum's, the interval's, and the arm's effect."""

WIDTH = 2 + TERMS
"""Numbers of a cell: amount, total, and which variable each term is; -1 where there is none."""


class Logistic(NamedTuple):
    """Yes or no, eta the logit. Amount: patients; total: those with the outcome."""


class Gaussian(NamedTuple):
    """Values of known variance about eta. Amount: values; total: their sum."""

    information: float  # 1 / variance


class Exponential(NamedTuple):
    """Times to an event, eta the log hazard a month. Amount: patient-months; total: events."""

    start: np.ndarray  # (intervals,) month of follow-up at which each begins, the first one 0


class ByPeriod(NamedTuple):
    """A level for each period: one lasts as long as the same arms are open."""


class ByMonths(NamedTuple):
    """A level for so many months of entry each."""

    width: float


class ByPatients(NamedTuple):
    """A level for so many patients each, in the order of their entry."""

    size: int


class Layout(NamedTuple):
    """The variables of a regression, in order: a level for each time of entry, then those of the border."""

    time: Any
    buckets: int  # times of entry at most; patients who come later are of the last one
    strata: int  # with effects of their own; 0 where there are none
    intervals: int  # of follow-up with effects of their own; 0 where there are none
    arms: int  # the control among them, which has none
    precision: np.ndarray  # (border,) 1 / variance of the normal prior of each
    mean: np.ndarray  # (border,)
    cells: int  # that there can be


@time_of_entry.case
def period_of_entry(time: ByPeriod, desk, patient):
    """As noted when the patient came."""
    return desk.patients[patient].period


@time_of_entry.case
def months_of_entry(time: ByMonths, desk, patient):
    """By the calendar."""
    return int(desk.patients[patient].arrival / time.width)


@time_of_entry.case
def order_of_entry(time: ByPatients, desk, patient):
    """By their numbers."""
    return patient // time.size


@kernel
def _bucket(layout, desk, patient):
    return min(time_of_entry(layout.time, desk, patient), layout.buckets - 1)


@kernel
def _first_place(layout, desk, patient):
    """Return where the cell of the patient's first interval is in the table; the next one is `buckets` further."""
    person = desk.patients[patient]
    stratum = person.stratum if layout.strata else 0
    row = (person.arm * max(layout.strata, 1) + stratum) * max(layout.intervals, 1)
    return row * layout.buckets + _bucket(layout, desk, patient)


@sort_into_cells.case
def sort_outcomes(likelihood: Logistic | Gaussian, layout, desk, table):
    """Numbers and sums of those who have been assessed."""
    for patient in range(desk.state[0].known):
        person = desk.patients[patient]
        if person.outcome <= RESPONSE:
            place = 2 * _first_place(layout, desk, patient)
            table[place] += 1.0
            table[place + 1] += person.value


@sort_into_cells.case
def sort_times(likelihood: Exponential, layout, desk, table):
    """Months and events in each interval of the follow-up."""
    for patient in range(desk.state[0].known):
        person = desk.patients[patient]
        place = 2 * _first_place(layout, desk, patient)
        last = likelihood.start.shape[0] - 1
        for interval in range(last + 1):
            begins = likelihood.start[interval]
            ends = likelihood.start[interval + 1] if interval < last else math.inf
            if person.follow > begins:
                table[place] += min(person.follow, ends) - begins
                table[place + 1] += person.status if person.follow <= ends else 0
            place += 2 * layout.buckets


@kernel
def gather_cells(likelihood, layout, desk, table, cells):
    """Write the cells that hold something; return (how many they are, how many times of entry have been met).

    table: (cells, 2) at work. cells: (cells, WIDTH).
    """
    for place in range(table.shape[0]):
        table[place] = 0.0
    sort_into_cells(likelihood, layout, desk, table)
    known = desk.state[0].known
    buckets = _bucket(layout, desk, known - 1) + 1 if known > 0 else 1
    count = 0
    strata, intervals = max(layout.strata, 1), max(layout.intervals, 1)
    for row in range(layout.arms * strata * intervals):
        arm, stratum, interval = row // (strata * intervals), row // intervals % strata, row % intervals
        for bucket in range(buckets):
            place = 2 * (row * layout.buckets + bucket)
            if table[place] > 0.0:
                at = WIDTH * count
                cells[at] = table[place]
                cells[at + 1] = table[place + 1]
                cells[at + 2] = bucket
                cells[at + 3] = buckets + stratum if layout.strata else -1
                cells[at + 4] = buckets + layout.strata + interval if layout.intervals else -1
                cells[at + 5] = buckets + layout.strata + layout.intervals + arm - 1 if arm else -1
                count += 1
    return count, buckets


@cell_terms.case
def logistic_terms(likelihood: Logistic, amount, total, eta):
    """Of total responses of amount patients."""
    small = math.exp(-abs(eta))
    rate = 1.0 / (1.0 + small) if eta >= 0.0 else small / (1.0 + small)
    value = total * eta - amount * (max(eta, 0.0) + math.log1p(small))
    return value, total - amount * rate, amount * rate * (1.0 - rate)


@cell_terms.case
def gaussian_terms(likelihood: Gaussian, amount, total, eta):
    """Of amount values with this sum; what does not depend on eta is left out."""
    value = likelihood.information * eta * (total - 0.5 * amount * eta)
    return value, likelihood.information * (total - amount * eta), likelihood.information * amount


@cell_terms.case
def exponential_terms(likelihood: Exponential, amount, total, eta):
    """Of total events in amount months."""
    expected = amount * math.exp(min(eta, 300.0))
    return total * eta - expected, total - expected, expected


@bends.case
def rates_bend(likelihood: Logistic | Exponential):
    """Their variance goes with the mean."""
    return True


@bends.case
def means_do_not_bend(likelihood: Gaussian):
    """Their variance is known."""
    return False


@unit_information.case
def unit_of_odds(likelihood: Logistic, arm):
    """Of the log odds ratio, half of the patients in either arm; by rates with half a response and failure more."""
    own = (arm.responses + 0.5) / (arm.patients + 1.0)
    other = (arm.control_responses + 0.5) / (arm.control_patients + 1.0)
    return 2.0 / (own * (1.0 - own)) + 2.0 / (other * (1.0 - other))


@unit_information.case
def unit_of_means(likelihood: Gaussian, arm):
    """Of the difference of two means, half of the patients in either arm."""
    return 4.0 / likelihood.information


@unit_information.case
def unit_of_hazards(likelihood: Exponential, arm):
    """Of the log hazard ratio, by events (Schoenfeld 1981)."""
    return 4.0


@samples_of_stratum.case
def responses_of_stratum(likelihood: Logistic, arm):
    """Patients and responses."""
    return float(arm.control_patients), float(arm.control_responses), float(arm.patients), float(arm.responses)


@samples_of_stratum.case
def values_of_stratum(likelihood: Gaussian, arm):
    """Values and their sums."""
    return float(arm.control_patients), arm.control_total, float(arm.patients), arm.total


@samples_of_stratum.case
def times_of_stratum(likelihood: Exponential, arm):
    """Patient-months and events."""
    return arm.control_months, float(arm.control_events), arm.months, float(arm.events)
