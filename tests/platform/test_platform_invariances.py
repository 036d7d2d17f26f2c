"""What must not matter to platforms does not: who plays, in what pieces, under which names; arms that never come; and
a drift of nothing.
"""

import json
import math

import numpy as np
import pytest
from platform_runs import SIGMAS, mean_and_error, played, scenario_of

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.kernel.rules import EFFICACY
from lmd_trialsim.platform_replay import replay_platform
from lmd_trialsim.simulation import run

UNIFORM = {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}
BETTER = {"probability_that": "difference", "above": 0}
THOMPSON = {
    "max_patients": 120,
    "max_per_arm": 40,
    "allocation": {"kind": "thall_wathen", "power": 1, "burn_in": 16},
    "looks": {"patients": {"from": 20, "every": 10, "to": 110}, "lag_patients": 3},
    "analysis": UNIFORM,
    "rules": [
        {"stop_for": "futility", "at": "interim", "when": {**BETTER, "is_below": 0.1}},
        {"stop_for": "efficacy", "when": {**BETTER, "exceeds": 0.98}},
    ],
}
FLOORED = {"kind": "thall_wathen", "power": 1, "floor": 0.1}
RATES = {"control": {"rate": 0.25}, "first": {"rate": 0.25}, "second": {"rate": 0.45}, "third": {"rate": 0.1}}
TESTED = {
    "max_patients": 120,
    "max_per_arm": 30,
    "arms": {"first": {}, "second": {"enters_at_patients": 20}, "third": {"enters_at_patients": 50}},
    "controls": "all",
    "allocation": {"kind": "fixed", "ratio": {"control": 2}},
    "looks": {"patients": [40, 80]},
    "analysis": {"kind": "period_regression"},
    "rules": [
        {"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 2.2}},
        {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "is_below": -0.5}},
    ],
}
VALUES = {
    "control": {"mean": 1, "sd": 1},
    "first": {"mean_difference": 0.2},
    "second": {"mean_difference": 0.8},
    "third": {"mean_difference": -0.3, "sd": 1.5},
}
STUDENT = {"analysis": {"kind": "difference_of_means"}}
DRIFT = {"per_month": 0.02, "seasonal": {"amplitude": 0.3, "peak_month": 2}}


def of_rates(designs, courses=None, **truth):
    return scenario_of({"kind": "binary", "assessed_after_months": 0.2}, courses or RATES, designs, **truth)


def of_values(designs, courses=None, **truth):
    return scenario_of({"kind": "continuous"}, courses or VALUES, designs, **truth)


def identical(scenario, one, other, replicates=300):
    """Assert that two designs of a scenario play the same trials."""
    both = [played(scenario, design, replicates, 5) for design in (one, other)]
    for mine, theirs in zip(*both, strict=True):
        assert np.array_equal(mine, theirs, equal_nan=True)
    assert len(np.unique(both[0][0][:, column.ENROLLED])) > 5  # trials that differ from each other


# Who plays, and in what pieces.


@pytest.mark.parametrize("scenario", [of_rates({"d": THOMPSON}), of_values({"d": TESTED})], ids=["rates", "values"])
def test_threads_and_chunks_do_not_matter(scenario):
    def told(**how):
        return json.dumps(run(scenario, replicates=150, seed=3, **how).to_dict())

    expected = told(threads=1)
    for chunk in (1, 7, 64):
        for threads in (1, 2):
            assert told(threads=threads, chunk=chunk) == expected, (chunk, threads)
    whole = played(scenario, "d", 150, 3)
    shorter = played(scenario, "d", 40, 3)
    for every, part in zip(whole, shorter, strict=True):
        assert np.array_equal(every[:40], part, equal_nan=True)


# Names and places.

NAMES = {"control": "zero", "first": "Z", "second": "a-2", "third": "m.3"}


def renamed(item):
    """Return the mapping with other names of arms."""
    if isinstance(item, dict):
        return {NAMES.get(key, key): renamed(value) for key, value in item.items()}
    return NAMES.get(item, item) if isinstance(item, str) else item


@pytest.mark.parametrize(
    ("make", "design", "courses"), [(of_rates, THOMPSON, RATES), (of_values, TESTED, VALUES)], ids=["rates", "values"]
)
def test_names_do_not_matter(make, design, courses):
    expected = run(make({"d": design}, courses), replicates=300, seed=4).rows[0].characteristics
    found = run(make({"d": renamed(design)}, renamed(courses)), replicates=300, seed=4).rows[0].characteristics
    assert found == tuple(c._replace(cell=NAMES.get(c.cell, c.cell)) for c in expected)


def test_arms_that_change_places_change_their_results():
    # Each arm has what it had in its other place, within the noise: trials are others, as draws go by place.
    turned = {**THOMPSON, "arms": {"third": {}, "first": {}, "second": {}}}
    scenario = of_rates({"here": THOMPSON, "there": turned})
    replicates = 4_000
    here, there = (played(scenario, design, replicates, 6)[1] for design in ("here", "there"))
    for place, other in ((0, 0), (1, 2), (2, 3), (3, 1)):
        for name in ("PATIENTS", "EVALUABLE", "ENTERED"):
            at = getattr(column, name)
            (one, error), (two, another) = mean_and_error(here[:, place, at]), mean_and_error(there[:, other, at])
            assert abs(one - two) <= SIGMAS * math.hypot(error, another), (name, place)
        if place:
            success = [x[:, y, column.VERDICT] == EFFICACY for x, y in ((here, place), (there, other))]
            (one, error), (two, another) = map(mean_and_error, success)
            assert abs(one - two) <= SIGMAS * math.hypot(error, another), place
    assert not np.array_equal(here, there)


def test_equal_arms_have_equal_results():
    courses = {arm: {"rate": 0.3} for arm in RATES}
    _, by_arm, numbers = played(of_rates({"d": THOMPSON}, courses), "d", 4_000, 7)
    measures = [
        by_arm[:, 1:, column.PATIENTS],
        by_arm[:, 1:, column.VERDICT] == EFFICACY,
        numbers[:, 1:, column.ESTIMATE],
        numbers[:, 1:, column.DECIDED],
    ]
    for values in measures:
        for one, other in ((0, 1), (1, 2), (0, 2)):
            difference, error = mean_and_error(values[:, one].astype(float) - values[:, other])
            assert abs(difference) < SIGMAS * error


# Arms that say nothing, or never come.


def test_an_arm_that_may_enter_at_once_is_one_that_says_nothing():
    said = {"first": {"enters_at_month": 0}, "second": {"enters_at_patients": 0}, "third": {"max_patients": 40}}
    identical(of_rates({"silent": THOMPSON, "said": {**THOMPSON, "arms": said}}), "silent", "said")
    at_once = {**THOMPSON, "arms_at_once": 3, "months_to_decide": 0}
    identical(of_rates({"silent": THOMPSON, "said": at_once}), "silent", "said")


@pytest.mark.parametrize(
    ("make", "design", "courses", "most"),
    [
        (of_rates, {**THOMPSON, "max_patients": 600, "allocation": FLOORED}, RATES, 599),
        (of_values, {**TESTED, "max_patients": 300}, VALUES, 299),
    ],
    ids=["rates", "values"],
)
def test_an_arm_that_never_enters_changes_nothing(make, design, courses, most):
    arms = design.get("arms") or {arm: {} for arm in courses if arm != "control"}
    late = {**design, "arms": {**arms, "late": {"enters_at_patients": most}}}
    without = make({"d": {**design, "arms": arms}}, courses)
    beside = make({"d": late}, {**courses, "late": {"same_as": "control"}})
    (trial, by_arm, numbers), (other_trial, other_by_arm, other_numbers) = (
        played(scenario, "d", 300, 8) for scenario in (without, beside)
    )
    assert trial[:, column.ENROLLED].max() < most
    assert not other_by_arm[:, -1, [column.ENTERED, column.PATIENTS]].any()
    assert np.array_equal(trial, other_trial)
    assert np.array_equal(by_arm, other_by_arm[:, :-1])
    assert np.array_equal(numbers[:, :, column.QUEUED], other_numbers[:, :-1, column.QUEUED], equal_nan=True)
    # Sums over one arm more are made in another order: estimates of least squares are the same to rounding.
    for name in (column.ESTIMATE, column.DECIDED):
        mine, theirs = numbers[:, :, name], other_numbers[:, :-1, name]
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12, nan_ok=True)


# Drift.

NOTHING = {"per_month": 0, "steps": [{"at_month": 1, "by": 0}], "seasonal": {"amplitude": 0, "peak_month": 3}}


@pytest.mark.parametrize(("make", "design"), [(of_rates, THOMPSON), (of_values, TESTED)], ids=["rates", "values"])
def test_a_drift_of_nothing_changes_no_bit(make, design):
    still, drifting = make({"d": design}), make({"d": design}, drift=NOTHING)
    factors = make({"d": design}, drift={"per_month": 5, "factors": dict.fromkeys(RATES, 0)})
    moved = make({"d": design}, drift=DRIFT)
    expected = played(still, "d", 300, 9)
    for scenario in (drifting, factors):
        for mine, theirs in zip(expected, played(scenario, "d", 300, 9), strict=True):
            assert np.array_equal(mine, theirs, equal_nan=True)
    assert not np.array_equal(expected[1], played(moved, "d", 300, 9)[1])


def test_a_drift_moves_the_rate_by_its_logit():
    # A step at month 0 is the same world with other rates.
    def logit(rate, by):
        odds = rate / (1 - rate) * math.exp(by)
        return {"rate": odds / (1 + odds)}

    stepped = of_rates({"d": THOMPSON}, drift={"steps": [{"at_month": 0, "by": 0.7}]})
    other = of_rates({"d": THOMPSON}, {arm: logit(course["rate"], 0.7) for arm, course in RATES.items()})
    mine, theirs = (played(scenario, "d", 300, 10)[1] for scenario in (stepped, other))
    same = [column.VERDICT, column.LOOK, column.PATIENTS, column.EVALUABLE, column.CONTROLS, column.COUNTED]
    assert np.array_equal(mine[:, :, same], theirs[:, :, same])


@pytest.mark.slow
def test_a_drift_of_all_arms_is_no_bias_of_the_regression_and_one_of_pooled_controls():
    courses = {arm: {"mean": 0, "sd": 1} if arm == "control" else {"mean_difference": 0} for arm in VALUES}
    last = {"looks": {"patients": [119]}, "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 9}}]}
    designs = {"adjusted": {**TESTED, **last}, "pooled": {**TESTED, **STUDENT, **last}}
    rows = run(of_values(designs, courses, drift={"per_month": 0.3}), replicates=4_000, seed=11).rows
    bias = {row.design: row.get("bias", "third") for row in rows}
    assert abs(bias["adjusted"].estimate) < SIGMAS * bias["adjusted"].mcse
    assert bias["pooled"].estimate > 0.2 + SIGMAS * bias["pooled"].mcse


# The same patients everywhere.


def months_of(scenario, design, replicate):
    patients = replay_platform(scenario, design, "true", 12, replicate).patients
    return np.array([p.month for p in patients]), patients


@pytest.mark.slow
def test_every_design_takes_the_same_patients():
    # While nobody is turned away the n-th patient is the same one, whatever the analysis has made of those before.
    survival = {
        "control": {"median_months": 8},
        "first": {"hazard_ratio": 0.6},
        "second": {"same_as": "control"},
        "third": {"same_as": "control"},
    }
    looks = {"looks": {"patients": {"from": 4, "every": 4, "to": 76}}, "max_patients": 80, "follow_up_months": 6}
    rules = [{"stop_for": "efficacy", "at": "final", "when": {"statistic": "z", "exceeds": 1.645}}]
    tested = {**looks, "rules": rules, "analysis": {"kind": "log_rank"}}
    designs = {
        "trippa": {**tested, "allocation": {"kind": "trippa"}},
        "blocks": {**tested, "allocation": {"kind": "fixed"}},
    }
    times = scenario_of({"kind": "time_to_event"}, survival, designs)
    rates = of_rates({"thompson": {**THOMPSON, "max_per_arm": 120, "rules": THOMPSON["rules"][1:]}})
    values = of_values({"tested": {**TESTED, "max_per_arm": 120, "rules": TESTED["rules"][:1]}})
    for replicate in (0, 1, 777):
        played = [(times, "trippa"), (times, "blocks"), (rates, "thompson"), (values, "tested")]
        found = [months_of(scenario, design, replicate) for scenario, design in played]
        longest = max((months for months, _ in found), key=len)
        for months, _ in found:
            assert len(months) > 30
            assert np.array_equal(months, longest[: len(months)])
            assert (np.diff(months) >= 0.0).all()
        # And what becomes of him is the same quantile of the time in any arm.
        trippa, blocks = found[0][1], found[1][1]
        rate = {arm: math.log(2.0) / 8 * (0.6 if arm == "first" else 1.0) for arm in survival}
        for one, other in zip(trippa, blocks, strict=True):
            assert one.event * rate[one.arm] == pytest.approx(other.event * rate[other.arm], rel=1e-12)
        assert any(one.arm != other.arm for one, other in zip(trippa, blocks, strict=True))
