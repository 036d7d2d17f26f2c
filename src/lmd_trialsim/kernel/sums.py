"""Sums of numbers as whole numbers: exact, so that no order of adding up, no thread and no chunk changes them."""

from __future__ import annotations

import math

import numpy as np

from lmd_trialsim.kernel.jit import door, kernel

UNIT = 2.0**30
LARGEST = 700.0
"""Larger numbers are counted as this: their squares still fit when a chunk is added up."""

COUNT, FIRST, SECOND, FOURTH = 0, 1, 2, 3


@kernel
def _whole(value):
    """Return the number in units of 2 ** -30."""
    return int(np.rint(min(max(value, -LARGEST * LARGEST), LARGEST * LARGEST) * UNIT))


@door
def add_up(values, group, sums):
    """Add the finite values, (rows, columns), of the rows of each group to sums, (groups, columns, 4).

    sums[..., COUNT] counts them; FIRST, SECOND, FOURTH are sums of the values, their squares and the squares' squares.
    """
    for row in range(values.shape[0]):
        total = sums[group[row]]
        for place in range(values.shape[1]):
            value = values[row, place]
            if math.isfinite(value):
                value = min(max(value, -LARGEST), LARGEST)
                square = value * value
                total[place, COUNT] += 1
                total[place, FIRST] += _whole(value)
                total[place, SECOND] += _whole(square)
                total[place, FOURTH] += _whole(square * square)
