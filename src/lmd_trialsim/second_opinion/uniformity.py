"""Whether ranks are uniform: chi-square, Kolmogorov and Smirnov, and simultaneous bands of their distribution function.

Source of the bands: Säilynoja, Bürkner and Vehtari (2022), Statistics and Computing 32:32. At each of some points the
number of ranks below it is binomial; the band leaves out as much at all of them, and the chance that a sample leaves it
anywhere is walked through exactly from point to point.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, chdtrc, gammaln, kolmogorov

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

BINS = 20
POINTS = 50
LEVEL = 1e-3
"""Ranks of a scenario whose posteriors are all right fail any test of any number so often at most (Bonferroni)."""


class Uniformity(NamedTuple):
    """P-values: how often ranks that are uniform are as far from it."""

    chi_square: float
    kolmogorov: float
    bands: float

    @property
    def least(self) -> float:
        """The smallest of the three."""
        return min(self)


def uniformity_of(ranks: Array) -> Uniformity:
    """Return how uniform ranks (ranks,) from 0 to 1 are."""
    return Uniformity(chi_square(ranks), kolmogorov_smirnov(ranks), outside_bands(ranks))


def chi_square(ranks: Array) -> float:
    """Return the p-value of Pearson's statistic over BINS bins of equal width."""
    counts = np.bincount(np.minimum((ranks * BINS).astype(int), BINS - 1), minlength=BINS)
    expected = len(ranks) / BINS
    return float(chdtrc(BINS - 1, ((counts - expected) ** 2 / expected).sum()))


def kolmogorov_smirnov(ranks: Array) -> float:
    """Return the p-value of the largest distance to the uniform distribution function, after Stephens (1970)."""
    n, sorted_ranks = len(ranks), np.sort(ranks)
    steps = np.arange(n + 1) / n
    distance = max(float((steps[1:] - sorted_ranks).max()), float((sorted_ranks - steps[:-1]).max()))
    return float(kolmogorov((math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance))


def points() -> Array:
    """Return the points at which bands are drawn, (points,)."""
    return np.arange(1.0, POINTS) / POINTS


def outside_bands(ranks: Array) -> float:
    """Return the chance that uniform ranks leave the narrowest simultaneous band that just holds these."""
    n, at = len(ranks), points()
    below = np.searchsorted(np.sort(ranks), at, side="right")
    tails = np.minimum(bdtr(below, n, at), np.where(below > 0, bdtrc(below - 1, n, at), 1.0))
    low, high = band(n, float(tails.min()))
    return max(1.0 - probability_inside(n, low, high), 0.0)


def band(n: int, tail: float) -> tuple[Whole, Whole]:
    """Return the least and the largest numbers of n ranks below each point that are no rarer than `tail` on a side.

    A sample with just this tail is as far out as the band's first steps beyond it: those are left out.
    """
    at, every = points(), np.arange(n + 1)
    inside_low = bdtr(every[:, None], n, at) > tail * (1.0 + 1e-9)
    upper = np.concatenate([np.ones((1, len(at))), bdtrc(every[:-1, None], n, at)])
    inside_high = upper > tail * (1.0 + 1e-9)
    low = np.argmax(inside_low, axis=0)
    high = n - np.argmax(inside_high[::-1], axis=0)
    return low, np.maximum(high, low - 1)


def simultaneous_band(n: int, level: float) -> tuple[Whole, Whole]:
    """Return the band that uniform ranks leave anywhere with probability `level` at most: by bisection of its tail."""
    low, high = math.log(level / (2.0 * POINTS)), math.log(level / 2.0)
    for _ in range(12):
        middle = 0.5 * (low + high)
        if 1.0 - probability_inside(n, *band(n, math.exp(middle))) > level:
            high = middle
        else:
            low = middle
    return band(n, math.exp(low))


def probability_inside(n: int, low: Whole, high: Whole) -> float:
    """Return the chance that of n uniform ranks low to high lie below each point, both (points,).

    What lies between two points, given what lies below the first, is binomial.
    """
    at = points()
    log_factorial = gammaln(np.arange(n + 1.0) + 1.0)
    chance, states, before = np.ones(1), np.zeros(1, np.int64), 0.0
    for point, least, most in zip(at.tolist(), low.tolist(), high.tolist(), strict=True):
        if most < least:
            return 0.0
        share = (point - before) / (1.0 - before)
        reached = np.arange(least, most + 1)
        more = reached[None, :] - states[:, None]
        left = n - states[:, None]
        possible = (more >= 0) & (more <= left)
        more = np.where(possible, more, 0)
        log_pmf = log_factorial[left] - log_factorial[more] - log_factorial[left - more]
        log_pmf = log_pmf + more * math.log(share) + (left - more) * math.log1p(-share)
        chance = chance @ np.where(possible, np.exp(log_pmf), 0.0)
        states, before = reached, point
    return float(chance.sum())
