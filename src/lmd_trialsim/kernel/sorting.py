"""Order statistics and orders, in place and without allocation."""

from __future__ import annotations

import math

from lmd_trialsim.kernel.jit import kernel


@kernel
def kth_smallest(values, count, k):
    """Return the k-th smallest (from 0) of values[:count], which are left in another order (Hoare 1961, find)."""
    low = 0
    high = count - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left = low
        right = high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if k <= right:
            high = right
        elif k >= left:
            low = left
        else:
            break
    return values[k]


COUNTED = 1000
"""Up to so many values, counting how many are smaller is faster than any sort that branches: it vectorises."""


@kernel
def _sort_by_counting(values, count, order):
    # Vectors of 32: with a length that they divide no value is left to be compared alone.
    padded = (count + 31) & ~31
    for position in range(count, padded):
        values[position] = math.inf
    for position in range(count):
        order[position] = -1
    for position in range(count):
        value = values[position]
        place = 0
        for other in range(padded):
            place += values[other] < value
        while order[place] >= 0:  # Equal values: the next free place, so in order of position.
            place += 1
        order[place] = position


@kernel
def sort_by(values, count, order):
    """Write to order[:count] the positions that put values[:count] in ascending order, ties in order of position.

    `values` has room up to the next multiple of 32, and what stands there is lost. Trials of usual size are sorted by
    counting (Knuth 1998, The Art of Computer Programming 3, section 5.2, algorithm C), larger ones by Shell's sort with
    Ciura's (2001) gaps.
    """
    if count <= COUNTED:
        _sort_by_counting(values, count, order)
        return
    for position in range(count):
        order[position] = position
    for gap in (16001, 7103, 3157, 1403, 701, 301, 132, 57, 23, 10, 4, 1):
        for position in range(gap, count):
            moving = order[position]
            value = values[moving]
            place = position
            while place >= gap and (
                values[order[place - gap]] > value
                or (values[order[place - gap]] == value and order[place - gap] > moving)
            ):
                order[place] = order[place - gap]
                place -= gap
            order[place] = moving
