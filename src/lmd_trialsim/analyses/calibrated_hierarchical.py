"""The calibrated Bayesian hierarchical model (Chu and Yuan 2018): the data say how alike the baskets are.

tau^2 = exp(a + b log T), T the chi-square statistic of homogeneity. The posterior is tabulated at many tau, and between
them interpolated in log tau by a polynomial of degree five.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.analyses.hierarchical import Hierarchical, dot, row_of
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh

NEIGHBOURS = 6


class CalibratedHierarchical(NamedTuple):
    """Tables whose nodes are those of mu at one tau after the other."""

    tables: Hierarchical
    first: np.ndarray  # (tau + 1,) where the nodes of each begin
    log_tau: np.ndarray  # (tau,) rising evenly
    a: float
    b: float
    error: float  # largest difference of a posterior probability from a finer rule's, at sampled data


@kernel
def homogeneity(desk):
    """Return the chi-square statistic of homogeneity of the baskets' rates; 0 where none or all responded."""
    patients, responses = 0, 0
    for cell in range(desk.cells.shape[1]):
        patients += desk.cells[0, cell].patients
        responses += desk.cells[0, cell].responses
    if responses == 0 or responses == patients:
        return 0.0
    rate = responses / patients
    total = 0.0
    for cell in range(desk.cells.shape[1]):
        n = desk.cells[0, cell].patients
        if n > 0:
            total += (desk.cells[0, cell].responses - n * rate) ** 2 / (n * rate * (1.0 - rate))
    return total


@weigh.case
def weigh_between_tau(model: CalibratedHierarchical, desk):
    """Write the weights of the nodes near tau, which sum to 1; behind them the first node, and how many."""
    tables = model.tables
    statistic = homogeneity(desk)
    last = model.log_tau.shape[0] - 1
    log_tau = 0.5 * (model.a + model.b * math.log(statistic)) if statistic > 0.0 else model.log_tau[0]
    log_tau = min(max(log_tau, model.log_tau[0]), model.log_tau[last])
    step = model.log_tau[1] - model.log_tau[0]
    place = int((log_tau - model.log_tau[0]) / step) - NEIGHBOURS // 2 + 1
    place = min(max(place, 0), last + 1 - NEIGHBOURS)
    weight = desk.scratch
    begin = model.first[place]
    for tau in range(place, place + NEIGHBOURS):
        share = 1.0
        for other in range(place, place + NEIGHBOURS):
            if other != tau:
                share *= (log_tau - model.log_tau[other]) / (model.log_tau[tau] - model.log_tau[other])
        total = 0.0
        for node in range(model.first[tau], model.first[tau + 1]):
            product = tables.prior[node]
            for cell in range(desk.cells.shape[1]):
                if desk.cells[0, cell].patients > 0:
                    product *= tables.likelihood[tables.likelihood_of[cell], row_of(tables, desk, cell), node]
            weight[node - begin] = product
            total += product
        for node in range(model.first[tau], model.first[tau + 1]):
            weight[node - begin] *= share / total
    nodes = tables.prior.shape[0]
    weight[nodes] = begin
    weight[nodes + 1] = model.first[place + NEIGHBOURS] - begin


@kernel
def _average(model, desk, rows):
    nodes = model.tables.prior.shape[0]
    begin, count = int(desk.scratch[nodes]), int(desk.scratch[nodes + 1])
    return dot(desk.scratch, rows[begin : begin + count], count)


@posterior_tail.case
def tail_between_tau(model: CalibratedHierarchical, desk, cell, bound):
    """Average the tail over the nodes."""
    tables = model.tables
    total = _average(model, desk, tables.tail[tables.tail_of[bound, cell], row_of(tables, desk, cell)])
    return min(max(total, 0.0), 1.0)


@posterior_moments.case
def moments_between_tau(model: CalibratedHierarchical, desk, cell):
    """Average mean and mean square over the nodes."""
    tables = model.tables
    kind, row = tables.likelihood_of[cell], row_of(tables, desk, cell)
    return _average(model, desk, tables.mean[kind, row]), _average(model, desk, tables.square[kind, row])
