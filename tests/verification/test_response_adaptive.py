"""What is known of response-adaptive allocation: many patients on an arm that works, and no gain beside a control.

The first claim is met in direction and size only: the paper's accrual, survival and follow-up are not in our evidence.
"""

import math

import numpy as np
import pytest
from platform_runs import SIGMAS, mean_and_error, played, scenario_of
from scipy.stats import binom

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.kernel.rules import EFFICACY

pytestmark = pytest.mark.slow

# Trippa et al. (2012), PMC3434985: 140 patients, a control, two arms that do nothing and one with a hazard ratio of
# 0.6: a median of 47 patients in the arm that works, 35 where allocation is balanced.
PUBLISHED, BALANCED, PATIENTS = 47, 35, 140
COURSES = {
    "control": {"median_months": 8},
    "works": {"hazard_ratio": 0.6},
    "one": {"same_as": "control"},
    "other": {"same_as": "control"},
}


def glioblastoma(allocation):
    return {
        "max_patients": PATIENTS,
        "allocation": allocation,
        "looks": {"patients": {"from": 4, "every": 4, "to": 136}},
        "analysis": {"kind": "log_rank"},
        "follow_up_months": 6,
        "rules": [{"stop_for": "efficacy", "at": "final", "when": {"statistic": "z", "exceeds": 1.645}}],
    }


def trippa_scenario(courses):
    designs = {"adaptive": glioblastoma({"kind": "trippa"}), "balanced": glioblastoma({"kind": "fixed"})}
    return scenario_of({"kind": "time_to_event"}, courses, designs, per_month=12)


def test_trippa_puts_more_patients_on_the_arm_that_works():
    replicates = 4_000
    scenario = trippa_scenario(COURSES)
    _, adaptive, _ = played(scenario, "adaptive", replicates, 91)
    _, balanced, _ = played(scenario, "balanced", replicates, 91)
    taken = adaptive[:, :, column.PATIENTS]
    assert (taken.sum(axis=1) == PATIENTS).all()
    assert (balanced[:, :, column.PATIENTS].sum(axis=1) == PATIENTS).all()
    # Blocks of eight: 17 full ones, and half a one, of which an arm has 0, 1 or 2.
    assert np.isin(balanced[:, :, column.PATIENTS], (34, 35, 36)).all()
    # Of the sign test, more than half have more than the balanced number, and more than half of the published gain.
    works = taken[:, 1]
    gain = (works > BALANCED + (PUBLISHED - BALANCED) / 2).sum()
    assert binom.sf(gain - 1, replicates, 0.5) < 2.9e-7, np.median(works)  # five standard errors, one-sided
    # And it is a gain of that size: not of twice as much.
    lost = (works < BALANCED + 2 * (PUBLISHED - BALANCED)).sum()
    assert binom.sf(lost - 1, replicates, 0.5) < 2.9e-7, np.median(works)
    # The control keeps up with the largest arm; the others pay, both alike.
    means, errors = zip(*(mean_and_error(taken[:, arm]) for arm in range(4)), strict=True)
    assert means[0] > BALANCED + SIGMAS * errors[0]
    for arm in (2, 3):
        assert means[arm] < BALANCED - SIGMAS * errors[arm]
    difference, error = mean_and_error(taken[:, 2] - taken[:, 3])
    assert abs(difference) < SIGMAS * error


def test_trippa_treats_arms_alike_that_are():
    scenario = trippa_scenario({arm: {"same_as": "control"} if arm != "control" else COURSES[arm] for arm in COURSES})
    _, by_arm, _ = played(scenario, "adaptive", 4_000, 92)
    taken = by_arm[:, 1:, column.PATIENTS]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        difference, error = mean_and_error(taken[:, one] - taken[:, other])
        assert abs(difference) < SIGMAS * error


# Korn and Freidlin (2011), PMC3056658: beside a control, with an outcome soon known, adaptive allocation has no benefit
# over 1:1. Rates 0.2 and 0.4; with 1:1 132 patients, with P(better) ** (n / 2 N) 140 have the same power.


def two_arms(allocation, patients):
    return {
        "max_patients": patients,
        "allocation": allocation,
        "looks": {"patients": {"from": 4, "every": 4, "to": patients - 4}},
        "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        "rules": [
            {
                "stop_for": "efficacy",
                "at": "final",
                "when": {"probability_that": "difference", "above": 0, "exceeds": 0.9},
            }
        ],
    }


def test_adaptive_allocation_beside_a_control_has_no_benefit():
    equal, adaptive = {"kind": "fixed", "method": "simple"}, {"kind": "thall_wathen"}
    designs = {"equal": two_arms(equal, 132), "as_many": two_arms(adaptive, 132), "more": two_arms(adaptive, 140)}
    scenario = scenario_of({"kind": "binary"}, {"control": {"rate": 0.2}, "new": {"rate": 0.4}}, designs)
    success, failures, on_new = {}, {}, {}
    for name in designs:
        _, by_arm, _ = played(scenario, name, 20_000, 93)
        taken = by_arm[:, :, column.PATIENTS]
        success[name] = mean_and_error(by_arm[:, 1, column.VERDICT] == EFFICACY)
        failures[name] = mean_and_error(taken @ [0.8, 0.6])
        on_new[name] = mean_and_error(taken[:, 1] / taken.sum(axis=1))

    def surplus(of, name):
        (one, error), (two, another) = of[name], of["equal"]
        return (one - two) / math.hypot(error, another)

    # It does adapt; yet of as many patients it has no more power, and with as much power no fewer failures.
    assert surplus(on_new, "as_many") > SIGMAS
    assert on_new["as_many"][0] > 0.6
    assert surplus(success, "as_many") < SIGMAS
    assert surplus(success, "more") < SIGMAS
    assert surplus(failures, "more") > -SIGMAS
