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
def _share(desk, event, ratio):
    weighted = desk.work[AT_RISK_TREATMENT, event] * ratio
    return weighted / (weighted + desk.work[AT_RISK_CONTROL, event])


@kernel
def _expected_of_treatment(desk, events, ratio):
    """Return sum q and sum q (1 - q) over the events, in four running sums each: they vectorise."""
    e0 = e1 = e2 = e3 = 0.0
    v0 = v1 = v2 = v3 = 0.0
    whole = events - events % 4
    for event in range(0, whole, 4):
        q0 = _share(desk, event, ratio)
        q1 = _share(desk, event + 1, ratio)
        q2 = _share(desk, event + 2, ratio)
        q3 = _share(desk, event + 3, ratio)
        e0 += q0
        e1 += q1
        e2 += q2
        e3 += q3
        v0 += q0 * (1.0 - q0)
        v1 += q1 * (1.0 - q1)
        v2 += q2 * (1.0 - q2)
        v3 += q3 * (1.0 - q3)
    for event in range(whole, events):
        q = _share(desk, event, ratio)
        e0 += q
        v0 += q * (1.0 - q)
    return (e0 + e1) + (e2 + e3), (v0 + v1) + (v2 + v3)


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
        expected, variance = _expected_of_treatment(desk, events, ratio)
        score = of_treatment - expected - prior.precision * (b - prior.mean)
        information = prior.precision + variance
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
