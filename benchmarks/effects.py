"""Baskets that are followed or randomised: five of 20 at one look, by gamma priors and by hierarchical models.

No issue states goals; these are what a protocol committee can wait for: a hundred thousand trials in a few minutes.
"""

from __future__ import annotations

from typing import Any

from benchmarks.measuring import Figure, trials_a_second

BASKETS = "abcde"
NORMALS = {"mean": {"mean": 0, "sd": 1}, "sd": {"kind": "half_normal", "scale": 0.5}}
TWO_ARMS = {"arms": {"control": "usual", "treatment": "drug"}, "endpoint": "os", "follow_up_months": 3}
FOLLOWED = {"endpoint": "os", "null_median": 3, "follow_up_months": 3}
ABOVE = {"probability_that": "median", "above": "null_median", "exceeds": 0.95}
DESIGNS: dict[str, tuple[dict[str, Any], dict[str, Any], int, float]] = {
    "gamma": (
        FOLLOWED | {"analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 2}}},
        ABOVE,
        200_000,
        100_000,
    ),
    "hierarchical_median": (
        FOLLOWED | {"analysis": {"kind": "hierarchical", "offset": "null_median", **NORMALS}},
        ABOVE,
        2_000,
        500,
    ),
    "hierarchical_hazard_ratio": (
        TWO_ARMS | {"analysis": {"kind": "hierarchical", "control_hazard": {"events": 0.5, "months": 2}, **NORMALS}},
        {"probability_that": "hazard_ratio", "below": "null_ratio", "exceeds": 0.95},
        2_000,
        500,
    ),
    "hierarchical_odds_ratio": (
        TWO_ARMS
        | {
            "endpoint": "response",
            "follow_up_months": 0,
            "analysis": {"kind": "hierarchical", "control_rate": {"alpha": 1, "beta": 2}, **NORMALS},
        },
        {"probability_that": "odds_ratio", "above": "null_ratio", "exceeds": 0.95},
        2_000,
        500,
    ),
}


def scenario(design: dict[str, Any], when: dict[str, Any]) -> dict[str, Any]:
    """Return five baskets in which the drug halves the hazard, or doubles the rate."""
    rules = [{"stop_for": "efficacy", "when": when}]
    return {
        "schema": 1,
        "title": "Five baskets, followed or randomised",
        "population": {"accrual": {"patients_per_month": 6}, "strata": dict.fromkeys(BASKETS, 0.2)},
        "endpoints": {"os": {"kind": "time_to_event"}, "response": {"kind": "binary"}},
        "arms": {"usual": {"control": True}, "drug": {}},
        "truths": {
            "active": {
                "os": {"usual": {"median_months": 3}, "drug": {"median_months": 6}},
                "response": {"usual": {"rate": 0.2}, "drug": {"rate": 0.4}},
            }
        },
        "designs": {"basket": {"kind": "basket", "max_patients": 20, "rules": rules, **design}},
    }


def measure() -> list[Figure]:
    """Return the trials a second of each design."""
    return [
        trials_a_second(f"effects_{name}", scenario(design, when), replicates, goal, None)
        for name, (design, when, replicates, goal) in DESIGNS.items()
    ]
