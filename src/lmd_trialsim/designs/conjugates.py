"""Mixtures of beta, gamma and normal distributions before a trial begins: data added, and spread between sources.

Sources differ on the scale of the logit of a rate, of the log of a hazard, or of a mean itself. A logit or log hazard
that is normal about one with a conjugate distribution has no such distribution: it is approximated by a mixture of many
candidates, with weights by least squares, none below 0, relative to the density.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.special import betaln, digamma, expit, gammaln, log_expit, logsumexp, polygamma, roots_legendre

from lmd_trialsim.designs.arm_priors import Component

Array = NDArray[np.float64]
Mixture = list[Component]

NEAR = 2e-3
"""How far an approximated density may be off, relative to itself, wherever it is above LOW of its largest."""

LOW = 1e-3

SPREADS = 24
"""Nodes of a standard deviation between sources."""

WORTH = 3000.0
"""Patients that a candidate of a rate is worth at most."""

CANDIDATES = ((0.7,), (0.6,), (0.5,), (0.4,), (0.33, 0.6), (0.25, 0.4, 0.6), (0.15, 0.25, 0.5))
"""Widths of candidates, of that of the whole; one set after the other until the approximation is near."""


class Family(Protocol):
    """A family of distributions, on the scale on which sources differ."""

    def updated(self, c: Component, count: float, amount: float) -> tuple[float, Component]:
        """Return the log of the marginal likelihood of a sample, and the component with it."""

    def log_density(self, c: Component, at: Array) -> Array:
        """Return the log density of a component."""

    def place(self, c: Component) -> tuple[float, float]:
        """Return mean and standard deviation of a component."""

    def candidate(self, mean: float, sd: float) -> Component:
        """Return a component that is about there and so wide."""

    def widened(self, c: Component, power: float) -> Component:
        """Return the component with the information that it has times the power."""

    def is_tame(self, c: Component) -> bool:
        """Return whether a component has no pole, and tails that are not much longer than it is wide."""

    def about(self, mixture: Mixture, scale: float, *, half_normal: bool) -> Mixture:
        """Return what is normal about a mixture, with standard deviation `scale`, or half-normal of that scale."""


class Rates:
    """Beta distributions; of logits. A sample: patients, responses."""

    def updated(self, c: Component, count: float, amount: float) -> tuple[float, Component]:
        """Return the log of the marginal likelihood, and the component."""
        a, b = c.one + amount, c.two + count - amount
        return float(betaln(a, b) - betaln(c.one, c.two)), Component(c.weight, a, b)

    def log_density(self, c: Component, at: Array) -> Array:
        """Return the log density of the logit."""
        return np.asarray(c.one * log_expit(at) + c.two * log_expit(-at) - betaln(c.one, c.two))

    def place(self, c: Component) -> tuple[float, float]:
        """Return mean and standard deviation of the logit."""
        variance = polygamma(1, c.one) + polygamma(1, c.two)
        return float(digamma(c.one) - digamma(c.two)), math.sqrt(variance)

    def candidate(self, mean: float, sd: float) -> Component:
        """Return a beta distribution by the first terms of its variance on the logit scale.

        Far out it is wider: as narrow as wanted there it would need a quadrature of many thousand nodes for its sake.
        """
        rate, rest = float(expit(mean)), float(expit(-mean))
        worth = min(sd**-2.0 / (rate * rest), WORTH)
        return Component(1.0, worth * rate, worth * rest)

    def widened(self, c: Component, power: float) -> Component:
        """Return one of fewer patients."""
        return Component(1.0, power * c.one, power * c.two)

    def is_tame(self, c: Component) -> bool:
        """Return whether both parameters are those of Jeffreys' prior, or larger."""
        return min(c.one, c.two) >= 0.5

    def about(self, mixture: Mixture, scale: float, *, half_normal: bool) -> Mixture:
        """Return an approximation."""
        return _approximated(self, mixture, scale, half_normal=half_normal)


class Hazards:
    """Gamma distributions; of log hazards. A sample: events, months."""

    def updated(self, c: Component, count: float, amount: float) -> tuple[float, Component]:
        """Return the log of the marginal likelihood, and the component."""
        events, months = c.one + count, c.two + amount
        likely = gammaln(events) - events * math.log(months) - gammaln(c.one) + c.one * math.log(c.two)
        return float(likely), Component(c.weight, events, months)

    def log_density(self, c: Component, at: Array) -> Array:
        """Return the log density of the log hazard."""
        return np.asarray(c.one * (at + math.log(c.two)) - c.two * np.exp(at) - gammaln(c.one))

    def place(self, c: Component) -> tuple[float, float]:
        """Return mean and standard deviation of the log hazard."""
        return float(digamma(c.one) - math.log(c.two)), math.sqrt(polygamma(1, c.one))

    def candidate(self, mean: float, sd: float) -> Component:
        """Return a gamma distribution by the first term of its variance on the log scale."""
        return Component(1.0, sd**-2.0, sd**-2.0 * math.exp(-mean))

    def widened(self, c: Component, power: float) -> Component:
        """Return one of fewer events."""
        return Component(1.0, power * c.one, power * c.two)

    def is_tame(self, c: Component) -> bool:
        """Return whether it has half an event, or more."""
        return c.one >= 0.5

    def about(self, mixture: Mixture, scale: float, *, half_normal: bool) -> Mixture:
        """Return an approximation."""
        return _approximated(self, mixture, scale, half_normal=half_normal)


class Means:
    """Normal distributions. A sample: patients over their variance, and the sum of values over it."""

    def updated(self, c: Component, count: float, amount: float) -> tuple[float, Component]:
        """Return the log of the marginal likelihood but for what all components share, and the component."""
        precision = c.two + count
        mean = (c.two * c.one + amount) / precision
        likely = 0.5 * (math.log(c.two / precision) + precision * mean**2 - c.two * c.one**2)
        return likely, Component(c.weight, mean, precision)

    def log_density(self, c: Component, at: Array) -> Array:
        """Return the log density of the mean."""
        return np.asarray(0.5 * (math.log(c.two / (2.0 * math.pi)) - c.two * (at - c.one) ** 2))

    def place(self, c: Component) -> tuple[float, float]:
        """Return mean and standard deviation."""
        return c.one, c.two**-0.5

    def candidate(self, mean: float, sd: float) -> Component:
        """Return a normal distribution."""
        return Component(1.0, mean, sd**-2.0)

    def widened(self, c: Component, power: float) -> Component:
        """Return one of fewer patients."""
        return Component(1.0, c.one, power * c.two)

    def is_tame(self, c: Component) -> bool:
        """Return whether it is not as good as flat."""
        return c.two > 0.0

    def about(self, mixture: Mixture, scale: float, *, half_normal: bool) -> Mixture:
        """Return the normal distributions; where the spread is half-normal, at the nodes of a Gauss-Legendre rule.

        Nodes are even in u, the spread being sd * sinh(u): what depends on it is as smooth in u however wide it is.
        """
        if not half_normal:
            return [Component(c.weight, c.one, 1.0 / (1.0 / c.two + scale**2)) for c in mixture]
        x, w = roots_legendre(SPREADS)
        found = []
        for c in mixture:
            sd = c.two**-0.5
            end = math.asinh(8.0 * scale / sd)
            u = 0.5 * end * (1.0 + x)
            spread = sd * np.sinh(u)
            share = w * np.cosh(u) * np.exp(-0.5 * (spread / scale) ** 2)
            found += [
                Component(c.weight * part, c.one, 1.0 / (1.0 / c.two + wide**2))
                for part, wide in zip((share / share.sum()).tolist(), spread.tolist(), strict=True)
            ]
        return found


def given(family: Family, prior: Mixture, count: float, amount: float) -> Mixture:
    """Return the posterior of a mixture: each component's, with weights by the marginal likelihoods."""
    pairs = [family.updated(c, count, amount) for c in prior]
    logs = np.array([math.log(c.weight) + likely for c, (likely, _) in zip(prior, pairs, strict=True)])
    weights = np.exp(logs - logsumexp(logs)).tolist()
    return [Component(w, c.one, c.two) for w, (_, c) in zip(weights, pairs, strict=True)]


def density(family: Family, mixture: Mixture, at: Array) -> Array:
    """Return the density of a mixture on the scale of the family."""
    return np.asarray(sum(c.weight * np.exp(family.log_density(c, at)) for c in mixture))


def distance(family: Family, one: Mixture, other: Mixture) -> float:
    """Return the largest difference of two densities, relative to the second, where that is not small."""
    at = np.concatenate([_about_of(family, c) for c in other])
    theirs = density(family, other, at)
    some = theirs > LOW * theirs.max()
    return float(np.abs(density(family, one, at[some]) / theirs[some] - 1.0).max())


def _about_of(family: Family, c: Component) -> Array:
    mean, sd = family.place(c)
    return mean + sd * np.linspace(-8.0, 8.0, 65)


def _spread_out(family: Family, mixture: Mixture, scale: float, *, half_normal: bool) -> tuple[Array, Array]:
    """Return points and the density of a mixture convolved with a normal distribution, by the Fourier transform.

    That of a half-normal mixture of normal distributions is (1 + scale**2 * frequency**2) ** -0.5.
    """
    places = [family.place(c) for c in mixture]
    low, high = min(mean for mean, _ in places), max(mean for mean, _ in places)
    reach = 14.0 * math.hypot(max(sd for _, sd in places), scale) + 0.5 * (high - low)
    step = min(sd for _, sd in places) / 10.0
    size = next_fast_len(int(4.0 * reach / step))
    at = 0.5 * (low + high) + (np.arange(size) - size // 2) * step
    wave = (2.0 * math.pi * scale * rfftfreq(size, step)) ** 2
    filtered = rfft(density(family, mixture, at)) * ((1.0 + wave) ** -0.5 if half_normal else np.exp(-0.5 * wave))
    inside = np.abs(np.arange(size) - size // 2) * step < reach
    return at[inside], np.asarray(irfft(filtered, size))[inside]


def _candidates(
    family: Family, mixture: Mixture, ends: tuple[float, float], widths: tuple[float, ...], *, peaked: bool
) -> Iterator[Component]:
    """Yield the components of the mixture, less and less precise, and others side by side from end to end.

    peaked: with narrow ones in the middle, where a half-normal spread leaves a peak.
    """
    for c in mixture:
        for power in np.geomspace(1.0, 0.005, 12):
            yield family.widened(c, float(power))
    for sd in widths:
        for mean in np.arange(ends[0] - sd, ends[1] + sd, 0.9 * sd):
            yield family.candidate(float(mean), sd)
    narrow = 0.6 * min(family.place(c)[1] for c in mixture)
    middle = 0.5 * (ends[0] + ends[1])
    for mean in np.arange(middle - 12.0 * narrow, middle + 12.0 * narrow, 0.9 * narrow) if peaked else ():
        yield family.candidate(float(mean), narrow)


def _approximated(family: Family, mixture: Mixture, scale: float, *, half_normal: bool) -> Mixture:
    """Return a mixture near to what is normal about another one."""
    at, wanted = _spread_out(family, mixture, scale, half_normal=half_normal)
    some = wanted > 1e-3 * LOW * wanted.max()
    at, wanted = at[some], wanted[some]
    mean = float(np.average(at, weights=wanted))
    wide = math.sqrt(float(np.average((at - mean) ** 2, weights=wanted)))
    # Points are the closer, the nearer to the peak.
    narrow = min(family.place(c)[1] for c in mixture)
    first, last = np.arcsinh((at[[0, -1]] - mean) / narrow).tolist()
    even = np.linspace(first, last, 400)
    places = np.unique(np.searchsorted(at, mean + narrow * np.sinh(even)).clip(0, len(at) - 1))
    at, wanted = at[places], wanted[places]
    best: tuple[float, Mixture] = math.inf, []
    for parts in CANDIDATES:
        widths = tuple(part * wide for part in parts)
        named = _candidates(family, mixture, (float(at[0]), float(at[-1])), widths, peaked=half_normal)
        tame = [c for c in named if family.is_tame(c)] or mixture
        best = min(best, _fitted(family, tame, at, wanted), key=lambda one: one[0])
        if best[0] < NEAR:
            break
    if best[0] > 5.0 * NEAR:
        raise ValueError("a prior with so wide a spread between sources can't be written as a mixture: lower sd.")
    return _thinned(family, best, at, wanted)


def _fitted(family: Family, candidates: Mixture, at: Array, wanted: Array) -> tuple[float, Mixture]:
    """Return how far the mixture of candidates that is nearest to the density is off, and it."""
    from scipy.optimize import nnls  # here, as few scenarios need it and all would wait for it

    relative = 1.0 / (wanted + 0.1 * LOW * wanted.max())
    columns = np.exp(np.stack([family.log_density(c, at) for c in candidates], axis=1))
    weights, _ = nnls(columns * relative[:, None], wanted * relative, maxiter=50 * len(candidates))
    weights /= weights.sum()
    seen = wanted > LOW * wanted.max()
    off = float(np.abs(columns[seen] @ weights / wanted[seen] - 1.0).max())
    return off, [Component(float(w), c.one, c.two) for w, c in zip(weights, candidates, strict=True) if w > 0.0]


def _thinned(family: Family, best: tuple[float, Mixture], at: Array, wanted: Array) -> Mixture:
    """Return a mixture of fewer components, as few as are near still: trials take as long as there are components."""
    allowed = max(NEAR, best[0])
    while len(best[1]) > 2:
        by_weight = sorted(best[1], key=lambda c: c.weight)
        fewer = _fitted(family, by_weight[math.ceil(0.15 * len(by_weight)) :], at, wanted)
        if fewer[0] > allowed:
            break
        best = fewer
    return best[1]
