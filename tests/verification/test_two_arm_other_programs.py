"""Two-arm designs against other programs' published simulations; version and call stand beside the numbers.

Both sides are simulations: they must agree within five joint standard errors, whatever the seed.
"""

import math

import pytest

from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import run

SIGMAS = 5.0


def results_of(scenario, replicates, seed):
    read = Scenario.of(Document({"schema": 1, "title": "verification", **scenario}, "verification"))
    return {row.truth: row for row in run(read, replicates=replicates, seed=seed).rows}


def assert_meets(row, name, theirs, their_error):
    ours = row.get(name)
    z = (ours.estimate - theirs) / math.hypot(ours.mcse, their_error)
    assert abs(z) < SIGMAS, f"{name}: ours {ours.estimate:.5f}, theirs {theirs}: {z:+.1f} joint standard errors"


def proportion_error(p, trials):
    return math.sqrt(p * (1 - p) / trials)


SURVIVAL = {
    "endpoints": {"survival": {"kind": "time_to_event"}},
    "arms": {"control": {"control": True}, "treatment": {}},
    "truths": {
        "better": {
            "survival": {"control": {"median_months": 3}, "treatment": {"median_months": 6}},
            "drop_out": {"proportion": 0.05, "by_month": 12},
        }
    },
}


def group_sequential(allocation):
    return {
        "kind": "two_arm",
        "endpoint": "survival",
        "allocation": allocation,
        "max_patients": 90,
        "looks": {"events": [35, 70]},
        "analysis": {"kind": "log_rank"},
        "rules": [{"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.025}],
    }


def test_rpact_survival():
    # rpact 4.3.0 getSimulationSurvival(design = getDesignGroupSequential(kMax = 2, typeOfDesign = "OF", alpha = 0.025),
    # median1 = 6, median2 = 3, allocation 2:1 in the order T T C, 3 patients a month, maxNumberOfSubjects = 90,
    # dropoutRate1 = dropoutRate2 = 0.05 at 12 months, plannedEvents = c(35, 70)), 100,000 trials.
    order = {"method": "fixed_order", "order": ["treatment", "treatment", "control"]}
    scenario = SURVIVAL | {
        "population": {"accrual": {"arrivals": "equally_spaced", "patients_per_month": 3}},
        "designs": {"group_sequential": group_sequential(order)},
    }
    row = results_of(scenario, 200_000, 35)["better"]
    assert_meets(row, "probability_of_success", 0.78732, proportion_error(0.78732, 100_000))
    assert_meets(row, "success_at_look_1", 0.22667, proportion_error(0.22667, 100_000))
    assert_meets(row, "success_at_look_2", 0.56065, proportion_error(0.56065, 100_000))
    assert_meets(row, "expected_months", 28.180, 0.017)
    # Events are 35 or 70, so their error is that of stopping early; patients are 90 less those spared by it.
    assert_meets(row, "expected_events", 62.067, 35 * proportion_error(0.22667, 100_000))
    assert_meets(row, "expected_patients", 81.51, 38 * proportion_error(0.22667, 100_000))


def test_simtrial_survival():
    # simtrial 1.0.2, the same with Poisson arrivals and permuted blocks of three, 10,000 trials.
    blocks = {"ratio": {"control": 1, "treatment": 2}, "block": 3}
    scenario = SURVIVAL | {
        "population": {"accrual": {"patients_per_month": 3}},
        "designs": {"group_sequential": group_sequential(blocks)},
    }
    row = results_of(scenario, 100_000, 36)["better"]
    assert_meets(row, "probability_of_success", 0.7919, 0.0041)
    assert_meets(row, "success_at_look_1", 0.2338, 0.0042)


def test_adaptr_binary():
    # adaptr 1.4.0, setup_trial_binom(arms = c("C", "T"), true_ys = c(0.25, 0.40), data_looks = seq(20, 120, 20),
    # superiority = 0.98, inferiority = 0.02), each patient on its own 1:1, 20,000 trials.
    scenario = {
        "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}},
        "arms": {"control": {"control": True}, "treatment": {}},
        "truths": {"better": {"response": {"control": {"rate": 0.25}, "treatment": {"rate": 0.40}}}},
        "designs": {
            "bayesian": {
                "kind": "two_arm",
                "endpoint": "response",
                "allocation": {"method": "simple"},
                "max_patients": 120,
                "looks": {"patients": [20, 40, 60, 80, 100, 120]},
                "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
                "rules": [
                    {"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.98}},
                    {"stop_for": "harm", "when": {"probability_that": "difference", "above": 0, "is_below": 0.02}},
                ],
            }
        },
    }
    row = results_of(scenario, 200_000, 37)["better"]
    assert_meets(row, "probability_of_success", 0.4817, 0.0035)
    assert_meets(row, "probability_of_harm", 0.00325, 0.0004)
    assert_meets(row, "expected_patients", 94.53, 0.25)
    for look, theirs in enumerate((0.0761, 0.0936, 0.0885, 0.0820, 0.0748, 0.0668), 1):
        assert_meets(row, f"success_at_look_{look}", theirs, proportion_error(theirs, 20_000))


@pytest.mark.slow
def test_goldilocks_survival():
    # Broglio (2014) as in the vignette of R's goldilocks: survival at 12 months 30 % v 50 %, 100 to 300 patients,
    # looks every 25, expected success above .9 from 125 patients, futility below .1, Gamma(.1, .1), log-rank P < .05.
    model = {"kind": "gamma_exponential", "prior": {"events": 0.1, "months": 0.1}}
    predictive = {"predictive_probability_of": "success", "model": model}
    control = {"survival": 0.3, "at_month": 12}
    scenario = {
        "population": {"accrual": {"patients_per_month": 5}},
        "endpoints": {"survival": {"kind": "time_to_event", "followed_for_months": 12}},
        "arms": {"control": {"control": True}, "treatment": {}},
        "truths": {
            "better": {"survival": {"control": control, "treatment": {"survival": 0.5, "at_month": 12}}},
            "null": {"survival": {"control": control, "treatment": {"same_as": "control"}}},
        },
        "designs": {
            "goldilocks": {
                "kind": "two_arm",
                "endpoint": "survival",
                "max_patients": 300,
                "looks": {"patients": {"from": 100, "every": 25, "to": 275}, "final": {"follow_up_months": 12}},
                "analysis": {"kind": "log_rank"},
                "rules": [
                    {
                        "stop_accrual_for": "efficacy",
                        "from_patients": 125,
                        "when": predictive | {"at": "present", "exceeds": 0.9},
                    },
                    {
                        "stop_for": "futility",
                        "at": "interim",
                        "when": predictive | {"at": "maximum", "is_below": 0.1},
                    },
                    {"stop_for": "efficacy", "at": "final", "when": {"p_value": "two_sided", "is_below": 0.05}},
                ],
            }
        },
    }
    rows = results_of(scenario, 4_000, 38)
    for truth, success, expected, futile, patients in (
        ("better", 0.934, 0.916, 0.040, 171.4),
        ("null", 0.068, 0.056, 0.846, 209.8),
    ):
        assert_meets(rows[truth], "probability_of_success", success, proportion_error(success, 500))
        assert_meets(rows[truth], "accrual_stopped_for_efficacy", expected, proportion_error(expected, 500))
        assert_meets(rows[truth], "probability_of_futility", futile, proportion_error(futile, 500))
        assert_meets(rows[truth], "expected_patients", patients, 53.3 / math.sqrt(500))
