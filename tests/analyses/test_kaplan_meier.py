"""Kaplan-Meier curves and restricted means against lifelines, and their variances against the textbook sums."""

import math

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from survival_data import asked, desk_of, estimated, people, random_desk

from lmd_trialsim.analyses.kaplan_meier import (
    MilestoneSurvival,
    MilestoneSurvivalEstimate,
    MilestoneSurvivalZ,
    RestrictedMeanEstimate,
    RestrictedMeanZ,
    SurvivalAboveZ,
    curve_to,
)
from lmd_trialsim.kernel.jit import door

QUANTILE = 1.959963984540054
CURVE_TO = door(curve_to.py_func)
MONTHS = [0.0, 3.0, 7.5, 12.0]


def curve(desk, arm, month):
    """Return survival, its variance, the restricted mean and its variance as the textbooks write them."""
    patients = people(desk, arm)
    months = np.unique(patients.follow[(patients.status == 1) & (patients.follow <= month)])
    n = np.array([np.sum(patients.follow >= m) for m in months])
    d = np.array([np.sum((patients.follow == m) & (patients.status == 1)) for m in months])
    survival = np.concatenate([[1.0], np.cumprod(1.0 - d / n)])
    pieces = survival * np.diff(np.concatenate([[0.0], months, [month]]))
    beyond = np.cumsum(pieces[::-1])[::-1][1:]
    term = np.divide(d, n * (n - d), out=np.zeros(len(n)), where=n > d)
    return survival[-1], survival[-1] ** 2 * np.sum(term), np.sum(pieces), np.sum(beyond**2 * term)


def of_lifelines(desk, arm):
    patients = people(desk, arm)
    return KaplanMeierFitter().fit(patients.follow, patients.status)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("month", MONTHS)
def test_curves_are_those_of_lifelines(month, ties):
    desk = random_desk(1, ties=ties)
    for arm in (0, 1):
        fit = of_lifelines(desk, arm)
        survival, greenwood, area, area_variance = CURVE_TO(desk, arm, month)
        assert survival == pytest.approx(fit.predict(month), abs=1e-12)
        if month > 0.0:
            assert area == pytest.approx(restricted_mean_survival_time(fit, month), abs=1e-8)
        expected = curve(desk, arm, month)
        assert (survival, survival**2 * greenwood, area, area_variance) == pytest.approx(expected, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("month", MONTHS[1:])
def test_z_of_differences(month, ties):
    desk = random_desk(2, ties=ties)
    s_t, v_t, m_t, w_t = curve(desk, 1, month)
    s_c, v_c, m_c, w_c = curve(desk, 0, month)
    for margin in (0.0, -0.1, 0.05):
        z = asked(MilestoneSurvivalZ(month, margin), desk)
        assert z == pytest.approx((s_t - s_c - margin) / math.sqrt(v_t + v_c), rel=1e-10)
        z = asked(RestrictedMeanZ(month, margin), desk)
        assert z == pytest.approx((m_t - m_c - margin) / math.sqrt(w_t + w_c), rel=1e-10)


def test_estimates_of_differences_and_of_an_arm():
    desk = random_desk(3)
    s_t, v_t, m_t, w_t = curve(desk, 1, 9.0)
    s_c, v_c, m_c, w_c = curve(desk, 0, 9.0)

    def wald(middle, variance):
        half = QUANTILE * math.sqrt(variance)
        return pytest.approx((middle, middle - half, middle + half), rel=1e-10)

    assert estimated(MilestoneSurvivalEstimate(9.0, 2), desk) == wald(s_t - s_c, v_t + v_c)
    assert estimated(RestrictedMeanEstimate(9.0, 2), desk) == wald(m_t - m_c, w_t + w_c)
    assert estimated(MilestoneSurvivalEstimate(9.0, 1), desk) == wald(s_c, v_c)
    assert estimated(RestrictedMeanEstimate(9.0, 1), desk) == wald(m_c, w_c)


@pytest.mark.parametrize("null", [0.3, 0.5, 0.8])
def test_survival_above_a_value_is_read_from_the_limits_of_lifelines(null):
    desk = random_desk(4, patients=50, arms=1)
    fit = of_lifelines(desk, 0)
    low, high = fit.confidence_interval_.loc[: 6.0 + 1e-9].iloc[-1]
    error = (math.log(-math.log(low)) - math.log(-math.log(high))) / (2.0 * QUANTILE)
    survival = fit.predict(6.0)
    expected = (math.log(-math.log(null)) - math.log(-math.log(survival))) / error
    assert asked(SurvivalAboveZ(6.0, null), desk) == pytest.approx(expected, rel=1e-8)
    assert (expected > 0.0) == (survival > null)
    assert asked(MilestoneSurvival(6.0), desk) == pytest.approx(survival, abs=1e-12)


def test_without_censoring_survival_is_a_proportion():
    desk = random_desk(5, censored=False)
    s_t, s_c = (np.mean(people(desk, arm).follow > 6.0) for arm in (1, 0))
    n_t, n_c = len(people(desk, 1)), len(people(desk, 0))
    variance = s_t * (1.0 - s_t) / n_t + s_c * (1.0 - s_c) / n_c
    assert asked(MilestoneSurvivalZ(6.0, 0.0), desk) == pytest.approx((s_t - s_c) / math.sqrt(variance), rel=1e-10)


def test_a_curve_is_known_up_to_the_last_follow_up_or_to_the_last_death():
    arm = np.repeat([0, 1], 3)
    follow = np.array([2.0, 3.0, 8.0, 2.0, 4.0, 12.0])
    open_ended = desk_of(arm, follow, np.array([1, 1, 0, 1, 0, 0]))
    all_dead = desk_of(arm, follow, np.array([1, 1, 1, 1, 0, 0]))
    assert asked(MilestoneSurvival(8.0), open_ended) == pytest.approx(1.0 / 3.0)
    assert math.isnan(asked(MilestoneSurvival(8.1), open_ended))
    assert asked(MilestoneSurvival(8.1), all_dead) == 0.0
    for question in (MilestoneSurvivalZ(8.1, 0.0), RestrictedMeanZ(8.1, 0.0), SurvivalAboveZ(8.1, 0.5)):
        assert math.isnan(asked(question, open_ended))
    for question in (MilestoneSurvivalZ(8.1, 0.0), RestrictedMeanZ(8.1, 0.0)):
        assert math.isfinite(asked(question, all_dead))
        assert math.isnan(asked(question, desk_of(arm[:3], follow[:3], np.ones(3, int))))
    assert asked(SurvivalAboveZ(8.1, 0.5), all_dead) == -math.inf
    assert asked(SurvivalAboveZ(1.0, 0.5), all_dead) == math.inf
    for estimator in (MilestoneSurvivalEstimate(12.1, 2), RestrictedMeanEstimate(12.1, 2)):
        assert all(map(math.isnan, estimated(estimator, all_dead)))


def test_no_variance():
    arm = np.repeat([0, 1], 3)
    alive = desk_of(arm, np.full(6, 9.0), np.zeros(6, int))
    for question in (MilestoneSurvivalZ, RestrictedMeanZ):
        assert asked(question(6.0, 0.0), alive) == 0.0
        assert asked(question(6.0, 0.1), alive) == -math.inf
        assert asked(question(6.0, -0.1), alive) == math.inf
    assert estimated(MilestoneSurvivalEstimate(6.0, 2), alive) == (0.0, 0.0, 0.0)


def test_the_z_of_an_arm_rises_with_its_survivors_from_none_to_all():
    patients = 15
    found = []
    for alive in range(patients + 1):
        follow = np.where(np.arange(patients) < alive, 9.0, np.linspace(0.5, 5.5, patients))
        desk = desk_of(np.zeros(patients, int), follow, (follow < 6.0).astype(int))
        found.append(asked(SurvivalAboveZ(6.0, 0.5), desk))
    assert found[0] == -math.inf
    assert found[-1] == math.inf
    assert np.all(np.isfinite(found[1:-1]))
    assert [z > 0.0 for z in found] == [alive > 7 for alive in range(patients + 1)]
    # Wald's z turns back where the variance becomes large: from 14 deaths of 15 on, far from any boundary.
    assert np.all(np.diff(found[2:]) > 0.0)
