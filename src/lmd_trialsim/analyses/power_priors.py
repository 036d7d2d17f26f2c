"""Borrowing by power priors: each basket counts the others' responses with a weight for how alike the two are.

rate_i | data ~ Beta(a_i + x_i + sum_j w_ij (x_j + c a_j), b_i + y_i + sum_j w_ij (y_j + c b_j)), with y = n - x, j over
the other baskets with patients, and w_ij the weight of the pair times an overall factor, both from `similarity`.
c = 1 shares the priors with the counts (Fujikawa et al. 2020, Biom J 62:330), c = 0 the counts only (power priors in
basket trials: Baumann, Sauer and Kieser 2024, arXiv:2309.06988).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.beta_mixture import Array
from lmd_trialsim.analyses.similarity import overall_weight, weight_of
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh
from lmd_trialsim.kernel.special import beta_cdf


class SharedCounts(NamedTuple):
    """One beta posterior a basket; scratch holds its alpha and beta in turn, then room for the overall factor."""

    similarity: Any
    overall: Any
    row_at: np.ndarray  # (baskets,) where the outcomes of a basket begin among those that `similarity` knows
    alpha: np.ndarray  # (baskets,) of the prior
    beta: np.ndarray
    sharing_of_prior: float  # what a weight of 1 shares of another basket's prior
    bounds: np.ndarray  # (bounds, baskets)


def shared_counts(
    priors: Sequence[tuple[float, float]],
    row_at: Array,
    bounds: Array,
    similarity: Any,
    overall: Any,
    sharing_of_prior: float,
) -> tuple[SharedCounts, int]:
    """Return the model and its scratch; priors: (alpha, beta) a basket, row_at: from `similarity.outcomes_of`."""
    alpha, beta = (np.array(column, float) for column in zip(*priors, strict=True))
    return SharedCounts(similarity, overall, row_at, alpha, beta, sharing_of_prior, bounds), 3 * len(alpha)


@kernel
def _outcome(model, desk, basket):
    n = desk.cells[0, basket].patients
    return model.row_at[basket] + n * (n + 1) // 2 + desk.cells[0, basket].responses


@weigh.case
def weigh_counts(model: SharedCounts, desk):
    """Write the parameters of each posterior."""
    baskets = desk.cells.shape[1]
    factor = overall_weight(model.overall, desk)
    for basket in range(baskets):
        n, x = desk.cells[0, basket].patients, desk.cells[0, basket].responses
        alpha = model.alpha[basket] + x
        beta = model.beta[basket] + (n - x)
        row = _outcome(model, desk, basket)
        for other in range(baskets):
            m, z = desk.cells[0, other].patients, desk.cells[0, other].responses
            if other != basket and m > 0:
                weight = factor * weight_of(model.similarity, row, _outcome(model, desk, other))
                alpha += weight * (z + model.sharing_of_prior * model.alpha[other])
                beta += weight * ((m - z) + model.sharing_of_prior * model.beta[other])
        desk.scratch[2 * basket] = alpha
        desk.scratch[2 * basket + 1] = beta


@posterior_tail.case
def shared_tail(model: SharedCounts, desk, cell, bound):
    """P(rate > bound) = P(1 - rate < 1 - bound)."""
    return beta_cdf(desk.scratch[2 * cell + 1], desk.scratch[2 * cell], 1.0 - model.bounds[bound, cell])


@posterior_moments.case
def shared_moments(model: SharedCounts, desk, cell):
    """The beta distribution's."""
    alpha, beta = desk.scratch[2 * cell], desk.scratch[2 * cell + 1]
    mean = alpha / (alpha + beta)
    return mean, mean * (alpha + 1.0) / (alpha + beta + 1.0)
