"""Characteristics of platforms, counted once more from the rows of the trials, one trial after another."""

import math

import numpy as np
import pytest
from platform_runs import scenario_of

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.simulation import job_of, run

ADAPTIVE = {
    "max_patients": 90,
    "allocation": {"kind": "thall_wathen", "power": 1, "burn_in": 12},
    "looks": {"patients": {"from": 20, "every": 10, "to": 80}},
    "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
    "rules": [
        {
            "stop_for": "futility",
            "at": "interim",
            "when": {"probability_that": "difference", "above": 0, "is_below": 0.1},
        },
        {"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.9}},
    ],
}
RATES = {"control": 0.3, "first": 0.3, "second": 0.5, "third": 0.2}
REPLICATES, SEED = 600, 31


def told_of_trials(rates):
    """Return, for each trial, what it adds to each characteristic; None where it has nothing to say."""
    values = list(rates.values())
    courses = {arm: {"rate": rate} for arm, rate in rates.items()}
    read = scenario_of({"kind": "binary", "assessed_after_months": 0.5}, courses, {"d": ADAPTIVE})
    integers, numbers = play(job_of(read, "d", "true", REPLICATES), SEED, 0, REPLICATES)
    best = max(values)
    trials = []
    for row, reals in zip(integers, numbers, strict=True):
        arms = row[column.HEAD :].reshape(4, column.OF_ARM)
        estimates = reals[1:].reshape(4, column.NUMBERS_OF_ARM)[:, column.ESTIMATE]
        wins = [arm for arm in (1, 2, 3) if arms[arm, column.VERDICT] == 1]
        true = [arm for arm in wins if values[arm] > values[0]]
        chosen = max(wins, key=lambda arm, e=estimates: e[arm], default=0)
        taken = arms[:, column.PATIENTS].tolist()
        worse = [arm for arm in range(4) if values[arm] < best]
        tried = max(values[1:])
        largest = [
            max((taken[arm] for arm in (1, 2, 3) if (values[arm] < tried) == is_worse), default=0)
            for is_worse in (True, False)
        ]
        surplus = largest[0] - largest[1]
        error = estimates[chosen] - (values[chosen] - values[0]) if chosen else None
        false = len(wins) - len(true)
        trials.append(
            {
                "probability_of_success": len(wins) > 0,
                "family_wise_error": false > 0,
                "disjunctive_power": len(true) > 0,
                "conjunctive_power": len(true) == sum(value > values[0] for value in values[1:]),
                "expected_true_successes": len(true),
                "expected_false_successes": false,
                "false_discovery_proportion": false / max(len(wins), 1),
                "best_arm_selected": values[chosen] == best,
                "ideal_design_proportion": (values[chosen] - min(values)) / (best - min(values)),
                "patients_on_inferior_arms": sum(taken[arm] for arm in worse),
                "imbalance_the_wrong_way": surplus > sum(taken) / 10,
                "bias_of_selected_arm": error,
                "expected_patients": sum(taken),
            }
        )
    return read, trials


@pytest.mark.parametrize("rates", [RATES, RATES | {"first": 0.45}, RATES | {"second": 0.3, "first": 0.1}])
def test_each_characteristic_of_the_trial_is_a_mean_over_trials(rates):
    """With its error: the root of the variance over the number of trials."""
    read, trials = told_of_trials(rates)
    row = run(read, replicates=REPLICATES, seed=SEED).row("d", "true")
    for name in trials[0]:
        told = np.array([trial[name] for trial in trials if trial[name] is not None], float)
        found = row.get(name)
        if found is None:
            assert name in ("disjunctive_power", "conjunctive_power"), name
            assert rates["second"] <= rates["control"]
            continue
        assert found.estimate == pytest.approx(told.mean(), abs=1e-7), name
        divisor = len(told) if set(told) <= {0.0, 1.0} else len(told) - 1
        assert found.mcse == pytest.approx(math.sqrt(((told - told.mean()) ** 2).sum() / divisor / len(told)), rel=1e-3)
    errors = np.array([trial["bias_of_selected_arm"] for trial in trials if trial["bias_of_selected_arm"] is not None])
    assert row.get("root_mean_square_error_of_selected_arm").estimate == pytest.approx(
        math.sqrt((errors**2).mean()), abs=1e-6
    )
    assert row.get("bias_of_selected_arm").estimate > 0.0, "who is selected has been lucky"
