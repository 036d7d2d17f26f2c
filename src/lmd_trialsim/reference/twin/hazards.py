"""Event times by hazards: exponential and piecewise exponential posteriors, from events and patient-months.

Distributions are SciPy's; a sum of gammas is written as a mixture of gammas. Sources: docs/scenario.md, "analysis";
docs/methods.md, "Event times".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.special import digamma, gammaincinv, gammaln

from lmd_trialsim.designs.analyses import GammaExponential, PiecewiseGammaExponential
from lmd_trialsim.reference.twin.counts import Limits
from lmd_trialsim.reference.twin.seen import Context, Seen
from lmd_trialsim.reference.twin.times import wald

# ---- constant hazards ------------------------------------------------------------------------------------------------


def hazard_of(analysis: GammaExponential, context: Context, seen: Sequence[Seen], arm: int) -> tuple[float, float]:
    """Return shape and rate of the gamma posterior of an arm's hazard: events and patient-months, with the prior's."""
    prior = analysis.of_arm(context.arms[arm])
    patients = [p for p in seen if p.arm == arm]
    return prior.events + sum(p.event for p in patients), prior.months + math.fsum(p.months for p in patients)


def hazard_below(shape: float, rate: float, hazard: float) -> float:
    """Return P(hazard < this | data)."""
    return float(stats.gamma(shape, scale=1.0 / rate).cdf(hazard))


def hazard_ratio(analysis: GammaExponential, context: Context, seen: Sequence[Seen]) -> Any:
    """Return the posterior of the hazard ratio: a scaled F distribution, as a ratio of two gammas is."""
    (a_c, b_c), (a_t, b_t) = (hazard_of(analysis, context, seen, arm) for arm in (0, 1))
    return stats.f(2.0 * a_t, 2.0 * a_c, scale=(a_t / b_t) / (a_c / b_c))


def estimate_of_hazards(analysis: GammaExponential, context: Context, seen: Sequence[Seen]) -> Limits:
    """Return mean and equal-tailed limits of the log hazard ratio, or of a single arm's log hazard."""
    hazards = [hazard_of(analysis, context, seen, arm) for arm in range(len(context.arms))]
    means = [float(digamma(shape)) - math.log(rate) for shape, rate in hazards]
    if len(hazards) == 2:
        middle, posterior = means[1] - means[0], hazard_ratio(analysis, context, seen)
    else:
        middle, posterior = means[0], stats.gamma(hazards[0][0], scale=1.0 / hazards[0][1])
    return Limits(middle, math.log(posterior.ppf(0.025)), math.log(posterior.ppf(0.975)))


# ---- piecewise constant hazards --------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """What a piece adds to the cumulative hazard: a gamma distribution."""

    shape: float
    scale: float


def pieces_of(
    analysis: PiecewiseGammaExponential, context: Context, seen: Sequence[Seen], arm: int, month: float
) -> list[Piece]:
    """Return the pieces up to the month. An event on a cut belongs to the piece that ends there."""
    prior = analysis.of_arm(context.arms[arm])
    patients = [p for p in seen if p.arm == arm]
    edges = [0.0, *analysis.cuts, math.inf]
    found = []
    for start, end in pairwise(edges):
        events = sum(p.event and start < p.months <= end for p in patients)
        # An event on the day of entry counts too.
        events += sum(p.event and p.months == start == 0.0 for p in patients)
        months = math.fsum(max(min(p.months, end) - start, 0.0) for p in patients)
        if month > start:
            width = min(end, month) - start
            found.append(Piece(prior.events + events, width / (prior.months + months)))
    return found


class CumulativeHazard:
    """The distribution of a sum of gammas, as a mixture of gammas that all have the least of the scales.

    A gamma of shape a and scale s is one of shape a + N and scale q < s, where N is negative binomial, of a successes
    with probability q / s each; so is the sum, with the sum of the N.
    """

    def __init__(self, pieces: Sequence[Piece], largest: float) -> None:
        """Hold good up to the cumulative hazard `largest`: terms that lie beyond it altogether are left out."""
        self.scale = min(piece.scale for piece in pieces)
        self.shape = math.fsum(piece.shape for piece in pieces)
        farthest = largest / self.scale
        terms = np.arange(int(farthest + 12.0 * math.sqrt(farthest) + 60.0))
        self.weights: NDArray[np.float64] = (terms == 0).astype(float)
        for shape, scale in pieces:
            if scale > self.scale:
                more = stats.nbinom(shape, self.scale / scale).pmf(terms)
                self.weights = np.maximum(fftconvolve(self.weights, more)[: len(terms)], 0.0)

    def _terms(self, x: float) -> tuple[int, int]:
        """Return the terms whose gamma has some of its mass at x: those before lie below it, those after above."""
        wide = 10.0 * math.sqrt(x) + 50.0
        return max(0, int(x - self.shape - wide)), min(len(self.weights), int(x + wide) + 1)

    def below(self, log_hazard: float) -> float:
        """Return P(log of the cumulative hazard < this)."""
        log_x = log_hazard - math.log(self.scale)
        if log_x < -500.0:  # x itself would be 0; its lowest power is left
            return float(self.weights[0]) * math.exp(self.shape * log_x - gammaln(self.shape + 1.0))
        first, end = self._terms(math.exp(log_x))
        cdf = stats.gamma.cdf(math.exp(log_x), self.shape + np.arange(first, end))
        return float(self.weights[:first].sum() + self.weights[first:end] @ cdf)

    def density_of_log(self, log_hazard: float) -> float:
        """Return the density of the logarithm, which has no pole."""
        log_x = log_hazard - math.log(self.scale)
        first, end = self._terms(math.exp(log_x))
        shapes = self.shape + np.arange(first, end)
        return float(self.weights[first:end] @ np.exp(shapes * log_x - math.exp(log_x) - gammaln(shapes)))


def survival_above(pieces: Sequence[Piece], survival: float) -> float:
    """Return P(survival > this): that of a low cumulative hazard."""
    hazard = -math.log(survival)
    return CumulativeHazard(pieces, hazard).below(math.log(hazard))


def survival_better(control: Sequence[Piece], treatment: Sequence[Piece]) -> float:
    """Return P(survival on treatment > on control), integrated over the log of the treatment's cumulative hazard."""
    largest = min(
        sum(float(stats.gamma(piece.shape, scale=piece.scale).isf(1e-11)) for piece in pieces)
        for pieces in (control, treatment)
    )
    of_control, of_treatment = CumulativeHazard(control, largest), CumulativeHazard(treatment, largest)

    def density_times_chance(log_hazard: float) -> float:
        return of_treatment.density_of_log(log_hazard) * (1.0 - of_control.below(log_hazard))

    # Towards 0 the integrand falls like hazard^shape.
    bottom = math.log(of_treatment.scale) - 30.0 / min(of_treatment.shape, 1.0)
    edges = sorted({bottom, math.log(largest), *_turns(of_control, largest), *_turns(of_treatment, largest)})
    spans = [(a, b) for a, b in pairwise(edges) if a >= bottom]
    return math.fsum(quad(density_times_chance, a, b, epsabs=1e-9, epsrel=1e-9, limit=100)[0] for a, b in spans)


def _turns(hazard: CumulativeHazard, largest: float) -> Iterator[float]:
    """Yield logs of some quantiles of the hazard, so that no rise is overlooked."""
    for probability in (1e-4, 0.05, 0.3, 0.7, 0.95, 0.9999):
        low, high = math.log(hazard.scale) - 60.0, math.log(largest)

        def short(x: float, of: float = probability) -> float:
            return hazard.below(x) - of

        if short(low) < 0.0 < short(high):
            yield float(brentq(short, low, high, xtol=1e-3))


def estimate_of_survival(analysis: PiecewiseGammaExponential, context: Context, seen: Sequence[Seen]) -> Limits:
    """Return posterior mean and limits of survival at the analysis's month, or of its difference, by the sd."""
    means, variances = [], []
    for arm in range(len(context.arms)):
        pieces = pieces_of(analysis, context, seen, arm, analysis.month)
        first, second = (_mean_of_power(pieces, power) for power in (1.0, 2.0))
        means.append(first)
        variances.append(second - first**2)
    middle = means[1] - means[0] if len(means) == 2 else means[0]
    return wald(middle, math.sqrt(math.fsum(variances)))


def _mean_of_power(pieces: Sequence[Piece], power: float) -> float:
    """Return E(survival^power): pieces are independent, so a product of integrals over the quantiles of each."""

    def survival(u: float, piece: Piece) -> float:
        return math.exp(-power * piece.scale * float(gammaincinv(piece.shape, u)))

    return math.prod(float(quad(survival, 0.0, 1.0, args=(piece,), epsabs=1e-12, limit=200)[0]) for piece in pieces)
