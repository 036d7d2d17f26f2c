"""Operating characteristics of basket designs: how they are added up, what they must not depend on, known numbers."""

import copy
import dataclasses
import math

import numpy as np
import pytest

from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.backends import play, run_jobs
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import characteristics_of, job_of, run

SIGMAS = 5.0
HIERARCHICAL = {
    "kind": "hierarchical",
    "mean": {"mean": -1.4, "sd": 1.5},
    "sd": {"kind": "half_normal", "scale": 1},
}
FULL_EXCHANGEABILITY = {
    "kind": "multi_source_exchangeability",
    "models": "matrices",
    "exchangeability": 0.4,
    "prior": {"alpha": 0.5, "beta": 0.5},
}
RULES = [
    {
        "stop_for": "futility",
        "at": "interim",
        "when": {"probability_that": "rate", "above": "midpoint", "is_below": 0.1},
    },
    {"stop_for": "harm", "when": {"probability_that": "rate", "above": "null_rate", "is_below": 0.05}},
    {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": "null_rate", "exceeds": 0.95}},
]


def scenario_of(rates, design, shares=None, **truths):
    """rates: of each basket; design: what differs from the usual one."""
    shares = shares or dict.fromkeys(rates, 1.0 / len(rates))
    document = {
        "schema": 1,
        "title": "baskets",
        "population": {"accrual": {"patients_per_month": 4}, "strata": shares},
        "endpoints": {"response": {"kind": "binary"}},
        "arms": {"drug": {}},
        "truths": {
            name: {"response": {"drug": {"by_stratum": {basket: {"rate": rate} for basket, rate in of.items()}}}}
            for name, of in {"real": rates, **truths}.items()
        },
        "designs": {
            "basket": {
                "kind": "basket",
                "endpoint": "response",
                "null_rate": 0.2,
                "target_rate": 0.4,
                "max_patients": 12,
                "rules": [rule for rule in RULES if "looks" in design or rule.get("at") != "interim"],
                **design,
            }
        },
    }
    return Scenario.of(Document(copy.deepcopy(document), "baskets"))


def job_and_outcomes(scenario, replicates, seed):
    job = job_of(scenario, "basket", "real", replicates)
    return job, play(job, seed, 0, replicates)


def columns_of(outcomes, cells):
    """(replicates, cells) of each column."""
    of_cell = outcomes.integers[:, column.HEAD :].reshape(-1, cells, column.OF_CELL)
    reals = outcomes.numbers[:, 1:].reshape(-1, cells, column.NUMBERS_OF_CELL)
    return np.moveaxis(of_cell, 2, 0), np.moveaxis(reals, 2, 0)


# ---- sums -----------------------------------------------------------------------------------------------------------

FOUR = {"a": 0.2, "b": 0.35, "c": 0.1, "d": 0.5}
CLOSING = {
    "analysis": HIERARCHICAL,
    "looks": {"in_each": [4, 8]},
    "baskets": {
        "a": {},
        "b": {},
        "c": {"closes_if": {"by_month": 2.0, "fewer_than": 2}, "max_patients": 7},
        "d": {"null_rate": 0.5, "target_rate": 0.6},
    },
    "max_months": 9.0,
    "months_to_decide": 0.3,
    "succeeds_with": 2,
}


@pytest.fixture(scope="module")
def played():
    scenario = scenario_of(FOUR, CLOSING)
    seed = int(np.random.default_rng().integers(2**40))
    job, outcomes = job_and_outcomes(scenario, 3000, seed)
    (tally,) = run_jobs([job], seed, 1)
    told = characteristics_of(scenario, "basket", "real", tally, job.plan)
    return outcomes, {(one.name, one.cell): one for one in told}


NULL = np.array([True, False, True, True])  # 0.5 is the null rate of d
RATE = np.array(list(FOUR.values()))


def test_sums_of_the_trial(played):
    outcomes, told = played
    (verdict, _, taken, *_), _ = columns_of(outcomes, 4)
    months, replicates = outcomes.numbers[:, column.MONTHS], len(outcomes.integers)
    success = verdict == 1
    false, true = (success & NULL).sum(axis=1), (success & ~NULL).sum(axis=1)
    right = (success == ~NULL).sum(axis=1)
    shares = np.array([f / (f + t) if f + t else 0.0 for f, t in zip(false, true, strict=True)])
    proportions = {
        "probability_of_success": success.sum(axis=1) >= 2,
        "family_wise_error": false > 0,
        "disjunctive_power": true > 0,
        "all_decisions_correct": right == 4,
        "closed_as_it_stood": outcomes.integers[:, column.CLOSED_EARLY] == 1,
    }
    for name, holds in proportions.items():
        p = holds.mean()
        one = told[name, None]
        assert one.estimate == pytest.approx(p, rel=1e-12)
        assert one.mcse == pytest.approx(math.sqrt(p * (1 - p) / replicates), rel=1e-12)
        assert one.low <= p <= one.high
    means = {
        "expected_correct_decisions": right,
        "expected_true_successes": true,
        "expected_false_successes": false,
        "false_discovery_proportion": shares,
        "expected_patients": taken.sum(axis=1),
        "expected_months": months,
    }
    for name, values in means.items():
        assert told[name, None].estimate == pytest.approx(values.mean(), abs=1e-8)
        assert told[name, None].mcse == pytest.approx(values.std(ddof=1) / math.sqrt(replicates), rel=1e-6)
    assert (outcomes.integers[:, column.ENROLLED] == taken.sum(axis=1)).all()
    for p in (10, 50, 90):
        patients = np.quantile(taken.sum(axis=1), p / 100, method="inverted_cdf")
        assert told[f"patients_quantile_{p}", None].estimate == patients
        # Months are counted in bins of 1/50.
        wanted = np.quantile(months, p / 100, method="inverted_cdf")
        assert told[f"months_quantile_{p}", None].estimate == pytest.approx(wanted, abs=1 / 50 + 1e-9)


@pytest.mark.parametrize("basket", FOUR)
def test_sums_of_a_basket(played, basket):
    outcomes, told = played
    number = list(FOUR).index(basket)
    integers, (estimate, borrowed) = columns_of(outcomes, 4)
    verdict, look, taken, evaluable, _, covered = (values[:, number] for values in integers)
    estimate, borrowed, judged = estimate[:, number], borrowed[:, number], look >= 0
    error = "type_i_error" if NULL[number] else "power"
    assert (error, basket) in told
    assert ({"type_i_error", "power"} - {error}).pop() not in {name for name, cell in told if cell == basket}
    proportions = {
        "probability_of_success": verdict == 1,
        error: verdict == 1,
        "probability_of_futility": verdict == 2,
        "probability_of_harm": verdict == 3,
        "probability_inconclusive": judged & (verdict == 0),
        "never_judged": ~judged,
        "success_at_look_2": (verdict == 1) & (look == 1),
        "futility_at_look_1": (verdict == 2) & (look == 0),
        "harm_at_look_3": (verdict == 3) & (look == 2),
        "stopped_at_look_3": look == 2,
    }
    for name, holds in proportions.items():
        assert told[name, basket].estimate == pytest.approx(holds.mean(), abs=1e-12), name
    every = sum(told[f"probability_{name}", basket].estimate for name in ("of_success", "of_futility", "of_harm"))
    every += told["probability_inconclusive", basket].estimate + told["never_judged", basket].estimate
    assert every == pytest.approx(1.0, abs=1e-12)
    assert np.isfinite(estimate).tolist() == judged.tolist()
    wrong = estimate[judged] - RATE[number]
    means = {
        "expected_patients": taken,
        "expected_evaluable_patients": evaluable[judged],
        "mean_estimate": estimate[judged],
        "bias": wrong,
        "effective_borrowed_patients": borrowed[np.isfinite(borrowed)],
    }
    for name, values in means.items():
        assert told[name, basket].estimate == pytest.approx(values.mean(), abs=1e-8), name
        assert told[name, basket].mcse == pytest.approx(values.std(ddof=1) / math.sqrt(len(values)), rel=1e-5), name
    root = math.sqrt((wrong**2).mean())
    assert told["root_mean_square_error", basket].estimate == pytest.approx(root, abs=1e-7)
    assert told["coverage", basket].estimate == pytest.approx((covered[judged] == 1).mean(), abs=1e-12)


def test_sums_of_hand_made_outcomes():
    """Two baskets, three trials, none like the other."""
    job, _ = job_and_outcomes(scenario_of({"a": 0.2, "b": 0.5}, {"analysis": {**HIERARCHICAL}}), 1, 1)
    width = column.HEAD + 2 * column.OF_CELL
    integers = np.zeros((3, width), np.int64)
    # enrolled, succeeded, closed, pooled; of each basket: verdict, look, taken, evaluable, responses, covered.
    integers[0] = [20, 1, 0, 1, *(1, 0, 8, 8, 3, 1), *(0, 0, 12, 11, 2, 0)]
    integers[1] = [24, 1, 0, 0, *(1, 0, 12, 12, 9, 0), *(1, 0, 12, 12, 8, 1)]
    integers[2] = [9, 0, 1, 1, *(0, -1, 3, 0, 0, -1), *(0, 0, 6, 6, 0, 0)]
    nan = math.nan
    numbers = np.array([[5.0, 0.4, 2.0, 0.2, nan], [6.0, 0.7, 1.0, 0.6, -1.0], [2.5, nan, nan, 0.1, 0.5]])
    tally = job.tally(Outcomes(integers, numbers))
    assert (tally.replicates, tally.succeeded, tally.closed, tally.any_false, tally.any_true) == (3, 2, 1, 2, 1)
    assert tally.pooled == 2
    assert tally.verdicts[:, :, 0].tolist() == [[0, 2, 0, 0], [2, 1, 0, 0]]
    assert tally.never_judged.tolist() == [1, 0]
    assert (tally.covered.tolist(), tally.intervals.tolist()) == ([1, 1], [2, 3])
    assert np.flatnonzero(tally.patients).tolist() == [9, 20, 24]
    assert tally.all_correct == 0  # a is a null basket, b is not: (1, 0), (1, 1), (0, 0)
    assert tally.correct.mean == pytest.approx(2 / 3)
    assert tally.false_share.mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert [m.mean for m in tally.taken] == pytest.approx([23 / 3, 10])
    assert [(m.count, m.mean) for m in tally.evaluable] == [(2, 10.0), (3, pytest.approx(29 / 3))]
    assert [(m.count, m.mean) for m in tally.errors] == [(2, pytest.approx(0.35)), (3, pytest.approx(-0.2))]
    assert [m.count for m in tally.borrowed] == [2, 2]
    doubled = tally + tally
    assert doubled.replicates == 6
    assert doubled.taken[0].mean == tally.taken[0].mean
    assert (doubled.verdicts == 2 * tally.verdicts).all()


# ---- what nothing depends on ----------------------------------------------------------------------------------------


def assert_same(one, other):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, field.name


PAUSING = {"looks": {"in_each": [4, 8]}, "accrual_at_looks": "pauses"}


def test_chunks_and_threads_change_nothing():
    job = job_of(scenario_of(FOUR, CLOSING), "basket", "real", 500)
    seed = int(np.random.default_rng().integers(2**40))
    (expected,) = run_jobs([job], seed, 1)
    for chunk, threads in ((1, 2), (7, 1), (7, 2), (4096, 1), (4096, 2)):
        (found,) = run_jobs([job], seed, threads, chunk=chunk)
        assert_same(found, expected)


def assert_memory_changes_nothing(design, replicates, sampled):
    """A trial on a clean desk, and after many others: the same bits."""
    scenario = scenario_of({"a": 0.2, "b": 0.35, "c": 0.2, "d": 0.2}, design)
    seed = int(np.random.default_rng().integers(2**40))
    job, outcomes = job_and_outcomes(scenario, replicates, seed)
    backwards, desk = [], job.room.desk()
    chosen = np.random.default_rng().choice(replicates, sampled, replace=False)
    for replicate in sorted(chosen.tolist(), reverse=True):
        clean = play(job, seed, replicate, replicate + 1)
        backwards.append(play(job, seed, replicate, replicate + 1, desk))
        for alone in (clean, backwards[-1]):
            np.testing.assert_array_equal(alone.integers[0], outcomes.integers[replicate])
            np.testing.assert_array_equal(alone.numbers[0], outcomes.numbers[replicate])


def test_what_was_played_before_changes_nothing():
    assert_memory_changes_nothing({"analysis": HIERARCHICAL, "looks": {"in_each": [4, 8]}}, 20_000, 100)


@pytest.mark.slow
def test_what_was_played_before_changes_nothing_for_other_models():
    # A hundred times more distinct counts than are remembered at a time.
    design = {"analysis": FULL_EXCHANGEABILITY, "looks": {"in_one": [3, 5, 7, 9]}, "max_patients": 30}
    assert_memory_changes_nothing(design, 20_000, 200)
    own = {"kind": "exnex", "exchangeable": [{"weight": 0.5, **{k: HIERARCHICAL[k] for k in ("mean", "sd")}}],
           "non_exchangeable": {"weight": 0.5, "mean": -1, "sd": 2}, "own": {"b": {"mean": 0, "sd": 1}}}  # fmt: skip
    assert_memory_changes_nothing({"analysis": own, **PAUSING}, 20_000, 200)


def test_baskets_in_another_order_are_the_same_trials():
    """The order in which the design names its baskets is nobody's business: the patients are the same ones."""
    design = {"analysis": HIERARCHICAL, "looks": {"in_each": [4, 8]}}
    order = [2, 0, 3, 1]
    names = list(FOUR)
    seed = int(np.random.default_rng().integers(2**40))
    _, one = job_and_outcomes(scenario_of(FOUR, {**design, "baskets": {n: {} for n in names}}), 400, seed)
    _, other = job_and_outcomes(scenario_of(FOUR, {**design, "baskets": {names[k]: {} for k in order}}), 400, seed)
    (integers, reals), (moved, moved_reals) = columns_of(one, 4), columns_of(other, 4)
    np.testing.assert_array_equal(moved, integers[:, :, order])
    # The model may be built by a rule of another level, as good as is promised: 1e-5 (means are not promised anything).
    np.testing.assert_allclose(moved_reals[0], reals[0][:, order], rtol=0, atol=5e-4)
    np.testing.assert_array_equal(one.numbers[:, column.MONTHS], other.numbers[:, column.MONTHS])
    np.testing.assert_array_equal(one.integers[:, : column.HEAD], other.integers[:, : column.HEAD])


def row_of(scenario, replicates):
    return run(scenario, replicates=replicates, seed=int(np.random.default_rng().integers(2**40))).row("basket", "real")


def assert_near(one, value, error=0.0, what=""):
    z = (one.estimate - value) / math.hypot(one.mcse, error)
    assert abs(z) < SIGMAS, f"{what} {one.name} of {one.cell}: {one.estimate:.6f}, not {value:.6f}: {z:+.1f} errors"


def often_enough(one, replicates):
    """Whether a normal distribution will do: a proportion with a hundred hits and as many misses, or a mean."""
    if "quantile" in one.name or not math.isfinite(one.estimate):
        return False
    counted = one.name.startswith(("expected", "mean", "bias", "root", "effective", "false_discovery"))
    return counted or 100 < one.estimate * replicates < replicates - 100


def test_strata_in_another_order_give_relabelled_results():
    """Other patients fall into the strata, so it is the characteristics that are the same, within joint errors."""
    shares = {"a": 0.4, "b": 0.3, "c": 0.1, "d": 0.2}
    design = {"analysis": HIERARCHICAL, "looks": {"in_each": [4, 8]}}
    one = row_of(scenario_of(FOUR, design, shares), 20_000)
    moved = {name: shares[name] for name in ("d", "b", "a", "c")}
    other = row_of(scenario_of({name: FOUR[name] for name in moved}, design, moved), 20_000)
    compared = 0
    for mine in one.characteristics:
        theirs = other.get(mine.name, mine.cell)
        if often_enough(mine, 20_000) and often_enough(theirs, 20_000) and mine.mcse > 0.0:
            assert_near(mine, theirs.estimate, theirs.mcse)
            compared += 1
    assert compared > 60


# ---- known numbers --------------------------------------------------------------------------------------------------

FUJIKAWA = {
    "max_patients": 24,
    "target_rate": 0.5,
    "analysis": {
        "kind": "power_prior",
        "weights": {"kind": "jensen_shannon", "epsilon": 2, "tau": 0.5},
        "prior": {"alpha": 1, "beta": 1},
    },
    "rules": [
        {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.2, "exceeds": 0.99}}
    ],
}
TWO_STAGES = {
    **copy.deepcopy(FUJIKAWA),
    "looks": {"in_each": [15]},
    "accrual_at_looks": "pauses",
    "rules": [
        {"stop_for": "futility", "at": "interim", "when": {"predictive_probability_of": "success", "is_below": 0.1}},
        {"stop_for": "efficacy", "at": "interim", "when": {"predictive_probability_of": "success", "exceeds": 0.9}},
        *FUJIKAWA["rules"],
    ],
}
TWO_STAGES["analysis"]["weights"]["tau"] = 0.0
CALIBRATED = {
    **copy.deepcopy(FUJIKAWA),
    "max_patients": 15,
    "analysis": {
        "kind": "power_prior",
        "weights": {"kind": "calibrated", "a": 2, "b": 2},
        "prior": {"alpha": 1, "beta": 1},
    },
    "rules": [
        {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.2, "exceeds": 0.9774}}
    ],
}
TRUTHS = {"null": [0.2, 0.2, 0.2], "mixed": [0.2, 0.2, 0.5], "all": [0.5, 0.5, 0.5]}

# R8, by baskexact and independent enumeration: success of each basket, family-wise error, correct decisions, patients.
R8 = [
    (FUJIKAWA, "null", [0.03239555] * 3, 0.06315308, 2.9028133, None),
    (FUJIKAWA, "mixed", [0.08360073, 0.08360073, 0.87762365], 0.14120859, 2.7104222, None),
    (FUJIKAWA, "all", [0.96323865] * 3, None, 2.8897159, None),
    (TWO_STAGES, "null", [0.01703198] * 3, 0.03722851, None, [16.06847] * 3),
    (TWO_STAGES, "mixed", [0.06210063, 0.06210063, 0.79791970], None, None, [16.486751, 16.486751, 18.636140]),
    (CALIBRATED, "null", None, 0.04853831, None, None),
    (CALIBRATED, "mixed", [0.09676577, 0.09676577, 0.64422455], None, None, None),
]
IDS = ["fujikawa", "fujikawa", "fujikawa", "two_stages", "two_stages", "calibrated", "calibrated"]


def published(number):
    _, _, success, family_wise, correct, patients = R8[number]
    yield from ((("probability_of_success", b), p) for b, p in zip("abc", success or [], strict=False))
    if family_wise:
        yield ("family_wise_error", None), family_wise
    if correct:
        yield ("expected_correct_decisions", None), correct
    yield from ((("expected_patients", b), n) for b, n in zip("abc", patients or [], strict=False))


def r8(number):
    design, truth, *_ = R8[number]
    return scenario_of(dict(zip("abc", TRUTHS[truth], strict=True)), design)


@pytest.mark.parametrize("number", range(len(R8)), ids=[f"{i}-{one[1]}" for i, one in zip(IDS, R8, strict=True)])
def test_fujikawa_is_enumerated_exactly(number):
    row = exact(r8(number)).row("basket", "real")
    for key, value in published(number):
        printed = len(f"{value}".split(".")[1])
        assert row.get(*key).estimate == pytest.approx(value, abs=0.6 * 10**-printed), key


@pytest.mark.parametrize("number", [1, 4])
def test_fujikawa_is_met_by_simulation(number):
    row = row_of(r8(number), 200_000)
    for key, value in published(number):
        assert_near(row.get(*key), value)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(R8)))
def test_fujikawa_is_met_by_more_simulation(number):
    row = row_of(r8(number), 4_000_000)
    for key, value in published(number):
        assert_near(row.get(*key), value)


def test_hierarchical_models_are_met_by_simulation():
    scenario = scenario_of({"a": 0.2, "b": 0.2, "c": 0.45}, {"analysis": HIERARCHICAL, **PAUSING})
    enumerated, simulated = exact(scenario).row("basket", "real"), row_of(scenario, 60_000)
    compared = 0
    for one in enumerated.characteristics:
        played = simulated.get(one.name, one.cell)
        if played is not None and played.mcse > 0.0 and often_enough(one, 60_000):
            assert_near(played, one.estimate)
            compared += 1
    assert compared > 30


def exnex_of_neuenschwander():
    """R9: four strata; go if P(p > .1) > .9 (the first two) or .8, and the posterior mean is above .2."""
    scale = {"kind": "half_normal", "scale": 1}
    components = [(math.log(0.1 / 0.9), 3.18), (math.log(0.3 / 0.7), 1.94)]
    cuts = {"a": 0.9, "b": 0.9, "c": 0.8, "d": 0.8}
    return {
        "null_rate": 0.1,
        "target_rate": 0.3,
        "baskets": {name: {"max_patients": 20 if name in "ab" else 10} for name in "abcd"},
        "analysis": {
            "kind": "exnex",
            "exchangeable": [{"weight": 0.25, "mean": {"mean": m, "sd": s}, "sd": scale} for m, s in components],
            "non_exchangeable": {"weight": 0.5, "mean": math.log(0.2 / 0.8), "sd": 2.5},
        },
        "rules": [
            {
                "stop_for": "efficacy",
                "when": [
                    {"probability_that": "rate", "above": "null_rate", "exceeds": {"by_basket": cuts}},
                    {"estimate_of": "rate", "exceeds": 0.2},
                ],
            }
        ],
    }


@pytest.mark.slow
def test_exnex_go_rates():
    # R9: bhmbasket 1.1.0, posteriors of 10,000 trials; each of those has an error of its own from JAGS.
    scenario = scenario_of({"a": 0.1, "b": 0.1, "c": 0.3, "d": 0.3}, exnex_of_neuenschwander())
    row = row_of(scenario, 100_000)
    go, means = [0.0999, 0.1019, 0.6881, 0.6789], [0.1119, 0.1134, 0.2875, 0.2882]
    for basket, p, mean in zip("abcd", go, means, strict=True):
        assert_near(row.get("probability_of_success", basket), p, math.sqrt(p * (1 - p) / 10_000))
        ours = row.get("mean_estimate", basket)
        assert_near(ours, mean, math.hypot(ours.mcse * math.sqrt(100_000 / 10_000), 0.00005))
    # Like baskets have like results: bhmbasket's vignette prints rates that do not.
    for one, other in ("ab", "cd"):
        for name in ("probability_of_success", "mean_estimate", "coverage"):
            other_one = row.get(name, other)
            assert_near(row.get(name, one), other_one.estimate, other_one.mcse)
