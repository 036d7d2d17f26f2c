"""Cells whose data hardly ever come again, as times or the counts of two arms: the model is asked anew at each look."""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.engine.cell_memory import MEAN, SQUARE, TAILS
from lmd_trialsim.kernel.seams import borrowed, consult, counted, posterior_moments, posterior_tail, weigh


class Anew(NamedTuple):
    """The data of such cells."""

    entry: int  # of desk.memory that is written over


@consult.case
def consult_anew(data: Anew, model, desk, bounds):
    """Ask the model of every cell."""
    weigh(model, desk)
    said = desk.memory[data.entry]
    for number in range(desk.cells.shape[1]):
        at = number * (TAILS + bounds)
        said[at + MEAN], said[at + SQUARE] = posterior_moments(model, desk, number)
        for bound in range(bounds):
            said[at + TAILS + bound] = posterior_tail(model, desk, number, bound)
        desk.cells[0, number].said = at
    return data.entry


@counted.case
def count_in_all_arms(data: Anew, desk, cell):
    """Events, or responses, of all arms: the endpoint has one of the two."""
    total = 0
    for arm in range(desk.cells.shape[0]):
        total += desk.cells[arm, cell].events + desk.cells[arm, cell].responses
    return total


@borrowed.case
def borrowed_events(data: Anew, mean, square, desk, cell):
    """Return the events that tell a log hazard as well as the posterior does, 1 / variance, less the cell's own.

    NaN of two arms, whose contrast no such number tells.
    """
    variance = square - mean * mean
    if desk.cells.shape[0] > 1 or variance <= 0.0:
        return math.nan
    return 1.0 / variance - desk.cells[0, cell].events
