"""Laplace's approximation of effects in a regression, and posterior probabilities from the density at a bound.

All is worked out on a scratch. A model has a likelihood, a layout, levels, and nodes: precisions `walk` of what its
prior ties together, with log prior probabilities `weight`. Effects are the last variables: of arms from 1 on. The
density of an effect is Laplace's (Tierney and Kadane 1986), and its tail comes from the density at the bound alone
(DiCiccio and Martin 1991).
"""

from __future__ import annotations

import math

from lmd_trialsim.analyses.bordered_newton import find_mode, solve
from lmd_trialsim.analyses.regression_cells import WIDTH, Layout
from lmd_trialsim.kernel.jit import kernel, long_kernel
from lmd_trialsim.kernel.seams import bends
from lmd_trialsim.kernel.special import normal_cdf

NEGLIGIBLE = 1e-7
"""A share of the posterior that is left out."""

CERTAIN = 30.0
"""Standard deviations from the mode, beyond which nothing lies."""

CLOSE, ASIDE = 0.02, 0.05
"""Standard deviations from the mode: nearer than CLOSE, the formula loses digits, and is interpolated from ASIDE."""

VALUE, DETERMINANT, SHARE, MODE = 0, 1, 2, 3
"""Of a node: log density at the mode, log determinant there, share of the posterior, and from MODE on the mode."""

SIZES = 2
"""Of this look: cells, and times of entry that have been met."""


def scratch_for(layout: Layout, nodes: int) -> int:
    """Return how many numbers a scratch must hold."""
    most = layout.buckets + len(layout.mean)
    return (2 + WIDTH) * layout.cells + SIZES + 3 * most + most * most + nodes * (MODE + layout.arms * most)


@kernel
def places_of(layout):
    """Return where on the scratch begin sizes, cells, x, slope, matrix and nodes, and how long a node is.

    Behind x is as much room again, for the last x.
    """
    most = layout.buckets + layout.mean.shape[0]
    sizes = 2 * layout.cells
    cells = sizes + SIZES
    x = cells + WIDTH * layout.cells
    slope = x + 2 * most
    matrix = slope + most
    return sizes, cells, x, slope, matrix, matrix + most * most, MODE + layout.arms * most


@kernel
def size_of(layout, scratch):
    """Return the number of variables at this look."""
    return int(scratch[2 * layout.cells + 1]) + layout.mean.shape[0]


@kernel
def effect_of(layout, scratch, arm):
    """Return which variable the effect of the arm is."""
    return size_of(layout, scratch) - layout.arms + arm


@kernel
def _climb(model, scratch, node, pinned):
    """Move x to the mode, with the walk of the node; returns what find_mode does."""
    sizes, cells, x, slope, matrix, nodes, _ = places_of(model.layout)
    return find_mode(
        model,
        scratch[cells:x],
        int(scratch[sizes]),
        int(scratch[sizes + 1]),
        model.walk[node],
        pinned,
        scratch[x:slope],
        scratch[(x + slope) // 2 : slope],
        scratch[slope:matrix],
        scratch[matrix:nodes],
    )


@kernel
def _write_covariances(model, scratch, row, wanted):
    """Write the covariances of the wanted effects with all variables, (arms, variables), from the factor at hand."""
    size = size_of(model.layout, scratch)
    _, _, _, _, matrix, nodes, _ = places_of(model.layout)
    buckets = size - model.layout.mean.shape[0]
    for arm in range(1, model.layout.arms):
        if wanted >> arm & 1:
            column = row + MODE + arm * size
            for place in range(size):
                scratch[column + place] = 0.0
            scratch[column + effect_of(model.layout, scratch, arm)] = 1.0
            solve(model.levels.order, buckets, size, scratch[matrix:nodes], scratch[column : column + size])


@kernel
def weigh_nodes(model, scratch, wanted):
    """Write mode, log density, determinant and covariances of each node, and its share of the posterior (Laplace).

    wanted: the effects that are asked about, as bits.
    """
    size = size_of(model.layout, scratch)
    _, _, x, _, _, nodes, width = places_of(model.layout)
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
        steps = model.levels.ties + (size - border - 1 if model.levels.order > 0 else 0)
        scratch[row + SHARE] += 0.5 * steps * math.log(model.walk[node])
        highest = max(highest, scratch[row + SHARE])
        for place in range(size):
            scratch[row + MODE + place] = scratch[x + place]
        _write_covariances(model, scratch, row, wanted)
    total = 0.0
    for node in range(model.walk.shape[0]):
        scratch[nodes + node * width + SHARE] = math.exp(scratch[nodes + node * width + SHARE] - highest)
        total += scratch[nodes + node * width + SHARE]
    for node in range(model.walk.shape[0]):
        scratch[nodes + node * width + SHARE] /= total


@kernel
def moments_of(model, scratch, arm):
    """Return the mean of the modes of the arm's effect over the nodes, and its variance by Laplace's approximation."""
    size, place = size_of(model.layout, scratch), effect_of(model.layout, scratch, arm)
    _, _, _, _, _, nodes, width = places_of(model.layout)
    first, second = 0.0, 0.0
    for node in range(model.walk.shape[0]):
        row = nodes + node * width
        mean, share = scratch[row + MODE + place], scratch[row + SHARE]
        first += share * mean
        second += share * (scratch[row + MODE + arm * size + place] + mean * mean)
    return first, max(second - first * first, 0.0)


@kernel
def _signed_root(model, scratch, node, arm, bound):
    """Return r* of the bound: the normal quantile of P(effect < bound).

    r* = r + log(q / r) / r, with r the signed root of twice the fall of the profile's log density from the mode, and
    q its slope times the root of the ratio of determinants (DiCiccio and Martin 1991).
    """
    size, place = size_of(model.layout, scratch), effect_of(model.layout, scratch, arm)
    _, _, x, _, _, nodes, width = places_of(model.layout)
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
def beyond_bound(model, scratch, arm, bound):
    """Return P(effect of the arm > bound); it was among the wanted ones."""
    size = size_of(model.layout, scratch)
    place = effect_of(model.layout, scratch, arm)
    _, _, _, _, _, nodes, width = places_of(model.layout)
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
