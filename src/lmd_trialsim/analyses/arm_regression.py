"""Bayesian regression of all arms together: effects of arms beside those of strata, follow-up and the time of entry.

The linear predictor (a logit, log hazard or mean) is level at the time of entry + stratum + interval + arm. Levels of
neighbouring times may follow a random walk (the time machine of Saville et al. 2022); its standard deviation is summed
over. The density of an effect is Laplace's (Tierney and Kadane 1986), and its tail comes from the density at the bound
alone (DiCiccio and Martin 1991).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.bordered_newton import Levels, find_mode, solve
from lmd_trialsim.analyses.regression_cells import WIDTH, Layout, gather_cells
from lmd_trialsim.kernel.jit import kernel, long_kernel
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    all_alike,
    bends,
    better_than_control,
    estimate_of_arm,
    moments_of_arm,
    rank_arms,
    statistic_of_arm,
    tail_of_arm,
    unit_information,
    weigh_arms,
)
from lmd_trialsim.kernel.special import normal_cdf

NEGLIGIBLE = 1e-7
"""A share of the posterior that is left out."""

CERTAIN = 30.0
"""Standard deviations from the mode, beyond which nothing lies."""

CLOSE, ASIDE = 0.02, 0.05
"""Standard deviations from the mode: nearer than CLOSE, the formula loses digits, and is interpolated from ASIDE."""

VALUE, DETERMINANT, SHARE, MODE = 0, 1, 2, 3
"""Of a node: log density at the mode, log determinant there, share of the posterior, and from MODE on the mode."""


class Regression(NamedTuple):
    """The model, and the bounds that are asked about. Effects are on the scale of the linear predictor."""

    likelihood: Any
    layout: Layout
    levels: Levels
    walk: np.ndarray  # (nodes,) 1 / variance of a step
    weight: np.ndarray  # (nodes,) log prior probability of that
    sign: float  # 1 where the larger effect is the better one, else -1
    bound: np.ndarray  # (bounds,) effects
    truth: np.ndarray  # (arms,) true effects

    def scratch(self) -> int:
        """Return how many numbers the desk must hold."""
        most = self.layout.buckets + len(self.layout.mean)
        nodes = len(self.walk) * (MODE + self.layout.arms * most)
        return (2 + WIDTH) * self.layout.cells + SIZES + 2 * most + most * most + nodes


SIZES = 2
"""Of this look: cells, and times of entry that have been met."""


@kernel
def _places(layout):
    """Return where on the scratch begin sizes, cells, x, slope, matrix and nodes, and how long a node is."""
    most = layout.buckets + layout.mean.shape[0]
    sizes = 2 * layout.cells
    cells = sizes + SIZES
    x = cells + WIDTH * layout.cells
    slope = x + most
    matrix = slope + most
    return sizes, cells, x, slope, matrix, matrix + most * most, MODE + layout.arms * most


@kernel
def _size(layout, scratch):
    """Return the number of variables at this look."""
    return int(scratch[2 * layout.cells + 1]) + layout.mean.shape[0]


@kernel
def _effect_of(layout, scratch, arm):
    """Return which variable the effect of the arm is."""
    return _size(layout, scratch) - layout.arms + arm


@kernel
def _climb(model, scratch, node, pinned):
    """Move x to the mode, with the walk of the node; returns what find_mode does."""
    sizes, cells, x, slope, matrix, nodes, _ = _places(model.layout)
    return find_mode(
        model,
        scratch[cells:x],
        int(scratch[sizes]),
        int(scratch[sizes + 1]),
        model.walk[node],
        pinned,
        scratch[x:slope],
        scratch[slope:matrix],
        scratch[matrix:nodes],
    )


@kernel
def _write_covariances(model, desk, row):
    """Write the covariances of the effect of each arm that takes part with all variables, from the factor at hand."""
    scratch, size = desk.scratch, _size(model.layout, desk.scratch)
    _, _, _, _, matrix, nodes, _ = _places(model.layout)
    buckets = size - model.layout.mean.shape[0]
    for arm in range(1, model.layout.arms):
        if takes_part(desk, arm):
            column = row + MODE + arm * size
            for place in range(size):
                scratch[column + place] = 0.0
            scratch[column + _effect_of(model.layout, scratch, arm)] = 1.0
            solve(model.levels.order, buckets, size, scratch[matrix:nodes], scratch[column : column + size])


@kernel
def _weigh_nodes(model, desk):
    """Write mode, log density, determinant and covariances of each node, and its share of the posterior (Laplace)."""
    scratch, size = desk.scratch, _size(model.layout, desk.scratch)
    _, _, x, _, _, nodes, width = _places(model.layout)
    border = model.layout.mean.shape[0]
    for place in range(size):
        scratch[x + place] = model.levels.mean if place < size - border else model.layout.mean[place - size + border]
    highest = -math.inf
    for node in range(model.walk.shape[0]):
        row = nodes + node * width
        value, log_determinant, _ = _climb(model, scratch, node, -1)
        scratch[row + VALUE] = value
        scratch[row + DETERMINANT] = log_determinant
        scratch[row + SHARE] = model.weight[node] + value - 0.5 * log_determinant
        if model.levels.order > 0:
            scratch[row + SHARE] += 0.5 * (size - border - 1) * math.log(model.walk[node])
        highest = max(highest, scratch[row + SHARE])
        for place in range(size):
            scratch[row + MODE + place] = scratch[x + place]
        _write_covariances(model, desk, row)
    total = 0.0
    for node in range(model.walk.shape[0]):
        scratch[nodes + node * width + SHARE] = math.exp(scratch[nodes + node * width + SHARE] - highest)
        total += scratch[nodes + node * width + SHARE]
    for node in range(model.walk.shape[0]):
        scratch[nodes + node * width + SHARE] /= total


@weigh_arms.case
def weigh_regression(model: Regression, desk):
    """Find the modes, and write mean and standard deviation of each effect by Laplace's approximation."""
    scratch = desk.scratch
    sizes, cells, x, _, _, nodes, width = _places(model.layout)
    count, buckets = gather_cells(model.likelihood, model.layout, desk, scratch[:sizes], scratch[cells:x])
    scratch[sizes] = count
    scratch[sizes + 1] = buckets
    size = _size(model.layout, scratch)
    _weigh_nodes(model, desk)
    for arm in range(1, model.layout.arms):
        of, place = desk.arms[arm], _effect_of(model.layout, scratch, arm)
        first, second = 0.0, 0.0
        if takes_part(desk, arm):
            for node in range(model.walk.shape[0]):
                row = nodes + node * width
                mean, share = scratch[row + MODE + place], scratch[row + SHARE]
                first += share * mean
                second += share * (scratch[row + MODE + arm * size + place] + mean * mean)
        of.effect = first
        of.error = math.sqrt(max(second - first * first, 0.0))


@kernel
def _signed_root(model, scratch, node, arm, bound):
    """Return r* of the bound: the normal quantile of P(effect < bound).

    r* = r + log(q / r) / r, with r the signed root of twice the fall of the profile's log density from the mode, and
    q its slope times the root of the ratio of determinants (DiCiccio and Martin 1991).
    """
    size, place = _size(model.layout, scratch), _effect_of(model.layout, scratch, arm)
    _, _, x, _, _, nodes, width = _places(model.layout)
    row = nodes + node * width
    mode, covariance = scratch[row + MODE + place], row + MODE + arm * size
    away = (bound - mode) / scratch[covariance + place]
    for other in range(size):  # where the others are, as far as they follow a line
        scratch[x + other] = scratch[row + MODE + other] + scratch[covariance + other] * away
    scratch[x + place] = bound
    value, log_determinant, slope = _climb(model, scratch, node, place)
    r = math.copysign(math.sqrt(2.0 * max(scratch[row + VALUE] - value, 0.0)), bound - mode)
    q = -slope * math.exp(0.5 * (log_determinant - scratch[row + DETERMINANT]))
    return r + math.log(q / r) / r


@long_kernel
def _beyond(model, desk, arm, bound):
    """Return P(effect of the arm > bound)."""
    scratch, size = desk.scratch, _size(model.layout, desk.scratch)
    place = _effect_of(model.layout, scratch, arm)
    _, _, _, _, _, nodes, width = _places(model.layout)
    total = 0.0
    for node in range(model.walk.shape[0]):
        row = nodes + node * width
        if scratch[row + SHARE] < NEGLIGIBLE:
            continue
        mode, sd = scratch[row + MODE + place], math.sqrt(scratch[row + MODE + arm * size + place])
        z = (bound - mode) / sd
        if abs(z) > CERTAIN or not bends(model.likelihood):
            root = z
        elif abs(z) > CLOSE:
            root = _signed_root(model, scratch, node, arm, bound)
        else:
            below = _signed_root(model, scratch, node, arm, mode - ASIDE * sd)
            above = _signed_root(model, scratch, node, arm, mode + ASIDE * sd)
            root = 0.5 * (below + above) + 0.5 * z / ASIDE * (above - below)
        total += scratch[row + SHARE] * normal_cdf(-root)
    return min(total, 1.0)


@kernel
def _better_than(model, desk, arm, bound):
    """Return P(the arm is better than the control by more than the bound)."""
    beyond = _beyond(model, desk, arm, bound)
    return beyond if model.sign > 0.0 else 1.0 - beyond


@tail_of_arm.case
def tail_of_effect(model: Regression, desk, arm, bound):
    """By the density at the bound."""
    return _better_than(model, desk, arm, model.bound[bound])


@rank_arms.case
def rank_effects(model: Regression, desk):
    """It is not asked of regressions."""


@better_than_control.case
def better_effect_than_control(model: Regression, desk, arm):
    """By the density at 0."""
    return _better_than(model, desk, arm, 0.0)


@all_alike.case
def effects_all_alike(model: Regression, desk):
    """It is not asked of regressions."""
    return math.nan


@statistic_of_arm.case
def no_statistic_of_effects(model: Regression, desk, arm):
    """There is none."""
    return math.nan


@moments_of_arm.case
def moments_of_effect(model: Regression, desk, arm):
    """By Laplace's approximation."""
    of = desk.arms[arm]
    return of.effect, of.error * of.error, unit_information(model.likelihood, of)


@estimate_of_arm.case
def estimate_of_effect(model: Regression, desk, arm):
    """The mode of the posterior density."""
    truth = model.truth[arm]
    return desk.arms[arm].effect, math.nan if math.isnan(truth) else 1.0 - _beyond(model, desk, arm, truth)
