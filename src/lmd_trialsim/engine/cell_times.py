"""Cells whose data are times to an event: no two trials have the same, so the model is asked anew at each look."""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.engine.cell_memory import MEAN, SQUARE, TAILS
from lmd_trialsim.kernel.seams import borrowed, consult, counted, posterior_moments, posterior_tail, weigh


class Times(NamedTuple):
    """The data of cells that are followed."""

    entry: int  # of desk.memory that is written over


@consult.case
def consult_anew(data: Times, model, desk, bounds):
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
def count_events(data: Times, desk, cell):
    """Events."""
    return desk.cells[0, cell].events


@borrowed.case
def borrowed_events(data: Times, mean, square, desk, cell):
    """Return the events that tell a log hazard as well as the posterior does, 1 / variance, less the cell's own."""
    variance = square - mean * mean
    return 1.0 / variance - desk.cells[0, cell].events if variance > 0.0 else math.nan
