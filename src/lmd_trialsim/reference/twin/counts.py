"""Binary endpoints: posteriors, tests and estimates of one arm or two, from the patients who could be assessed.

Posteriors of a contrast are integrals over the quantiles of the treatment's rate by adaptive quadrature; tests are sums
of whole numbers, or SciPy's. Sources: docs/scenario.md, "analysis"; Clopper and Pearson (1934); Wilson (1927); Newcombe
(1998); Zou and Donner (2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, betaln
from scipy.stats import betabinom, binomtest

from lmd_trialsim.designs.analyses import Analysis, BetaBinomial, DifferenceOfProportions, ExactBinomial
from lmd_trialsim.reference.twin.seen import Context, Seen


class Count(NamedTuple):
    """Evaluable patients of an arm, and the responses among them."""

    patients: int
    responses: int


class Beta(NamedTuple):
    """A component of a mixture of beta distributions."""

    weight: float
    alpha: float
    beta: float


class Limits(NamedTuple):
    """An estimate with 95 % limits."""

    middle: float
    low: float
    high: float


Mixture = tuple[Beta, ...]
UNTOLD = Limits(math.nan, math.nan, math.nan)
PLACES = (1e-9, 1e-4, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0 - 1e-4, 1.0 - 1e-9)
"""Quantiles of the control's rate between which the quadrature has nothing sudden to meet."""


def counted(context: Context, seen: Sequence[Seen]) -> list[Count]:
    """Return the counts by arm."""
    outcomes: list[list[int]] = [[] for _ in context.arms]
    for patient in seen:
        if patient.outcome is not None:
            outcomes[patient.arm].append(patient.outcome)
    return [Count(len(known), sum(known)) for known in outcomes]


# ---- posteriors ------------------------------------------------------------------------------------------------------


def posteriors(analysis: BetaBinomial, context: Context, counts: Sequence[Count]) -> list[Mixture]:
    """Return the posterior of each arm's rate."""
    return [
        posterior(prior_of(analysis, arm), of_arm.patients, of_arm.responses)
        for arm, of_arm in zip(context.arms, counts, strict=True)
    ]


def prior_of(analysis: BetaBinomial, arm: str) -> Mixture:
    """Return the prior of an arm's rate."""
    prior = analysis.priors.get(arm, analysis.prior)
    assert prior is not None
    if isinstance(prior, list):
        return tuple(Beta(part.weight, part.alpha, part.beta) for part in prior)
    return (Beta(1.0, prior.alpha, prior.beta),)


@lru_cache(maxsize=100_000)
def posterior(prior: Mixture, patients: int, responses: int) -> Mixture:
    """Return the mixture after the data: weights go with the chance that each component gave these data."""
    chances = [part.weight * betabinom.pmf(responses, patients, part.alpha, part.beta) for part in prior]
    return tuple(
        Beta(float(chance) / math.fsum(chances), part.alpha + responses, part.beta + (patients - responses))
        for chance, part in zip(chances, prior, strict=True)
    )


def below(mixture: Mixture, rate: float, rest: float) -> float:
    """Return P(rate of the mixture < `rate`); rest = 1 - rate, told apart where the rate rounds to 1."""
    if rate <= 0.0 or rest <= 0.0:
        return 0.0 if rate <= 0.0 else 1.0
    if rate <= 0.5:
        return math.fsum(part.weight * betainc(part.alpha, part.beta, rate) for part in mixture)
    return 1.0 - math.fsum(part.weight * betainc(part.beta, part.alpha, rest) for part in mixture)


def rate_at(alpha: float, beta: float, probability: float) -> float:
    """Return a quantile of a beta distribution; SciPy gives up below 1e-280 or so, where the first term is enough."""
    rate = float(betaincinv(alpha, beta, probability))
    if math.isnan(rate):
        rate = math.exp((math.log(probability * alpha) + float(betaln(alpha, beta))) / alpha)
    return rate


def mean(mixture: Mixture) -> float:
    """Return the mean rate."""
    return math.fsum(part.weight * part.alpha / (part.alpha + part.beta) for part in mixture)


def quantile(mixture: Mixture, probability: float) -> float:
    """Return a quantile of the rate, which lies between those of the components."""
    each = [rate_at(part.alpha, part.beta, probability) for part in mixture]
    if max(each) - min(each) < 1e-15:
        return each[0]
    return float(brentq(lambda p: below(mixture, p, 1.0 - p) - probability, min(each), max(each), xtol=1e-15))


@lru_cache(maxsize=400_000)
def contrast_above(treatment: Mixture, control: Mixture, quantity: str, bound: float) -> float:
    """Return P(contrast of the treatment's rate to the control's > bound).

    = the mean, over the treatment's rate, of the chance that the control's is below the rate with just this contrast.
    """
    return math.fsum(part.weight * _mean_below(part, control, quantity, bound) for part in treatment)


def _mean_below(part: Beta, control: Mixture, quantity: str, bound: float) -> float:
    """Integrate over u in (0, 1), which is the treatment's rate at its own quantiles: the integrand has no poles.

    Rates above one half are written as what they lack of 1: with few failures most of them round to 1.
    """

    def at(rate: float, rest: float) -> float:
        return below(control, *rate_of_control(quantity, bound, rate, rest))

    middle = float(betainc(part.alpha, part.beta, 0.5))
    turns = [rate_of_treatment(quantity, bound, quantile(control, place)) for place in PLACES]
    low = [float(betainc(part.alpha, part.beta, p)) for p in turns if 0.0 < p < 0.5]
    high = [float(betainc(part.beta, part.alpha, 1.0 - p)) for p in turns if 0.5 < p < 1.0]

    def of_low(u: float) -> float:
        rate = rate_at(part.alpha, part.beta, u)
        return at(rate, 1.0 - rate)

    def of_high(v: float) -> float:
        rest = rate_at(part.beta, part.alpha, v)
        return at(1.0 - rest, rest)

    rest_of_middle = float(betainc(part.beta, part.alpha, 0.5))
    return between(of_low, 0.0, middle, low) + between(of_high, 0.0, rest_of_middle, high)


def between(function: Callable[[float], float], low: float, high: float, turns: Sequence[float]) -> float:
    """Return the integral, piece by piece between the places at which the integrand may turn."""
    edges = [low, *sorted({turn for turn in turns if low < turn < high}), high]
    # full_output: no warnings, of which a power of the rate near 0 or 1 gives many, to no effect on the sum.
    return math.fsum(
        quad(function, a, b, epsabs=1e-11, epsrel=1e-10, limit=200, full_output=1)[0]
        for a, b in pairwise(edges)
        if b > a
    )


def rate_of_control(quantity: str, bound: float, rate: float, rest: float) -> tuple[float, float]:
    """Return the control's rate (and 1 less it) that makes the contrast with the treatment's just the bound."""
    if quantity == "difference":
        return rate - bound, rest + bound
    if quantity == "ratio":
        return rate / bound, (bound - 1.0 + rest) / bound
    odds = rate + bound * rest
    return rate / odds, bound * rest / odds


def rate_of_treatment(quantity: str, bound: float, rate: float) -> float:
    """Return the treatment's rate that makes the contrast with the control's just the bound."""
    if quantity == "difference":
        return rate + bound
    if quantity == "ratio":
        return rate * bound
    return bound * rate / (1.0 - rate + bound * rate)


def probability_above(
    analysis: BetaBinomial, context: Context, counts: Sequence[Count], quantity: str, bound: float, arm: int
) -> float:
    """Return the posterior probability that the quantity lies above the bound."""
    after = posteriors(analysis, context, counts)
    if quantity == "rate":
        return 1.0 - below(after[arm], bound, 1.0 - bound)
    return contrast_above(after[1], after[0], quantity, bound)


# ---- tests -----------------------------------------------------------------------------------------------------------


def p_of_binomial(analysis: ExactBinomial, context: Context, counts: Sequence[Count]) -> float:
    """Return the one-sided p-value: the chance of as good a count, or a better one, under the null rate."""
    (count,) = counts
    if count.patients == 0:
        return math.nan
    side = "greater" if context.better == "higher" else "less"
    return float(binomtest(count.responses, count.patients, analysis.null_rate, alternative=side).pvalue)


def p_of_fisher(context: Context, counts: Sequence[Count]) -> float:
    """Return Fisher's one-sided p-value, as a fraction of whole numbers: ways in which the responses may be dealt."""
    control, treatment = counts
    if control.patients == 0 or treatment.patients == 0:
        return math.nan
    responses = control.responses + treatment.responses
    higher = context.better == "higher"
    as_good = [
        math.comb(treatment.patients, x) * math.comb(control.patients, responses - x)
        for x in range(responses + 1)
        if (x >= treatment.responses if higher else x <= treatment.responses)
    ]
    return float(Fraction(sum(as_good), math.comb(control.patients + treatment.patients, responses)))


def z_of_proportions(analysis: DifferenceOfProportions, context: Context, counts: Sequence[Count]) -> float:
    """Return z of the difference less its margin, in favour of the treatment.

    The variance may be 0: a difference that is not the margin is then infinitely many errors from it.
    """
    control, treatment = counts
    if control.patients == 0 or treatment.patients == 0:
        return math.nan
    p_c = Fraction(control.responses, control.patients)
    p_t = Fraction(treatment.responses, treatment.patients)
    pooled = Fraction(control.responses + treatment.responses, control.patients + treatment.patients)
    if analysis.pooled:
        variance = pooled * (1 - pooled) * (Fraction(1, control.patients) + Fraction(1, treatment.patients))
    else:
        variance = p_c * (1 - p_c) / control.patients + p_t * (1 - p_t) / treatment.patients
    # The margin is a decimal number: 0.1 means a tenth, not the binary fraction next to it.
    gain = (p_t - p_c - Fraction(str(analysis.margin))) * (1 if context.better == "higher" else -1)
    if gain == 0:
        return 0.0
    return float(gain) / math.sqrt(variance) if variance else math.copysign(math.inf, gain)


# ---- estimates -------------------------------------------------------------------------------------------------------


def estimate_of_counts(analysis: Analysis, context: Context, counts: Sequence[Count]) -> Limits:
    """Return the estimate of the rate, or of the contrast of the two, with its limits."""
    if isinstance(analysis, BetaBinomial):
        scale = analysis.effect if len(counts) == 2 else "difference"
        arms = [credible(after, scale) for after in posteriors(analysis, context, counts)]
    elif any(count.patients == 0 for count in counts):
        return UNTOLD
    else:
        arms = [confidence(count, "exact" if len(counts) == 1 else "wilson") for count in counts]
    return arms[0] if len(arms) == 1 else contrast_of(arms[1], arms[0])


def credible(mixture: Mixture, scale: str) -> Limits:
    """Return the posterior mean and the equal-tailed limits, on the scale on which a contrast is a difference."""
    rest = tuple(Beta(part.weight, part.beta, part.alpha) for part in mixture)

    def scaled(rate: float, remainder: float) -> float:
        if scale == "difference":
            return rate
        return log(rate) - (log(remainder) if scale == "odds_ratio" else 0.0)

    return Limits(
        scaled(mean(mixture), mean(rest)),
        scaled(quantile(mixture, 0.025), quantile(rest, 0.975)),
        scaled(quantile(mixture, 0.975), quantile(rest, 0.025)),
    )


def log(rate: float) -> float:
    """Return the logarithm, and -inf of 0."""
    return math.log(rate) if rate > 0.0 else -math.inf


def confidence(count: Count, method: str) -> Limits:
    """Return the proportion and its limits: "exact" are those of Clopper and Pearson, "wilson" the score limits."""
    limits = binomtest(count.responses, count.patients).proportion_ci(0.95, method)
    return Limits(count.responses / count.patients, float(limits.low), float(limits.high))


def contrast_of(treatment: Limits, control: Limits) -> Limits:
    """Return the difference; its limits recover variances from the arms' limits (Zou and Donner 2008, equation 2).

    With Wilson's limits of the arms they are those of Newcombe (1998, method 10).
    """
    middle = treatment.middle - control.middle
    return Limits(
        middle,
        middle - math.hypot(treatment.middle - treatment.low, control.high - control.middle),
        middle + math.hypot(treatment.high - treatment.middle, control.middle - control.low),
    )
