"""The basket loop against its plain-Python twin on the same addresses: equal trial by trial, in every column.

What the twin once found wrong stands at the end, each with a small example of its own.
"""

import copy
import math
import subprocess
import sys

import numpy as np
import pytest
from naive_baskets import NaiveTrial

from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.backends import play, play_logged
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of

RATES = {"a": 0.3, "b": 0.15, "c": 0.5, "elsewhere": 0.4}
RULES = [
    {
        "stop_for": "harm",
        "from_patients": 3,
        "when": {"probability_that": "rate", "below": "null_rate", "exceeds": 0.95},
    },
    {
        "stop_for": "futility",
        "at": "interim",
        "when": [
            {"probability_that": "rate", "above": "midpoint", "at_most": 0.3},
            {"number_of": "responses", "at_most": 2},
        ],
    },
    {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": "null_rate", "exceeds": 0.9}},
]


def scenario_of(*, population=None, endpoint=None, truth=None, **design):
    """A scenario of three baskets and a stratum without one."""
    population = {
        "accrual": {"patients_per_month": 4},
        "strata": {"a": 0.4, "b": 0.25, "c": 0.2, "elsewhere": 0.15},
        **(population or {}),
    }
    rates = {name: {"rate": RATES.get(name, 0.25)} for name in population["strata"]}
    return {
        "schema": 1,
        "title": "twins",
        "population": population,
        "endpoints": {"response": {"kind": "binary", **(endpoint or {})}},
        "arms": {"drug": {}},
        "truths": {"real": {"response": {"drug": {"by_stratum": rates}}, **(truth or {})}},
        "designs": {
            "basket": {
                "kind": "basket",
                "endpoint": "response",
                "null_rate": 0.2,
                "target_rate": 0.4,
                "max_patients": 14,
                "baskets": {"a": {}, "b": {}, "c": {}},
                "analysis": {
                    "kind": "power_prior",
                    "weights": {"kind": "fixed", "weight": 0.3},
                    "prior": {"alpha": 0.5, "beta": 1},
                },
                "rules": [rule for rule in RULES if "looks" in design or rule.get("at") != "interim"],
                **design,
            }
        },
    }


def lossy(**how):
    """Assessed after a time, before which patients may die or drop out."""
    return {
        "endpoint": {"assessed_after_months": 1.3, **how},
        "truth": {"death": {"drug": {"median_months": 6}}, "drop_out": {"per_month": 0.08}},
    }


def job(scenario, replicates=1):
    return job_of(Scenario.of(Document(copy.deepcopy(scenario), "twins")), "basket", "real", replicates)


def row_of(outcomes, row, cells):
    """A row in words."""
    integers, numbers = outcomes.integers[row], outcomes.numbers[row]
    of_cell = integers[column.HEAD :].reshape(cells, column.OF_CELL)
    reals = numbers[1:].reshape(cells, column.NUMBERS_OF_CELL)
    return {
        "enrolled": integers[column.ENROLLED],
        "succeeded": integers[column.SUCCEEDED],
        "closed": integers[column.CLOSED_EARLY],
        "verdict": of_cell[:, column.VERDICT].tolist(),
        "look": of_cell[:, column.LOOK].tolist(),
        "taken": of_cell[:, column.PATIENTS].tolist(),
        "evaluable": of_cell[:, column.EVALUABLE].tolist(),
        "responses": of_cell[:, column.COUNTED].tolist(),
        "months": numbers[column.MONTHS],
        "estimate": reals[:, column.ESTIMATE],
    }


def row_of_twin(twin):
    cells = twin.cells
    return {
        "enrolled": twin.enrolled(),
        "succeeded": int(twin.succeeded),
        "closed": int(twin.closed),
        "verdict": [cell.verdict for cell in cells],
        "look": [cell.judged_at for cell in cells],
        "taken": [cell.taken for cell in cells],
        "evaluable": [cell.evaluable for cell in cells],
        "responses": [cell.responses for cell in cells],
        "months": twin.months,
        "estimate": [cell.estimate for cell in cells],
    }


def assert_agrees(scenario, replicates=40, seed=None):
    """Equal trial by trial; months and estimates to rounding, as the sums are taken in another order."""
    seed = int(np.random.default_rng().integers(2**40)) if seed is None else seed
    outcomes = play(job(scenario, replicates), seed, 0, replicates)
    for replicate in range(replicates):
        twin = NaiveTrial(scenario, "basket", "real", seed, replicate).play()
        expected, found = row_of_twin(twin), row_of(outcomes, replicate, len(twin.cells))
        for name, value in expected.items():
            if name in ("months", "estimate"):
                np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=f"{name}: {seed=}, {replicate=}")
            else:
                assert found[name] == value, f"{name}: {seed=}, {replicate=}, {scenario=}"


LOOKS = {
    "in_each": {"in_each": [5, 9]},
    "in_one": {"in_one": [5, 9]},
    "in_all": {"in_all": [12, 20, 30]},
    "months": {"months": [1.7, 3.1]},
}


@pytest.mark.parametrize("unit", LOOKS)
@pytest.mark.parametrize(
    ("accrual", "months_to_decide"), [("continues", 0.0), ("pauses", 0.0), ("pauses", 0.45)], ids=str
)
def test_schedules_agree_with_the_twin(unit, accrual, months_to_decide):
    how = {"max_patients": 30} if unit == "months" else {}
    scenario = scenario_of(
        looks=LOOKS[unit], accrual_at_looks=accrual, months_to_decide=months_to_decide, **how, **lossy()
    )
    assert_agrees(scenario)


@pytest.mark.parametrize(
    ("death", "drop_out"),
    [("missing", "not_evaluable"), ("not_evaluable", "failure"), ("failure", "missing"), ("not_evaluable",) * 2],
)
def test_losses_agree_with_the_twin(death, drop_out):
    losses = lossy(death_before_assessment=death, drop_out_before_assessment=drop_out, assessed_after_months=2.5)
    for looks in (None, LOOKS["in_each"], LOOKS["in_one"]):
        assert_agrees(scenario_of(**({"looks": looks} if looks else {}), **losses), 20)


FEATURES = {
    "no_looks": {},
    "late": {"baskets": {"a": {}, "b": {"opens_at_month": 3.3}, "c": {"opens_at_month": 0.7}}},
    "unequal": {
        "baskets": {"a": {"max_patients": 9}, "b": {"max_patients": 3}, "c": {}},
        "looks": {"in_each": [{"a": 4, "b": 2, "c": 5}, {"a": 9, "b": 3, "c": 9}]},
    },
    "own_rates": {"baskets": {"c": {"null_rate": 0.1, "target_rate": 0.5}, "a": {"null_rate": 0.3}}},
    "few_in_all": {"max_in_all": 17, "looks": {"in_each": [4, 8]}},
    "closes_as_it_stands": {"max_months": 5.2, "looks": {"in_each": [4, 8]}},
    "closes_before_the_look": {"max_months": 1.1, "looks": {"in_each": [4, 8]}},
    "closes_while_deciding": {
        "max_months": 4.0,
        "looks": {"in_each": [4, 8]},
        "months_to_decide": 1.5,
        "accrual_at_looks": "pauses",
    },
    "closes_slow_baskets": {
        "baskets": {"a": {}, "b": {}, "c": {"closes_if": {"by_month": 1.5, "fewer_than": 2}}},
        "looks": {"in_each": [12]},
        "max_patients": 20,
    },
    "two_successes": {"succeeds_with": 2, "looks": {"in_each": {"from": 4, "every": 3, "to": 10}}},
    "rules": {
        "looks": {"in_each": [4, 8]},
        "rules": [
            {"stop_for": "futility", "at": [1, 2], "when": {"number_of": "responses", "is_below": [1, 2]}},
            {
                "stop_for": "efficacy",
                "from_patients": 5,
                "when": [
                    {
                        "probability_that": "rate",
                        "above": {"by_basket": {"a": 0.1, "b": 0.2, "c": 0.3}},
                        "at_least": {"by_basket": {"a": 0.9, "b": 0.8, "c": 0.7}},
                    },
                    {"estimate_of": "rate", "at_least": 0.25},
                ],
            },
        ],
    },
    "one_after_another": {
        "looks": {"in_one": [3, 6, 9]},
        "max_in_all": 30,
        "max_months": 9.0,
        "baskets": {"a": {}, "b": {"opens_at_month": 1.0}, "c": {}},
    },
}


@pytest.mark.parametrize("feature", FEATURES)
def test_features_agree_with_the_twin(feature):
    assert_agrees(scenario_of(**FEATURES[feature], **lossy(death_before_assessment="missing")))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_independent_and_pooled(weight):
    analysis = {
        "kind": "power_prior",
        "weights": {"kind": "fixed", "weight": weight},
        "prior": {"alpha": 0.5, "beta": 1},
    }
    assert_agrees(scenario_of(analysis=analysis, looks=LOOKS["in_each"], **lossy()))


@pytest.mark.parametrize(
    "accrual",
    [
        {"patients_per_month": 4, "arrivals": "equally_spaced"},
        {
            "patients_per_month": [
                {"from_month": 0, "rate": 1.5},
                {"from_month": 2, "rate": 0},
                {"from_month": 3, "rate": 6},
            ]
        },
    ],
    ids=["equally_spaced", "steps"],
)
def test_arrivals_agree_with_the_twin(accrual):
    for looks in (LOOKS["in_each"], {"in_each": [3]}):
        assert_agrees(scenario_of(population={"accrual": accrual}, looks=looks))


def test_accrual_that_dries_up_ends_the_trial():
    # Nobody comes after month 5; the trial would close as it stands at month 30, and need not wait for it.
    steps = [{"from_month": 0, "rate": 4}, {"from_month": 5, "rate": 0}]
    population = {"accrual": {"patients_per_month": steps}}
    scenario = scenario_of(population=population, looks={"in_each": [4]}, max_months=30.0, **lossy())
    outcomes = play(job(scenario, 200), 8, 0, 200)
    assert (outcomes.numbers[:, column.MONTHS] <= 5 + 1.3).all()
    of_cell = outcomes.integers[:, column.HEAD :].reshape(200, 3, column.OF_CELL)
    assert (of_cell[:, :, column.LOOK] >= 0).all()


def test_the_log_tells_the_looks_of_the_twin():
    scenario = scenario_of(looks=LOOKS["in_one"], **lossy())
    for replicate in range(15):
        _, log, _ = play_logged(job(scenario), 3, replicate)
        twin = NaiveTrial(scenario, "basket", "real", 3, replicate).play()
        np.testing.assert_allclose(log[:, column.LOG_MONTH], twin.month_of_look, rtol=1e-12)


def random_scenario(draw):
    """A scenario with any of the features."""
    names = ["a", "b", "c", "d"][: draw.integers(2, 5)]
    strata = names + ["elsewhere"] * int(draw.integers(2))
    shares = np.round(draw.dirichlet(np.full(len(strata), 3.0)), 4)
    shares[-1] = round(1 - shares[:-1].sum(), 4)
    rate, most = round(draw.uniform(2, 8), 3), int(draw.integers(4, 15))
    steps = [{"from_month": 0, "rate": round(rate / 3, 3)}, {"from_month": 2.5, "rate": rate}]
    accrual = [{"patients_per_month": rate}, {"patients_per_month": steps}][draw.integers(2)]
    baskets = {name: {} for name in names}
    for basket in baskets.values():
        if draw.random() < 0.4:
            basket["max_patients"] = int(draw.integers(3, 15))
        if draw.random() < 0.2:
            basket["opens_at_month"] = round(draw.uniform(0.5, 4), 3)
        if draw.random() < 0.2:
            by = basket.get("opens_at_month", 0.0) + round(draw.uniform(0.5, 5), 3)
            basket["closes_if"] = {"by_month": by, "fewer_than": int(draw.integers(1, 6))}
    mosts = [basket.get("max_patients", most) for basket in baskets.values()]
    unit, count = str(draw.choice(list(LOOKS))), int(draw.integers(1, 4))
    if unit == "months":
        listed = np.round(np.sort(draw.uniform(0.5, 12, count)), 3).tolist()
    else:
        largest = (sum(mosts) if unit == "in_all" else max(mosts)) - 1
        listed = sorted(set(draw.integers(2, largest + 1, count).tolist()))
    design = {
        "max_patients": most,
        "baskets": baskets,
        "looks": {unit: listed},
        "accrual_at_looks": str(draw.choice(["continues", "pauses"])),
        "months_to_decide": round(draw.choice([0, draw.uniform(0.1, 1.5)]), 3),
        "succeeds_with": int(draw.integers(1, 3)),
    }
    if draw.random() < 0.25:
        design["max_in_all"] = int(draw.integers(max(3, *(listed if unit == "in_all" else [3])) + 1, sum(mosts) + 5))
    if draw.random() < 0.25:
        design["max_months"] = round(draw.uniform(4, 14), 3)
        if unit == "months":
            design["max_months"] = listed[-1] + design["max_months"]
    losses = [str(word) for word in draw.choice(["failure", "missing", "not_evaluable"], 2)]
    how = lossy(
        assessed_after_months=round(draw.uniform(0.2, 3), 4),
        death_before_assessment=losses[0],
        drop_out_before_assessment=losses[1],
    )
    population = {"accrual": accrual, "strata": dict(zip(strata, shares.tolist(), strict=True))}
    if draw.random() < 0.2:
        population["enrolment_cap"] = int(draw.integers(5, 60))
    scenario = scenario_of(population=population, **design, **how)
    rates = {name: {"rate": round(draw.uniform(0.05, 0.6), 3)} for name in strata}
    scenario["truths"]["real"]["response"]["drug"]["by_stratum"] = rates
    return scenario


@pytest.mark.slow
def test_random_scenarios_agree_with_the_twin():
    seed = int(np.random.default_rng().integers(2**40))
    for number in range(150):
        scenario = random_scenario(np.random.default_rng([seed, number]))
        assert_agrees(scenario, 15, number)


# ---- what the twin once found wrong, each with its example ----------------------------------------------------------


def found_and_expected(scenario, names, replicate=0, seed=1):
    """What program and twin say."""
    twin = NaiveTrial(scenario, "basket", "real", seed, replicate).play()
    expected = row_of_twin(twin)
    found = row_of(play(job(scenario), seed, replicate, replicate + 1), 0, len(twin.cells))
    return [found[name] for name in names], [expected[name] for name in names]


def evenly(shares, **how):
    """A patient comes every quarter of a month."""
    accrual = {"patients_per_month": 4, "arrivals": "equally_spaced"}
    population = {"accrual": accrual, "strata": shares}
    return scenario_of(population=population, **{"baskets": {name: {} for name in shares}, **how})


STOPS = [
    {"stop_for": "futility", "when": {"probability_that": "rate", "above": 0.5, "exceeds": 0.0}},
    {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.5, "exceeds": 0.999}},
]
"""Every basket stops at its first look."""
GOES_ON = [{"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.5, "exceeds": 0.5}}]


def test_patients_come_until_the_decision():
    # The look is at the 6th patient or later; two months to decide are eight more patients for two baskets of 20,
    # as in a trial that is judged as a whole (engine.trial.record).
    scenario = evenly({"a": 0.5, "b": 0.5}, looks={"in_each": [3]}, max_patients=20, months_to_decide=2.0, rules=STOPS)
    found, expected = found_and_expected(scenario, ["enrolled", "months"])
    assert found[0] == found[1] * 4
    assert found == pytest.approx(expected)


def test_a_look_in_all_comes_when_so_many_are_known():
    # Looks at 4 and 12 known outcomes, three months after entry: at months 1 + 3 and 3 + 3, with 4 and 12 outcomes.
    scenario = evenly(
        {"a": 0.5, "b": 0.5},
        looks={"in_all": [4, 12]},
        max_patients=40,
        rules=GOES_ON,
        endpoint={"assessed_after_months": 3.0},
    )
    _, log, _ = play_logged(job(scenario), 1, 0)
    assert log[:2, column.LOG_MONTH].tolist() == [4.0, 6.0]


def test_the_final_look_waits_for_the_assessments():
    # Both baskets are full at month 2 or later, and all are assessed at month 6 or later, not at the look before.
    scenario = evenly(
        {"a": 0.5, "b": 0.5},
        looks={"months": [4.5]},
        max_patients=4,
        rules=GOES_ON,
        endpoint={"assessed_after_months": 4.0},
    )
    for replicate in range(5):
        names = ["evaluable", "months"]
        found, expected = found_and_expected(scenario, names, replicate)
        assert expected[0] == [4, 4]
        assert found == [expected[0], pytest.approx(expected[1])]


def test_a_trial_that_takes_no_more_does_not_wait_for_the_calendar():
    # All six patients are known at month 1.5.
    scenario = evenly({"a": 0.5, "b": 0.5}, looks={"months": [5, 9]}, max_patients=20, max_in_all=6, rules=GOES_ON)
    found, expected = found_and_expected(scenario, ["months", "look"])
    assert expected == [1.5, [2, 2]]
    assert found == expected


SLOW = {"a": {"max_patients": 4}, "b": {"closes_if": {"by_month": 10.0, "fewer_than": 30}}}


def test_that_a_basket_will_close_is_not_known_before():
    # The look waits for the slow basket until it closes at month 10; the other one was full after a month or two.
    scenario = evenly({"a": 0.5, "b": 0.5}, baskets=SLOW, max_patients=35, rules=GOES_ON)
    names = ["months", "enrolled", "taken", "evaluable"]
    found, expected = found_and_expected(scenario, names)
    assert expected[0] == 10.0
    assert found == expected


def test_a_trial_whose_baskets_all_close_lasts_until_then():
    closes = {"closes_if": {"by_month": 10.0, "fewer_than": 40}}
    scenario = evenly({"a": 0.5, "b": 0.5}, baskets={"a": closes, "b": closes}, max_patients=50, rules=GOES_ON)
    found, expected = found_and_expected(scenario, ["months", "look", "enrolled"])
    assert expected == [10.0, [-1, -1], 40]
    assert found == expected


def test_a_slow_basket_is_closed_at_the_look():
    # The pause of accrual lasts from month 1 to the look at month 4; basket b should have closed at month 3.
    slow = {"a": {}, "b": {"closes_if": {"by_month": 3.0, "fewer_than": 20}}}
    scenario = evenly(
        {"a": 0.5, "b": 0.5},
        baskets=slow,
        looks={"in_all": [4]},
        max_patients=30,
        accrual_at_looks="pauses",
        rules=STOPS,
        endpoint={"assessed_after_months": 2.97},
    )
    found, expected = found_and_expected(scenario, ["verdict", "look"])
    assert expected == [[2, 0], [0, -1]]
    assert found == expected


def test_a_full_basket_has_its_final_look():
    # Basket b is full with 4 patients, so the look at 4 is its last one, and its decision comes half a month later.
    scenario = evenly(
        {"a": 0.001, "b": 0.999},
        baskets={"a": {"max_patients": 12}, "b": {"max_patients": 4}},
        looks={"in_one": [4, 8]},
        max_in_all=4,
        months_to_decide=0.5,
        rules=GOES_ON,
    )
    _, log, _ = play_logged(job(scenario), 1, 0)
    at = column.LOG_HEAD + column.LOG_TAILS + 1  # of b; one bound
    assert log[0, column.LOG_MONTH] == 1.0
    assert log[0, at + column.LOG_LOOK] == 2


def test_no_more_patients_come_than_exist():
    # Twelve patients exist; half of them have no basket.
    scenario = evenly({"a": 0.25, "b": 0.25, "elsewhere": 0.5}, baskets={"a": {}, "b": {}}, rules=GOES_ON)
    scenario["population"]["enrolment_cap"] = 12
    outcomes = play(job(scenario, 50), 1, 0, 50)
    assert outcomes.integers[:, column.ENROLLED].mean() == pytest.approx(6.0, abs=5 * math.sqrt(12 / 4 / 50))
    assert (outcomes.numbers[:, column.MONTHS] <= 3.0).all()


IN_ANOTHER_PROCESS = """
import json, sys
import numpy as np
from test_cell_trial import job, play, row_of
scenario = json.loads(sys.stdin.read())
outcomes = play(job(scenario, 20), 1, 0, 20)
print(json.dumps([row_of(outcomes, r, 2)["months"].item() for r in range(20)]))
"""


def in_another_process(scenario, seconds, **environment):
    import json
    import os
    from pathlib import Path

    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        input=json.dumps(scenario),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        timeout=seconds,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_trial_in_one_whose_baskets_all_close_ends():
    closes = {"closes_if": {"by_month": 1.0, "fewer_than": 20}}
    baskets = {"a": closes, "b": closes}
    scenario = evenly({"a": 0.5, "b": 0.5}, baskets=baskets, looks={"in_one": [9]}, max_patients=30, rules=GOES_ON)
    ended = in_another_process(scenario, 90)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_no_look_beyond_the_last_is_read():
    scenario = evenly({"a": 0.5, "b": 0.5}, looks={"in_one": [2]}, max_patients=4, rules=GOES_ON)
    ended = in_another_process(scenario, 600, NUMBA_BOUNDSCHECK="1", LMD_TRIALSIM_CACHE="/nowhere/to/be/written")
    assert "IndexError" not in ended.stderr, ended.stderr
    assert ended.returncode == 0, ended.stderr
