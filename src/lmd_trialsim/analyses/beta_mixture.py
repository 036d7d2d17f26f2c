"""Mixtures of beta distributions as priors of a response rate, in NumPy: what the tables of a design are built from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, gammaln, logsumexp

Array = NDArray[np.float64]


class BetaMixture(NamedTuple):
    """sum_k weight[k] * Beta(alpha[k], beta[k]); all (components,), or (rows, components) after data."""

    weight: Array
    alpha: Array
    beta: Array

    @classmethod
    def of(cls, *components: tuple[float, float, float]) -> BetaMixture:
        """Return the mixture of (weight, alpha, beta) components."""
        weight, alpha, beta = (np.array(column, float) for column in zip(*components, strict=True))
        return cls(weight, alpha, beta)

    def given(self, n: Array, x: Array) -> BetaMixture:
        """Return the posteriors after x of n responses, (rows,) each: conjugate, weights by marginal likelihood."""
        n, x = np.atleast_1d(n)[:, None], np.atleast_1d(x)[:, None]
        alpha, beta = self.alpha + x, self.beta + n - x
        log_weight = np.log(self.weight) + betaln(alpha, beta) - betaln(self.alpha, self.beta)
        return BetaMixture(np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True)), alpha, beta)

    def cdf(self, p: Array, rest: Array | None = None) -> Array:
        """Return P(rate <= p), (rows, points), for points p (points,) of rows of posteriors.

        rest: 1 - p, where it is known to more digits than p says.
        """
        p = np.clip(np.atleast_1d(p), 0.0, 1.0)
        rest = 1.0 - p if rest is None else np.clip(rest, 0.0, 1.0)
        low = p <= 0.5
        total = np.zeros((self.weight.shape[0], p.shape[0]))
        for k in range(self.weight.shape[1]):
            weight, alpha, beta = (part[:, k, None] for part in self)
            total[:, low] += weight * betainc(alpha, beta, p[low])
            total[:, ~low] += weight * (1.0 - betainc(beta, alpha, rest[~low]))
        return total

    def mean(self) -> Array:
        """Return the means, (rows,)."""
        return np.asarray((self.weight * self.alpha / (self.alpha + self.beta)).sum(axis=1))

    def quantile(self, probability: float) -> Array:
        """Return the quantiles, (rows,), to 1e-12 (bisection between those of the components)."""
        each = betaincinv(self.alpha, self.beta, probability)
        low, high = each.min(axis=1), each.max(axis=1)
        for _ in range(44 if self.weight.shape[1] > 1 else 0):
            middle = 0.5 * (low + high)
            below = (self.weight * betainc(self.alpha, self.beta, middle[:, None])).sum(axis=1) < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))

    def predictive(self, future: int) -> Array:
        """Return P(y responses among `future` more patients), (rows, future + 1): beta-binomial mixtures."""
        y = np.arange(future + 1.0)
        choose = gammaln(future + 1.0) - gammaln(y + 1.0) - gammaln(future - y + 1.0)
        total = np.zeros((self.weight.shape[0], future + 1))
        for k in range(self.weight.shape[1]):
            alpha, beta = self.alpha[:, k, None], self.beta[:, k, None]
            total += self.weight[:, k, None] * np.exp(
                choose + betaln(alpha + y, beta + future - y) - betaln(alpha, beta)
            )
        return total
