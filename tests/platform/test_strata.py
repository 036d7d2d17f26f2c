"""Strata of arms that close: what may not matter, an enumeration of all trials, and what rules see, computed anew."""

import itertools
import math

import numpy as np
import pytest
from platform_runs import assert_meets
from scipy import stats

from lmd_trialsim.calibration import Search
from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_tally import rows_by_arm
from lmd_trialsim.engine.backends import play
from lmd_trialsim.engine.strata_tally import rows_by_stratum
from lmd_trialsim.platform_replay import find_platform, replay_platform
from lmd_trialsim.reading import Document
from lmd_trialsim.report import page, platform_trial
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

UNIFORM = {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}
BETTER = {"probability_that": "difference", "above": 0}
CLOSES = {"of": "each_stratum", "stop_for": "futility", "from_patients": 3, "when": {**BETTER, "is_below": 0.4}}
SUCCEEDS = {"stop_for": "efficacy", "when": {**BETTER, "exceeds": 0.95}}
FAILS = {"stop_for": "futility", "at": "interim", "when": {**BETTER, "is_below": 0.2}}
STRATA = {"good": 0.5, "poor": 0.3, "rare": 0.2}
BY_STRATUM = {"by_stratum": {"good": {"rate": 0.3}, "poor": {"rate": 0.2}, "rare": {"rate": 0.5}}}
RATES = {
    "control": BY_STRATUM,
    "first": {"by_stratum": {"good": {"rate": 0.6}, "poor": {"same_as": "control"}, "rare": {"rate": 0.3}}},
    "second": {"same_as": "control"},
}
RULES = {"analysis": UNIFORM, "looks": {"evaluable": [25, 45]}, "rules": [CLOSES, FAILS, SUCCEEDS]}


def scenario_of(designs, courses, strata=None, endpoint=None, **accrual):
    """The scenario of platform designs of one endpoint, whose first arm is the control, under one truth."""
    return Scenario.of(
        Document(
            {
                "schema": 1,
                "title": "strata",
                "population": {
                    "accrual": {"patients_per_month": 8, **accrual},
                    "strata": STRATA if strata is None else strata,
                },
                "endpoints": {"it": endpoint or {"kind": "binary", "assessed_after_months": 1}},
                "arms": {arm: {"control": True} if arm == "control" else {} for arm in courses},
                "truths": {"true": {"it": courses}},
                "designs": {
                    name: {"kind": "platform", "endpoint": "it", "max_patients": 70, **one}
                    for name, one in designs.items()
                },
            },
            "strata",
        )
    )


def arms_of(scenario, design, replicates=200, seed=3):
    """The columns of trials and arms, as far as a design whose strata cannot close has them, and the numbers."""
    outcomes = play(job_of(scenario, design, "true", replicates), seed, 0, replicates)
    arms = (outcomes.numbers.shape[1] - 1) // column.NUMBERS_OF_ARM
    return outcomes.integers[:, : column.HEAD + arms * column.OF_ARM], outcomes.numbers


def assert_identical(scenario, one, other):
    """Two designs of a scenario play the same trials, and these differ from each other."""
    mine, theirs = arms_of(scenario, one), arms_of(scenario, other)
    assert np.array_equal(mine[0], theirs[0])
    assert np.array_equal(mine[1], theirs[1], equal_nan=True)
    assert len(np.unique(mine[0], axis=0)) > 50


# What may not matter.

SILENT = {"of": "each_stratum", "stop_for": "harm", "when": {**BETTER, "is_below": 0}}
Z_SILENT = {"of": "each_stratum", "stop_for": "harm", "when": {"statistic": "z", "is_below": -100}}
TESTED = [
    {"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 1.5}},
    {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "is_below": 0}},
]
TIMES = {
    "control": {
        "by_stratum": {"good": {"median_months": 6}, "poor": {"median_months": 2}, "rare": {"median_months": 4}}
    },
    "first": {"hazard_ratio": 0.4},
    "second": {"same_as": "control"},
}
NEVER_SPEAKS = {
    "blocks": ({**RULES, "rules": [FAILS, SUCCEEDS]}, SILENT, RATES, None),
    "arms of some strata": (
        {**RULES, "rules": [FAILS, SUCCEEDS], "arms": {"first": {"strata": ["good"]}, "second": {}}},
        SILENT,
        RATES,
        None,
    ),
    "log-rank": (
        {
            "analysis": {"kind": "log_rank"},
            "allocation": {"kind": "trippa", "catch_up": 0.2},
            "looks": {"events": [8, 16, 25]},
            "rules": TESTED,
        },
        Z_SILENT,
        TIMES,
        {"kind": "time_to_event"},
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "log-rank" else n for n in NEVER_SPEAKS]
)
def test_a_rule_of_strata_that_never_speaks_changes_no_byte(name):
    design, silent, courses, endpoint = NEVER_SPEAKS[name]
    with_it = {**design, "rules": [silent, *design["rules"]]}
    counted = {**with_it, "closed_strata": "counted"}
    scenario = scenario_of({"without": design, "silent": with_it, "counted": counted}, courses, endpoint=endpoint)
    assert_identical(scenario, "without", "silent")
    assert_identical(scenario, "without", "counted")


def test_the_only_stratum_is_the_arm():
    of_arm = {key: value for key, value in CLOSES.items() if key != "of"}
    designs = {"strata": RULES, "arms": {**RULES, "rules": [of_arm, FAILS, SUCCEEDS]}}
    courses = {"control": {"rate": 0.3}, "first": {"rate": 0.5}, "second": {"same_as": "control"}}
    assert_identical(scenario_of(designs, courses, {"only": 1.0}), "strata", "arms")


def test_names_of_strata_do_not_matter():
    names = {"good": "Z", "poor": "a-1", "rare": "m.2"}

    def renamed(item):
        if isinstance(item, dict):
            return {names.get(key, key): renamed(value) for key, value in item.items()}
        return item

    (mine,) = run(scenario_of({"d": RULES}, RATES), replicates=200, seed=4).rows
    (theirs,) = run(scenario_of({"d": RULES}, renamed(RATES), renamed(STRATA)), replicates=200, seed=4).rows
    back = {f"{arm}/{new}": f"{arm}/{old}" for arm in RATES for old, new in names.items()}
    assert mine.characteristics == tuple(c._replace(cell=back.get(c.cell, c.cell)) for c in theirs.characteristics)


# All trials of one arm and two strata, judged once.

SHARES, CONTROL, FIRST, LAST_ONE = (0.6, 0.4), (0.2, 0.5), (0.7, 0.5), 12
CLOSE_BELOW, SUCCEED_ABOVE = 0.447, 0.897  # which no probability of so few patients comes near


def p_better(x, n, y, m):
    """P(rate of x in n > rate of y in m) under uniform priors: the sum of Cook (2003), in whole numbers of a beta."""
    a, b, c, d = x + 1, n - x + 1, y + 1, m - y + 1

    def log_beta(p, q):
        return math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q)

    return sum(
        math.exp(log_beta(c + i, b + d) - math.log(b + i) - log_beta(1 + i, b) - log_beta(c, d)) for i in range(a)
    )


def ways_of_stratum(number, stratum):
    """Yield (probability, x, n, y, m) of a stratum with so many patients: blocks of two, one to the arm, one not."""
    for extra in (0, 1) if number % 2 else (0,):
        n, m = number // 2 + extra, (number + 1) // 2 - extra
        for x, y in itertools.product(range(n + 1), range(m + 1)):
            p = stats.binom.pmf(x, n, FIRST[stratum]) * stats.binom.pmf(y, m, CONTROL[stratum])
            yield p * (0.5 if number % 2 else 1.0), x, n, y, m


def enumerated():
    """What becomes of all trials: (probability, strata closed, whether the arm succeeds, estimate)."""
    for number in range(LAST_ONE + 1):
        p_number = stats.binom.pmf(number, LAST_ONE, SHARES[0])
        for one, two in itertools.product(ways_of_stratum(number, 0), ways_of_stratum(LAST_ONE - number, 1)):
            closed = tuple(p_better(*way[1:]) < CLOSE_BELOW for way in (one, two))
            left = [way[1:] for way, shut in zip((one, two), closed, strict=True) if not shut] or [one[1:], two[1:]]
            x, n, y, m = map(sum, zip(*left, strict=True))
            success = not all(closed) and p_better(x, n, y, m) > SUCCEED_ABOVE
            yield p_number * one[0] * two[0], closed, success, (x + 1) / (n + 2) - (y + 1) / (m + 2)


def test_all_trials_of_two_strata_are_enumerated():
    design = {
        "max_patients": LAST_ONE,
        "analysis": UNIFORM,
        "looks": {"evaluable": [LAST_ONE]},  # which is the last one
        "allocation": {"kind": "fixed", "block": 1, "stratify_by": ["strata"]},
        "rules": [
            {"of": "each_stratum", "stop_for": "futility", "when": {**BETTER, "is_below": CLOSE_BELOW}},
            {"stop_for": "efficacy", "when": {**BETTER, "exceeds": SUCCEED_ABOVE}},
        ],
    }
    courses = {
        "control": {"by_stratum": {"a": {"rate": CONTROL[0]}, "b": {"rate": CONTROL[1]}}},
        "first": {"by_stratum": {"a": {"rate": FIRST[0]}, "b": {"rate": FIRST[1]}}},
    }
    scenario = scenario_of({"d": design}, courses, {"a": SHARES[0], "b": SHARES[1]})
    (row,) = run(scenario, replicates=40_000, seed=int(np.random.default_rng().integers(2**40))).rows
    trials = list(enumerated())
    assert sum(p for p, *_ in trials) == pytest.approx(1.0, abs=1e-12)
    truth = {(False, False): 0.3, (False, True): 0.5, (True, False): 0.0, (True, True): 0.3}
    expected = {
        ("probability_of_closing", "first/a"): sum(p for p, closed, *_ in trials if closed[0]),
        ("probability_of_closing", "first/b"): sum(p for p, closed, *_ in trials if closed[1]),
        ("probability_of_futility", "first"): sum(p for p, closed, *_ in trials if all(closed)),
        ("power", "first/a"): sum(p for p, closed, success, _ in trials if success and not closed[0]),
        ("type_i_error", "first/b"): sum(p for p, closed, success, _ in trials if success and not closed[1]),
        ("power", "first"): sum(p for p, closed, success, _ in trials if success and not closed[0]),
        ("type_i_error", "first"): sum(p for p, closed, success, _ in trials if success and closed[0]),
        ("family_wise_error", None): sum(p for p, closed, success, _ in trials if success and closed[0]),
        ("exact_selection", None): sum(p for p, closed, success, _ in trials if success and closed == (False, True)),
        ("any_false_selection", None): sum(p for p, closed, success, _ in trials if success and not closed[1]),
        ("expected_true_selections", None): sum(p for p, closed, success, _ in trials if success and not closed[0]),
        ("expected_patients", "first/a"): SHARES[0] * LAST_ONE / 2,
        ("mean_estimate", "first"): sum(p * estimate for p, *_, estimate in trials),
        ("bias", "first"): sum(p * (estimate - truth[closed]) for p, closed, _, estimate in trials),
    }
    for (name, cell), value in expected.items():
        assert_meets(row, name, value, 0.0, cell)


# What rules see of strata and arms, computed anew from the patients.

OF_TIMES = {"kind": "time_to_event"}
OF_VALUES = {"kind": "continuous", "assessed_after_months": 0.5}
OF_RATES = {"kind": "binary", "assessed_after_months": 0.5}
VALUES = {
    "control": {
        "by_stratum": {"good": {"mean": 1, "sd": 1}, "poor": {"mean": 2, "sd": 1}, "rare": {"mean": 0, "sd": 1}}
    },
    "first": {
        "by_stratum": {
            "good": {"mean_difference": 1},
            "poor": {"mean_difference": 0},
            "rare": {"mean_difference": -0.5},
        }
    },
    "second": {"same_as": "control"},
}


def z_rules(close, succeed):
    return [
        {"of": "each_stratum", "stop_for": "futility", "when": {"statistic": "z", "is_below": close}},
        {"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": succeed}},
    ]


def p_rules(condition, close, succeed):
    return [
        {"of": "each_stratum", "stop_for": "futility", "when": {**condition, "is_below": close}},
        {"stop_for": "efficacy", "when": {**condition, "exceeds": succeed}},
    ]


RATIO = {"probability_that": "hazard_ratio", "below": 0.8}
ANALYSES = {
    "gamma_exponential": (OF_TIMES, TIMES, {"prior": {"events": 0.5, "months": 2}}, p_rules(RATIO, 0.4, 0.99)),
    "log_rank": (OF_TIMES, TIMES, {}, z_rules(0.2, 2.5)),
    "normal": (OF_VALUES, VALUES, {"sd": 1, "prior": {"mean": 1, "sd": 2}}, p_rules(BETTER, 0.4, 0.99)),
    "difference_of_means": (OF_VALUES, VALUES, {}, z_rules(0.2, 2.5)),
    "difference_of_proportions": (OF_RATES, RATES, {}, z_rules(0.2, 2.5)),
}


def follow_up(patients, month):
    """(months followed, whether the event was seen) of each at a look."""
    until = [min(p.event, p.censor, month - p.month) for p in patients]
    return np.array(until), np.array([t >= p.event for t, p in zip(until, patients, strict=True)], bool)


def log_rank(own, controls, month):
    """z, positive where the arm is better, and Peto's estimate with its error; hypergeometric, event by event."""
    (t, d), (u, e) = follow_up(own, month), follow_up(controls, month)
    surplus = variance = 0.0
    for when in sorted([*t[d], *u[e]]):
        n, m = (t >= when).sum(), (u >= when).sum()
        surplus += n / (n + m) - (when in t[d])
        variance += n * m / (n + m) ** 2
    if variance == 0:
        return math.nan, math.nan, math.nan
    return surplus / math.sqrt(variance), -surplus / variance, 1 / math.sqrt(variance)


def number_and_beyond(kind, own, controls, month, effect):
    """What the rules look at, and the probability beyond the true effect."""
    if kind == "log_rank":
        z, estimate, error = log_rank(own, controls, month)
        return z, stats.norm.sf((effect - estimate) / error)
    if kind == "gamma_exponential":
        (t, d), (u, e) = follow_up(own, month), follow_up(controls, month)
        one, other = (d.sum() + 0.5, t.sum() + 2), (e.sum() + 0.5, u.sum() + 2)

        def ratio_below(r):  # the ratio of two gammas over their rates is an F
            return stats.f.cdf(r * (one[1] / one[0]) / (other[1] / other[0]), 2 * one[0], 2 * other[0])

        return ratio_below(0.8), ratio_below(math.exp(effect))
    known = [[p for p in group if p.month + 0.5 <= month + 1e-9] for group in (own, controls)]
    if kind == "difference_of_proportions":
        (n, x), (m, y) = ((len(group), sum(p.outcome for p in group)) for group in known)
        if not n or not m or x + y in (0, n + m):
            return math.nan, math.nan
        pooled = (x + y) / (n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        return (x / n - y / m) / error, stats.norm.sf((effect - (x / n - y / m)) / error)
    values = [np.array([p.value for p in group]) for group in known]
    if kind == "normal":
        posteriors = [((v.sum() + 0.25) / (len(v) + 0.25), 1 / (len(v) + 0.25)) for v in values]
        difference, variance = posteriors[0][0] - posteriors[1][0], posteriors[0][1] + posteriors[1][1]
        return tuple(stats.norm.sf((bound - difference) / math.sqrt(variance)) for bound in (0, effect))
    if min(map(len, values)) < 1 or sum(map(len, values)) < 3:
        return math.nan, math.nan
    found, moved = stats.ttest_ind(*values), stats.ttest_ind(values[0] - effect, values[1])
    return -stats.norm.ppf(stats.t.sf(found.statistic, found.df)), stats.t.cdf(moved.statistic, found.df)


def true_effect(kind, arm, left):
    """The effect in the strata that are left, of those in which the tests above have one."""
    if ANALYSES[kind][0] is OF_TIMES:
        return math.log(0.4) if arm == "first" else 0.0
    of = (
        {"good": 1.0, "poor": 0.0, "rare": -0.5}
        if ANALYSES[kind][0] is OF_VALUES
        else {"good": 0.3, "poor": 0, "rare": -0.2}
    )
    return sum(STRATA[s] * of[s] for s in left) / sum(STRATA[s] for s in left) if arm == "first" else 0.0


def assert_answer(answers, expected):
    (answer,) = answers
    assert answer.value == pytest.approx(expected, abs=2e-7, nan_ok=True)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in ANALYSES])
def test_rules_see_the_strata_that_are_left(kind):
    endpoint, courses, said, rules = ANALYSES[kind]
    design = {
        "looks": {"months": [3, 5, 7]},
        "follow_up_months": 2 if endpoint is OF_TIMES else 0,
        "controls": "all",
        "analysis": {"kind": kind, **said},
        "rules": rules,
    }
    scenario = scenario_of({"d": design}, courses, endpoint=endpoint)
    seed, closed_ones, ended, with_closed = int(np.random.default_rng().integers(2**40)), 0, 0, 0
    covered = rows_by_arm(play(job_of(scenario, "d", "true", 12), seed, 0, 12).integers, 3)[:, :, column.COVERED]
    for replicate in range(12):
        trial = replay_platform(scenario, "d", "true", seed, replicate)
        closed = {arm: set() for arm in courses}
        beyond = {}
        for look, number in itertools.product(trial.looks, (1, 2)):
            seen = look.arms[number]
            taken = trial.patients[: look.enrolled]

            def of(arm, strata, taken=taken):
                return [p for p in taken if p.arm == arm and p.stratum in strata]

            newly = {one.stratum for one in seen.strata if one.verdict}
            for one in seen.strata:
                if one.answers is not None:
                    here = of(seen.arm, [one.stratum]), of("control", [one.stratum])
                    assert_answer(one.answers[0], number_and_beyond(kind, *here, look.month, 0.0)[0])
            closed[seen.arm] |= newly
            closed_ones += len(newly)
            left = [s for s in STRATA if s not in closed[seen.arm]] or sorted(newly)
            effect = true_effect(kind, seen.arm, left) if left else 0.0
            told = number_and_beyond(kind, of(seen.arm, left), of("control", left), look.month, effect)
            if seen.look is not None:
                assert_answer(seen.answers[0], told[0])
            if seen.look is not None or seen.verdict:
                beyond[seen.arm] = told[1], bool(closed[seen.arm])
        for number, arm in enumerate(("first", "second"), 1):
            p, enriched = beyond[arm]
            if not math.isnan(p) and min(abs(p - 0.025), abs(p - 0.975)) > 1e-6:
                assert covered[replicate, number] == (0.025 <= p <= 0.975), (replicate, arm, p)
                ended, with_closed = ended + 1, with_closed + enriched
    assert closed_ones > 5
    assert with_closed > 5


# What is told of a trial.


def test_the_trace_tells_of_strata_and_of_false_successes(capsys):
    worse = {"control": BY_STRATUM, "first": RATES["first"], "second": {"odds_ratio": 0.3}}
    scenario = scenario_of({"d": {**RULES, "rules": [CLOSES, SUCCEEDS]}}, worse)
    outcomes = play(job_of(scenario, "d", "true", 400), 5, 0, 400)
    arms, strata = rows_by_arm(outcomes.integers, 3), rows_by_stratum(outcomes.integers, 3, 3)
    success = arms[:, 1:, column.VERDICT] == 1
    only_useless = ~(strata[:, 1, 0, column.LEFT] == 1)  # the first arm is better in the first stratum only
    false = (success[:, 0] & only_useless) | success[:, 1]
    assert find_platform(scenario, "d", "true", 5, "false-positive", range(400)) == np.flatnonzero(false)[0]
    (row,) = run(scenario, replicates=400, seed=5).rows
    assert row.get("family_wise_error").estimate == false.mean()
    ended = int(np.flatnonzero((strata[:, 2, :, column.CLOSED_BY] != 0).all(axis=1))[0])
    trial = replay_platform(scenario, "d", "true", 5, ended)
    page.show(*platform_trial.parts(trial, "d"))
    told = capsys.readouterr().out
    for words in (
        "of each stratum: stop for futility",
        "the arm closes to the stratum",
        "no stratum is left, futility",
    ):
        assert words in told
    last = next(look.arms[2] for look in trial.looks if look.arms[2].verdict)
    assert trial.left[2] == tuple(one.stratum for one in last.strata if one.verdict)
    assert sum(one.own.patients for one in last.strata if one.verdict) == last.own.patients


def test_a_closed_stratum_takes_no_more_patients():
    scenario = scenario_of({"d": {**RULES, "months_to_decide": 0.5, "controls": "concurrently_eligible"}}, RATES)
    after = 0
    for replicate in range(40):
        trial = replay_platform(scenario, "d", "true", 11, replicate)
        for look in trial.looks[:-1]:
            later = [p for p in trial.patients if p.month > look.month + 0.5 + 1e-9]
            for arm, stratum in [(s.arm, one.stratum) for s in look.arms[1:] for one in s.strata if one.verdict]:
                assert all(p.arm != arm for p in later if p.stratum == stratum)
                after += sum(p.stratum == stratum for p in later)
    assert after > 50


def test_the_errors_of_arms_are_calibrated_not_those_of_their_strata():
    fixed = {**RULES, "rules": [CLOSES, {"stop_for": "efficacy", "when": {**BETTER, "exceeds": 0.9}}]}
    scenario = scenario_of({"d": fixed}, RATES)
    search = Search(
        scenario, "d", rules=[1], each=True, replicates=2_000, seed=6, threads=1, playing=True, told=lambda: None
    )
    assert search.nulls == ["true"], "the first arm may be left with strata in which it is of no use"
    (row,) = run(scenario, replicates=2_000, seed=6).rows
    errors = {c.cell: c.estimate for c in row.characteristics if c.name == "type_i_error"}
    assert set(errors) == {"first", "second", "first/poor", "first/rare", "second/good", "second/poor", "second/rare"}
    assert search.error_at(0.9, "true", 6).estimate == max(errors["first"], errors["second"]) < max(errors.values())
