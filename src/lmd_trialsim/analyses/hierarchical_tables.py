"""The tables of hierarchical models of response rates: what each basket's data are worth at each node of mu and tau.

Given the hyperparameters the baskets are independent. So with rows L[x, g] (likelihood of x of n at node g) and
V[x, g] (posterior probability, given the node, that the rate lies above a bound), every posterior is
sum_g prior_g prod_j L[x_j, g] V[x_k, g] / sum_g prior_g prod_j L[x_j, g].

As tau -> 0 the tail becomes a step in mu at the bound, which no fixed grid follows. The product of likelihoods stays
smooth, though: V[x, g] is therefore the mean of the tail over the panel of node g, weighted by the node's Lagrange
polynomial (product integration; Atkinson 1989, An Introduction to Numerical Analysis, section 5.6), and the step is
integrated once, when the table is built, however sharp it is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from lmd_trialsim.analyses.hierarchical_rules import IN_A_PANEL, NODES, WEIGHTS, Rule, mean_edges, panels

Array = NDArray[np.float64]

FAR = 8.5  # standard deviations of a logit around its mean: 2e-17 lie beyond
SHARP = 12.0  # standard deviations around a bound within which the tail is neither 0 nor 1
FINE = np.array([-12.0, -8.0, -5.5, -3.5, -2.0, -1.0, 0.0, 1.0, 2.0, 3.5, 5.5, 8.0, 12.0])
"""Where a panel is cut around a step, in units of tau."""


class Counts(NamedTuple):
    """The rows of a table: x responses of n patients each."""

    n: Array  # (rows,)
    x: Array


class Normal(NamedTuple):
    """A normal prior of a logit."""

    mean: float
    sd: float


class Panels(NamedTuple):
    """The nodes of mu at one tau."""

    tau: float
    edges: Array
    mu: Array  # (nodes,)
    prior: Array  # (nodes,) weight of the node under the priors of mu and tau


def panels_of(mean: Normal, scales: Rule, offsets: Array, numbers: Array, fineness: float) -> list[Panels]:
    """Return the nodes of mu for each node of tau."""
    found = []
    for tau, mass in zip(scales.nodes, scales.weights, strict=True):
        edges = mean_edges(mean.mean, mean.sd, float(tau), offsets, numbers, fineness)
        mu, weight = panels(edges)
        density = np.exp(-0.5 * ((mu - mean.mean) / mean.sd) ** 2) / (mean.sd * math.sqrt(2.0 * math.pi))
        found.append(Panels(float(tau), edges, mu, mass * weight * density))
    return found


def _best(counts: Counts) -> Array:
    """Return the largest log likelihood of each row, (rows,)."""
    n, x = counts
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, x * np.log(x / n), 0.0) + np.where(x < n, (n - x) * np.log1p(-x / n), 0.0)


def likelihood(counts: Counts, logit: Array) -> Array:
    """Return p^x (1 - p)^(n - x) in units of its maximum at each logit, (rows, logits)."""
    n, x = counts.n[:, None], counts.x[:, None]
    return np.asarray(np.exp(x * log_expit(logit) + (n - x) * log_expit(-logit) - _best(counts)[:, None]))


def integrals(counts: Counts, offset: float, mu: Array, tau: float, bound: float = -math.inf, power: int = 0) -> Array:
    """Return, for each row and mu, the integral of likelihood * rate^power over logits beyond `bound`, (rows, mu).

    The logit is theta + offset with theta ~ N(mu, tau^2); likelihoods are in units of their maximum.
    """
    if tau <= 1e-9:
        logit = mu + offset
        inside = likelihood(counts, logit) * expit(logit) ** power
        return np.where(logit > bound, inside, 0.0)
    if tau > 0.3:
        return _on_one_grid(counts, offset, mu, tau, bound, power)
    # Panels of the standard normal deviate, as narrow as the likelihood is at this tau.
    pieces = 8
    start = np.clip((bound - offset - mu) / tau, -FAR, FAR)[:, None]
    half = (FAR - start) / (2.0 * pieces)
    middle = start + half * (2.0 * np.arange(pieces) + 1.0)
    deviate = (middle[:, :, None] + half[:, :, None] * NODES).reshape(len(mu), -1)
    weight = np.broadcast_to(half[:, :, None] * WEIGHTS, (len(mu), pieces, IN_A_PANEL)).reshape(len(mu), -1)
    logit = mu[:, None] + tau * deviate + offset
    weight = weight * np.exp(-0.5 * deviate**2) / math.sqrt(2.0 * math.pi) * expit(logit) ** power
    responds, fails = log_expit(logit), log_expit(-logit)
    best = _best(counts)
    return np.stack(
        [
            (np.exp(x * responds + (n - x) * fails - most) * weight).sum(axis=1)
            for n, x, most in zip(counts.n, counts.x, best, strict=True)
        ]
    )


def _on_one_grid(counts: Counts, offset: float, mu: Array, tau: float, bound: float, power: int) -> Array:
    """The same where the normal is wide: one grid of logits for all mu, and a product of matrices."""
    largest = max(float(counts.n.max()), 1.0)
    low, high = float(mu.min()) - FAR * tau + offset, float(mu.max()) + FAR * tau + offset
    low = max(low, bound)
    if low >= high:
        return np.zeros((len(counts.n), len(mu)))
    edges = [low]
    while edges[-1] < high:
        p = expit(edges[-1])
        edges.append(edges[-1] + min(1.5 / math.sqrt(max(largest * p * (1.0 - p), 1e-12)), 1.5 * tau, 1.5))
    edges[-1] = high
    logit, weight = panels(np.array(edges))
    deviate = (logit[:, None] - offset - mu) / tau
    normal = np.exp(-0.5 * deviate**2) / (tau * math.sqrt(2.0 * math.pi))
    return np.asarray((likelihood(counts, logit) * (weight * expit(logit) ** power)) @ normal)


class Mixture(NamedTuple):
    """A basket's prior given the hyperparameters: exchangeable with this weight, else a normal prior of its own."""

    exchangeable: float
    own: Normal

    def mixed(
        self, counts: Counts, offset: float, mu: Array, tau: float, bound: float = -math.inf, power: int = 0
    ) -> Array:
        """Return the `integrals` under the mixture, (rows, mu)."""
        total = np.zeros((len(counts.n), len(mu)))
        if self.exchangeable > 0.0:
            total += self.exchangeable * integrals(counts, offset, mu, tau, bound, power)
        if self.exchangeable < 1.0:
            own = integrals(counts, offset, np.array([self.own.mean]), self.own.sd, bound, power)
            total += (1.0 - self.exchangeable) * own
        return total


EXCHANGEABLE = Mixture(1.0, Normal(0.0, 1.0))


def likelihoods(counts: Counts, offset: float, mixture: Mixture, grid: list[Panels]) -> Array:
    """Return L[x, g], (rows, nodes of all tau)."""
    return np.concatenate([mixture.mixed(counts, offset, part.mu, part.tau) for part in grid], axis=1)


def powers(counts: Counts, offset: float, mixture: Mixture, grid: list[Panels], likelihood: Array, power: int) -> Array:
    """Return the mean of rate^power given each node, (rows, nodes); `likelihood` as `likelihoods` returns it."""
    above = np.concatenate([mixture.mixed(counts, offset, part.mu, part.tau, power=power) for part in grid], axis=1)
    return np.asarray(above / np.maximum(likelihood, 1e-300))


def tails(
    counts: Counts, offset: float, mixture: Mixture, grid: list[Panels], likelihood: Array, bound: float
) -> Array:
    """Return V[x, g], the tail beyond the logit `bound`, averaged over the node's share of its panel, (rows, nodes)."""
    above = np.concatenate([mixture.mixed(counts, offset, part.mu, part.tau, bound) for part in grid], axis=1)
    values = np.asarray(above / np.maximum(likelihood, 1e-300))
    first = 0
    for part in grid:
        _integrate_steps(values[:, first : first + len(part.mu)], counts, offset, mixture, part, bound)
        first += len(part.mu)
    return values


def _integrate_steps(
    values: Array, counts: Counts, offset: float, mixture: Mixture, part: Panels, bound: float
) -> None:
    """Put the average over a node's share of its panel where the tail is a step in the panel."""
    edges, spread, step = part.edges, max(part.tau, 1e-9), bound - offset
    for panel in range(len(edges) - 1):
        low, high = edges[panel], edges[panel + 1]
        # Where the tail is as smooth as the rest its values at the nodes serve, and where the panel sees no step.
        if part.tau >= high - low or step + SHARP * spread < low or step - SHARP * spread > high:
            continue
        cuts = step + spread * FINE
        mu, weight = panels(np.concatenate([[low], cuts[(cuts > low) & (cuts < high)], [high]]))
        basis = _lagrange((2.0 * mu - low - high) / (high - low)) * weight  # (nodes of the panel, mu)
        whole = np.maximum(mixture.mixed(counts, offset, mu, part.tau), 1e-300)
        fine = mixture.mixed(counts, offset, mu, part.tau, bound) / whole
        own = slice(panel * IN_A_PANEL, (panel + 1) * IN_A_PANEL)
        values[:, own] = fine @ basis.T / ((high - low) / 2.0 * WEIGHTS)


def _lagrange(at: Array) -> Array:
    """Return the Lagrange polynomials of the nodes of a panel at points in [-1, 1], (IN_A_PANEL, points)."""
    values = np.ones((IN_A_PANEL, len(at)))
    for i in range(IN_A_PANEL):
        for j in range(IN_A_PANEL):
            if i != j:
                values[i] *= (at - NODES[j]) / (NODES[i] - NODES[j])
    return values


class Alone(NamedTuple):
    """What a basket's data are worth under a normal prior of its own logit; each (rows,)."""

    likelihood: Array
    mean: Array
    square: Array


def alone(counts: Counts, offset: float, own: Normal) -> Alone:
    """Return marginal likelihood (in units of the rows' maxima), posterior mean and mean square of the rate."""
    mu = np.array([own.mean])
    whole = integrals(counts, offset, mu, own.sd)[:, 0]
    first, second = (integrals(counts, offset, mu, own.sd, power=k)[:, 0] for k in (1, 2))
    return Alone(whole, first / whole, second / whole)


def tail_alone(counts: Counts, offset: float, mixture: Mixture, bound: float) -> Array:
    """Return the posterior probability that the logit lies beyond `bound` under the own prior, (rows,)."""
    mu = np.array([mixture.own.mean])
    above = integrals(counts, offset, mu, mixture.own.sd, bound)[:, 0]
    return np.asarray(above / integrals(counts, offset, mu, mixture.own.sd)[:, 0])
