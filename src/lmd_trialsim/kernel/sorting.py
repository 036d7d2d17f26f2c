"""Order statistics and orders, in place and without allocation."""

from __future__ import annotations

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


@kernel
def sort_by(values, count, order):
    """Write to order[:count] the positions that put values[:count] in ascending order, ties in order of position.

    Shell sort with Ciura's (2001) gaps: patients number some hundreds.
    """
    for position in range(count):
        order[position] = position
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
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
