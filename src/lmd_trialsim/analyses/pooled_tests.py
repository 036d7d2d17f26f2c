"""Exact tests of cells, each by itself or all as one, and the test that settles which.

Cunanan et al. (2017), Stat. Med. 36:1568-1579: one interim test of homogeneity, then a pooled test or one of each.
Chen et al. (2016), Stat. Biopharm. Res. 8:248-257: cells are pruned at an interim look, and those left are pooled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import gather, note_tests
from lmd_trialsim.kernel.special import beta_cdf

AS_LIKELY = 1e-7  # tables whose probabilities differ by less, in proportion, are as likely: as in R's fisher.test


class Untested(NamedTuple):
    """Cells that are judged by posteriors and counts, each by itself."""

    unused: int


class Tested(NamedTuple):
    """Cells that are tested, and may be judged as one from some look on."""

    null: np.ndarray  # (cells,) null rates; NaN where none is said
    from_look: int  # at this look (from 0) it is settled whether they are; no look where they never are
    above: float  # they are where the p-value of homogeneity is above this; below 0 where they always are
    at: int  # where the working numbers of the test begin in the scratch
    stride: int  # the most responses of all, and one


def scratch_of(most: list[int]) -> int:
    """Return the working numbers of the test of homogeneity. most: patients of each cell."""
    return (2 * (len(most) + 1) + 1) * (sum(most) + 1) + 4 * len(most)


@kernel
def _log_choose(n, x):
    return math.lgamma(n + 1.0) - math.lgamma(x + 1.0) - math.lgamma(n - x + 1.0)


@kernel
def _patients(desk, cell):
    """Return the patients of a cell that is judged at the look; 0 of others."""
    seen = desk.cells[0, cell]
    return seen.patients if seen.open and seen.due else 0


@kernel
def _bound_the_rest(plan, desk, total):
    """Write the largest and smallest log weight of tables of the cells from each on, by the responses left to them."""
    work, cells, stride = desk.scratch, desk.cells.shape[1], plan.stride
    high, low = plan.at, plan.at + (cells + 1) * stride
    weight = low + (cells + 1) * stride
    for left in range(total + 1):
        work[high + cells * stride + left] = 0.0 if left == 0 else -math.inf
        work[low + cells * stride + left] = 0.0 if left == 0 else math.inf
    for cell in range(cells - 1, -1, -1):
        n = _patients(desk, cell)
        for x in range(min(n, total) + 1):
            work[weight + x] = _log_choose(n, x)
        for left in range(total + 1):
            most, least = -math.inf, math.inf
            for x in range(min(n, left) + 1):
                rest = (cell + 1) * stride + left - x
                most = max(most, work[weight + x] + work[high + rest])
                least = min(least, work[weight + x] + work[low + rest])
            work[high + cell * stride + left] = most
            work[low + cell * stride + left] = least


@kernel
def homogeneity(plan, desk):
    """Return the two-sided p-value of Fisher's exact test of the cells that are judged (Freeman and Halton 1951).

    It sums the tables with the same margins that are no likelier than the one seen. They are walked through cell by
    cell; where all that is left to choose is likely enough, or unlikely enough, it is not walked through.
    """
    work, cells, stride = desk.scratch, desk.cells.shape[1], plan.stride
    total, left_n, cut = 0, 0, AS_LIKELY
    for cell in range(cells):
        n = _patients(desk, cell)
        if n > 0:
            total += desk.cells[0, cell].responses
            left_n += n
            cut += _log_choose(n, desk.cells[0, cell].responses)
    whole = _log_choose(left_n, total)
    _bound_the_rest(plan, desk, total)
    high, low = plan.at, plan.at + (cells + 1) * stride
    at = low + (cells + 2) * stride  # of each cell: responses tried, those left, log weight so far, patients behind it
    work[at], work[at + 1], work[at + 2], work[at + 3] = -1.0, total, 0.0, left_n - _patients(desk, 0)
    found, cell = 0.0, 0
    while cell >= 0:
        here = at + 4 * cell
        work[here] += 1.0
        x, n = int(work[here]), _patients(desk, cell)
        if x > min(n, int(work[here + 1])):
            cell -= 1
            continue
        rest, so_far = int(work[here + 1]) - x, work[here + 2] + _log_choose(n, x)
        behind = (cell + 1) * stride + rest
        if math.isinf(work[high + behind]) or so_far + work[low + behind] > cut:
            continue
        if so_far + work[high + behind] <= cut:
            found += math.exp(so_far + _log_choose(work[here + 3], rest) - whole)
            continue
        cell += 1
        work[here + 4], work[here + 5], work[here + 6] = -1.0, rest, so_far
        work[here + 7] = work[here + 3] - _patients(desk, cell)
    return min(found, 1.0)


@kernel
def binomial_p_value(n, x, null):
    """Return P(X >= x) of n patients at the null rate: the exact one-sided test."""
    return 1.0 if x == 0 else beta_cdf(float(x), n - x + 1.0, null)


@gather.case
def gather_none(pooling: Untested, desk, look):
    """Each cell is judged by itself."""


@gather.case
def gather_cells(pooling: Tested, desk, look):
    """Count the cells that are due, and test their homogeneity where it settles whether they are judged as one."""
    state = desk.state[0]
    state.asked, state.pool_patients, state.pool_responses = 0, 0, 0
    for cell in range(desk.cells.shape[1]):
        seen = desk.cells[0, cell]
        if seen.open and seen.due:
            state.asked += 1
            state.pool_patients += seen.patients
            state.pool_responses += seen.responses
    if state.pooled < 0 and state.asked > 0 and look >= pooling.from_look:
        state.pooled = 1
        if pooling.above >= 0.0:
            state.homogeneity = homogeneity(pooling, desk)
            state.pooled = 1 if state.homogeneity > pooling.above else 0


@note_tests.case
def note_none(pooling: Untested, desk, cell, answers):
    """There are no tests."""


@note_tests.case
def note_p_values(pooling: Tested, desk, cell, answers):
    """Write the responses that rules are asked of, the p-value, and Bonferroni's, times the cells that are judged."""
    n, x, times = desk.cells[0, cell].patients, desk.cells[0, cell].responses, desk.state[0].asked
    if desk.state[0].pooled == 1:
        n, x, times = desk.state[0].pool_patients, desk.state[0].pool_responses, 1
    desk.answers[answers] = x
    p_value = binomial_p_value(n, x, pooling.null[cell])
    desk.answers[answers + 2] = p_value
    desk.answers[answers + 3] = min(1.0, times * p_value)
