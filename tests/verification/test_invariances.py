"""What must not matter does not: who plays, in which order, under which names; and no effect gives the type I error."""

import json
import math
import secrets
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, binom

from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.replay import replay
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

SIGMAS = 5.0
CATALOGUE = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))

BINARY = {
    "schema": 1,
    "title": "response",
    "population": {"accrual": {"patients_per_month": 3}, "strata": {"young": 0.4, "old": 0.6}},
    "endpoints": {"response": {"kind": "binary", "assessed_after_months": 2}},
    "arms": {"control": {"control": True}, "new": {}},
    "truths": {
        "none": {"response": {"control": {"rate": 0.2}, "new": {"same_as": "control"}}},
        "better": {"response": {"control": {"rate": 0.2}, "new": {"rate": 0.5}}},
        "by_age": {
            "like": "better",
            "response": {"new": {"by_stratum": {"young": {"rate": 0.6}, "old": {"odds_ratio": 1.5}}}},
            "drop_out": {"per_month": 0.05},
        },
    },
    "designs": {
        "one_arm": {
            "kind": "single_arm",
            "arm": "new",
            "endpoint": "response",
            "null_rate": 0.2,
            "max_patients": 24,
            "looks": {"evaluable": {"from": 5, "every": 5, "to": 20}},
            "analysis": {"kind": "beta_binomial", "prior": {"alpha": 0.4, "beta": 1.6}},
            "rules": [
                {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": 0.2, "exceeds": 0.975}},
                {
                    "stop_for": "futility",
                    "at": "interim",
                    "when": {"predictive_probability_of": "success", "is_below": 0.05},
                },
            ],
        },
        "simon": {
            "kind": "simon_two_stage",
            "arm": "new",
            "endpoint": "response",
            "null_rate": 0.2,
            "stages": [{"patients": 10, "stop_if_at_most": 2}, {"patients": 20, "stop_if_at_most": 6}],
            "max_enrolled": 26,
        },
        "randomised": {
            "kind": "two_arm",
            "endpoint": "response",
            "allocation": {"ratio": {"control": 1, "new": 2}, "stratify_by": ["strata"]},
            "max_patients": 36,
            "looks": {"evaluable": [18, 33]},
            "analysis": {"kind": "difference_of_proportions"},
            "rules": [
                {"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.05},
                {"stop_for": "futility", "when": {"statistic": "z", "is_below": 0.25}, "at": "interim"},
            ],
        },
    },
    "run": {"replicates": 300, "seed": 11},
}
TIMES = {
    "schema": 1,
    "title": "survival",
    "population": {"accrual": {"patients_per_month": 4}, "strata": {"young": 0.4, "old": 0.6}},
    "endpoints": {"survival": {"kind": "time_to_event"}},
    "arms": {"control": {"control": True}, "new": {}},
    "truths": {
        "none": {
            "survival": {"control": {"hazard_per_month": 0.3}, "new": {"same_as": "control"}},
            "drop_out": {"per_month": 0.02},
        },
        "better": {"like": "none", "survival": {"new": {"hazard_ratio": 0.4}}},
        "worse": {
            "like": "none",
            "survival": {"new": {"by_stratum": {"young": {"hazard_per_month": 0.3}, "old": {"hazard_ratio": 2.0}}}},
        },
    },
    "designs": {
        "group_sequential": {
            "kind": "two_arm",
            "endpoint": "survival",
            "allocation": {"ratio": {"control": 1, "new": 2}, "stratify_by": ["strata"]},
            "max_patients": 48,
            "max_months": 36,
            "looks": {"events": [20, 40]},
            "analysis": {"kind": "log_rank"},
            "rules": [
                {"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.025},
                {"stop_for": "harm", "when": {"statistic": "z", "is_below": -1.5}},
            ],
        },
        "bayesian": {
            "like": "group_sequential",
            "looks": {"months": [6, 12], "final": {"follow_up_months": 6}},
            "analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 1.0}},
            "rules": [
                {
                    "stop_for": "efficacy",
                    "when": {"probability_that": "hazard_ratio", "below": 1.0, "exceeds": 0.99},
                },
                {
                    "stop_for": "futility",
                    "at": "interim",
                    "when": {"predictive_probability_of": "success", "is_below": 0.05, "imputations": 20},
                },
            ],
        },
    },
    "run": {"replicates": 300, "seed": 7},
}
DOCUMENTS = pytest.mark.parametrize("document", [BINARY, TIMES], ids=["binary", "times"])


def scenario_of(document):
    return Scenario.of(Document(document, "invariances"))


def told(results):
    """Return the bytes of the JSON."""
    return json.dumps(results.to_dict()).encode()


def rows_of(results):
    """Return what is said of each design and truth."""
    return {(row.design, row.truth): row.characteristics for row in results.rows}


# Who plays, and in what pieces.


def assert_pieces_do_not_matter(scenario, replicates, chunks, threads=(1, 2)):
    expected = told(run(scenario, replicates=replicates, threads=1))
    for chunk in chunks:
        for count in threads:
            assert told(run(scenario, replicates=replicates, threads=count, chunk=chunk)) == expected, (chunk, count)


@DOCUMENTS
def test_threads_and_chunks_do_not_matter(document):
    assert_pieces_do_not_matter(scenario_of(document), 150, (None, 1, 7, 4096))


@pytest.mark.slow
@pytest.mark.parametrize("file", CATALOGUE, ids=lambda file: file.stem)
def test_threads_and_chunks_do_not_matter_in_the_catalogue(file):
    assert_pieces_do_not_matter(Scenario.load(file), 400, (None, 1, 7, 4096))


@DOCUMENTS
def test_a_subset_gives_the_same_numbers(document):
    scenario = scenario_of(document)
    everything = rows_of(run(scenario))
    for design in scenario.designs:
        assert rows_of(run(scenario, designs=[design])).items() <= everything.items()
    for truth in scenario.truths:
        assert rows_of(run(scenario, truths=[truth])).items() <= everything.items()
    design, truth = list(everything)[-1]
    assert rows_of(run(scenario, designs=[design], truths=[truth])) == {(design, truth): everything[design, truth]}


@DOCUMENTS
def test_a_longer_run_begins_with_the_shorter_one(document):
    scenario = scenario_of(document)
    for design in scenario.designs:
        for truth in scenario.truths:
            job = job_of(scenario, design, truth, 300)
            whole = play(job, 7, 0, 300)
            pieces = [play(job, 7, start, stop) for start, stop in ((0, 1), (1, 100), (100, 101), (101, 300))]
            for every, parts in zip(whole, zip(*pieces, strict=True), strict=True):
                assert np.array_equal(every, np.concatenate(parts), equal_nan=True)
            for replicates in (100, 300):
                row = run(scenario, replicates=replicates, seed=7, designs=[design], truths=[truth]).rows[0]
                integers, numbers = whole.integers[:replicates], whole.numbers[:replicates]
                assert row.get("probability_of_success").estimate == (integers[:, column.VERDICT] == 1).mean()
                assert row.get("expected_patients").estimate == integers[:, column.PATIENTS].mean()
                # Real numbers are summed as whole multiples of 2^-30.
                months = numbers[:, column.MONTHS].mean()
                assert row.get("expected_months").estimate == pytest.approx(months, abs=2.0**-30)


@DOCUMENTS
def test_another_seed_gives_other_trials(document):
    scenario = scenario_of(document)
    assert rows_of(run(scenario, seed=1)) != rows_of(run(scenario, seed=2))


# What things are called, and where they stand.

NEW_NAMES = {
    "control": "Z.old", "new": "a-new", "young": "zz", "old": "aa", "none": "t9", "better": "t8", "by_age": "t7",
    "worse": "t1", "one_arm": "d9", "simon": "d8", "randomised": "d7", "group_sequential": "d6", "bayesian": "d5",
    "response": "outcome", "survival": "time",
}  # fmt: skip
HOW = {"kind", "analysis", "rules", "looks"}  # what stands below these are words, not names


def renamed(item, names):
    """Return the document with other names for arms, strata, endpoints, truths and designs."""
    if isinstance(item, dict):
        return {
            # `control: true` marks an arm, and is no name
            (key if value is True else names.get(key, key)): value if key in HOW else renamed(value, names)
            for key, value in item.items()
        }
    if isinstance(item, list):
        return [renamed(each, names) for each in item]
    return names.get(item, item) if isinstance(item, str) else item


def turned_round(document):
    """Return the document with the order of whatever has a name turned round. Strata have an order: that of shares."""
    sections = ("truths", "designs", "arms", "endpoints")
    turned = {key: dict(reversed(part.items())) if key in sections else part for key, part in document.items()}
    turned["truths"] = {
        name: {key: dict(reversed(part.items())) if isinstance(part, dict) else part for key, part in truth.items()}
        for name, truth in turned["truths"].items()
    }
    turned["designs"] = {name: dict(reversed(design.items())) for name, design in turned["designs"].items()}
    return dict(reversed(turned.items()))


@DOCUMENTS
def test_names_do_not_matter(document):
    expected = rows_of(run(scenario_of(document)))
    found = rows_of(run(scenario_of(renamed(document, NEW_NAMES))))
    assert len(found) == len(expected)
    for (design, truth), characteristics in expected.items():
        cells = [c._replace(cell=NEW_NAMES.get(c.cell, c.cell)) for c in characteristics]
        assert found[NEW_NAMES[design], NEW_NAMES[truth]] == tuple(cells)


@DOCUMENTS
def test_the_order_of_the_file_does_not_matter(document):
    scenario, turned = scenario_of(document), scenario_of(turned_round(document))
    assert list(turned.arms) == ["new", "control"]
    assert rows_of(run(turned)) == rows_of(run(scenario))


# The same patients everywhere.


def patients_of(scenario, replicate, seed=3):
    """Yield design, truth and patients of a replicate, whatever the design and the truth."""
    for design in scenario.designs:
        for truth in scenario.truths:
            yield design, truth, replay(scenario, design, truth, seed, replicate).patients


@pytest.mark.parametrize("replicate", [0, 1, 8123])
@DOCUMENTS
def test_every_design_and_truth_meets_the_same_patients(document, replicate):
    entries, by_design = {}, {}
    for design, _, patients in patients_of(scenario_of(document), replicate):
        assert len(patients) >= 5
        for patient in patients:
            entry = patient.month, patient.stratum
            assert entries.setdefault(patient.number, entry) == entry
            # Within a design the arm does not depend on the truth.
            assert by_design.setdefault((design, patient.number), patient.arm) == patient.arm
    assert len({stratum for _, stratum in entries.values()}) == 2


@pytest.mark.parametrize("replicate", [0, 5, 8123])
def test_a_fate_is_the_same_quantile_under_every_hazard(replicate):
    # S(event) under the patient's own hazard is the uniform that was drawn: the same in all designs, arms and truths.
    hazards = {
        "none": lambda p: 0.3,
        "better": lambda p: 0.3 * (0.4 if p.arm == "new" else 1.0),
        "worse": lambda p: 0.3 * (2.0 if p.arm == "new" and p.stratum == "old" else 1.0),
    }
    simple = TIMES["designs"]["group_sequential"] | {"allocation": {"method": "simple"}}
    scenario = scenario_of(TIMES | {"designs": TIMES["designs"] | {"simple": simple}})
    fates, arms = {}, {}
    for _, truth, patients in patients_of(scenario, replicate):
        for patient in patients:
            survival = math.exp(-hazards[truth](patient) * patient.event)
            fate = fates.setdefault(patient.number, (survival, patient.censor))
            assert (survival, patient.censor) == pytest.approx(fate, rel=1e-12)
            arms.setdefault(patient.number, set()).add(patient.arm)
    assert any(len(seen) == 2 for seen in arms.values())


def test_who_responds_at_a_low_rate_responds_at_a_high_one():
    rates = {"none": 0.2, "some": 0.5, "most": 0.8}
    truths = {name: {"response": {"control": {"rate": 0.5}, "new": {"rate": rate}}} for name, rate in rates.items()}
    order = {"method": "fixed_order", "order": ["control", "new"]}
    randomised = BINARY["designs"]["randomised"] | {"allocation": order}
    designs = {"one_arm": BINARY["designs"]["one_arm"], "in_order": randomised}
    designs["the_other_way_round"] = randomised | {"allocation": order | {"order": ["new", "control"]}}
    scenario = scenario_of(BINARY | {"truths": truths, "designs": designs})
    responses = 0
    for replicate in range(20):
        outcomes = {}
        for _, truth, patients in patients_of(scenario, replicate):
            for patient in patients:
                rate = rates[truth] if patient.arm == "new" else 0.5
                # Not known is what comes after the last look.
                outcomes.setdefault(patient.number, {}).setdefault(rate, set()).add(patient.outcome)
        for by_rate in outcomes.values():
            assert all(len(seen) == 1 for seen in by_rate.values()), by_rate
            in_order = [min(by_rate[rate]) for rate in sorted(by_rate)]
            assert in_order == sorted(in_order)
            responses += sum(in_order)
    assert responses > 0


# No effect gives the type I error.


def log_rank_without_effect(replicates, seed):
    design = {
        "kind": "two_arm",
        "endpoint": "survival",
        "allocation": {"block": 4},
        "max_patients": 240,
        "looks": {"events": [200]},
        "analysis": {"kind": "log_rank"},
        "rules": [{"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": 0.025}}],
    }
    document = TIMES | {"designs": {"fixed": design}, "population": {"accrual": {"patients_per_month": 20}}}
    document["truths"] = {"none": TIMES["truths"]["none"]}
    row = run(scenario_of(document), replicates=replicates, seed=seed).rows[0]
    z = (row.get("type_i_error").estimate - 0.025) / math.sqrt(0.025 * 0.975 / replicates)
    assert abs(z) < SIGMAS, f"{row.get('type_i_error').estimate} is {z:+.1f} standard errors from 0.025"
    assert abs(row.get("bias").estimate) < SIGMAS * row.get("bias").mcse


def test_log_rank_keeps_its_type_i_error_in_large_equal_arms():
    log_rank_without_effect(20_000, seed=5)


@pytest.mark.slow
def test_log_rank_keeps_its_type_i_error_in_large_equal_arms_of_many_trials():
    seed = secrets.randbits(62)
    print(f"seed {seed}")
    log_rank_without_effect(100_000, seed)


NULL_RATE, SURE_ABOVE = 0.3, 0.9


def monitored(looks, rates):
    """Return the exact P(success | rate) of a design with a uniform prior that must be sure of more than the null."""
    document = BINARY | {"population": {"accrual": {"patients_per_month": 3}}}
    sure = {"probability_that": "rate", "above": NULL_RATE, "exceeds": SURE_ABOVE}
    document["designs"] = {
        "monitored": {
            "kind": "single_arm",
            "arm": "new",
            "endpoint": "response",
            "null_rate": NULL_RATE,
            "max_patients": looks[-1],
            "looks": {"evaluable": looks},
            "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
            "rules": [{"stop_for": "efficacy", "when": sure}],
        }
    }
    document["truths"] = {
        f"t{i}": {"response": {"new": {"rate": float(rate)}, "control": {"rate": 0.5}}} for i, rate in enumerate(rates)
    }
    rows = exact(scenario_of(document)).rows
    return np.array([row.get("probability_of_success").estimate for row in rows])


def test_type_i_error_of_a_posterior_is_that_of_its_bound():
    least = min(x for x in range(21) if beta.sf(NULL_RATE, 1 + x, 21 - x) > SURE_ABOVE)
    for rate in (0.1, NULL_RATE):
        assert monitored([20], [rate])[0] == pytest.approx(binom.sf(least - 1, 20, rate), rel=1e-12)


def test_over_its_own_prior_a_posterior_is_wrong_as_often_as_it_says():
    # Of the worlds that the prior holds possible, a success is wrong with the posterior probability that it is. Success
    # probabilities are polynomials of the rate: the quadrature is exact.
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def over(low, high, looks):
        rates = low + (high - low) * (nodes + 1.0) / 2.0
        return float(weights @ monitored(looks, rates)) * (high - low) / 2.0

    wrong = over(0.0, NULL_RATE, [20])
    successes = [x for x in range(21) if beta.sf(NULL_RATE, 1 + x, 21 - x) > SURE_ABOVE]
    assert wrong == pytest.approx(sum(beta.cdf(NULL_RATE, 1 + x, 21 - x) for x in successes) / 21.0, rel=1e-10)
    # However often it looks, it is wrong in less than one success out of ten.
    looks = list(range(1, 41))
    wrong, right = over(0.0, NULL_RATE, looks), over(NULL_RATE, 1.0, looks)
    assert 0.0 < wrong < (1.0 - SURE_ABOVE) * (wrong + right)


# On the day.


@pytest.mark.parametrize(("rate", "month", "patients"), [(3, 7, 21), (0.3, 10, 3), (0.7, 30, 21), (1.4, 15, 21)])
def test_who_comes_on_the_day_of_the_look_is_seen(rate, month, patients):
    # Patient i comes when i are expected: at 0.7 a month the twenty-first on the day on which month 30 ends.
    rare = {"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": 1e-9}}
    design = {
        "kind": "single_arm",
        "arm": "new",
        "endpoint": "prompt",
        "max_patients": 100,
        "analysis": {"kind": "exact_binomial", "null_rate": 0.5},
        "rules": [rare],
    }
    looks = {"looks": {"months": [month]}}, {"looks": {"evaluable": [100]}, "max_months": month}
    document = {
        "schema": 1,
        "title": "on the day",
        "population": {"accrual": {"arrivals": "equally_spaced", "patients_per_month": rate}},
        "endpoints": {"prompt": {"kind": "binary"}},
        "arms": BINARY["arms"],
        "truths": {"true": {"prompt": {"control": {"rate": 0.5}, "new": {"rate": 0.5}}}},
        "designs": {name: design | when for name, when in zip(("by_month", "closed"), looks, strict=True)},
    }
    for row in run(scenario_of(document), replicates=3, seed=1).rows:
        assert row.get("expected_patients").estimate == patients
        assert row.get("expected_evaluable_patients").estimate == patients
