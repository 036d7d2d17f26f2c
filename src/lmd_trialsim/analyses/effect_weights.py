"""Quadrature of hierarchical models of effects: what a normal random effect makes of any smooth likelihood of it.

The likelihood of a basket's events and patient-months is no row of a table, as months are continuous; that of two arms'
counts is one of too many. But it is smooth in eta, the effect (say the log of the median) less its offset. So it is
known from its values at the nodes of Gauss-Legendre panels, and its integral under eta ~ N(mu, tau^2) is a sum of these
values with weights that are worked out beforehand: integrals of the nodes' Lagrange polynomials under that normal
(product integration; Atkinson 1989, An Introduction to Numerical Analysis, section 5.6), exact however narrow the
normal is. Panels end at the bounds that posterior probabilities speak of, so that a tail is the same sum over the
panels beyond.

As tau -> 0 such a tail becomes a step in mu. The weights of a node of mu are therefore averaged over its share of its
own panel wherever a bound is near, as in `hierarchical_tables`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.hierarchical_rules import IN_A_PANEL, NODES, PANEL, REACH, WEIGHTS, Rule, panels
from lmd_trialsim.analyses.hierarchical_tables import FAR, FINE, SHARP, Normal, lagrange

Array = NDArray[np.float64]

PIECES = 4  # in which a panel, or the part of it that the normal reaches, is integrated
NARROW = 1e-9  # tau below which eta is mu


class Core(NamedTuple):
    """Where the data are informative."""

    low: float
    high: float
    events: float  # most events of a basket
    in_all: float  # most events of all baskets together
    baskets: int


class Grid(NamedTuple):
    """Nodes g of (mu, tau), nodes m of eta, and the weights between them."""

    eta: Array  # (m,)
    edges: Array  # of the panels of eta
    prior: Array  # (g,)
    within: Array  # (g, m)


def _walk(low: float, high: float, core: Core, width: float, most: float) -> Array:
    """Return edges from low to high, `width` apart in the core and wider the further out of it."""
    edges = [low]
    while edges[-1] < high:
        beyond = max(core.low - edges[-1], edges[-1] - core.high, 0.0)
        step = min(width + 0.7 * beyond, most)
        if edges[-1] < core.low:  # do not step far into the core
            step = min(step, max(core.low - edges[-1], width))
        edges.append(edges[-1] + step)
    edges[-1] = high
    if len(edges) > 2 and edges[-1] - edges[-2] < 1e-6:
        del edges[-2]
    return np.array(edges)


def eta_edges(
    mean: Normal, scales: Rule, core: Core, bounds: Sequence[float], fineness: float, own: Sequence[Normal]
) -> Array:
    """Return the edges of the panels of eta; every bound is one of them."""
    reach = REACH * mean.sd + FAR * float(scales.nodes.max())
    low, high = min(mean.mean - reach, core.low - 4.0), max(mean.mean + reach, core.high + 4.0)
    low = min([low, *(prior.mean - REACH * prior.sd for prior in own)])
    high = max([high, *(prior.mean + REACH * prior.sd for prior in own)])
    width = PANEL / math.sqrt(max(core.events, 1.0)) / fineness
    edges = _walk(low, high, core, width, math.inf)
    inside = np.array([bound for bound in bounds if low < bound < high])
    far = np.abs(edges[:, None] - inside).min(axis=1) > 0.15 * width if len(inside) else np.ones(len(edges), bool)
    far[[0, -1]] = True
    return np.unique(np.concatenate([edges[far], inside]))


def normal_weights(edges: Array, mu: Array, tau: float) -> Array:
    """Return the integrals of the Lagrange polynomials of eta's nodes under N(mu, tau^2), (mu, nodes of eta)."""
    found = np.zeros((len(mu), IN_A_PANEL * (len(edges) - 1)))
    for panel in range(len(edges) - 1):
        low, high = edges[panel], edges[panel + 1]
        own = slice(panel * IN_A_PANEL, (panel + 1) * IN_A_PANEL)
        if tau <= NARROW:
            here = np.flatnonzero((mu >= low) & (mu < high))
            basis = lagrange((2.0 * mu[here] - low - high) / (high - low)).T
            # A node of mu that is one of eta has it alone: a likelihood may fall by twenty powers of ten beside it.
            found[here, own] = np.where(np.abs(basis) < 1e-12, 0.0, basis)
            continue
        start, stop = np.maximum(low, mu - FAR * tau), np.minimum(high, mu + FAR * tau)
        here = np.flatnonzero(stop > start)
        if not len(here):
            continue
        half = ((stop - start)[here] / (2.0 * PIECES))[:, None]
        middle = start[here, None] + half * (2.0 * np.arange(PIECES) + 1.0)
        eta = (middle[:, :, None] + half[:, :, None] * NODES).reshape(len(here), -1)
        weight = np.broadcast_to(half[:, :, None] * WEIGHTS, (len(here), PIECES, IN_A_PANEL)).reshape(len(here), -1)
        density = weight * np.exp(-0.5 * ((eta - mu[here, None]) / tau) ** 2) / (tau * math.sqrt(2.0 * math.pi))
        basis = lagrange(((2.0 * eta - low - high) / (high - low)).ravel()).reshape(IN_A_PANEL, *eta.shape)
        found[here, own] = np.einsum("lge,ge->gl", basis, density)
    return found


def _mean_edges(mean: Normal, tau: float, core: Core, fineness: float) -> Array:
    """Return the edges of the panels of mu at one tau, as wide as the product of the likelihoods is smooth."""
    spread = PANEL * math.sqrt(1.0 / max(core.in_all, 1.0) + tau * tau / core.baskets)
    width = min(spread, 3.0 * mean.sd, max(2.0, 4.0 * tau)) / fineness
    reach = REACH * mean.sd
    return _walk(mean.mean - reach, mean.mean + reach, core, width, 3.0 * mean.sd / fineness)


def grid_of(
    mean: Normal, scales: Rule, core: Core, bounds: Sequence[float], fineness: float, own: Sequence[Normal]
) -> Grid:
    """Return the nodes and weights. bounds: of eta, that posterior probabilities speak of; own: baskets' own priors."""
    # Of pooled baskets the nodes of mu are those of eta: nothing is interpolated.
    pooled = float(scales.nodes.max()) <= NARROW and not own
    edges = eta_edges(mean, scales, core, bounds, fineness, own)
    if pooled:
        edges = np.union1d(_mean_edges(mean, 0.0, core, fineness), bounds)
    prior, within = [], []
    for tau, mass in zip(scales.nodes.tolist(), scales.weights, strict=True):
        stops = edges if pooled else _mean_edges(mean, tau, core, fineness)
        mu, weight = panels(stops)
        density = np.exp(-0.5 * ((mu - mean.mean) / mean.sd) ** 2) / (mean.sd * math.sqrt(2.0 * math.pi))
        prior.append(mass * weight * density)
        rows = normal_weights(edges, mu, tau)
        _average_near_bounds(rows, edges, stops, tau, bounds)
        within.append(rows)
    return Grid(panels(edges).nodes, edges, np.concatenate(prior), np.concatenate(within))


def _average_near_bounds(rows: Array, edges: Array, own: Array, tau: float, bounds: Sequence[float]) -> None:
    """Replace the weights of nodes of mu in panels that see a step by their averages over the node's share."""
    for panel in range(len(own) - 1):
        low, high = own[panel], own[panel + 1]
        near = [bound for bound in bounds if bound + SHARP * tau > low and bound - SHARP * tau < high]
        if not near or tau >= high - low:
            continue
        cuts = np.unique(np.concatenate([bound + max(tau, NARROW) * FINE for bound in near]))
        mu, weight = panels(np.concatenate([[low], cuts[(cuts > low) & (cuts < high)], [high]]))
        basis = lagrange((2.0 * mu - low - high) / (high - low)) * weight
        share = slice(panel * IN_A_PANEL, (panel + 1) * IN_A_PANEL)
        rows[share] = basis @ normal_weights(edges, mu, tau) / ((high - low) / 2.0 * WEIGHTS)[:, None]
