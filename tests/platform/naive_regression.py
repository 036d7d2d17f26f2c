"""The regression of all arms, from its description alone: dense matrices, SciPy's optimiser, patient by patient."""

import math

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm


class NaiveRegression:
    """Patients as rows of a design matrix; the last so many columns are the effects of the arms."""

    def __init__(self, kind, rows, outcome, months, prior_mean, prior_precision, sd=1.0):
        """kind: logistic, normal or exponential. outcome: response, value or event; months: of follow-up."""
        self.kind, self.rows, self.outcome, self.months, self.sd = kind, rows, outcome, months, sd
        self.prior_mean, self.prior_precision = prior_mean, prior_precision

    def log_density(self, x):
        """Return the log posterior density but for a constant that does not depend on the prior, either."""
        eta, away = self.rows @ x, x - self.prior_mean
        if self.kind == "logistic":
            fit = np.sum(self.outcome * eta - np.logaddexp(0.0, eta))
        elif self.kind == "normal":
            fit = np.sum(-0.5 * ((self.outcome - eta) / self.sd) ** 2)
        else:
            fit = np.sum(self.outcome * eta - self.months * np.exp(eta))
        _, log_determinant = np.linalg.slogdet(self.prior_precision)
        return fit - 0.5 * away @ self.prior_precision @ away + 0.5 * log_determinant

    def slope(self, x):
        """Return the gradient."""
        eta = self.rows @ x
        if self.kind == "logistic":
            left = self.outcome - 1.0 / (1.0 + np.exp(-eta))
        elif self.kind == "normal":
            left = (self.outcome - eta) / self.sd**2
        else:
            left = self.outcome - self.months * np.exp(eta)
        return self.rows.T @ left - self.prior_precision @ (x - self.prior_mean)

    def curvature(self, x):
        """Return minus the matrix of second derivatives."""
        eta = self.rows @ x
        if self.kind == "logistic":
            weight = 1.0 / (1.0 + np.exp(-eta)) / (1.0 + np.exp(eta))
        elif self.kind == "normal":
            weight = np.full(len(eta), self.sd**-2.0)
        else:
            weight = self.months * np.exp(eta)
        return self.rows.T @ (weight[:, None] * self.rows) + self.prior_precision

    def mode(self, held=None, value=0.0):
        """Return the point of highest density; with `held`, where that variable has the value."""
        free = [i for i in range(len(self.prior_mean)) if i != held]

        def whole(part):
            x = np.zeros(len(self.prior_mean))
            x[free] = part
            if held is not None:
                x[held] = value
            return x

        found = minimize(
            lambda part: -self.log_density(whole(part)),
            self.prior_mean[free],
            jac=lambda part: -self.slope(whole(part))[free],
            hess=lambda part: self.curvature(whole(part))[np.ix_(free, free)],
            method="trust-exact",
            options={"gtol": 1e-10, "maxiter": 2000},
        )
        x = whole(found.x)
        for _ in range(3):  # to the last digits, which tails near the mode need
            x[free] += np.linalg.solve(self.curvature(x)[np.ix_(free, free)], self.slope(x)[free])
        return x

    def log_evidence(self):
        """Return Laplace's logarithm of the marginal likelihood, but for a constant."""
        x = self.mode()
        return self.log_density(x) - 0.5 * np.linalg.slogdet(self.curvature(x))[1]

    def below(self, variable, bound):
        """Return P(variable < bound): the integral of Laplace's density, to its leading order at the bound."""
        at = self.mode()
        sd = math.sqrt(np.linalg.inv(self.curvature(at))[variable, variable])
        if abs(bound - at[variable]) < 0.02 * sd:  # 0 / 0: between two points further out
            low, high = at[variable] - 0.05 * sd, at[variable] + 0.05 * sd
            roots = [norm.ppf(self.below(variable, one)) for one in (low, high)]
            return float(norm.cdf(np.interp(bound, [low, high], roots)))
        there = self.mode(variable, bound)
        others = [i for i in range(len(at)) if i != variable]
        r = math.copysign(math.sqrt(2.0 * (self.log_density(at) - self.log_density(there))), bound - at[variable])
        nuisance = np.linalg.slogdet(self.curvature(there)[np.ix_(others, others)])[1] if others else 0.0
        ratio = math.exp(0.5 * (nuisance - np.linalg.slogdet(self.curvature(at))[1]))
        q = -self.slope(there)[variable] * ratio
        return float(norm.cdf(r + math.log(q / r) / r))


def walk_precision(levels, order, sd, last_precision):
    """Return the prior precision of levels that walk backwards from the last one."""
    if order == 0:
        return np.eye(levels) * last_precision
    steps = np.zeros((levels, levels))
    steps[-1, -1] = math.sqrt(last_precision)
    for level in range(levels - 1):
        second = order == 2 and level < levels - 2
        for place, factor in enumerate((1.0, -2.0, 1.0) if second else (1.0, -1.0)):
            steps[level, level + place] = factor / sd
    return steps.T @ steps


def mixed_below(models, shares, variable, bound):
    """Return the mean of `below` over models, by prior shares times evidence."""
    evidence = np.array([model.log_evidence() for model in models]) + np.log(shares)
    weight = np.exp(evidence - evidence.max())
    return float(np.sum(weight / weight.sum() * [model.below(variable, bound) for model in models]))


def mixed_mode(models, shares):
    """Return the mean of the modes over models, by prior shares times evidence."""
    evidence = np.array([model.log_evidence() for model in models]) + np.log(shares)
    weight = np.exp(evidence - evidence.max())
    return np.array([model.mode() for model in models]).T @ (weight / weight.sum())
