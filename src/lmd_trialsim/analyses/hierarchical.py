"""Hierarchical models of response rates as kernels read them: sums over a grid of hyperparameters.

One form serves the Bayesian hierarchical model (Berry et al. 2013) and the exchangeable-nonexchangeable one with one
exchangeable component (Neuenschwander et al. 2016): what a basket's data are worth at a node is in its table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh


class Hierarchical(NamedTuple):
    """Tables over nodes g of the hyperparameters; a row for each (n, x). Baskets that are alike share tables."""

    prior: np.ndarray  # (nodes,)
    row: np.ndarray  # (largest n + 1,) where the rows of n begin; -1 for an n that no look comes at
    likelihood_of: np.ndarray  # (baskets,) which table
    likelihood: np.ndarray  # (tables, rows, nodes)
    mean: np.ndarray  # (tables, rows, nodes) of the rate, given the node
    square: np.ndarray  # (tables, rows, nodes) of its square
    tail_of: np.ndarray  # (bounds, baskets) which table
    tail: np.ndarray  # (tail tables, rows, nodes)
    error: float  # largest difference of a posterior probability from a finer rule's, at sampled data


@kernel
def dot(a, b, count):
    """Return the sum of products; eight running sums vectorise and give the same bits everywhere. 8 divides count."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for i in range(0, count, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@kernel
def row_of(model, desk, cell):
    """Return the row of the counts of a cell."""
    return model.row[desk.cells[0, cell].patients] + desk.cells[0, cell].responses


@weigh.case
def weigh_nodes(model: Hierarchical, desk):
    """Write the posterior weight of each node, and behind them their sum."""
    nodes = model.prior.shape[0]
    weight = desk.scratch
    for node in range(nodes):
        weight[node] = model.prior[node]
    for cell in range(desk.cells.shape[1]):
        if desk.cells[0, cell].patients > 0:
            likelihood = model.likelihood[model.likelihood_of[cell], row_of(model, desk, cell)]
            for node in range(nodes):
                weight[node] *= likelihood[node]
    total = 0.0
    for node in range(nodes):
        total += weight[node]
    weight[nodes] = total if total > 0.0 else math.nan


@posterior_tail.case
def tail_over_nodes(model: Hierarchical, desk, cell, bound):
    """Average the tail over the nodes."""
    nodes = model.prior.shape[0]
    table = model.tail[model.tail_of[bound, cell], row_of(model, desk, cell)]
    return min(max(dot(desk.scratch, table, nodes) / desk.scratch[nodes], 0.0), 1.0)


@posterior_moments.case
def moments_over_nodes(model: Hierarchical, desk, cell):
    """Average mean and mean square over the nodes."""
    nodes = model.prior.shape[0]
    row, table = row_of(model, desk, cell), model.likelihood_of[cell]
    total = desk.scratch[nodes]
    mean = dot(desk.scratch, model.mean[table, row], nodes) / total
    return mean, dot(desk.scratch, model.square[table, row], nodes) / total
