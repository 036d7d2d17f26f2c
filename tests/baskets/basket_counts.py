"""Counts of baskets to try borrowing models on, and what kernels make of them."""

import itertools

import numpy as np
from scipy.special import bdtr

from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh


@door
def _posteriors(model, desk, counts, tails, moments):
    for i in range(counts.shape[0]):
        for basket in range(counts.shape[1]):
            desk.cells[0, basket].patients = counts[i, basket, 0]
            desk.cells[0, basket].responses = counts[i, basket, 1]
        weigh(model, desk)
        for basket in range(counts.shape[1]):
            for bound in range(tails.shape[1]):
                tails[i, bound, basket] = posterior_tail(model, desk, basket, bound)
            moments[i, 0, basket], moments[i, 1, basket] = posterior_moments(model, desk, basket)


def frame(names, numbers, bounds):
    """Return the frame of baskets of so many patients at most; bounds: (bounds, baskets)."""
    bounds, numbers = np.array(bounds, float), list(numbers)
    unsaid = np.full(len(names), np.nan)
    return Frame(list(names), numbers, list(range(max(numbers) + 1)), unsaid, unsaid, bounds, len(bounds))


def posteriors(built, counts, bounds=1):
    """Return the tails, (data sets, bounds, baskets), and (mean, mean square) of counts (data sets, baskets, 2)."""
    model, scratch = built
    counts = np.ascontiguousarray(counts, np.int64)
    sets, baskets, _ = counts.shape
    desk = new_desk(1, 1, baskets, 1, scratch + 1)
    desk.scratch[:] = np.nan  # nothing is left over from before
    desk.scratch[-1] = 7.0
    tails, moments = np.full((sets, bounds, baskets), np.nan), np.full((sets, 2, baskets), np.nan)
    _posteriors(canonical(model), desk, counts, tails, moments)
    assert desk.scratch[-1] == 7.0, "the model works beyond the scratch that it asks for"
    return tails, moments


def random_counts(draw, most, sets):
    """Return counts with unequal numbers, all and none responding, and empty baskets; most: (baskets,)."""
    n = draw.integers(0, np.array(most) + 1, (sets, len(most)))
    n[0], n[1, 0] = most, 0
    x = draw.binomial(n, draw.choice([0.0, 0.1, 0.4, 0.8, 1.0], n.shape))
    return np.stack([n, x], axis=2)


def outcome_space(n, baskets):
    """Return all outcomes of baskets of n patients, (outcomes, baskets, 2)."""
    x = np.array(list(itertools.product(range(n + 1), repeat=baskets)))
    return np.stack([np.full_like(x, n), x], axis=2)


def chance(counts, rates):
    """Return the probability of each outcome."""
    n, x = counts[..., 0], counts[..., 1]
    return (bdtr(x, n, rates) - np.where(x > 0, bdtr(np.maximum(x - 1, 0), n, rates), 0.0)).prod(axis=1)
