"""Conjugate exponential posteriors against SciPy's gamma and F distributions and a Monte Carlo sample."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats
from survival_data import asked, desk_of, estimated, people, random_desk

from lmd_trialsim.analyses.gamma_exponential import (
    GammaPrior,
    HazardBelow,
    HazardRatioBelow,
    HazardRatioEstimate,
    LogHazardEstimate,
)

PRIOR = GammaPrior(np.array([1.0, 0.5]), np.array([8.0, 6.0]))


def posterior(desk, arm):
    patients = people(desk, arm)
    return PRIOR.events[arm] + np.sum(patients.status), PRIOR.months[arm] + np.sum(patients.follow)


@pytest.mark.parametrize("patients", [0, 1, 8, 300])
@pytest.mark.parametrize("ratio", [0.4, 0.8, 1.0, 1.5])
def test_hazard_ratio_is_an_f_distribution(ratio, patients):
    desk = random_desk(1, patients=patients, strata=3)
    (a_t, b_t), (a_c, b_c) = posterior(desk, 1), posterior(desk, 0)
    expected = stats.f.cdf(ratio * (a_c * b_t) / (a_t * b_c), 2.0 * a_t, 2.0 * a_c)
    assert asked(HazardRatioBelow(PRIOR, ratio), desk) == pytest.approx(expected, abs=1e-12)


def test_hazard_ratio_by_quadrature():
    desk = random_desk(2, patients=30)
    treatment, control = (stats.gamma(a, scale=1.0 / b) for a, b in (posterior(desk, 1), posterior(desk, 0)))
    expected = integrate.quad(lambda h: control.pdf(h) * treatment.cdf(0.7 * h), 0.0, control.ppf(1 - 1e-15))[0]
    assert asked(HazardRatioBelow(PRIOR, 0.7), desk) == pytest.approx(expected, abs=1e-8)


def test_fewer_events_on_treatment_favour_it():
    arm = np.repeat([0, 1], 40)
    desk = desk_of(
        arm, np.full(80, 6.0), np.where(arm == 1, np.arange(80) % 5 == 0, np.arange(80) % 2 == 0).astype(int)
    )
    assert asked(HazardRatioBelow(PRIOR, 1.0), desk) > 0.99
    assert estimated(HazardRatioEstimate(PRIOR), desk)[0] < 0.0


@pytest.mark.parametrize("arm", [0, 1])
def test_a_hazard_is_a_gamma_distribution(arm):
    desk = random_desk(3, patients=40, strata=2)
    shape, months = posterior(desk, arm)
    for hazard in (0.03, 0.08, 0.2):
        expected = stats.gamma.cdf(hazard, shape, scale=1.0 / months)
        assert asked(HazardBelow(PRIOR, arm, hazard), desk) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("patients", [0, 8, 300])
def test_estimates_are_posterior_means_and_quantiles(patients):
    desk = random_desk(4, patients=patients)
    (a_t, b_t), (a_c, b_c) = posterior(desk, 1), posterior(desk, 0)
    ratio = stats.f(2.0 * a_t, 2.0 * a_c, scale=(a_t * b_c) / (a_c * b_t))
    middle = special.digamma(a_t) - math.log(b_t) - special.digamma(a_c) + math.log(b_c)
    assert estimated(HazardRatioEstimate(PRIOR), desk) == pytest.approx(
        (middle, math.log(ratio.ppf(0.025)), math.log(ratio.ppf(0.975))), abs=1e-8
    )
    hazard = stats.gamma(a_c, scale=1.0 / b_c)
    assert estimated(LogHazardEstimate(PRIOR), desk) == pytest.approx(
        (special.digamma(a_c) - math.log(b_c), math.log(hazard.ppf(0.025)), math.log(hazard.ppf(0.975))), abs=1e-8
    )


def test_the_mean_of_the_log_ratio_by_sampling():
    desk = random_desk(5, patients=10)
    (a_t, b_t), (a_c, b_c) = posterior(desk, 1), posterior(desk, 0)
    rng = np.random.default_rng()
    sample = np.log(rng.gamma(a_t, 1.0 / b_t, 200_000) / rng.gamma(a_c, 1.0 / b_c, 200_000))
    error = np.std(sample) / math.sqrt(len(sample))
    assert abs(estimated(HazardRatioEstimate(PRIOR), desk)[0] - np.mean(sample)) < 5.0 * error
