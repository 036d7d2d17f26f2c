"""Baskets walked exactly against baskexact's printed numbers (R8 of the reference), and the trial loop against both."""

import math

import pytest

from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import run

POWER_PRIOR = {"kind": "power_prior", "prior": {"alpha": 1, "beta": 1}}
FUJIKAWA = {"kind": "jensen_shannon", "epsilon": 2}


def final(threshold):
    when = {"probability_that": "rate", "above": "null_rate", "exceeds": threshold}
    return {"stop_for": "efficacy", "at": "final", "when": when}


def interim(verdict, comparison, threshold):
    when = {"predictive_probability_of": "success", comparison: threshold}
    return {"stop_for": verdict, "at": "interim", "when": when}


COMMON = {"kind": "basket", "endpoint": "response", "null_rate": 0.2, "accrual_at_looks": "pauses"}
DESIGNS = {
    "one_stage": COMMON | {"max_patients": 24, "analysis": POWER_PRIOR | {"weights": FUJIKAWA | {"tau": 0.5}},
                           "rules": [final(0.99)]},
    "calibrated": COMMON | {"max_patients": 15, "analysis": POWER_PRIOR | {"weights": {"kind": "calibrated", "a": 2,
                            "b": 2}}, "rules": [final(0.9774)]},
    "two_stage": COMMON | {"max_patients": 24, "looks": {"in_each": [15]},
                           "analysis": POWER_PRIOR | {"weights": FUJIKAWA | {"tau": 0}},
                           "rules": [interim("futility", "is_below", 0.1), interim("efficacy", "exceeds", 0.9),
                                     final(0.99)]},
}  # fmt: skip
SCENARIO = Scenario.of(
    Document(
        {
            "schema": 1,
            "title": "three baskets",
            "population": {"accrual": {"patients_per_month": 4}, "strata": {"a": 0.25, "b": 0.25, "c": 0.5}},
            "endpoints": {"response": {"kind": "binary"}},
            "arms": {"drug": {}},
            "truths": {
                "null": {"response": {"drug": {"rate": 0.2}}},
                "one": {
                    "response": {"drug": {"by_stratum": {"a": {"rate": 0.2}, "b": {"rate": 0.2}, "c": {"rate": 0.5}}}}
                },
                "all": {"response": {"drug": {"rate": 0.5}}},
            },
            "designs": DESIGNS,
        },
        "three baskets",
    )
)

# baskexact 1.0.2 (R8): design, truth, characteristic, basket, value to the digits printed.
PRINTED = [
    ("one_stage", "null", "probability_of_success", "a", 0.03239555),
    ("one_stage", "null", "family_wise_error", None, 0.06315308),
    ("one_stage", "null", "expected_correct_decisions", None, 2.9028133),
    ("one_stage", "one", "probability_of_success", "a", 0.08360073),
    ("one_stage", "one", "probability_of_success", "c", 0.87762365),
    ("one_stage", "one", "family_wise_error", None, 0.14120859),
    ("one_stage", "one", "expected_correct_decisions", None, 2.7104222),
    ("one_stage", "all", "probability_of_success", "b", 0.96323865),
    ("one_stage", "all", "expected_correct_decisions", None, 2.8897159),
    ("two_stage", "null", "probability_of_success", "c", 0.01703198),
    ("two_stage", "null", "family_wise_error", None, 0.03722851),
    ("two_stage", "null", "expected_patients", "a", 16.06847),
    ("two_stage", "one", "probability_of_success", "b", 0.06210063),
    ("two_stage", "one", "probability_of_success", "c", 0.79791970),
    ("two_stage", "one", "expected_patients", "a", 16.486751),
    ("two_stage", "one", "expected_patients", "c", 18.636140),
    ("calibrated", "null", "family_wise_error", None, 0.04853831),
    ("calibrated", "one", "probability_of_success", "a", 0.09676577),
    ("calibrated", "one", "probability_of_success", "c", 0.64422455),
]


def digits(value):
    return 0.6 * 10.0 ** -len(repr(value).partition(".")[2])


@pytest.mark.parametrize("design", DESIGNS)
def test_baskexact(design):
    rows = exact(SCENARIO, [design])
    for name, truth, characteristic, basket, value in PRINTED:
        if name == design:
            found = rows.row(design, truth).get(characteristic, basket).estimate
            assert abs(found - value) <= max(digits(value), 6e-9), (truth, characteristic, basket, found)


@pytest.mark.parametrize("design", DESIGNS)
def test_simulation_agrees_with_exact(design):
    replicates = 20_000
    sure, played = exact(SCENARIO, [design]), run(SCENARIO, replicates=replicates, seed=8, designs=[design])
    for row in sure.rows:
        for one in row.characteristics:
            other = played.row(design, row.truth).get(one.name, one.cell)
            if other is None or "quantile" in one.name or one.name == "quadrature_error":
                continue
            error = max(other.mcse, math.sqrt(max(one.estimate * (1.0 - one.estimate), 25.0 / replicates) / replicates)
                        if 0.0 <= one.estimate <= 1.0 else 0.0)  # fmt: skip
            assert abs(other.estimate - one.estimate) <= 5.0 * max(error, 1e-9), (row.truth, one, other)
