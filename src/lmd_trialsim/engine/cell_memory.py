"""What the model says of the cells at a look, remembered: trials come to the same counts again and again.

Cells that the model treats alike are put in order of their counts first, so that data that differ by their order only
are one entry, and what is said of it does not depend on who asked first: the same bits, whatever was played before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import borrowed, consult, counted, posterior_moments, posterior_tail, weigh

ENTRIES = 1 << 16
"""Data that are remembered at a time, by a thread."""

MEAN, SQUARE = 0, 1
TAILS = 2
"""Of each cell: posterior mean, mean square, then the tail beyond each bound."""


class Likeness(NamedTuple):
    """Which cells are alike: the cells in order of their kind, and the kind of each of these."""

    order: np.ndarray  # (cells,) a permutation
    kind: np.ndarray  # (cells,) of cell order[i]; not falling


@kernel
def _less(cells, a, b):
    """Return whether cell a has fewer patients than cell b, or as many and fewer responses."""
    return cells[0, a].patients < cells[0, b].patients or (
        cells[0, a].patients == cells[0, b].patients and cells[0, a].responses < cells[0, b].responses
    )


@kernel
def sort_cells(likeness, desk):
    """Write to desk.order the cells, those of a kind in order of their counts; return a hash of the counts."""
    cells = desk.cells
    count = cells.shape[1]
    order = desk.order
    mixed = 1469598103934665603
    for place in range(count):
        moving = likeness.order[place]
        at = place
        while at > 0 and likeness.kind[at - 1] == likeness.kind[place] and _less(cells, moving, order[at - 1]):
            order[at] = order[at - 1]
            at -= 1
        order[at] = moving
    for place in range(count):
        cell = cells[0, order[place]]
        mixed = (mixed ^ (cell.patients * 8191 + cell.responses)) * 1099511628211
    return (mixed ^ (mixed >> 29)) & (ENTRIES - 1)


@kernel
def _known(desk, entry):
    for place in range(desk.cells.shape[1]):
        cell = desk.cells[0, desk.order[place]]
        if desk.memory_key[entry, place] != cell.patients * 1_000_000 + cell.responses:
            return False
    return True


@kernel
def _ask(model, likeness, desk, entry, bounds):
    """Ask the model of the counts in their order, and remember what it says."""
    cells = desk.cells
    count = cells.shape[1]
    for place in range(count):
        cell = cells[0, desk.order[place]]
        desk.memory_key[entry, place] = cell.patients * 1_000_000 + cell.responses
    for place in range(count):
        _set_counts(cells[0, likeness.order[place]], desk.memory_key[entry, place])
    weigh(model, desk)
    said = desk.memory[entry]
    of_cell = TAILS + bounds
    for place in range(count):
        cell = likeness.order[place]
        at = place * of_cell
        if place > 0 and _like_the_one_before(likeness, desk, entry, place):
            for number in range(of_cell):
                said[at + number] = said[at - of_cell + number]
            continue
        said[at + MEAN], said[at + SQUARE] = posterior_moments(model, desk, cell)
        for bound in range(bounds):
            said[at + TAILS + bound] = posterior_tail(model, desk, cell, bound)
    for place in range(count):  # as they were
        _set_counts(cells[0, desk.order[place]], desk.memory_key[entry, place])


@kernel
def _like_the_one_before(likeness, desk, entry, place):
    """Return whether the cell is alike to the one before in the order, in kind and in counts."""
    kind, key = likeness.kind, desk.memory_key
    return kind[place] == kind[place - 1] and key[entry, place] == key[entry, place - 1]


@kernel
def _set_counts(cell, key):
    cell.patients = key // 1_000_000
    cell.responses = key % 1_000_000


@consult.case
def consult_memory(likeness: Likeness, model, desk, bounds):
    """Look the counts up, or ask the model and remember what it says."""
    first = sort_cells(likeness, desk)
    entry = first if _known(desk, first) else first ^ 1  # data have two places, for two of one hash
    if not _known(desk, entry):
        entry = first if desk.memory_key[first, 0] < 0 or desk.memory_key[entry, 0] >= 0 else entry
        _ask(model, likeness, desk, entry, bounds)
    for place in range(desk.cells.shape[1]):
        desk.cells[0, desk.order[place]].said = place * (TAILS + bounds)
    return entry


@counted.case
def count_responses(likeness: Likeness, desk, cell):
    """Responses."""
    return desk.cells[0, cell].responses


@borrowed.case
def borrowed_patients(likeness: Likeness, mean, square, desk, cell):
    """Return the patients of a beta distribution with this mean and mean square, less the cell's own."""
    variance = square - mean * mean
    return mean * (1.0 - mean) / variance - 1.0 - desk.cells[0, cell].patients if variance > 0.0 else math.nan
