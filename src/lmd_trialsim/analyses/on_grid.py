"""Hierarchical models of baskets whose data are no counts: sums over nodes of the hyperparameters and of the effect.

With l_k(m) the likelihood of basket k's data at node m of eta, and W the weights of `effect_weights`, the likelihood
at node g of the hyperparameters is L_k(g) = sum_m W[g, m] l_k(m), or its mixture with the basket's own prior; and the
posterior mass of eta at m is l_k(m) sum_g prior_g prod_{j != k} L_j(g) W[g, m] / sum_g prior_g prod_j L_j(g).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.hierarchical import dot
from lmd_trialsim.analyses.hierarchical_rules import IN_A_PANEL
from lmd_trialsim.kernel.jit import door, kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh, write_log_likelihood

NEGLIGIBLE = 1e-14
"""Share of the posterior below which a node of the hyperparameters is left out of a basket's own."""

LEAST = -60.0
"""Logarithm of the share of its largest value below which a likelihood is taken for 0."""

CONFLICT = 1e8 * math.exp(LEAST)
"""Evidence below which baskets are so unlike that this may matter: the sums are then done again in full."""


class OnGrid(NamedTuple):
    """Nodes g of the hyperparameters and m of eta = effect - offset; m and the ranges are whole panels."""

    data: Any  # of `cell_likelihoods`: what is seen of a basket
    eta: np.ndarray  # (m,)
    prior: np.ndarray  # (g,)
    within: np.ndarray  # (g, m)
    first: np.ndarray  # (g,) where the weights of a node begin, and end
    stop: np.ndarray
    own: np.ndarray  # (baskets, m) weights of a basket's own prior
    exchangeable: np.ndarray  # (baskets,) probability that it is exchangeable
    offset: np.ndarray  # (baskets,)
    beyond: np.ndarray  # (bounds, baskets) first node of eta beyond the bound
    error: float  # largest difference of posterior probabilities (and means) from a finer rule's, at sampled data


class Parts(NamedTuple):
    """Where in desk.scratch things are."""

    likelihood: int  # (cells, m), in the end the posterior masses
    at_nodes: int  # (cells, g) L_k(g)
    density: int  # (cells, m)
    together: int  # (cells,) sum_g prior_g prod_{j != k} L_j(g)
    reach: int  # (cells, 2) the nodes of eta that the likelihood reaches, whole panels: from, up to


@kernel
def _parts(model, cells):
    nodes, grid = model.eta.shape[0], model.prior.shape[0]
    together = cells * (2 * nodes + grid)
    return Parts(0, cells * nodes, cells * (nodes + grid), together, together + cells)


def scratch_of_grid(model: OnGrid) -> int:
    """Return the numbers that it works on."""
    cells, (grid, nodes) = len(model.offset), model.within.shape
    return int(cells * (2 * nodes + grid + 3))


@kernel
def _write_likelihood(model, desk, parts, cell):
    """Write the likelihood of a cell's data at each node of eta, in units of its largest, and how far it reaches."""
    nodes = model.eta.shape[0]
    likelihood = desk.scratch[parts.likelihood + cell * nodes : parts.likelihood + (cell + 1) * nodes]
    write_log_likelihood(model.data, desk, cell, model.eta, model.offset[cell], likelihood)
    most = -math.inf
    for m in range(nodes):
        most = max(most, likelihood[m])
    first, last = nodes, 0
    for m in range(nodes):
        below = likelihood[m] - most
        likelihood[m] = math.exp(below)
        if below > LEAST:
            first, last = min(first, m), m
    desk.scratch[parts.reach + 2 * cell] = first // IN_A_PANEL * IN_A_PANEL
    desk.scratch[parts.reach + 2 * cell + 1] = (last // IN_A_PANEL + 1) * IN_A_PANEL


@kernel
def _shared(model, desk, parts, cell, g):
    """Return where the weights of a node of the hyperparameters and the likelihood of a cell are both above 0."""
    first = max(model.first[g], int(desk.scratch[parts.reach + 2 * cell]))
    stop = min(model.stop[g], int(desk.scratch[parts.reach + 2 * cell + 1]))
    return first, max(first, stop)


@kernel
def _write_at_nodes(model, desk, parts):
    """Write L_k(g) of each cell; return the sum over g of prior_g prod_k L_k(g)."""
    nodes, grid, cells = model.eta.shape[0], model.prior.shape[0], desk.cells.shape[1]
    for cell in range(cells):  # what the basket's own prior adds at each node
        likelihood = desk.scratch[parts.likelihood + cell * nodes : parts.likelihood + (cell + 1) * nodes]
        alone = (1.0 - model.exchangeable[cell]) * dot(model.own[cell], likelihood, nodes)
        for g in range(grid):
            desk.scratch[parts.at_nodes + cell * grid + g] = alone
    total = 0.0
    for g in range(grid):
        row, together = model.within[g], model.prior[g]
        for cell in range(cells):
            first, stop = _shared(model, desk, parts, cell, g)
            at = parts.likelihood + cell * nodes
            inside = dot(row[first:stop], desk.scratch[at + first : at + stop], stop - first)
            place = parts.at_nodes + cell * grid + g
            # Interpolation may fall below 0 by its rounding.
            desk.scratch[place] = max(desk.scratch[place] + model.exchangeable[cell] * inside, 0.0)
            together *= desk.scratch[place]
        total += together
    return total


@kernel
def _of_others(model, desk, parts, cell, g):
    """Return prior_g prod_{j != k} L_j(g)."""
    product = model.prior[g]
    for other in range(desk.cells.shape[1]):
        if other != cell:
            product *= desk.scratch[parts.at_nodes + other * model.prior.shape[0] + g]
    return product


@kernel
def _write_densities(model, desk, parts, total):
    """Write sum_g prior_g prod_{j != k} L_j(g) W[g, m] of each cell, with its own prior in its share."""
    nodes, grid, cells = model.eta.shape[0], model.prior.shape[0], desk.cells.shape[1]
    for cell in range(cells):
        desk.scratch[parts.together + cell] = 0.0
        for m in range(nodes):
            desk.scratch[parts.density + cell * nodes + m] = 0.0
    for g in range(grid):
        row = model.within[g]
        for cell in range(cells):
            weight = _of_others(model, desk, parts, cell, g)
            desk.scratch[parts.together + cell] += weight
            if weight * desk.scratch[parts.at_nodes + cell * grid + g] > NEGLIGIBLE * total:
                first, stop = _shared(model, desk, parts, cell, g)
                density = desk.scratch[parts.density + cell * nodes : parts.density + (cell + 1) * nodes]
                weight *= model.exchangeable[cell]
                for m in range(first, stop):
                    density[m] += weight * row[m]
    for cell in range(cells):
        alone = (1.0 - model.exchangeable[cell]) * desk.scratch[parts.together + cell]
        for m in range(nodes):
            desk.scratch[parts.density + cell * nodes + m] += alone * model.own[cell, m]


@weigh.case
def weigh_grid(model: OnGrid, desk):
    """Write the posterior masses of all cells, (cells, m), each cell's summing to 1."""
    nodes, cells = model.eta.shape[0], desk.cells.shape[1]
    parts = _parts(model, cells)
    for cell in range(cells):
        _write_likelihood(model, desk, parts, cell)
    total = _write_at_nodes(model, desk, parts)
    if not total > CONFLICT:
        for cell in range(cells):
            desk.scratch[parts.reach + 2 * cell] = 0.0
            desk.scratch[parts.reach + 2 * cell + 1] = nodes
        total = _write_at_nodes(model, desk, parts)
    _write_densities(model, desk, parts, total)
    for cell in range(cells):
        at, mass = parts.likelihood + cell * nodes, 0.0
        for m in range(nodes):
            desk.scratch[at + m] *= desk.scratch[parts.density + cell * nodes + m]
            mass += desk.scratch[at + m]
        for m in range(nodes):
            desk.scratch[at + m] /= mass


@posterior_tail.case
def tail_on_grid(model: OnGrid, desk, cell, bound):
    """Add up the masses beyond the bound."""
    nodes = model.eta.shape[0]
    total = 0.0
    for m in range(model.beyond[bound, cell], nodes):
        total += desk.scratch[cell * nodes + m]
    return min(max(total, 0.0), 1.0)


@posterior_moments.case
def moments_on_grid(model: OnGrid, desk, cell):
    """Average the effect and its square."""
    nodes = model.eta.shape[0]
    mean = square = 0.0
    for m in range(nodes):
        effect = model.eta[m] + model.offset[cell]
        mean += desk.scratch[cell * nodes + m] * effect
        square += desk.scratch[cell * nodes + m] * effect * effect
    return mean, square


@door
def answer_on_grid(model, desk, tails, moments):
    """Write what the model says of the data on the desk: tails (bounds, cells), mean and mean square (2, cells)."""
    weigh(model, desk)
    for cell in range(tails.shape[1]):
        for bound in range(tails.shape[0]):
            tails[bound, cell] = posterior_tail(model, desk, cell, bound)
        moments[0, cell], moments[1, cell] = posterior_moments(model, desk, cell)
