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
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh, write_log_likelihood

NEGLIGIBLE = 1e-14
"""Share of the posterior below which a node of the hyperparameters is left out of a basket's own."""


class OnGrid(NamedTuple):
    """Nodes g of the hyperparameters and m of eta = effect - offset; m and the ranges are multiples of 8."""

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
    error: float  # largest difference of a posterior probability from a finer rule's, at sampled data


@kernel
def _write_likelihood(model, desk, cell, likelihood):
    """Write the likelihood of a cell's data at each node of eta, in units of its largest."""
    nodes = model.eta.shape[0]
    write_log_likelihood(model.data, desk, cell, model.eta, model.offset[cell], likelihood)
    most = -math.inf
    for m in range(nodes):
        most = max(most, likelihood[m])
    for m in range(nodes):
        likelihood[m] = math.exp(likelihood[m] - most)


@kernel
def _write_at_nodes(model, cell, likelihood, at_nodes):
    """Write L_k(g) of a cell."""
    share = model.exchangeable[cell]
    alone = (1.0 - share) * dot(model.own[cell], likelihood, model.eta.shape[0])
    for g in range(model.prior.shape[0]):
        first, stop = model.first[g], model.stop[g]
        inside = dot(model.within[g, first:stop], likelihood[first:stop], stop - first)
        at_nodes[g] = max(share * inside + alone, 0.0)  # interpolation may fall below 0 by its rounding


@kernel
def _to_mass(model, desk, cell, likelihood, of_others):
    """Turn the likelihood of a cell at the nodes of eta into its posterior mass there, which sums to 1."""
    nodes, grid = model.eta.shape[0], model.prior.shape[0]
    cells = desk.cells.shape[1]
    at_nodes = desk.scratch[cells * nodes :]
    total = 0.0
    for g in range(grid):
        of_others[g] = model.prior[g]
    for other in range(cells):
        if other != cell:
            for g in range(grid):
                of_others[g] *= at_nodes[other * grid + g]
    together = 0.0
    for g in range(grid):
        total += of_others[g] * at_nodes[cell * grid + g]
        together += of_others[g]
    density = desk.scratch[cells * nodes + (cells + 1) * grid :]
    share = model.exchangeable[cell]
    alone = (1.0 - share) * together
    for m in range(nodes):
        density[m] = alone * model.own[cell, m]
    for g in range(grid):
        if of_others[g] * at_nodes[cell * grid + g] > NEGLIGIBLE * total:
            weight = share * of_others[g]
            for m in range(model.first[g], model.stop[g]):
                density[m] += weight * model.within[g, m]
    mass = 0.0
    for m in range(nodes):
        likelihood[m] *= density[m]
        mass += likelihood[m]
    for m in range(nodes):
        likelihood[m] /= mass


@weigh.case
def weigh_grid(model: OnGrid, desk):
    """Write the posterior masses of all cells, (cells, m)."""
    nodes, grid = model.eta.shape[0], model.prior.shape[0]
    cells = desk.cells.shape[1]
    for cell in range(cells):
        likelihood = desk.scratch[cell * nodes : (cell + 1) * nodes]
        _write_likelihood(model, desk, cell, likelihood)
        at = cells * nodes + cell * grid
        _write_at_nodes(model, cell, likelihood, desk.scratch[at : at + grid])
    at = cells * nodes + cells * grid
    for cell in range(cells):
        likelihood = desk.scratch[cell * nodes : (cell + 1) * nodes]
        _to_mass(model, desk, cell, likelihood, desk.scratch[at : at + grid])


def scratch_of_grid(model: OnGrid) -> int:
    """Return the numbers that it works on."""
    cells, (grid, nodes) = len(model.offset), model.within.shape
    return int((cells + 1) * (nodes + grid))


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
