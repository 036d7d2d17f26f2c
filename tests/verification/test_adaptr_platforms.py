"""Response-adaptive platforms against simulations by adaptr and others; version and call stand beside the numbers.

Both sides are simulations: they must agree within five joint standard errors, whatever the seed.
"""

import math
import secrets

import numpy as np
import pytest
from platform_runs import (
    SIGMAS,
    assert_alike,
    assert_meets,
    mean_and_error,
    played,
    proportion_error,
    rows_of,
    scenario_of,
)

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.kernel.rules import EFFICACY, FUTILITY

UNIFORM = {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}
SURE = 0.9814318

# adaptr 1.4.0, README: setup_trial_binom(arms = c("A", "B", "C"), true_ys = c(0.25, 0.20, 0.30),
# min_probs = rep(0.2, 3), data_looks = seq(300, 2000, 100), randomised_at_looks = c(seq(400, 2000, 100), 2000),
# equivalence_prob = 0.9, equivalence_diff = 0.05, superiority = 0.9814318, highest_is_best = FALSE), 10,000 trials.
# It decides from 5,000 draws of the posterior at each look: noisy probabilities cross a threshold a little more often
# than exact ones do.
README = {
    "without_control": True,
    "max_patients": 2000,
    "allocation": {"kind": "thall_wathen", "power": 1, "floor": 0.2},
    "looks": {"patients": {"from": 400, "every": 100, "to": 2000}, "lag_patients": 100},
    "analysis": UNIFORM,
    "ends_if_alike": {"within": 0.05, "exceeds": 0.9},
    "rules": [
        {"stop_for": "efficacy", "when": {"probability_that": "best", "exceeds": SURE}},
        {"stop_for": "futility", "when": {"probability_that": "best", "is_below": 1 - SURE}},
    ],
}
THEIR_TRIALS = 10_000


def readme_scenario(**rates):
    endpoint = {"kind": "binary", "better": "lower"}
    return scenario_of(endpoint, {arm: {"rate": rate} for arm, rate in rates.items()}, {"readme": README})


def compare_readme_where_arms_differ(replicates, seed):
    scenario = readme_scenario(A=0.25, B=0.20, C=0.30)
    row = rows_of(scenario, replicates, seed)["readme"]
    assert_meets(row, "probability_of_success", 0.7082, proportion_error(0.7082, THEIR_TRIALS))
    assert_meets(row, "stopped_as_alike", 0.1666, proportion_error(0.1666, THEIR_TRIALS))
    assert_meets(row, "expected_patients", 1220.6, 535.0 / math.sqrt(THEIR_TRIALS))
    trial, by_arm, numbers = played(scenario, "readme", replicates, seed)
    at_maximum = (trial[:, column.SUCCEEDED] == 0) & (trial[:, column.ENDED_AS] == 0)
    error = math.hypot(proportion_error(0.1252, THEIR_TRIALS), proportion_error(0.1252, replicates))
    assert_alike("at maximum", at_maximum.mean(), 0.1252, error)
    # Their selection: of the arms left, the one with the best estimate.
    left = by_arm[:, :, column.VERDICT] != FUTILITY
    best = np.argmin(np.where(left, numbers[:, :, column.ESTIMATE], np.inf), axis=1)
    error = math.hypot(proportion_error(0.9571, THEIR_TRIALS), proportion_error(0.9571, replicates))
    assert_alike("best arm", np.mean(best == 1), 0.9571, error)


def compare_readme_where_arms_are_equal(replicates, seed):
    row = rows_of(readme_scenario(A=0.25, B=0.25, C=0.25), replicates, seed)["readme"]
    assert_meets(row, "probability_of_success", 0.0612, proportion_error(0.0612, THEIR_TRIALS))
    assert_meets(row, "stopped_as_alike", 0.3773, proportion_error(0.3773, THEIR_TRIALS))
    # Their standard deviation is not given: ours.
    theirs = row.get("expected_patients").mcse * math.sqrt(replicates / THEIR_TRIALS)
    assert_meets(row, "expected_patients", 1742.9, theirs)


def test_adaptr_readme():
    compare_readme_where_arms_differ(4_000, seed=61)


def test_adaptr_readme_without_a_difference():
    compare_readme_where_arms_are_equal(4_000, seed=62)


@pytest.mark.slow
def test_adaptr_readme_of_many_trials():
    seed = secrets.randbits(62)
    print(f"seed {seed}")
    compare_readme_where_arms_differ(20_000, seed)
    compare_readme_where_arms_are_equal(20_000, seed)


# Thompson's and Thall and Wathen's allocation, two arms, a patient at a time: 20,000 trials of another program.


def patient_by_patient(allocation, patients=100, every=1):
    return {
        "max_patients": patients,
        "allocation": allocation,
        "looks": {"patients": {"from": 1, "every": every, "to": patients - 1}},
        "analysis": UNIFORM,
        "rules": [
            {
                "stop_for": "efficacy",
                "at": "final",
                "when": {"probability_that": "difference", "above": 0, "exceeds": 0.975},
            }
        ],
    }


ALLOCATIONS = {
    "equal": patient_by_patient({"kind": "fixed", "method": "simple"}),
    "growing": patient_by_patient({"kind": "thall_wathen"}),
    "thompson": patient_by_patient({"kind": "thall_wathen", "power": 1}),
}
REPLICATES, THEIRS = 20_000, 20_000


def two_arms(design, rate, seed):
    """Return N_B - N_A, whether B is shown to be better, and the naive difference of rates, by trial."""
    scenario = scenario_of({"kind": "binary"}, {"A": {"rate": 0.25}, "B": {"rate": rate}}, ALLOCATIONS)
    _, by_arm, numbers = played(scenario, design, REPLICATES, seed)
    of_b = by_arm[:, 1]
    n, m, x = of_b[:, column.EVALUABLE], of_b[:, column.CONTROLS], of_b[:, column.COUNTED]
    # The responses in A, from the posterior mean of the difference.
    y = ((x + 1) / (n + 2) - numbers[:, 1, column.ESTIMATE]) * (m + 2) - 1
    known = (n > 0) & (m > 0)
    naive = x[known] / n[known] - y[known] / m[known]
    return by_arm[:, 1, column.PATIENTS] - by_arm[:, 0, column.PATIENTS], of_b[:, column.VERDICT] == EFFICACY, naive


def assert_share(name, found, theirs):
    error = math.hypot(proportion_error(theirs, REPLICATES), proportion_error(theirs, THEIRS))
    assert_alike(name, np.mean(found), theirs, error)


@pytest.mark.parametrize(
    ("design", "low", "high", "wrong"), [("growing", -38, 40, 0.1482), ("thompson", -78, 80, 0.3662)]
)
def test_imbalance_without_a_difference(design, low, high, wrong):
    surplus, _, _ = two_arms(design, 0.25, seed=63)
    assert_share("more than 20 more on A", surplus < -20, wrong)
    # Their quantiles: as much lies below and not above, within the error of both.
    error = SIGMAS * math.sqrt(0.025 * 0.975 * (1 / REPLICATES + 1 / THEIRS))
    assert np.mean(surplus < low) < 0.025 + error
    assert np.mean(surplus <= low) > 0.025 - error
    assert np.mean(surplus > high) < 0.025 + error
    assert np.mean(surplus >= high) > 0.025 - error


@pytest.mark.parametrize(
    ("design", "power", "more_on_b"), [("equal", 0.5414, None), ("growing", 0.5234, 31.2), ("thompson", 0.3024, 59.3)]
)
def test_power_and_imbalance_where_one_arm_is_better(design, power, more_on_b):
    surplus, success, naive = two_arms(design, 0.45, seed=64)
    assert_share("power", success, power)
    if more_on_b is not None:
        mean, error = mean_and_error(surplus)
        assert_alike("N_B - N_A", mean, more_on_b, math.sqrt(2.0) * error + 0.01)  # theirs has one decimal
    if design == "thompson":
        mean, error = mean_and_error(naive - 0.2)
        assert_alike("bias", mean, 0.043, math.sqrt(2.0) * error + 0.0001)


def test_a_control_that_can_be_replaced():
    # adaptr 1.4.0, setup_trial_binom(arms = c("A", "B", "C", "D"), true_ys = c(.25, .25, .25, .40), control = "A",
    # data_looks = seq(25, 200, 25), min_probs = rep(.1, 4), soften_power = .5, superiority = .99, inferiority = .01,
    # highest_is_best = TRUE), 8,000 trials.
    champion = {
        "max_patients": 200,
        "allocation": {"kind": "thall_wathen", "power": 0.5, "floor": 0.1},
        "controls": "all",
        "replace_control": True,
        "looks": {"patients": {"from": 25, "every": 25, "to": 175}},
        "analysis": UNIFORM,
        "rules": [
            {"stop_for": "futility", "when": {"probability_that": "difference", "above": 0, "is_below": 0.01}},
            {"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.99}},
        ],
    }
    rates = {"A": 0.25, "B": 0.25, "C": 0.25, "D": 0.40}
    scenario = scenario_of(
        {"kind": "binary"}, {arm: {"rate": rate} for arm, rate in rates.items()}, {"champion": champion}
    )
    replicates = 20_000
    row = rows_of(scenario, replicates, 65)["champion"]
    theirs = {
        "A": (0.0001, 0.2996, 36.69),
        "B": (0.0001, 0.1484, 38.88),
        "C": (0.0004, 0.1505, 38.65),
        "D": (0.0733, 0.0028, 81.77),
    }
    for arm, (last, dropped, patients) in theirs.items():
        if last > 0.01:
            assert_meets(row, "last_arm_left", last, proportion_error(last, 8_000), arm)
        else:  # a handful of trials on both sides: the number of theirs among all is binomial
            both = round(last * 8_000) + round(row.get("last_arm_left", arm).estimate * replicates)
            expected, share = both * 8_000 / (8_000 + replicates), 8_000 / (8_000 + replicates)
            assert abs(last * 8_000 - expected) <= SIGMAS * math.sqrt(max(both, 1) * share * (1 - share)) + 1
        assert_meets(row, "probability_of_futility", dropped, proportion_error(dropped, 8_000), arm)
        assert_meets(row, "expected_patients", patients, 0.2, arm)
    own = row.get("expected_patients")
    assert_alike("patients", own.estimate, 195.99, own.mcse * math.sqrt(1.0 + replicates / 8_000))
