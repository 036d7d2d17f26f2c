"""Platforms: four arms with adaptive allocation, of rates and of times, and ten arms that enter over eight years."""

from __future__ import annotations

from typing import Any

from benchmarks.measuring import Figure, trials_a_second

FOUR = ("control", "a", "b", "c")
TEN = ("control", *(f"arm_{number}" for number in range(1, 11)))


def scenario(arms: tuple[str, ...], rate: float, endpoint: dict[str, Any], course: Any, design: Any) -> dict[str, Any]:
    """Return a platform on which no arm is better. rate: patients a month."""
    courses = {arm: course if arm == "control" else {"same_as": "control"} for arm in arms}
    return {
        "schema": 1,
        "title": "A platform",
        "population": {"accrual": {"patients_per_month": rate}},
        "endpoints": {"endpoint": endpoint},
        "arms": {arm: {"control": arm == "control"} for arm in arms},
        "truths": {"null": {"endpoint": courses}},
        "designs": {"platform": {"kind": "platform", "endpoint": "endpoint", **design}},
    }


def rates() -> dict[str, Any]:
    """Return four arms, binary, adaptive: eight looks, 200 patients."""
    difference = {"probability_that": "difference", "above": 0}
    design = {
        "max_patients": 200,
        "allocation": {"kind": "thall_wathen", "power": 0.5, "control_share": 0.25, "floor": 0.1},
        "looks": {"patients": {"from": 60, "every": 20, "to": 180}},
        "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        "rules": [
            {"stop_for": "efficacy", "when": difference | {"exceeds": 0.99}},
            {"stop_for": "futility", "when": difference | {"is_below": 0.02}},
        ],
    }
    return scenario(FOUR, 5.0, {"kind": "binary", "assessed_after_months": 2}, {"rate": 0.25}, design)


def times(allocation: dict[str, Any]) -> dict[str, Any]:
    """Return four arms, survival: six looks, 240 patients."""
    ratio = {"probability_that": "hazard_ratio", "below": 1}
    design = {
        "max_patients": 240,
        "allocation": allocation,
        "looks": {"patients": {"from": 80, "every": 30, "to": 200}},
        "follow_up_months": 6,
        "analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 2}},
        "rules": [
            {"stop_for": "efficacy", "when": ratio | {"exceeds": 0.99}},
            {"stop_for": "futility", "when": ratio | {"is_below": 0.02}},
        ],
    }
    return scenario(FOUR, 8.0, {"kind": "time_to_event"}, {"median_months": 4}, design)


def ten_arms() -> dict[str, Any]:
    """Return ten arms that enter over eight years, with controls of all times adjusted for the period."""
    design = {
        "max_patients": 900,
        "max_per_arm": 60,
        "arms": {arm: {"enters_at_month": 9.6 * number} for number, arm in enumerate(TEN[1:])},
        "controls": "all",
        "looks": {"months": {"from": 12, "every": 6, "to": 120}},
        "analysis": {"kind": "period_regression"},
        "rules": [
            {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "is_below": -1}},
            {"stop_for": "efficacy", "at": "final", "when": {"statistic": "z", "exceeds": 1.96}},
        ],
    }
    return scenario(TEN, 9.0, {"kind": "continuous", "assessed_after_months": 1}, {"mean": 0, "sd": 1}, design)


def time_machine() -> dict[str, Any]:
    """Return the same arms with a level for each half year that follows the next one, its step summed over."""
    written = ten_arms()
    design, better = written["designs"]["platform"], {"probability_that": "difference", "above": 0}
    walk = {"sd": {"kind": "half_normal", "scale": 0.1}}
    design["max_months"] = 140
    design["analysis"] = {
        "kind": "regression",
        "sd": 1,
        "level": {"sd": 2},
        "prior": {"sd": 2},
        "time": {"months": 6, "walk": walk},
    }
    design["rules"] = [
        {"stop_for": "futility", "at": "interim", "when": better | {"is_below": 0.16}},
        {"stop_for": "efficacy", "at": "final", "when": better | {"exceeds": 0.975}},
    ]
    return written


def measure() -> list[Figure]:
    """Return the trials a second of each."""
    return [
        trials_a_second("platform_rates_adaptive", rates(), 100_000, 100_000, None),
        trials_a_second("platform_times_adaptive", times({"kind": "trippa"}), 40_000, 40_000, None),
        trials_a_second("platform_times_best", times({"kind": "thall_wathen", "power": 1}), 40_000, 40_000, None),
        trials_a_second("platform_ten_arms_adjusted", ten_arms(), 6_000, 3_000, None),
        trials_a_second("platform_ten_arms_time_machine", time_machine(), 1_000, 500, None),
    ]
