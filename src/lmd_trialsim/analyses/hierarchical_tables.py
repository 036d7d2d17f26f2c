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

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from lmd_trialsim.analyses.hierarchical_rules import IN_A_PANEL, NODES, WEIGHTS, Rule, mean_edges, panels

Array = NDArray[np.float64]

FAR = 8.5  # standard deviations of a logit around its mean: 2e-17 lie beyond
WIDE = 0.3  # tau above which one grid of logits serves all mu
MOST_EXPONENT = 600.0  # of the powers of ratios of rates
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


def integrals(counts: Counts, offset: float, mu: Array, tau: float, bounds: Sequence[float] = (-math.inf,)) -> Array:
    """Return the integral of the likelihood over logits beyond each bound, (bounds, rows, mu).

    The logit is theta + offset with theta ~ N(mu, tau^2); likelihoods are in units of their maximum.
    """
    if tau <= 1e-9:
        inside = likelihood(counts, mu + offset)
        return np.stack([np.where(mu + offset > bound, inside, 0.0) for bound in bounds])
    if tau > WIDE or tau * FAR * float(counts.n.max()) > MOST_EXPONENT:
        return _on_one_grid(counts, offset, mu, tau, bounds)
    return np.stack([_around_each(counts, offset, mu, tau, bound) for bound in bounds])


def _around_each(counts: Counts, offset: float, mu: Array, tau: float, bound: float) -> Array:
    """The same where the normal is narrow: panels of the standard normal deviate around each mu, (rows, mu).

    With p0 the rate at mu, p^x (1 - p)^m is p0^x (1 - p0)^m times powers of p / p0 and (1 - p) / (1 - p0), and a table
    of these serves all rows.
    """
    pieces = 4
    start = np.clip((bound - offset - mu) / tau, -FAR, FAR)[:, None]
    half = (FAR - start) / (2.0 * pieces)
    middle = start + half * (2.0 * np.arange(pieces) + 1.0)
    deviate = (middle[:, :, None] + half[:, :, None] * NODES).reshape(len(mu), -1)
    weight = np.broadcast_to(half[:, :, None] * WEIGHTS, (len(mu), pieces, IN_A_PANEL)).reshape(len(mu), -1)
    centre = (mu + offset)[:, None]
    x, fails = counts.x.astype(int), (counts.n - counts.x).astype(int)
    rises = _powers(np.exp(log_expit(centre + tau * deviate) - log_expit(centre)), int(x.max()))
    falls = _powers(np.exp(log_expit(-centre - tau * deviate) - log_expit(-centre)), int(fails.max()))
    falls *= (weight * np.exp(-0.5 * deviate**2) / math.sqrt(2.0 * math.pi))[:, None, :]
    if len(x) > rises.shape[1]:
        ratio = (rises @ falls.transpose(0, 2, 1))[:, x, fails]
    else:
        ratio = np.einsum("mrp,mrp->mr", rises[:, x], falls[:, fails])
    return np.asarray(likelihood(counts, mu + offset) * ratio.T)


def _powers(base: Array, most: int) -> Array:
    """Return base^0, ..., base^most, (mu, powers, points)."""
    found = np.empty((len(base), most + 1, base.shape[1]))
    found[:, 0] = 1.0
    for power in range(1, most + 1):
        np.multiply(found[:, power - 1], base, out=found[:, power])
    return found


def _on_one_grid(counts: Counts, offset: float, mu: Array, tau: float, bounds: Sequence[float]) -> Array:
    """The same where the normal is wide: one grid of logits for all mu, cut at the bounds, and products of matrices."""
    largest = max(float(counts.n.max()), 1.0)
    low, high = float(mu.min()) - FAR * tau + offset, float(mu.max()) + FAR * tau + offset
    stops = sorted({low, high, *(bound for bound in bounds if low < bound < high)})
    found = np.zeros((len(bounds), len(counts.n), len(mu)))
    for start, stop in itertools.pairwise(stops):
        logit, weight = panels(_edges(start, stop, largest, tau))
        deviate = (logit[:, None] - offset - mu) / tau
        normal = np.exp(-0.5 * deviate**2) / (tau * math.sqrt(2.0 * math.pi))
        found[[bound <= start for bound in bounds]] += (likelihood(counts, logit) * weight) @ normal
    return found


def _edges(start: float, stop: float, largest: float, tau: float) -> Array:
    """Return edges of panels in which neither the likelihood of so many patients nor the normal bends much."""
    edges = [start]
    while edges[-1] < stop:
        p = float(expit(edges[-1]))
        edges.append(edges[-1] + min(3.0 / math.sqrt(max(largest * p * (1.0 - p), 1e-12)), 3.0 * tau, 3.0))
    edges[-1] = stop
    return np.array(edges)


class Mixture(NamedTuple):
    """A basket's prior given the hyperparameters: exchangeable with this weight, else a normal prior of its own."""

    exchangeable: float
    own: Normal

    def mixed(
        self, counts: Counts, offset: float, mu: Array, tau: float, bounds: Sequence[float] = (-math.inf,)
    ) -> Array:
        """Return the `integrals` under the mixture, (bounds, rows, mu)."""
        total = np.zeros((len(bounds), len(counts.n), len(mu)))
        if self.exchangeable > 0.0:
            total += self.exchangeable * integrals(counts, offset, mu, tau, bounds)
        if self.exchangeable < 1.0:
            own = integrals(counts, offset, np.array([self.own.mean]), self.own.sd, bounds)
            total += (1.0 - self.exchangeable) * own
        return total


EXCHANGEABLE = Mixture(1.0, Normal(0.0, 1.0))


class Kind(NamedTuple):
    """Baskets that are alike."""

    offset: float
    mixture: Mixture


class Tables:
    """What baskets' data are worth at the nodes of one grid, (rows, nodes); made when first asked for, and kept."""

    def __init__(self, grid: list[Panels], counts: Counts) -> None:
        self.grid, self.counts = grid, counts
        self.prior = np.concatenate([part.prior for part in grid])
        self._likelihoods: dict[Kind, Array] = {}
        self._moments: dict[Kind, tuple[Array, Array]] = {}
        self._tails: dict[tuple[Kind, float], Array] = {}

    def _mixed(self, counts: Counts, kind: Kind, bounds: Sequence[float]) -> Array:
        parts = [kind.mixture.mixed(counts, kind.offset, part.mu, part.tau, bounds) for part in self.grid]
        return np.concatenate(parts, axis=2)

    def likelihood(self, kind: Kind) -> Array:
        """Return L[x, g]."""
        if kind not in self._likelihoods:
            self.tails(kind, [])
        return self._likelihoods[kind]

    def moments(self, kind: Kind) -> tuple[Array, Array]:
        """Return the means of the rate and of its square given each node."""
        if kind not in self._moments:
            # p times the likelihood of x of n is the likelihood of x + 1 of n + 1.
            (n, x), rows = self.counts, len(self.counts.n)
            more = Counts(np.concatenate([n + 1.0, n + 2.0]), np.concatenate([x + 1.0, x + 2.0]))
            scale = np.exp(_best(more) - np.tile(_best(self.counts), 2))[:, None]
            found = self._mixed(more, kind, (-math.inf,))[0] * scale
            whole = np.maximum(self.likelihood(kind), 1e-300)
            self._moments[kind] = found[:rows] / whole, found[rows:] / whole
        return self._moments[kind]

    def tails(self, kind: Kind, bounds: Sequence[float]) -> list[Array]:
        """Return V[x, g] beyond each of the logits `bounds`, averaged over the node's share of its panel."""
        missing = [bound for bound in dict.fromkeys(bounds) if (kind, bound) not in self._tails]
        first = [] if kind in self._likelihoods else [-math.inf]
        if missing or first:
            found = self._mixed(self.counts, kind, [*first, *missing])
            if first:
                self._likelihoods[kind] = found[0]
            whole = np.maximum(self._likelihoods[kind], 1e-300)
            for bound, above in zip(missing, found[len(first) :], strict=True):
                self._tails[kind, bound] = self._with_steps(kind, bound, above / whole)
        return [self._tails[kind, bound] for bound in bounds]

    def _with_steps(self, kind: Kind, bound: float, values: Array) -> Array:
        first = 0
        for part in self.grid:
            _integrate_steps(values[:, first : first + len(part.mu)], self.counts, kind, part, bound)
            first += len(part.mu)
        return values


def _integrate_steps(values: Array, counts: Counts, kind: Kind, part: Panels, bound: float) -> None:
    """Put the average over a node's share of its panel where the tail is a step in the panel."""
    edges, spread, step = part.edges, max(part.tau, 1e-9), bound - kind.offset
    for panel in range(len(edges) - 1):
        low, high = edges[panel], edges[panel + 1]
        # Where the tail is as smooth as the rest its values at the nodes serve, and where the panel sees no step.
        if part.tau >= high - low or step + SHARP * spread < low or step - SHARP * spread > high:
            continue
        cuts = step + spread * FINE
        mu, weight = panels(np.concatenate([[low], cuts[(cuts > low) & (cuts < high)], [high]]))
        basis = lagrange((2.0 * mu - low - high) / (high - low)) * weight  # (nodes of the panel, mu)
        whole, above = kind.mixture.mixed(counts, kind.offset, mu, part.tau, (-math.inf, bound))
        fine = above / np.maximum(whole, 1e-300)
        own = slice(panel * IN_A_PANEL, (panel + 1) * IN_A_PANEL)
        values[:, own] = fine @ basis.T / ((high - low) / 2.0 * WEIGHTS)


def lagrange(at: Array) -> Array:
    """Return the Lagrange polynomials of the nodes of a panel at points in [-1, 1], (IN_A_PANEL, points)."""
    distance = np.repeat((at - NODES[:, None])[None], IN_A_PANEL, axis=0)
    distance[np.diag_indices(IN_A_PANEL)] = 1.0
    return np.asarray(distance.prod(axis=1) / _BETWEEN_NODES[:, None])


_BETWEEN_NODES = (NODES[:, None] - NODES + np.eye(IN_A_PANEL)).prod(axis=1)


class Alone(NamedTuple):
    """What a basket's data are worth under a normal prior of its own logit; each (rows,)."""

    likelihood: Array
    mean: Array
    square: Array


def alone(counts: Counts, kind: Kind) -> Alone:
    """Return marginal likelihood (in units of the rows' maxima), posterior mean and mean square of the rate."""
    mu, own, (n, x) = np.array([kind.mixture.own.mean]), kind.mixture.own, counts
    first, second = Counts(n + 1.0, x + 1.0), Counts(n + 2.0, x + 2.0)
    whole, one, two = (integrals(rows, kind.offset, mu, own.sd)[0, :, 0] for rows in (counts, first, second))
    best = _best(counts)
    return Alone(whole, one / whole * np.exp(_best(first) - best), two / whole * np.exp(_best(second) - best))


def tail_alone(counts: Counts, kind: Kind, bound: float) -> Array:
    """Return the posterior probability that the logit lies beyond `bound` under the own prior, (rows,)."""
    own = kind.mixture.own
    whole, above = integrals(counts, kind.offset, np.array([own.mean]), own.sd, (-math.inf, bound))
    return np.asarray(above[:, 0] / whole[:, 0])
