"""Exchangeable-nonexchangeable models with several exchangeable components (Neuenschwander et al. 2016, section 2.2).

Which basket belongs to which component is summed over exactly: given the sets of baskets that belong to each, the
components are independent, so with F_c(S) = weight_c^|S| * the marginal likelihood of the baskets S under component c,
every posterior is a subset convolution of the F_c: 3^K terms for K baskets, not (components + 1)^K sums over grids.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.analyses.hierarchical import dot, row_of
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh


class SeveralExchangeable(NamedTuple):
    """Tables of each component over its nodes (padded with weight 0), and of the baskets' own priors."""

    weight: np.ndarray  # (components + 1,) the last one that of a basket on its own
    prior: np.ndarray  # (components, nodes)
    row: np.ndarray  # (largest n + 1,) where the rows of n begin
    kind_of: np.ndarray  # (baskets,) which table
    likelihood: np.ndarray  # (components, tables, rows, nodes)
    mean: np.ndarray  # (components, tables, rows, nodes)
    square: np.ndarray
    tail_of: np.ndarray  # (bounds, baskets) which table
    tail: np.ndarray  # (components, tail tables, rows, nodes)
    own_likelihood: np.ndarray  # (tables, rows) of a basket on its own
    own_mean: np.ndarray  # (tables, rows)
    own_square: np.ndarray
    own_tail: np.ndarray  # (tail tables, rows)
    error: float  # largest difference of a component's posterior probability from a finer rule's, at sampled data


def scratch_of(components: int, baskets: int, nodes: int) -> int:
    """Return how many numbers the model works on."""
    return nodes + components * baskets * nodes + (2 * components + 3) * (1 << baskets) + baskets


@kernel
def _fill_product(model, desk, component, members):
    """Write prior * likelihoods of the baskets in the set to the first nodes of the scratch; return their sum."""
    nodes = model.prior.shape[1]
    product = desk.scratch
    for node in range(nodes):
        product[node] = model.prior[component, node]
    for cell in range(desk.cells.shape[1]):
        if members >> cell & 1 and desk.cells[0, cell].patients > 0:
            likelihood = model.likelihood[component, model.kind_of[cell], row_of(model, desk, cell)]
            for node in range(nodes):
                product[node] *= likelihood[node]
    total = 0.0
    for node in range(nodes):
        total += product[node]
    return total


@kernel
def _size(members):
    size = 0
    while members:
        size += members & 1
        members >>= 1
    return size


@kernel
def _convolve(values, left, right, out, sets):
    """Write to `out` the sums over S of left(S) * right(T without S), for each set T; all are places in `values`."""
    for whole in range(sets):
        total = 0.0
        part = whole
        while True:
            total += values[left + part] * values[right + (whole ^ part)]
            if part == 0:
                break
            part = (part - 1) & whole
        values[out + whole] = total


@weigh.case
def weigh_sets_of_baskets(model: SeveralExchangeable, desk):
    """Write, for each component and basket, the posterior weight of each node; then each basket's weight on its own."""
    components, nodes = model.prior.shape
    cells = desk.cells.shape[1]
    sets = 1 << cells
    scratch = desk.scratch
    weights = nodes
    share = nodes + components * cells * nodes  # (components + 1, sets) F of each component, then of the own priors
    others = share + (components + 1) * sets  # (components + 1, sets) convolution of all the others
    before = others + (components + 1) * sets  # (sets,) at work
    own = before + sets  # (baskets,)
    for component in range(components):
        for members in range(sets):
            likelihood = _fill_product(model, desk, component, members)
            scratch[share + component * sets + members] = model.weight[component] ** _size(members) * likelihood
    for members in range(sets):
        likelihood = 1.0
        for cell in range(cells):
            if members >> cell & 1:
                likelihood *= (
                    model.weight[components] * model.own_likelihood[model.kind_of[cell], row_of(model, desk, cell)]
                )
        scratch[share + components * sets + members] = likelihood
    for component in range(components + 1):
        _convolve_others(scratch, share, others + component * sets, before, component, components, sets)
    total = 0.0
    for members in range(sets):
        total += (
            scratch[share + components * sets + members] * scratch[others + components * sets + (sets - 1 ^ members)]
        )
    for place in range(weights, share):
        scratch[place] = 0.0
    for component in range(components):
        for members in range(1, sets):
            _fill_product(model, desk, component, members)
            factor = model.weight[component] ** _size(members) / total
            factor *= scratch[others + component * sets + (sets - 1 ^ members)]
            for cell in range(cells):
                if members >> cell & 1:
                    at = weights + (component * cells + cell) * nodes
                    for node in range(nodes):
                        scratch[at + node] += factor * scratch[node]
    for cell in range(cells):
        scratch[own + cell] = 0.0
        for members in range(sets):
            if members >> cell & 1:
                scratch[own + cell] += (
                    scratch[share + components * sets + members]
                    * scratch[others + components * sets + (sets - 1 ^ members)]
                    / total
                )


@kernel
def _convolve_others(scratch, share, out, before, component, components, sets):
    """Write to `out` the convolution of the F of all but one component; the own priors count as the last one."""
    for members in range(sets):
        scratch[out + members] = 1.0 if members == 0 else 0.0
    for other in range(components + 1):
        if other != component:
            for members in range(sets):
                scratch[before + members] = scratch[out + members]
            _convolve(scratch, before, share + other * sets, out, sets)


@kernel
def _own_weight(model, desk, cell):
    components, nodes = model.prior.shape
    cells = desk.cells.shape[1]
    sets = 1 << cells
    place = nodes + components * cells * nodes + (2 * components + 3) * sets
    return desk.scratch[place + cell]


@kernel
def _over_nodes(model, desk, cell, tables, table):
    """Return the average of a table over all components' nodes, under the weights of the basket."""
    components, nodes = model.prior.shape
    cells = desk.cells.shape[1]
    row = row_of(model, desk, cell)
    total = 0.0
    for component in range(components):
        at = nodes + (component * cells + cell) * nodes
        total += dot(desk.scratch[at : at + nodes], tables[component, table, row], nodes)
    return total


@posterior_tail.case
def tail_over_components(model: SeveralExchangeable, desk, cell, bound):
    """Average the tail over nodes, components and the basket's own prior."""
    table = model.tail_of[bound, cell]
    alone = _own_weight(model, desk, cell) * model.own_tail[table, row_of(model, desk, cell)]
    total = _over_nodes(model, desk, cell, model.tail, table) + alone
    return min(max(total, 0.0), 1.0) if math.isfinite(total) else math.nan


@posterior_moments.case
def moments_over_components(model: SeveralExchangeable, desk, cell):
    """Average mean and mean square over nodes, components and the basket's own prior."""
    kind, row = model.kind_of[cell], row_of(model, desk, cell)
    own = _own_weight(model, desk, cell)
    mean = _over_nodes(model, desk, cell, model.mean, kind) + own * model.own_mean[kind, row]
    return mean, _over_nodes(model, desk, cell, model.square, kind) + own * model.own_square[kind, row]
