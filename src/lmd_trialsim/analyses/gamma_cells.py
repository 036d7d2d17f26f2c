"""Exponential times in baskets with gamma priors on the hazards: each basket by itself, or all as one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh
from lmd_trialsim.kernel.special import digamma, gamma_cdf, trigamma


class GammaCells(NamedTuple):
    """Gamma(events, rate = months) on the hazard of each basket; pooled: on the one hazard of all, the first's."""

    events: np.ndarray  # (baskets,)
    months: np.ndarray  # (baskets,)
    pooled: int
    bounds: np.ndarray  # (bounds, baskets) medians, in months


@kernel
def posterior_of(model, desk, cell):
    """Return shape and rate of the posterior of a basket's hazard."""
    if not model.pooled:
        seen = desk.cells[0, cell]
        return model.events[cell] + seen.events, model.months[cell] + seen.months
    shape, rate = model.events[0], model.months[0]
    for each in range(desk.cells.shape[1]):
        shape += desk.cells[0, each].events
        rate += desk.cells[0, each].months
    return shape, rate


@weigh.case
def weigh_gamma(model: GammaCells, desk):
    """The posteriors share nothing that is not counted."""


@posterior_tail.case
def tail_of_median(model: GammaCells, desk, cell, bound):
    """P(median > bound) is P(hazard < log 2 / bound)."""
    shape, rate = posterior_of(model, desk, cell)
    return gamma_cdf(shape, rate * math.log(2.0) / model.bounds[bound, cell])


@posterior_moments.case
def moments_of_log_median(model: GammaCells, desk, cell):
    """The log of the median is log log 2 less that of the hazard."""
    shape, rate = posterior_of(model, desk, cell)
    mean = math.log(math.log(2.0)) - digamma(shape) + math.log(rate)
    return mean, mean * mean + trigamma(shape)
