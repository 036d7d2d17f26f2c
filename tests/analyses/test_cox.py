"""The Cox model against lifelines, and with a prior against the posterior written down patient by patient."""

import math

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from survival_data import asked, desk_of, estimated, people, random_desk

from lmd_trialsim.analyses.cox import CoxEstimate, CoxPosterior, CoxPrior, CoxZ

NO_PRIOR = CoxPrior(0.0, 0.0, 0)
STRATIFIED = CoxPrior(0.0, 0.0, 1)
QUANTILE = norm.ppf(0.975)
LIFELINES = 1e-7  # its search stops there; the exact root of the score is met to 1e-10 below


def of_lifelines(desk, strata=None):
    everybody = people(desk)
    table = pd.DataFrame({name: everybody[name] for name in ("arm", "follow", "status", "stratum")})
    table = table if strata else table.drop(columns="stratum")
    options = {"precision": 1e-13, "r_precision": 1e-15, "step_size": 1.0}
    fit = CoxPHFitter().fit(table, "follow", "status", strata=strata, fit_options=options)
    return fit.params_["arm"], fit.standard_errors_["arm"]


def log_posterior(desk, b, mean, precision):
    """Return the log posterior density of the log hazard ratio, its slope and its curvature."""
    density, slope, curvature = -0.5 * precision * (b - mean) ** 2, -precision * (b - mean), -precision
    everybody = people(desk)
    for patient in everybody[everybody.status == 1]:
        treated = everybody.arm[everybody.follow >= patient.follow] == 1
        weights = np.exp(b * treated)
        share = np.sum(weights * treated) / np.sum(weights)
        density += b * patient.arm - math.log(np.sum(weights))
        slope += patient.arm - share
        curvature -= share * (1.0 - share)
    return density, slope, curvature


@pytest.mark.parametrize("seed", range(4))
def test_estimate_is_that_of_lifelines(seed):
    desk = random_desk(seed)
    b, error = of_lifelines(desk)
    limits = (b, b - QUANTILE * error, b + QUANTILE * error)
    assert estimated(CoxEstimate(NO_PRIOR), desk) == pytest.approx(limits, abs=LIFELINES)
    assert asked(CoxZ(NO_PRIOR), desk) == pytest.approx(-b / error, abs=LIFELINES / error)
    below = norm.cdf((math.log(0.8) - b) / error)
    assert asked(CoxPosterior(NO_PRIOR, math.log(0.8)), desk) == pytest.approx(below, abs=LIFELINES / error)


def test_estimate_is_the_root_of_the_score():
    desk = random_desk(3)
    root = brentq(lambda b: log_posterior(desk, b, 0.0, 0.0)[1], -5.0, 5.0, xtol=1e-14)
    assert estimated(CoxEstimate(NO_PRIOR), desk)[0] == pytest.approx(root, abs=1e-10)


def test_stratified_estimate_is_that_of_lifelines():
    desk = random_desk(5, strata=3)
    b, error = of_lifelines(desk, ["stratum"])
    limits = (b, b - QUANTILE * error, b + QUANTILE * error)
    assert estimated(CoxEstimate(STRATIFIED), desk) == pytest.approx(limits, abs=LIFELINES)


@pytest.mark.parametrize("patients", [4, 12, 120])
@pytest.mark.parametrize(("mean", "precision"), [(0.0, 1.0), (-0.5, 20.0), (4.0, 0.01), (-8.0, 0.3), (0.0, 1e-4)])
def test_mode_and_curvature_under_a_normal_prior(mean, precision, patients):
    desk = random_desk(6, patients=patients)
    middle, low, high = estimated(CoxEstimate(CoxPrior(mean, precision, 0)), desk)
    mode = brentq(lambda b: log_posterior(desk, b, mean, precision)[1], -30.0, 30.0, xtol=1e-12)
    error = 1.0 / math.sqrt(-log_posterior(desk, mode, mean, precision)[2])
    assert (middle, low, high) == pytest.approx((mode, mode - QUANTILE * error, mode + QUANTILE * error), abs=1e-9)
    search = minimize_scalar(lambda b: -log_posterior(desk, b, mean, precision)[0], (mode - 0.3, mode + 0.2))
    assert middle == pytest.approx(search.x, abs=1e-5 * error + 1e-6)
    below = asked(CoxPosterior(CoxPrior(mean, precision, 0), -0.2), desk)
    assert below == pytest.approx(norm.cdf(-0.2, mode, error), abs=1e-8)


def test_likelihoods_without_a_maximum_tell_nothing_but_with_a_prior():
    arm = np.repeat([0, 1], 10)
    follow = np.concatenate([np.arange(1.0, 11.0), np.arange(11.0, 21.0)])
    for status in (np.ones(20, int), arm, 1 - arm, np.zeros(20, int)):
        desk = desk_of(arm, follow, status)
        assert math.isnan(asked(CoxZ(NO_PRIOR), desk))
        assert math.isnan(asked(CoxPosterior(NO_PRIOR, 0.0), desk))
        assert all(map(math.isnan, estimated(CoxEstimate(NO_PRIOR), desk)))
        mode = brentq(lambda b, desk=desk: log_posterior(desk, b, 0.0, 1.0)[1], -30.0, 30.0)
        assert estimated(CoxEstimate(CoxPrior(0.0, 1.0, 0)), desk)[0] == pytest.approx(mode, abs=1e-8)


def test_the_prior_alone_without_patients():
    desk = desk_of(np.zeros(0, int), np.zeros(0), np.zeros(0, int))
    assert asked(CoxPosterior(CoxPrior(0.1, 4.0, 0), 0.0), desk) == pytest.approx(norm.cdf(-0.2), abs=1e-12)
