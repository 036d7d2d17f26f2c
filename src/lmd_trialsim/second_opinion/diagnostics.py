"""Whether chains have mixed, and how far off what they say may be, in NumPy.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16:667: rank-normalised split R-hat,
bulk and tail effective sample size, the error of a quantile. Autocorrelations are summed after Geyer (1992).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import betaincinv, ndtr, ndtri

Array = NDArray[np.float64]


def split(draws: Array) -> Array:
    """Return chains cut in half, (..., 2 chains, draws // 2), of draws (..., chains, draws)."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=-2)


def normal_scores(draws: Array) -> Array:
    """Return the ranks among all chains as normal scores, in the shape of the draws (..., chains, draws)."""
    flat = draws.reshape(*draws.shape[:-2], -1)
    ranks = np.argsort(np.argsort(flat, axis=-1, kind="stable"), axis=-1) + 1.0
    return np.asarray(ndtri((ranks - 0.375) / (flat.shape[-1] + 0.25))).reshape(draws.shape)


def r_hat(draws: Array) -> Array:
    """Return rank-normalised split R-hat, the larger of that of the place and that of the spread, (...).

    draws: (..., chains, draws); NaN where all draws are alike.
    """
    folded = np.abs(draws - np.median(draws, axis=(-2, -1), keepdims=True))
    return np.fmax(_plain_r_hat(normal_scores(split(draws))), _plain_r_hat(normal_scores(split(folded))))


def _plain_r_hat(chains: Array) -> Array:
    n = chains.shape[-1]
    within = chains.var(axis=-1, ddof=1).mean(axis=-1)
    between = n * chains.mean(axis=-1).var(axis=-1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((between / within + n - 1.0) / n))


def effective(draws: Array) -> Array:
    """Return the effective sample size of the mean, (...), of draws (..., chains, draws); NaN where all are alike."""
    chains = split(draws)
    *_, m, n = chains.shape
    centred = chains - chains.mean(axis=-1, keepdims=True)
    wave = rfft(centred, next_fast_len(2 * n), axis=-1)
    covariance = irfft(np.abs(wave) ** 2, next_fast_len(2 * n), axis=-1)[..., :n] / n
    within = covariance[..., 0].mean(axis=-1) * n / (n - 1.0)
    total = within * (n - 1.0) / n + chains.mean(axis=-1).var(axis=-1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1.0 - (within[..., None] - covariance.mean(axis=-2)) / total[..., None]
    rho[..., 0] = np.where(np.isnan(rho[..., 0]), np.nan, 1.0)
    # Sums of two neighbours are positive and fall, until noise takes over.
    pairs = rho[..., 0 : n - 1 : 2] + rho[..., 1:n:2]
    keep = np.cumprod(pairs > 0.0, axis=-1).astype(bool)
    falling = np.where(keep, np.minimum.accumulate(pairs, axis=-1), 0.0)
    tau = 2.0 * falling.sum(axis=-1) - 1.0
    size = m * n / np.maximum(tau, 1.0 / math.log10(m * n))
    return np.where(np.isnan(pairs[..., 0]), np.nan, size)


def bulk(draws: Array) -> Array:
    """Return the bulk effective sample size, (...)."""
    return effective(normal_scores(draws))


def tail(draws: Array) -> Array:
    """Return the tail effective sample size, (...): the smaller of those of the 5 % and the 95 % quantile."""
    low, high = (np.quantile(draws, share, axis=(-2, -1), keepdims=True) for share in (0.05, 0.95))
    return np.fmin(effective((draws <= low).astype(float)), effective((draws <= high).astype(float)))


def mean_and_error(draws: Array) -> tuple[float, float]:
    """Return the mean of the draws (chains, draws) and its standard error."""
    return float(draws.mean()), float(draws.std(ddof=1) / math.sqrt(_size(draws)))


def probability_and_error(draws: Array, answer: float) -> tuple[float, float]:
    """Return the mean of probabilities, or of zeros and ones, (chains, draws), and its standard error.

    The error is the larger of that by the spread of the draws and that which they would have if the probability were
    `answer`, the number on trial (a score test: draws that nearly all agree have seen less of the spread than there
    is); and one more draw that does not agree is added.
    """
    size, mean, variance = _size(draws), float(draws.mean()), float(draws.var())
    of_single_draws = mean * (1.0 - mean)
    share = min(variance / of_single_draws, 1.0) if of_single_draws > 0.0 else 1.0
    variance = max(variance, share * answer * (1.0 - answer))
    return mean, math.sqrt((variance + 1.0 / size) / size)


def quantile_and_error(draws: Array, share: float) -> tuple[float, float]:
    """Return a quantile of the draws (chains, draws) and its standard error.

    Half the distance of the quantiles at the ends of an interval of one standard error of `share`.
    """
    value = float(np.quantile(draws, share))
    size = _size((draws <= value).astype(float))
    ends = betaincinv(size * share + 1.0, size * (1.0 - share) + 1.0, ndtr(np.array([-1.0, 1.0])))
    low, high = np.quantile(draws, ends)
    return value, float(high - low) / 2.0


def _size(draws: Array) -> float:
    """Return the effective sample size; of draws that are all alike, a cautious tenth of their number."""
    size = float(effective(draws)) if float(draws.std()) > 0.0 else math.nan
    return size if size > 0.0 else draws.size / 10.0
