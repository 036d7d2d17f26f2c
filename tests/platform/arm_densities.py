"""Posteriors of rates, hazards and means as densities on a grid, prior times likelihood, point by point.

Nothing here knows that a prior is conjugate: a density is tabulated, its distribution function the integral of a
spline through it, and what compares two of them a sum over the one's.
"""

import math

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, log_expit, logit
from scipy.stats import norm

from lmd_trialsim.analyses.arm_mixtures import OwnControls, PooledByPower
from lmd_trialsim.designs.arm_analyses import ArmBetaBinomial, ArmGammaExponential, ArmNormal

SIGMA = 0.8  # of values


class Rates:
    """Rates on the logit scale; a sample is (patients, responses)."""

    spec, kind, words = ArmBetaBinomial, "beta_binomial", ("alpha", "beta")
    difference, alone, names = "difference", "rate", ("patients", "responses")
    grid = np.linspace(-60.0, 60.0, 60_001)
    bounds, alone_bound = (0.0, 0.1, -0.07), 0.3

    @staticmethod
    def log_prior(a, b, t):
        # The logarithm of x, and of 1 - x, from t itself: near the ends the rate would say it to no digit.
        return a * log_expit(t) + b * log_expit(-t) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    @staticmethod
    def log_likelihood(count, amount, t):
        return amount * log_expit(t) + (count - amount) * log_expit(-t)

    @staticmethod
    def moved(t, bound):
        """Where the parameter is larger by the bound."""
        x = expit(t) + bound
        return np.where(x <= 0, -np.inf, np.where(x >= 1, np.inf, logit(np.clip(x, 1e-300, 1 - 1e-16))))

    value, of_value = staticmethod(expit), staticmethod(logit)
    effect = value


class Hazards:
    """Hazards on the log scale; a sample is (events, months)."""

    spec, kind, words = ArmGammaExponential, "gamma_exponential", ("events", "months")
    difference, alone, names = "hazard_ratio", "median", ("events", "months")
    grid = np.linspace(-60.0, 8.0, 60_001)
    bounds, alone_bound = (1.0, 0.7, 1.3), 4.0

    @staticmethod
    def log_prior(events, months, t):
        return events * (t + math.log(months)) - months * np.exp(t) - math.lgamma(events)

    @staticmethod
    def log_likelihood(count, amount, t):
        return count * t - amount * np.exp(t)

    @staticmethod
    def moved(t, bound):
        return t + math.log(bound)

    value, of_value = staticmethod(np.exp), staticmethod(lambda median: math.log(math.log(2.0) / median))
    effect = staticmethod(lambda t: t)


class Means:
    """Means as they are; a sample is (patients, sum of values)."""

    spec, kind, words = ArmNormal, "normal", ("mean", "sd")
    difference, alone, names = "difference", "mean", ("patients", "total")
    grid = np.linspace(-40.0, 40.0, 60_001)
    bounds, alone_bound = (0.0, 0.2, -0.15), 1.1

    @staticmethod
    def log_prior(mean, sd, t):
        return norm(mean, sd).logpdf(t)

    @staticmethod
    def log_likelihood(count, amount, t):
        return -0.5 * (count * t * t - 2.0 * t * amount) / SIGMA**2

    @staticmethod
    def moved(t, bound):
        return t + bound

    value = of_value = effect = staticmethod(lambda t: t)


class Density:
    """A density on the grid of a family, up to its integral."""

    def __init__(self, family, log_density):
        self.family, t = family, family.grid
        highest = log_density.max()
        spline = CubicSpline(t, np.exp(log_density - highest)).antiderivative()
        whole = float(spline(t[-1]))
        self.log_integral = highest + math.log(whole)
        self.density = np.exp(log_density - self.log_integral)
        self.below = lambda at: np.clip(spline(np.clip(at, t[0], t[-1])) / whole, 0.0, 1.0)

    def mean_of(self, values):
        return float(CubicSpline(self.family.grid, self.density * values).integrate(*self.family.grid[[0, -1]]))

    def exceeds(self, other, bound):
        """P(this parameter > the other one + the bound, or times it)."""
        return other.mean_of(1.0 - self.below(self.family.moved(self.family.grid, bound)))

    def mixed(self, other, weight):
        return Density(self.family, np.log(weight * self.density + (1.0 - weight) * other.density + 1e-300))


def log_prior_of(family, prior):
    """The log density of a prior: [(weight, one, two), ...]."""
    parts = [math.log(w) + family.log_prior(one, two, family.grid) for w, one, two in prior]
    return np.logaddexp.reduce(parts, axis=0)


def posterior(family, prior, count, amount):
    return Density(family, log_prior_of(family, prior) + family.log_likelihood(count, amount, family.grid))


def of_controls(family, prior, borrows, own, in_all):
    """The posterior of what an arm is compared with, by the model as it is said in docs/scenario.md."""
    others = tuple(a - b for a, b in zip(in_all, own, strict=True))
    if isinstance(borrows, PooledByPower):
        t = family.grid
        log_likelihood = family.log_likelihood(*own, t) + borrows.power * family.log_likelihood(*others, t)
        return Density(family, log_prior_of(family, prior) + log_likelihood)
    alone = posterior(family, prior, *own)
    if isinstance(borrows, OwnControls):
        return alone
    together, apart = posterior(family, prior, *in_all), posterior(family, prior, *others)
    log_odds = together.log_integral - alone.log_integral - apart.log_integral
    odds = borrows.weight / (1 - borrows.weight) * math.exp(log_odds)
    return together.mixed(alone, odds / (1 + odds))


def best(family, densities, higher):
    t = family.grid
    sides = [d.below(t) if higher else 1.0 - d.below(t) for d in densities]
    return [
        d.mean_of(np.prod([side for j, side in enumerate(sides) if j != i], axis=0)) for i, d in enumerate(densities)
    ]


def alike(family, densities, within):
    t = family.grid
    near = [d.below(family.moved(t, within)) - d.below(t) for d in densities]
    return sum(
        d.mean_of(np.prod([one for j, one in enumerate(near) if j != i], axis=0)) for i, d in enumerate(densities)
    )
