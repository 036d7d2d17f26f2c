"""Log-rank tests against lifelines and against sums over the risk sets by plain loops."""

import math

import numpy as np
import pytest
from lifelines.statistics import logrank_test
from survival_data import asked, desk_of, people, random_desk

from lmd_trialsim.analyses.log_rank import LogRank, WeightedLogRank
from lmd_trialsim.analyses.risk_sets import (
    AT_RISK_CONTROL,
    AT_RISK_TREATMENT,
    EVENT_MONTH,
    EVENT_STRATUM,
    OF_TREATMENT,
    tabulate_risk_sets,
)
from lmd_trialsim.kernel.jit import door

WEIGHTS = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 2.0)]


def of_lifelines(desk, **weights):
    treatment, control = people(desk, 1), people(desk, 0)
    return logrank_test(treatment.follow, control.follow, treatment.status, control.status, **weights).test_statistic


def surplus_and_variance(patients, rho, gamma):
    """Return the weighted sum of expected less observed events of treatment, and its hypergeometric variance."""
    surplus = variance = 0.0
    survival = 1.0
    for month in np.unique(patients.follow[patients.status == 1]):
        at_risk = patients[patients.follow >= month]
        dead = at_risk[(at_risk.follow == month) & (at_risk.status == 1)]
        n, d, share = len(at_risk), len(dead), np.mean(at_risk.arm == 1)
        weight = survival**rho * (1.0 - survival) ** gamma
        surplus += weight * (d * share - np.sum(dead.arm == 1))
        if n > d:
            variance += weight**2 * d * share * (1.0 - share) * (n - d) / (n - 1)
        survival *= 1.0 - d / n
    return surplus, variance


def stratified_z(desk, rho, gamma):
    everybody = people(desk)
    parts = [surplus_and_variance(everybody[everybody.stratum == s], rho, gamma) for s in np.unique(everybody.stratum)]
    surplus, variance = np.sum(parts, axis=0)
    return surplus / math.sqrt(variance)


@pytest.mark.parametrize("seed", range(5))
def test_log_rank_is_that_of_lifelines(seed):
    desk = random_desk(seed)
    z = asked(LogRank(0), desk)
    assert z**2 == pytest.approx(of_lifelines(desk), rel=1e-10)
    assert z == pytest.approx(stratified_z(desk, 0.0, 0.0), rel=1e-10)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("rho", "gamma"), WEIGHTS)
def test_weighted_log_rank_is_that_of_lifelines(rho, gamma, ties):
    desk = random_desk(11, ties=ties)
    z = asked(WeightedLogRank(rho, gamma, 0), desk)
    assert z**2 == pytest.approx(of_lifelines(desk, weightings="fleming-harrington", p=rho, q=gamma), rel=1e-8)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("rho", "gamma"), WEIGHTS)
def test_stratified_tests_add_up_the_strata(rho, gamma, ties):
    desk = random_desk(12, strata=3, ties=ties)
    assert asked(WeightedLogRank(rho, gamma, 1), desk) == pytest.approx(stratified_z(desk, rho, gamma), rel=1e-10)


def test_equal_weights_are_the_log_rank_test():
    desk = random_desk(13, strata=3)
    for stratified in (0, 1):
        z = asked(LogRank(stratified), desk)
        assert asked(WeightedLogRank(0.0, 0.0, stratified), desk) == pytest.approx(z, rel=1e-12)
    assert asked(LogRank(1), desk) == pytest.approx(stratified_z(desk, 0.0, 0.0), rel=1e-12)


@pytest.mark.parametrize("question", [LogRank(0), WeightedLogRank(0.0, 1.0, 0)])
def test_the_better_arm_decides_the_sign(question):
    arm = np.repeat([0, 1], 30)
    follow = np.where(arm == 1, 2.0, 1.0) * np.tile(np.linspace(1.0, 9.1, 30), 2)
    status = np.ones(60, int)
    z = asked(question, desk_of(arm, follow, status))
    assert z > 2.0
    assert asked(question, desk_of(1 - arm, follow, status)) == pytest.approx(-z, rel=1e-12)


@pytest.mark.parametrize("question", [LogRank(0), LogRank(1), WeightedLogRank(1.0, 0.0, 0)])
def test_nothing_can_be_told_without_events_or_a_second_arm(question):
    follow = np.linspace(1.0, 5.0, 20)
    assert math.isnan(asked(question, desk_of(np.arange(20) % 2, follow, np.zeros(20, int))))
    assert math.isnan(asked(question, desk_of(np.ones(20, int), follow, np.ones(20, int))))


@pytest.mark.parametrize("stratified", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_risk_sets_are_those_of_a_plain_loop(stratified, ties):
    desk = random_desk(15, patients=80, strata=3, ties=ties)
    everybody = people(desk)
    events = door(tabulate_risk_sets.py_func)(desk, stratified)
    rows = [OF_TREATMENT, EVENT_MONTH, EVENT_STRATUM, AT_RISK_TREATMENT, AT_RISK_CONTROL]
    found = sorted(map(tuple, desk.work[rows, :events].T))
    expected = []
    for patient in everybody[everybody.status == 1]:
        at_risk = [0, 0]
        for other in everybody:
            if other.follow >= patient.follow and (not stratified or other.stratum == patient.stratum):
                at_risk[other.arm] += 1
        stratum = patient.stratum if stratified else 0
        expected.append((patient.arm, patient.follow, stratum, at_risk[1], at_risk[0]))
    assert found == sorted(expected)
