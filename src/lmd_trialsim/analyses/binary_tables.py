"""The tables behind the questions about response rates, built once a scenario in NumPy to full precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.special import betaincinv, betaln, gammaln

from lmd_trialsim.analyses.beta_mixture import Array, BetaMixture
from lmd_trialsim.analyses.binary import (
    DIFFERENCE,
    ODDS_RATIO,
    RATIO,
    FisherExact,
    PosteriorContrast,
    RateEstimate,
    RateTable,
    row_index,
)
from lmd_trialsim.analyses.predictive_binary import BetaPrior


def rate_above(prior: BetaMixture, rate: float, largest: int, of_control: bool = False) -> RateTable:
    """Return P(rate > `rate` | x of n) for all n up to `largest`."""
    _, n, x = row_index(range(largest + 1), largest)
    values = np.full((largest + 1, largest + 1), math.nan)
    values[n.astype(int), x.astype(int)] = 1.0 - prior.given(n, x).cdf(np.array([rate]))[:, 0]
    return RateTable(values, int(of_control))


def binomial_tail(rate: float, largest: int, higher_is_better: bool) -> RateTable:
    """Return the exact one-sided p-value of H0: rate no better than `rate`, for all (n, x)."""
    from scipy.special import bdtr, bdtrc

    _, n, x = row_index(range(largest + 1), largest)
    values = np.full((largest + 1, largest + 1), math.nan)
    whole = n.astype(int)
    tail = np.where(x > 0, bdtrc(x - 1, whole, rate), 1.0) if higher_is_better else bdtr(x, whole, rate)
    values[n.astype(int), x.astype(int)] = np.where(n > 0, tail, math.nan)
    return RateTable(values, 0)


def _step(largest: int) -> float:
    return min(0.08, 0.42 / math.sqrt(largest + 1.0))


def nodes_needed(largest: int, least: float) -> int:
    """Return how many nodes a contrast of up to `largest` patients takes; `least`: the smallest prior parameter."""
    return 2 * math.ceil(math.asinh(36.0 / (math.pi * min(least, 1.0))) / _step(largest) / 4) * 4


def _nodes(largest: int, least: float, low: float, high: float) -> tuple[Array, Array, Array]:
    """Return nodes p in (low, high), log weights, and log distances to `low` and `high`.

    Tanh-sinh (Takahasi and Mori 1974): the trapezoidal rule in t, p = low + (high - low) / (1 + exp(-pi sinh t)), is
    exponentially accurate once its step is below a posterior's standard deviation; the step shrinks with the number of
    patients. The range covers a density p ** (least - 1) up to a mass of e-16 beyond it.
    """
    step = _step(largest)
    half = nodes_needed(largest, least) // 2
    t = (np.arange(2 * half) - half + 0.5) * step
    logit = math.pi * np.sinh(t)
    share = -np.logaddexp(0.0, -logit)  # log of p's share of the interval, exact at both ends
    rest = -np.logaddexp(0.0, logit)
    weight = share + rest + np.log(math.pi * np.cosh(t) * step)
    width = math.log(high - low)
    return low + (high - low) * np.exp(share), weight + width, np.stack([share + width, rest + width])


def posterior_contrast(
    treatment: BetaMixture,
    control: BetaMixture,
    numbers: tuple[Iterable[int], Iterable[int]],
    scale: int,
    margin: float,
) -> PosteriorContrast:
    """Return the rows for P(contrast > margin): the rates' difference, ratio or odds ratio, treatment to control.

    numbers: the numbers of patients of treatment and control that can occur at a look.
    """
    of_treatment, of_control = set(numbers[0]), set(numbers[1])
    largest = max(of_treatment | of_control)
    index_t, n_t, x_t = row_index(of_treatment, max(of_treatment))
    index_c, n_c, x_c = row_index(of_control, max(of_control))
    low, high = 0.0, 1.0
    if scale == DIFFERENCE:
        low, high = max(0.0, margin), min(1.0, 1.0 + margin)
    elif scale == RATIO:
        high = min(1.0, margin)
    least = min(x.min() for x in (treatment.alpha, treatment.beta, control.alpha, control.beta))
    p, log_weight, log_distance = _nodes(largest, float(least), low, high)
    log_p = log_distance[0] if low == 0.0 else np.log(p)
    log_q = log_distance[1] if high == 1.0 else np.log1p(-p)
    posterior = treatment.given(n_t, x_t)
    mass = np.zeros((len(n_t), len(p)))
    for k in range(posterior.weight.shape[1]):
        a, b = posterior.alpha[:, k, None], posterior.beta[:, k, None]
        log_density = (a - 1.0) * log_p + (b - 1.0) * log_q - betaln(a, b)
        mass += posterior.weight[:, k, None] * np.exp(log_density + log_weight)
    # The control's rate that the contrast maps the node to, and one less it, which near 1 is the one that is known.
    rest = np.exp(log_q)
    if scale == DIFFERENCE:
        of, rest_of = p - margin, rest + margin
    elif scale == RATIO:
        of, rest_of = p / margin, 1.0 - p / margin
    else:
        of, rest_of = p / (p + margin * rest), margin * rest / (p + margin * rest)
    beyond = 1.0 - posterior.cdf(np.array([high]))[:, 0] if high < 1.0 else np.zeros(len(n_t))
    return PosteriorContrast(index_t, index_c, mass, beyond, control.given(n_c, x_c).cdf(of, rest_of))


def fisher(largest: int, direction: float) -> FisherExact:
    """Return the question of Fisher's exact test for up to `largest` patients in all."""
    return FisherExact(gammaln(np.arange(largest + 1.0) + 1.0), direction)


def bayesian_estimate(prior: BetaMixture, numbers: Iterable[int]) -> RateEstimate:
    """Return posterior mean and equal-tailed 95 % credible limits by row (n, x)."""
    numbers = set(numbers)
    index, n, x = row_index(numbers, max(numbers))
    posterior = prior.given(n, x)
    return RateEstimate(index, posterior.mean(), posterior.quantile(0.025), posterior.quantile(0.975))


def exact_estimate(numbers: Iterable[int]) -> RateEstimate:
    """Return the proportion and its 95 % limits after Clopper and Pearson (1934, Biometrika 26:404)."""
    numbers = set(numbers)
    index, n, x = row_index(numbers, max(numbers))
    with np.errstate(invalid="ignore"):
        low = np.where(x > 0, betaincinv(np.maximum(x, 1), n - x + 1, 0.025), 0.0)
        high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1), 0.975), 1.0)
        return RateEstimate(index, np.where(n > 0, x / n, math.nan), low, high)


def wilson_estimate(numbers: Iterable[int]) -> RateEstimate:
    """Return the proportion and its 95 % score limits (Wilson 1927), for the limits of contrasts (Newcombe 1998)."""
    numbers = set(numbers)
    index, n, x = row_index(numbers, max(numbers))
    z2 = 1.959963984540054**2
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (x + z2 / 2.0) / (n + z2)
        half = np.sqrt(z2 * (x * (n - x) / n + z2 / 4.0)) / (n + z2)
        return RateEstimate(
            index, np.where(n > 0, x / n, math.nan), np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
        )


def kernel_prior(prior: BetaMixture) -> BetaPrior:
    """Return the mixture in the form that kernels read."""
    return BetaPrior(prior.alpha, prior.beta, np.log(prior.weight) - betaln(prior.alpha, prior.beta))


SCALES: dict[str, int] = {"difference": DIFFERENCE, "ratio": RATIO, "odds_ratio": ODDS_RATIO}
"""The words of the YAML for the scale of a contrast."""

Builder = Callable[[Iterable[int]], RateEstimate]
