"""Quadrature rules of a hierarchical model's hyperparameters: the mean mu and the standard deviation tau of the logits.

The standard deviation: a Gauss rule of its own prior, in y = tau / (tau + HALF). The likelihood of all baskets is a
smooth function of y over [0, 1), at tau = 0 too, so a dozen nodes serve half-normal priors and inverse-gamma ones
that spread over many orders of magnitude alike (Golub and Welsch 1969, Math Comp 23:221).

The mean: Gauss-Legendre panels, as wide as the product of the baskets' likelihoods is smooth at this mean and tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]

HALF = 0.5
"""The tau that lies at y = 1/2: about the standard error of a basket's own logit."""

IN_A_PANEL = 16
NODES, WEIGHTS = np.polynomial.legendre.leggauss(IN_A_PANEL)
REACH = 7.5
"""Standard deviations of the mean's prior that are walked to either side: 6e-14 lie beyond."""

PANEL = 6.6
"""Width of a panel of mu in standard deviations of the product of the likelihoods."""

WITHIN = np.linspace(0.0, 1.0, 9)
"""Where along a step the width of a panel is asked for: the narrowest counts."""

PIECES = 200  # of the discretised prior of tau, each of IN_A_PANEL points


class Rule(NamedTuple):
    """Nodes and weights."""

    nodes: Array
    weights: Array


def panels(edges: Array) -> Rule:
    """Return the Gauss-Legendre rule of all panels between the edges, IN_A_PANEL nodes each."""
    half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
    return Rule((middle[:, None] + half[:, None] * NODES).ravel(), (half[:, None] * WEIGHTS).ravel())


def gauss_rule(nodes: Array, masses: Array, order: int) -> Rule:
    """Return the Gauss rule of so many nodes for the discrete measure `masses` at `nodes` in [0, 1].

    Orthogonal polynomials by the procedure of Stieltjes, nodes as eigenvalues of their Jacobi matrix.
    """
    masses = masses / masses.sum()
    alpha, beta = np.zeros(order), np.zeros(order)
    before, now, norm = np.zeros_like(nodes), np.ones_like(nodes), 1.0
    for k in range(order):
        alpha[k] = (masses * nodes * now**2).sum() / norm
        after = (nodes - alpha[k]) * now - (beta[k] * before if k else 0.0)
        before, now = now, after
        following = float((masses * now**2).sum())
        if following <= 1e-300 or k + 1 == order:
            order = k + 1
            break
        beta[k + 1] = following / norm
        norm = following
    if order == 1:
        return Rule(alpha[:1], np.ones(1))
    side = np.sqrt(beta[1:order])
    values, vectors = np.linalg.eigh(np.diag(alpha[:order]) + np.diag(side, 1) + np.diag(side, -1))
    return Rule(values, vectors[0] ** 2)


def scale_rule(quantile: Callable[[Array], Array], order: int) -> Rule:
    """Return nodes and weights of tau under its prior, which is given by its quantile function."""
    # Probabilities crowd towards both ends, where a prior of many orders of magnitude has its extremes.
    grid = panels(np.linspace(0.0, 1.0, PIECES + 1))
    share = grid.nodes**4 * (35.0 - 84.0 * grid.nodes + 70.0 * grid.nodes**2 - 20.0 * grid.nodes**3)
    density = 140.0 * (grid.nodes * (1.0 - grid.nodes)) ** 3
    tau = quantile(share)
    keep = np.isfinite(tau)
    rule = gauss_rule(tau[keep] / (tau[keep] + HALF), (density * grid.weights)[keep], order)
    y = np.clip(rule.nodes, 0.0, 1.0 - 1e-12)
    return Rule(HALF * y / (1.0 - y), rule.weights)


def mean_edges(mean: float, sd: float, tau: float, offsets: Array, numbers: Array, fineness: float) -> Array:
    """Return the edges of the panels of mu under its normal prior, for one tau.

    offsets, numbers: (baskets,) what is added to a basket's logit, and its most patients. A panel is so many standard
    deviations of the product of the likelihoods wide (PANEL); divided by `fineness`.
    """
    low, high = mean - REACH * sd, mean + REACH * sd
    # Beyond these nothing is left to learn: the likelihoods are constant, or as good as.
    least = -float(offsets.max()) - math.log(numbers.sum() + 1.0)
    most = -float(offsets.min()) + math.log(numbers.sum() + 1.0)

    def width(mu: Array) -> Array:
        p = expit(mu[:, None] + offsets)
        information = (numbers * p * (1.0 - p)).sum(axis=1)
        scale = PANEL * np.sqrt(1.0 / np.maximum(information, 1e-12) + tau * tau / len(numbers))
        beyond = np.maximum(np.maximum(least - mu, mu - most), 0.0)
        return np.asarray(np.minimum(scale, np.minimum(max(2.0, 4.0 * tau) + 0.7 * beyond, 3.0 * sd)) / fineness)

    edges = [low]
    while edges[-1] < high:
        # As narrow as the narrowest place in the panel wants it: information may rise and fall within.
        step = float(width(np.array(edges[-1:]))[0])
        while step > 1.3 * float(width(edges[-1] + step * WITHIN).min()):
            step *= 0.85
        edges.append(edges[-1] + step)
    edges[-1] = high
    return np.array(edges)
