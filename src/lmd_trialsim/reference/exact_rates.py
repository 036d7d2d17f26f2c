"""Response rates judged on every outcome (x_T of n_T, x_C of n_C) at once: posteriors, tests, estimates.

Tables have a row for each x of treatment and a column for each x of control; a single arm has one column.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, expit, gammaln, log_expit, softmax

Array = NDArray[np.float64]
HIGH_Z = 1.959963984540054  # of a two-sided 95 % interval
NEGLIGIBLE = 37.0  # exp(-37) is below rounding
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
ROOM = 20_000_000  # numbers kept of rows that other numbers of patients may ask for again


class Prior(NamedTuple):
    """A mixture of beta distributions, (components,) each."""

    weight: Array
    alpha: Array
    beta: Array

    @classmethod
    def of(cls, components: Iterable[tuple[float, float, float]]) -> Prior:
        """Return the prior of (weight, alpha, beta)."""
        weight, alpha, beta = np.array(list(components), float).T
        return cls(weight, alpha, beta)

    def after(self, n: int) -> Prior:
        """Return the posteriors after x = 0..n responses of n, (n + 1, components) each."""
        x = np.arange(n + 1.0)[:, None]
        alpha, beta = self.alpha + x, self.beta + n - x
        evidence = np.log(self.weight) + betaln(alpha, beta) - betaln(self.alpha, self.beta)
        return Prior(softmax(evidence, axis=1), alpha, beta)

    def below(self, p: Array, q: Array) -> Array:
        """Return P(rate <= p), (rows, points); q = 1 - p, told apart where p itself rounds to 1."""
        total = np.zeros((len(self.weight), len(p)))
        low = p <= 0.5
        for k in range(self.weight.shape[1]):
            a, b = self.alpha[:, k, None], self.beta[:, k, None]
            total[:, low] += self.weight[:, k, None] * betainc(a, b, p[low])
            total[:, ~low] += self.weight[:, k, None] * (1.0 - betainc(b, a, q[~low]))
        return total

    def above(self, rate: float) -> Array:
        """Return P(rate > `rate`), (rows,)."""
        return np.asarray((self.weight * (1.0 - betainc(self.alpha, self.beta, rate))).sum(axis=1))

    def quantile(self, probability: float) -> Array:
        """Return the quantiles, (rows,): halving the interval between the components' until no number lies between."""
        each = betaincinv(self.alpha, self.beta, probability)
        low, high = each.min(axis=1), each.max(axis=1)
        while np.any(high - low > 1e-14 * high):
            middle = 0.5 * (low + high)
            under = (self.weight * betainc(self.alpha, self.beta, middle[:, None])).sum(axis=1) < probability
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.asarray(0.5 * (low + high))

    def futures(self, n: int, final: int) -> Array:
        """Return P(y of `final` in the end | x of `n` now), (n + 1, final + 1): beta-binomials of those to come."""
        now, more = self.after(n), final - n
        y = np.arange(more + 1.0)
        choose = gammaln(more + 1.0) - gammaln(y + 1.0) - gammaln(more - y + 1.0)
        chance = np.zeros((n + 1, more + 1))
        for k in range(len(self.weight)):
            a, b = now.alpha[:, k, None], now.beta[:, k, None]
            chance += now.weight[:, k, None] * np.exp(choose + betaln(a + y, b + more - y) - betaln(a, b))
        table = np.zeros((n + 1, final + 1))
        for x in range(n + 1):
            table[x, x : x + more + 1] = chance[x]
        return table


class Contrast:
    """P(p_T - p_C > bound | data), or of the ratio or odds ratio, by composite Gauss-Legendre quadrature.

    = integral of f_T(p) F_C(g(p)) dp over the p between which F_C changes, and P(p_T beyond them), where g takes the
    treatment's rate to the control's that has just this contrast. In s, p = low + (high - low) / (1 + exp(-s)), beta
    densities are smooth on the scale of 2 / sqrt(n) and fall off exponentially: panels of five such scales with twenty
    nodes each integrate to rounding, and may grow where only the tails are.
    """

    def __init__(self, treatment: Prior, control: Prior, quantity: str, bound: float, largest: int) -> None:
        self.treatment, self.control = treatment, control
        low, high = 0.0, 1.0
        if quantity == "difference":
            low, high = max(0.0, bound), min(1.0, 1.0 + bound)
        elif quantity == "ratio":
            high = min(1.0, bound)
        self.high, width = high, high - low
        weight_of_prior = max(float((prior.alpha + prior.beta).max()) for prior in (treatment, control))
        s, step = _nodes(
            largest + weight_of_prior,
            width,
            min(1.0, float(treatment.alpha.min())) if low == 0.0 else 1.0,
            min(1.0, float(treatment.beta.min())) if high == 1.0 else 1.0,
        )
        up, down = width * expit(s), width * expit(-s)  # distances from `low` and `high`
        p, q = low + up, (1.0 - high) + down
        self._log_p = np.log(width) + log_expit(s) if low == 0.0 else np.log(p)
        self._log_q = np.log(width) + log_expit(-s) if high == 1.0 else np.log(q)
        self._log_step = np.log(width) + log_expit(s) + log_expit(-s) + np.log(step)
        if quantity == "difference":
            self._of_control = (up, 1.0 - up) if bound > 0.0 else (1.0 - down, down) if bound < 0.0 else (p, q)
        elif quantity == "ratio":
            self._of_control = (expit(s), expit(-s)) if bound <= 1.0 else (p / bound, 1.0 - p / bound)
        else:
            self._of_control = (p / (p + bound * q), bound * q / (p + bound * q))
        self._masses: dict[int, tuple[Array, Array]] = {}
        self._belows: dict[int, Array] = {}
        self._kept = 0

    def above(self, n_treatment: int, n_control: int) -> Array:
        """Return the table of P(contrast > bound)."""
        if self._kept > ROOM:
            self._masses.clear()
            self._belows.clear()
            self._kept = 0
        if n_treatment not in self._masses:
            self._masses[n_treatment] = self._mass(n_treatment)
            self._kept += self._masses[n_treatment][0].size
        if n_control not in self._belows:
            self._belows[n_control] = self.control.after(n_control).below(*self._of_control)
            self._kept += self._belows[n_control].size
        mass, beyond = self._masses[n_treatment]
        return np.asarray(mass @ self._belows[n_control].T + beyond[:, None])

    def _mass(self, n: int) -> tuple[Array, Array]:
        posterior = self.treatment.after(n)
        mass = np.zeros((n + 1, len(self._log_p)))
        for k in range(posterior.weight.shape[1]):
            a, b = posterior.alpha[:, k, None], posterior.beta[:, k, None]
            log_density = (a - 1.0) * self._log_p + (b - 1.0) * self._log_q - betaln(a, b)
            mass += posterior.weight[:, k, None] * np.exp(log_density + self._log_step)
        return mass, posterior.above(self.high) if self.high < 1.0 else np.zeros(n + 1)


def _nodes(weight: float, width: float, least_low: float, least_high: float) -> tuple[Array, Array]:
    """Return nodes and weights in s: panels of one width in the middle, growing towards tails exp(-least * |s|)."""
    panel = min(1.0, 10.0 * width / np.sqrt(weight))
    middle = 3.0 + np.log(weight + 10.0)
    inner = np.linspace(-middle, middle, int(np.ceil(2.0 * middle / panel)) + 1)

    def tail(least: float) -> list[float]:
        ends, length = [middle], panel
        while ends[-1] < NEGLIGIBLE / least:
            length *= 1.3
            ends.append(ends[-1] + length)
        return ends[1:]

    edges = np.array([*(-end for end in reversed(tail(least_low))), *inner, *tail(least_high)])
    half = 0.5 * np.diff(edges)[:, None]
    nodes = 0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES
    return nodes.ravel(), (half * WEIGHTS).ravel()


def z_of_difference(n_t: int, n_c: int, margin: float, pooled: bool, higher: bool) -> Array:
    """Return z of the normal test, positive where treatment is better; 0 or infinite where the variance is 0."""
    if n_t == 0 or n_c == 0:
        return np.full((n_t + 1, n_c + 1), np.nan)
    x_t, x_c = np.arange(n_t + 1.0)[:, None], np.arange(n_c + 1.0)[None, :]
    p_t, p_c, p = x_t / n_t, x_c / n_c, (x_t + x_c) / (n_t + n_c)
    of_each = p_t * (1.0 - p_t) / n_t + p_c * (1.0 - p_c) / n_c
    variance = p * (1.0 - p) * (1.0 / n_t + 1.0 / n_c) if pooled else of_each
    gain = (p_t - p_c - margin) * (1.0 if higher else -1.0)
    gain[np.abs(gain) < 1e-12] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gain == 0.0, 0.0, gain / np.sqrt(variance))


def fisher_p(n_t: int, n_c: int, higher: bool) -> Array:
    """Return the one-sided p-value of Fisher's exact test: the hypergeometric tail along each margin."""
    if n_t == 0 or n_c == 0:
        return np.full((n_t + 1, n_c + 1), np.nan)

    def log_choose(n: int) -> Array:
        k = np.arange(n + 1.0)
        return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))

    margin = np.add.outer(np.arange(n_t + 1), np.arange(n_c + 1))
    p = np.exp(np.add.outer(log_choose(n_t), log_choose(n_c)) - log_choose(n_t + n_c)[margin])
    for x in range(n_t - 1, -1, -1):
        p[x, 1:] += p[x + 1, :-1]
    return p if higher else p_of_failures(n_t, n_c)


def p_of_failures(n_t: int, n_c: int) -> Array:
    """Return Fisher's p-value where a lower rate is the better one: the same of the patients who did not respond."""
    return fisher_p(n_t, n_c, higher=True)[::-1, ::-1]


class Limits(NamedTuple):
    """Estimates with 95 % limits."""

    middle: Array
    low: Array
    high: Array


def credible(prior: Prior, n: int) -> Limits:
    """Return posterior means and equal-tailed limits, (n + 1,)."""
    posterior = prior.after(n)
    mean = (posterior.weight * posterior.alpha / (posterior.alpha + posterior.beta)).sum(axis=1)
    return Limits(mean, posterior.quantile(0.025), posterior.quantile(0.975))


def clopper_pearson(n: int) -> Limits:
    """Return proportions and exact limits, (n + 1,)."""
    x = np.arange(n + 1.0)
    low, high = np.zeros(n + 1), np.ones(n + 1)
    low[1:] = betaincinv(x[1:], n - x[1:] + 1.0, 0.025)
    high[:-1] = betaincinv(x[:-1] + 1.0, n - x[:-1], 0.975)
    return Limits(x / n, low, high)


def wilson(n: int) -> Limits:
    """Return proportions and score limits (Wilson 1927), (n + 1,): the roots of (x / n - p)^2 = z^2 p (1 - p) / n."""
    rate, square = np.arange(n + 1.0) / n, HIGH_Z**2 / n
    root = np.sqrt(square * (rate * (1.0 - rate) + square / 4.0))
    centre = rate + square / 2.0
    low, high = (centre - root) / (1.0 + square), (centre + root) / (1.0 + square)
    return Limits(rate, np.maximum(low, 0.0), np.minimum(high, 1.0))


def contrast_limits(treatment: Limits, control: Limits, scale: str) -> Limits:
    """Return tables of the contrast and its limits by variance estimates recovery (Zou and Donner 2008)."""

    def scaled(limits: Limits) -> Limits:
        if scale == "difference":
            return limits
        with np.errstate(divide="ignore"):
            return Limits(*(np.log(v) - (np.log1p(-v) if scale == "odds_ratio" else 0.0) for v in limits))

    t, c = scaled(treatment), scaled(control)
    middle = np.subtract.outer(t.middle, c.middle)
    down = np.hypot((t.middle - t.low)[:, None], (c.high - c.middle)[None, :])
    up = np.hypot((t.high - t.middle)[:, None], (c.middle - c.low)[None, :])
    return Limits(middle, middle - down, middle + up)
