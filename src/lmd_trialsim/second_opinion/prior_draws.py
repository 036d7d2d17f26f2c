"""Parameters drawn from the priors that a person wrote, in NumPy: the truths of simulation-based calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, HalfT, InverseGammaVariance, UniformSd
from lmd_trialsim.second_opinion.arms import Parts
from lmd_trialsim.second_opinion.baskets import Hierarchy

Array = NDArray[np.float64]


def draw_mixture(draw: np.random.Generator, parts: Parts, family: str, size: int) -> Array:
    """Return draws of a mixture of beta, gamma (shape and rate) or normal distributions, (size,)."""
    weight, one, two = np.array(parts, float).T
    part = draw.choice(len(weight), size, p=weight / weight.sum())
    if family == "beta":
        return np.asarray(draw.beta(one[part], two[part]))
    return np.asarray(draw.gamma(one[part]) / two[part] if family == "gamma" else draw.normal(one[part], two[part]))


def draw_between(draw: np.random.Generator, prior: Any, size: int) -> Array:
    """Return draws of tau, (size,)."""
    match prior:
        case HalfNormal(scale=scale):
            return np.abs(draw.normal(0.0, scale, size))
        case HalfT(scale=scale, degrees_of_freedom=nu):
            return np.asarray(scale * np.abs(draw.standard_t(nu, size)))
        case UniformSd(low=low, high=high):
            return draw.uniform(low, high, size)
        case FixedSd(value=value):
            return np.full(size, value)
    assert isinstance(prior, InverseGammaVariance)
    found = np.zeros(0)
    most = np.inf if prior.most is None else prior.most
    while len(found) < size:  # what lies outside the limits is drawn again
        with np.errstate(divide="ignore"):
            variance = prior.rate / draw.gamma(prior.shape, size=10 * size)
        found = np.concatenate([found, variance[(variance >= prior.least) & (variance <= most)]])
    return np.sqrt(found[:size])


def draw_effects(draw: np.random.Generator, hierarchy: Hierarchy, size: int) -> Array:
    """Return draws of the effects of all baskets, (size, baskets)."""
    shape = (size, len(hierarchy.offsets))
    weights = [kind.weight for kind in hierarchy.kinds]
    values = []
    for kind in hierarchy.kinds:
        mu, tau = draw.normal(kind.mean, kind.sd, (size, 1)), draw_between(draw, kind.between, size)[:, None]
        values.append(mu + tau * draw.standard_normal(shape))
    if hierarchy.own_weight > 0.0:
        mean, sd = np.array(hierarchy.own).T
        values.append(draw.normal(mean, sd, shape))
        weights.append(hierarchy.own_weight)
    part = draw.choice(len(weights), shape, p=np.array(weights) / sum(weights))
    return np.asarray(np.take_along_axis(np.stack(values), part[None], axis=0)[0] + hierarchy.offsets)
