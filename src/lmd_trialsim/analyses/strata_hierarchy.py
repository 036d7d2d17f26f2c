"""Effects of an arm in its strata that borrow from each other: a platform of baskets.

The control's level is each stratum's own; the effects of an arm in the strata are normal about one mean effect, whose
spread is summed over (as in Berry et al. 2013, of differences to a control on the scale of the linear predictor).
Posterior probabilities are those of `laplace`; each arm has a part of the scratch.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.bordered_newton import Levels
from lmd_trialsim.analyses.laplace import beyond_bound, moments_of, places_of, weigh_nodes
from lmd_trialsim.analyses.regression_cells import WIDTH, Layout
from lmd_trialsim.kernel.desk import ENDED, WAITING
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import (
    better_than_control,
    estimate_of_arm,
    moments_of_arm,
    samples_of_stratum,
    tail_of_arm,
    unit_information,
    weigh_arms,
)


class StrataHierarchy(NamedTuple):
    """The model of one arm in all strata, and the bounds that are asked about.

    Variables: a level for each stratum, the mean effect, and the effect in each stratum, in the place of arms from 1.
    """

    likelihood: Any
    layout: Layout
    levels: Levels
    walk: np.ndarray  # (nodes,) 1 / variance of the effects about their mean
    weight: np.ndarray  # (nodes,) log prior probability of that
    sign: float  # 1 where the larger effect is the better one, else -1
    bound: np.ndarray  # (bounds,) effects
    room: int  # numbers of the scratch for each arm


@kernel
def _write_cells(model, desk, number, scratch):
    """Write the cells of an arm and its controls in all strata."""
    sizes, cells, _, _, _, _, _ = places_of(model.layout)
    strata, count = desk.by_stratum.shape[0], 0
    for stratum in range(strata):
        samples = samples_of_stratum(model.likelihood, desk.by_stratum[stratum, number])
        for treated in range(2):
            amount, total = samples[2 * treated], samples[2 * treated + 1]
            if amount > 0.0:
                at = cells + WIDTH * count
                scratch[at] = amount
                scratch[at + 1] = total
                scratch[at + 2] = stratum
                scratch[at + 3] = -1
                scratch[at + 4] = -1
                scratch[at + 5] = strata + 1 + stratum if treated else -1
                count += 1
    scratch[sizes] = count
    scratch[sizes + 1] = strata


@kernel
def _has_stratum(desk, number):
    """Return whether the arm takes part in comparisons in some stratum."""
    for stratum in range(desk.by_stratum.shape[0]):
        if desk.by_stratum[stratum, number].status not in (WAITING, ENDED):
            return True
    return False


@weigh_arms.case
def weigh_strata(model: StrataHierarchy, desk):
    """Find the modes of each arm, once for all strata: with the first that is judged."""
    if desk.state[0].stratum > 0:
        return
    every = (1 << desk.by_stratum.shape[0]) - 1
    for number in range(desk.arms.shape[0]):
        if number != desk.state[0].control and _has_stratum(desk, number):
            scratch = desk.scratch[number * model.room : (number + 1) * model.room]
            _write_cells(model, desk, number, scratch)
            weigh_nodes(model, scratch, every << 1)


@kernel
def _better_than(model, desk, arm, bound):
    """Return P(the arm is better than the control by more than the bound, in the stratum that is judged)."""
    scratch = desk.scratch[arm * model.room : (arm + 1) * model.room]
    beyond = beyond_bound(model, scratch, desk.state[0].stratum + 1, bound)
    return beyond if model.sign > 0.0 else 1.0 - beyond


@tail_of_arm.case
def tail_in_stratum(model: StrataHierarchy, desk, arm, bound):
    """By the density at the bound."""
    return _better_than(model, desk, arm, model.bound[bound])


@better_than_control.case
def better_in_stratum(model: StrataHierarchy, desk, arm):
    """By the density at 0."""
    return _better_than(model, desk, arm, 0.0)


@moments_of_arm.case
def moments_in_stratum(model: StrataHierarchy, desk, arm):
    """By Laplace's approximation."""
    scratch = desk.scratch[arm * model.room : (arm + 1) * model.room]
    mean, variance = moments_of(model, scratch, desk.state[0].stratum + 1)
    return mean, variance, unit_information(model.likelihood, desk.arms[arm])


@estimate_of_arm.case
def estimate_in_stratum(model: StrataHierarchy, desk, arm):
    """The mode of the posterior density; no interval is told of strata."""
    scratch = desk.scratch[arm * model.room : (arm + 1) * model.room]
    return moments_of(model, scratch, desk.state[0].stratum + 1)[0], math.nan
