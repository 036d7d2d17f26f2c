"""The probability that too few patients remain evaluable, against trials that are played."""

import pytest
from test_exact_against_simulation import assert_share

from lmd_trialsim.lowering import Setting
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.silent_bounds import probability_of_too_few, silent_bounds
from lmd_trialsim.simulation import run

REPLICATES = 5000


def scenario_of(death, drop_out, max_patients):
    document = {
        "schema": 1, "title": "losses",
        "population": {"accrual": {"patients_per_month": 3}, "strata": {"a": 0.25, "b": 0.75}},
        "endpoints": {
            "response": {
                "kind": "binary", "assessed_after_months": 2,
                "death_before_assessment": death, "drop_out_before_assessment": drop_out,
            }
        },
        "arms": {"drug": {}},
        "truths": {
            "all_come": {"response": {"drug": {"rate": 0.3}}},
            "lossy": {
                "like": "all_come", "drop_out": {"per_month": 0.05},
                "death": {"drug": {"by_stratum": {"a": {"median_months": 4}, "b": {"median_months": 40}}}},
            },
        },
        "designs": {
            "design": {
                "kind": "single_arm", "endpoint": "response", "null_rate": 0.2, "max_patients": max_patients,
                "looks": {"evaluable": [20]}, "analysis": {"kind": "exact_binomial", "null_rate": 0.2},
                "rules": [{"stop_for": "efficacy", "when": {"number_of": "responses", "at_least": 8}}],
            }
        },
    }  # fmt: skip
    return Scenario.of(Document(document, "losses"))


@pytest.mark.parametrize("max_patients", [20, 21, 24])
@pytest.mark.parametrize(
    ("death", "drop_out"),
    [("failure", "not_evaluable"), ("not_evaluable", "failure"), ("missing", "failure"), ("not_evaluable", "missing")],
)
def test_the_share_of_trials_that_cannot_be_analysed(death, drop_out, max_patients):
    scenario = scenario_of(death, drop_out, max_patients)
    expected = probability_of_too_few(Setting.of(scenario, "design"), "lossy")
    assert probability_of_too_few(Setting.of(scenario, "design"), "all_come") == 0.0
    row = run(scenario, replicates=REPLICATES, truths=["lossy"]).row("design", "lossy")
    found = row.get("not_analysable").estimate
    assert_share(f"{death}, {drop_out}, {max_patients}", round(found * REPLICATES), REPLICATES, expected)
    assert bool(list(silent_bounds(scenario))) == (expected > 0.005)


def test_failures_silence_nothing():
    assert not list(silent_bounds(scenario_of("failure", "failure", 20)))
