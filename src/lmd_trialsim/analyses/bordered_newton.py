"""The mode of a log posterior density by Newton's method, where levels follow each other and a border goes with all.

Variables are levels, of which neighbours are tied by a random walk, then those of the border: strata, intervals, arms.
Minus the curvature is a band with a border, and so is its Cholesky factor: that of ten arms and thirty levels takes a
few microseconds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.analyses.regression_cells import TERMS, WIDTH
from lmd_trialsim.kernel.jit import kernel, long_kernel
from lmd_trialsim.kernel.seams import bends, cell_terms

MOST_STEPS = 200
LONGEST = 4.0
"""The first steps, of a logit or a log hazard, are no longer: exponentials may overshoot."""

ROUNDING = 1e-12
"""Of a log density, what is no difference."""

CONVERGED = 1e-9
"""A step that is so short, against the variable, is the last."""


class Levels(NamedTuple):
    """The prior of the levels."""

    order: int  # 0: each by itself; 1 or 2: differences of that order between neighbours are normal
    mean: float  # of each; in a random walk, of the last one
    precision: float  # 1 / variance of that
    ties: int  # so many of the last variables are normal about the one before them, with the precision of the walk


@kernel
def first_column(order, buckets, row):
    """Return the first column of the row that may be other than 0."""
    return max(0, row - order) if row < buckets else 0


@kernel
def _add_prior(levels, layout, buckets, walk, x, slope, matrix):
    """Return the log prior density at x; write its slope, and minus its curvature, to what is empty."""
    size = buckets + layout.mean.shape[0]
    value = 0.0
    for place in range(size):
        slope[place] = 0.0
        for column in range(first_column(levels.order, buckets, place), place + 1):
            matrix[place * size + column] = 0.0
    for place in range(size):
        own = place >= buckets
        mean = layout.mean[place - buckets] if own else levels.mean
        precision = layout.precision[place - buckets] if own else levels.precision
        if own or levels.order == 0 or place == buckets - 1:
            away = x[place] - mean
            value -= 0.5 * precision * away * away
            slope[place] -= precision * away
            matrix[place * size + place] += precision
    value += _add_ties(levels, size, walk, x, slope, matrix)
    if levels.order == 0:
        return value
    for bucket in range(buckets - 1):
        beyond = 1.0 if levels.order == 2 and bucket < buckets - 2 else 0.0
        step = x[bucket] - (1.0 + beyond) * x[bucket + 1]
        if beyond > 0.0:
            step += x[bucket + 2]
        value -= 0.5 * walk * step * step
        for row in range(3 if beyond > 0.0 else 2):
            by_row = -(1.0 + beyond) if row == 1 else 1.0
            slope[bucket + row] -= walk * by_row * step
            for column in range(row + 1):
                by_column = -(1.0 + beyond) if column == 1 else 1.0
                matrix[(bucket + row) * size + bucket + column] += walk * by_row * by_column
    return value


@kernel
def _add_ties(levels, size, walk, x, slope, matrix):
    """Return what the ties add to the log prior density; add their slope and curvature."""
    centre, value = size - levels.ties - 1, 0.0
    for place in range(size - levels.ties, size):
        away = x[place] - x[centre]
        value -= 0.5 * walk * away * away
        slope[place] -= walk * away
        slope[centre] += walk * away
        matrix[place * size + place] += walk
        matrix[centre * size + centre] += walk
        matrix[place * size + centre] -= walk
    return value


@kernel
def _add_cells(likelihood, cells, count, size, x, slope, matrix):
    """Return the log likelihood of the cells at x; add its slope, and minus its curvature."""
    value = 0.0
    for cell in range(count):
        at = WIDTH * cell + 2
        eta = 0.0
        for term in range(TERMS):
            place = int(cells[at + term])
            eta += x[place] if place >= 0 else 0.0
        here, rise, bend = cell_terms(likelihood, cells[at - 2], cells[at - 1], eta)
        value += here
        for term in range(TERMS):
            row = int(cells[at + term])
            if row < 0:
                continue
            slope[row] += rise
            for other in range(term + 1):
                column = int(cells[at + other])
                if column >= 0:
                    matrix[row * size + column] += bend
    return value


@kernel
def _pin(pinned, size, slope, matrix):
    """Hold a variable where it is."""
    for place in range(size):
        matrix[pinned * size + place] = 0.0
        if place > pinned:
            matrix[place * size + pinned] = 0.0
    matrix[pinned * size + pinned] = 1.0
    slope[pinned] = 0.0


@kernel
def _factor(order, buckets, size, matrix):
    """Put Cholesky's factor in the place of the matrix; return the logarithm of its determinant."""
    log_determinant = 0.0
    for row in range(size):
        first = first_column(order, buckets, row)
        for column in range(first, row + 1):
            entry = matrix[row * size + column]
            for k in range(max(first, first_column(order, buckets, column)), column):
                entry -= matrix[row * size + k] * matrix[column * size + k]
            if column < row:
                matrix[row * size + column] = entry / matrix[column * size + column]
            else:
                log_determinant += math.log(entry)
                matrix[row * size + row] = math.sqrt(entry)
    return log_determinant


@kernel
def solve(order, buckets, size, matrix, x):
    """Put the solution of the system of the factor in the place of its right-hand side."""
    for row in range(size):
        entry = x[row]
        for k in range(first_column(order, buckets, row), row):
            entry -= matrix[row * size + k] * x[k]
        x[row] = entry / matrix[row * size + row]
    for row in range(size - 1, -1, -1):
        x[row] /= matrix[row * size + row]
        for k in range(first_column(order, buckets, row), row):
            x[k] -= matrix[row * size + k] * x[row]


@kernel
def _move(x, kept, step, size, bent):
    """Keep x, and move it by the step, or in its direction where the log density bends; return the relative length."""
    longest, relative = 0.0, 0.0
    for place in range(size):
        longest = max(longest, abs(step[place]))
        relative = max(relative, abs(step[place]) / max(abs(x[place]), 1.0))
    part = min(LONGEST / longest, 1.0) if bent and longest > 0.0 else 1.0
    for place in range(size):
        kept[place] = x[place]
        x[place] += part * step[place]
    return relative


@long_kernel
def find_mode(model, cells, count, buckets, walk, pinned, x, kept, slope, matrix):
    """Move x to the mode, the variable `pinned` held where it is; -1: none is.

    A step of Newton's method after which the density would be lower is halved until it is not. Returns (log density,
    log determinant of minus the curvature of the others, slope of the pinned variable); the factor is left in the
    matrix. kept: as long as x, at work.
    """
    size = buckets + model.layout.mean.shape[0]
    order = model.levels.order
    value, log_determinant, held, highest = 0.0, 0.0, 0.0, -math.inf
    for _ in range(MOST_STEPS):
        value = _add_prior(model.levels, model.layout, buckets, walk, x, slope, matrix)
        value += _add_cells(model.likelihood, cells, count, size, x, slope, matrix)
        if value < highest - ROUNDING * (1.0 + abs(highest)):
            for place in range(size):
                x[place] = 0.5 * (x[place] + kept[place])
            continue
        highest = value
        if pinned >= 0:
            held = slope[pinned]
            _pin(pinned, size, slope, matrix)
        log_determinant = _factor(order, buckets, size, matrix)
        solve(order, buckets, size, matrix, slope)
        if _move(x, kept, slope, size, bends(model.likelihood)) < CONVERGED:
            break
    return value, log_determinant, held
