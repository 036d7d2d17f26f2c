"""Regression of all arms together on arm and period: controls of other times count, adjusted for the time.

A period lasts as long as the same arms are open. With n(a, p) values and their sums S(a, p), least squares of an
additive model of arm and period come down, once the periods are eliminated, to one linear system of the arms
(Lee and Wason 2020, section 2; Bofill Roig et al. 2022, model 2: stepwise time trend of all arms).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.analyses.arm_tests import is_a_test
from lmd_trialsim.kernel.desk import RESPONSE
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import weigh_arms

DETACHED = 1e-9
"""A pivot that is so small, against the arm's own number, says that no chain of common periods leads to the control."""


ROUNDING = 1e-12
"""Of the sum of squares, what rounding leaves of nothing."""


class PeriodRegression(NamedTuple):
    """Ordinary least squares with one variance for all."""

    periods: int  # that there can be
    sign: float  # 1 where the larger value is the better one, else -1
    bound: np.ndarray  # (bounds,) differences
    truth: np.ndarray  # (arms,) true differences


@kernel
def _tabulate(analysis, desk):
    """Write numbers and sums of each arm and period to the scratch; return (values, sum of squares)."""
    arms, periods = desk.arms.shape[0], analysis.periods
    table = desk.scratch
    for place in range(2 * arms * periods):
        table[place] = 0.0
    values, squares = 0, 0.0
    for patient in range(desk.state[0].known):
        person = desk.patients[patient]
        if person.outcome <= RESPONSE:
            at = 2 * (person.arm * periods + person.period)
            table[at] += 1.0
            table[at + 1] += person.value
            values += 1
            squares += person.value * person.value
    return values, squares


@kernel
def _set_up(analysis, desk):
    """Write the system of the arms without the control; return (periods with values, what they explain).

    On the scratch behind the table: the matrix, (arms, arms), then the right-hand side, (arms,).
    """
    arms, periods = desk.arms.shape[0], analysis.periods
    table, first = desk.scratch, 2 * desk.arms.shape[0] * analysis.periods
    right = first + arms * arms
    for place in range(first, right + arms):
        table[place] = 0.0
    used, explained = 0, 0.0
    for period in range(periods):
        number, total = 0.0, 0.0
        for arm in range(arms):
            number += table[2 * (arm * periods + period)]
            total += table[2 * (arm * periods + period) + 1]
        if number == 0.0:
            continue
        used += 1
        explained += total * total / number
        for arm in range(arms):
            own = table[2 * (arm * periods + period)]
            table[right + arm] += table[2 * (arm * periods + period) + 1] - own * total / number
            table[first + arm * arms + arm] += own
            for other in range(arms):
                table[first + arm * arms + other] -= own * table[2 * (other * periods + period)] / number
    return used, explained


@kernel
def _solve(desk, first, control):
    """Write to arms.effect the solution and to arms.error the roots of the inverse's diagonal; return the rank.

    Cholesky's decomposition in place, the control's row left out; an arm that is detached has NaN.
    """
    arms, m = desk.arms.shape[0], desk.scratch
    right = first + arms * arms
    rank = 0
    for i in range(arms):
        size = m[first + i * arms + i]
        pivot = size
        for k in range(i):
            pivot -= m[first + i * arms + k] ** 2
        detached = i == control or pivot <= DETACHED * max(size, 1.0)
        rank += 0 if detached else 1
        root = math.inf if detached else math.sqrt(pivot)  # its row and column become 0
        for j in range(i + 1, arms):
            entry = m[first + j * arms + i]
            for k in range(i):
                entry -= m[first + j * arms + k] * m[first + i * arms + k]
            m[first + j * arms + i] = entry / root
        m[first + i * arms + i] = root
    for arm in range(arms):
        _solve_for(desk, first, right, arm)
    return rank


@kernel
def _solve_for(desk, first, right, arm):
    """Solve for the unit vector of the arm: the product with the right-hand side is its effect, its norm its error."""
    arms, m = desk.arms.shape[0], desk.scratch
    at = right + arms  # (arms,) at work
    variance = 0.0
    for i in range(arms):
        entry = 1.0 if i == arm else 0.0
        for k in range(i):
            entry -= m[first + i * arms + k] * m[at + k]
        m[at + i] = entry / m[first + i * arms + i]
        variance += m[at + i] ** 2
    for i in range(arms - 1, -1, -1):
        entry = m[at + i]
        for k in range(i + 1, arms):
            entry -= m[first + k * arms + i] * m[at + k]
        m[at + i] = entry / m[first + i * arms + i]
    effect = 0.0
    for i in range(arms):
        effect += m[at + i] * m[right + i]
    known = variance > 0.0
    desk.arms[arm].effect = effect if known else math.nan
    desk.arms[arm].error = math.sqrt(variance) if known else math.nan


@kernel
def _forget_detached(analysis, desk, control):
    """Leave no effect to arms to which no chain of common periods leads from the control.

    Some that share periods with each other only have been solved for: against each other.
    """
    arms, periods = desk.arms.shape[0], analysis.periods
    reached, before = 1 << control, 0
    while reached != before:
        before = reached
        for period in range(periods):
            here = 0
            for arm in range(arms):
                here |= int(desk.scratch[2 * (arm * periods + period)] > 0.0) << arm
            reached |= here if here & reached else 0
    for arm in range(arms):
        if not reached >> arm & 1:
            desk.arms[arm].effect = math.nan
            desk.arms[arm].error = math.nan


@weigh_arms.case
def weigh_by_periods(analysis: PeriodRegression, desk):
    """Write effect, standard error and degrees of freedom of each arm."""
    arms, control = desk.arms.shape[0], desk.state[0].control
    values, squares = _tabulate(analysis, desk)
    used, explained = _set_up(analysis, desk)
    first = 2 * arms * analysis.periods
    right = first + arms * arms
    rank = _solve(desk, first, control)
    for arm in range(arms):
        if not math.isnan(desk.arms[arm].effect):
            explained += desk.arms[arm].effect * desk.scratch[right + arm]
    freedom = values - used - rank
    left = squares - explained
    # Values that are all explained tell nothing of their spread: nothing can be said of an arm.
    variance = left / freedom if freedom > 0 and left > ROUNDING * squares else math.nan
    for arm in range(arms):
        desk.arms[arm].error *= math.sqrt(variance)
        desk.arms[arm].freedom = freedom
    _forget_detached(analysis, desk, control)


is_a_test(PeriodRegression)
