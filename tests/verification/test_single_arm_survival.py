"""A single arm judged by its survival at a month, against binomial sums: nobody is lost, so that deaths are a count."""

import math

import pytest
from scipy.stats import binom, norm
from test_exact_against_simulation import assert_share

from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import run

PATIENTS, NULL, LEVEL, REPLICATES = 15, 0.5, 0.05, 20_000
SURVIVAL = [0.05, 0.5, 0.65, 0.8, 0.95, 0.999]


def power(survival):
    """Return P(z above the normal quantile), z of log(-log) with Greenwood's variance, by the number alive."""

    def z(alive):
        if alive in (0, PATIENTS):
            return math.inf if alive else -math.inf
        share = alive / PATIENTS
        error = math.sqrt((1.0 - share) / (PATIENTS * share)) / -math.log(share)
        return (math.log(-math.log(NULL)) - math.log(-math.log(share))) / error

    succeeding = [alive for alive in range(PATIENTS + 1) if z(alive) > norm.isf(LEVEL)]
    return math.fsum(binom.pmf(succeeding, PATIENTS, survival))


@pytest.mark.parametrize("seed", [1, 20_260_101])
def test_power_rises_with_survival_to_one(seed):
    document = {
        "schema": 1, "title": "milestone", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"os": {"kind": "time_to_event"}}, "arms": {"drug": {}},
        "truths": {
            f"s{i}": {"os": {"drug": {"survival": s, "at_month": 3}}} for i, s in enumerate(SURVIVAL)
        },
        "designs": {
            "milestone": {
                "kind": "single_arm", "endpoint": "os", "max_patients": PATIENTS,
                "looks": {"final": {"follow_up_months": 3}},
                "analysis": {"kind": "milestone_survival", "month": 3, "null_survival": NULL},
                "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": float(norm.isf(LEVEL))}}],
            }
        },
    }  # fmt: skip
    results = run(Scenario.of(Document(document, "milestone")), replicates=REPLICATES, seed=seed)
    expected = [power(survival) for survival in SURVIVAL]
    assert expected == sorted(expected)
    assert expected[-1] > 0.99
    for row, exactly in zip(results.rows, expected, strict=True):
        found = row.get("probability_of_success")
        assert_share(row.truth, round(found.estimate * REPLICATES), REPLICATES, exactly)
        assert row.get("not_analysable").estimate == 0.0
