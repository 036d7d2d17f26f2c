"""The Cox model of one treatment: the log hazard ratio by partial likelihood, alone or with a normal prior (Laplace).

Sources: Cox (1972); Breslow's likelihood (no ties); the Laplace approximation as in Tierney and Kadane (1986).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.analyses.risk_sets import AT_RISK_CONTROL, AT_RISK_TREATMENT, OF_TREATMENT, tabulate_risk_sets
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer, estimate
from lmd_trialsim.kernel.special import normal_cdf


class CoxPrior(NamedTuple):
    """A normal prior of the log hazard ratio; precision 0 where there is none."""

    mean: float
    precision: float
    stratified: int


class CoxPosterior(NamedTuple):
    """P(hazard ratio < exp(log_ratio)) under the normal approximation at the posterior mode."""

    prior: CoxPrior
    log_ratio: float


class CoxZ(NamedTuple):
    """The Wald statistic of the log hazard ratio, positive where treatment is better."""

    prior: CoxPrior


class CoxEstimate(NamedTuple):
    """The log hazard ratio and its 95 % limits."""

    prior: CoxPrior


@kernel
def log_hazard_ratio(prior, desk):
    """Return (mode, standard deviation) of the log hazard ratio; NaN where the likelihood has no maximum.

    Newton's method on a concave function, each step bounded by 2: a risk set of n_T and n_C adds to the score
    d_T - q and to the information q (1 - q), q = n_T e^b / (n_T e^b + n_C).
    """
    events = tabulate_risk_sets(desk, prior.stratified)
    of_treatment = 0.0
    for event in range(events):
        of_treatment += desk.work[OF_TREATMENT, event]
    if prior.precision == 0.0 and (of_treatment == 0.0 or of_treatment == events):
        return math.nan, math.nan
    b = prior.mean
    information = 0.0
    for _ in range(60):
        ratio = math.exp(b)
        score = of_treatment - prior.precision * (b - prior.mean)
        information = prior.precision
        for event in range(events):
            weighted = desk.work[AT_RISK_TREATMENT, event] * ratio
            q = weighted / (weighted + desk.work[AT_RISK_CONTROL, event])
            score -= q
            information += q * (1.0 - q)
        if not information > 1e-10:
            return math.nan, math.nan
        step = score / information
        b += min(max(step, -2.0), 2.0)
        if abs(step) < 1e-9:
            return b, 1.0 / math.sqrt(information)
        if abs(b) > 25.0:
            break
    return math.nan, math.nan


@answer.case
def answer_cox_posterior(question: CoxPosterior, stream, desk, look):
    """A normal distribution function."""
    b, deviation = log_hazard_ratio(question.prior, desk)
    return normal_cdf((question.log_ratio - b) / deviation)


@answer.case
def answer_cox_z(question: CoxZ, stream, desk, look):
    """Minus the estimate over its standard error."""
    b, deviation = log_hazard_ratio(question.prior, desk)
    return -b / deviation


@estimate.case
def estimate_cox(estimator: CoxEstimate, desk):
    """Wald limits."""
    b, deviation = log_hazard_ratio(estimator.prior, desk)
    half = 1.959963984540054 * deviation
    return b, b - half, b + half
