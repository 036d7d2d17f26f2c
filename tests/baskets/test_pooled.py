"""Baskets judged as one: Fisher's test, whole designs enumerated in plain Python, and a twin trial by trial."""

import copy
import itertools
import math
import re
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from naive_baskets import EFFICACY, VERDICTS, NaiveTrial
from scipy.stats import binom

from lmd_trialsim.analyses import pooled_tests
from lmd_trialsim.basket_replay import replay_baskets
from lmd_trialsim.calibration import calibrate
from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.reading import Document, ScenarioError, render
from lmd_trialsim.reference.exact import exact, why_not
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

# ---- Fisher's exact test


homogeneity = pooled_tests.homogeneity


@door
def _homogeneity(plan, desk, counts, found):
    for i in range(counts.shape[0]):
        for cell in range(counts.shape[1]):
            desk.cells[0, cell].patients = counts[i, cell, 0]
            desk.cells[0, cell].responses = counts[i, cell, 1]
            desk.cells[0, cell].open = desk.cells[0, cell].due = counts[i, cell, 2]
        found[i] = homogeneity(plan, desk)


@cache
def fisher(tables):
    """The p-value of ((n, x), ...) in whole numbers: all tables with these margins that are no likelier."""
    n, x = zip(*tables, strict=True)
    weigh = lambda xs: math.prod(math.comb(a, b) for a, b in zip(n, xs, strict=True))  # noqa: E731
    seen, total = weigh(x), 0
    for most in itertools.product(*(range(a + 1) for a in n[:-1])):
        last = sum(x) - sum(most)
        if 0 <= last <= n[-1] and (weight := weigh((*most, last))) <= seen:
            total += weight
    return float(Fraction(total, math.comb(sum(n), sum(x))))


def test_homogeneity_is_the_sum_over_all_tables():
    draw, most = np.random.default_rng(), (9, 6, 4, 7)
    n = draw.integers(0, np.array(most) + 1, (200, 4))
    n[0], n[1] = most, 0
    x = draw.binomial(n, draw.choice([0.0, 0.2, 0.5, 1.0], n.shape))
    judged = draw.integers(0, 2, n.shape) | (draw.random(n.shape) < 0.6)
    desk = new_desk(1, 1, 4, 1, pooled_tests.scratch_of(list(most)) + 8)
    desk.scratch[:5], desk.scratch[-3:] = 7.0, 7.0
    plan, found = pooled_tests.Tested(np.zeros(4), 0, 0.5, 5, sum(most) + 1), np.zeros(len(n))
    _homogeneity(plan, desk, np.ascontiguousarray(np.stack([n, x, judged], axis=2), np.int64), found)
    assert (desk.scratch[:5] == 7.0).all(), "it works before its place"
    assert (desk.scratch[-3:] == 7.0).all(), "it works beyond its place"
    for counts, p_value in zip(np.stack([n * judged, x * judged], axis=2), found, strict=True):
        assert p_value == pytest.approx(fisher(tuple(map(tuple, counts.tolist()))), abs=1e-11), counts


def test_homogeneity_of_two_by_two_is_what_textbooks_print():
    assert fisher(((4, 3), (4, 1))) == pytest.approx(34 / 70)  # Fisher's tea, two-sided: 0.4857


# ---- whole designs, enumerated

N_1, N_2, POOLED, NULL, TARGET = 7, 22, 11, 0.15, 0.45
GAMMA, ALPHA_C, ALPHA_S, R_C, R_S = 0.52, 0.05, 0.07, 5, 1
BASKETS = "abcde"


def rule(verdict, at, of, condition):
    return {"stop_for": verdict, "at": at, "of": of, "when": condition}


CUNANAN = {
    "kind": "basket",
    "endpoint": "response",
    "null_rate": NULL,
    "target_rate": TARGET,
    "max_patients": N_2,
    "accrual_at_looks": "pauses",
    "looks": {"in_each": [N_1]},
    "pooling": {"from_look": 1, "when": {"p_value_of": "homogeneity", "exceeds": GAMMA}, "max_patients": POOLED},
    "analysis": {"kind": "independent", "prior": {"alpha": 0.15, "beta": 0.85}},
    "rules": [
        rule("futility", [1], "pool", {"number_of": "responses", "is_below": R_C}),
        rule("efficacy", "final", "pool", {"p_value": "one_sided", "at_most": ALPHA_C}),
        rule("futility", [1], "basket", {"number_of": "responses", "is_below": R_S}),
        rule("efficacy", "final", "basket", {"p_value": "bonferroni", "at_most": ALPHA_S}),
    ],
}
PRUNED = CUNANAN | {
    "max_patients": 14,
    "pooling": {"from_look": "final"},
    "rules": [
        rule("futility", [1], "basket", {"number_of": "responses", "is_below": 2}),
        rule("efficacy", "final", "pool", {"p_value": "one_sided", "at_most": 0.01}),
    ],
}
FEW = CUNANAN | {
    "max_patients": 9,
    "looks": {"in_each": [4, 7]},
    "pooling": {"from_look": 1, "when": {"p_value_of": "homogeneity", "exceeds": 0.4}, "max_patients": 7},
}


def stratum(rate):
    return {"rate": rate}


def scenario_of(designs, *, baskets=BASKETS, active=(0, 2, 5), population=None, **truth):
    """A scenario of alike baskets; truths of so many active ones."""
    by = {
        f"active_{m}": {"response": {"drug": {"by_stratum": {name: stratum(TARGET if k < m else NULL)
                                                             for k, name in enumerate(baskets)}}}, **truth}
        for m in active
    }  # fmt: skip
    return {
        "schema": 1,
        "title": "pooled",
        "population": {
            "accrual": {"patients_per_month": 6},
            "strata": {name: 1 / len(baskets) for name in baskets},
            **(population or {}),
        },
        "endpoints": {"response": {"kind": "binary"}},
        "arms": {"drug": {}},
        "truths": by,
        "designs": copy.deepcopy(designs),
    }


def read(scenario):
    return Scenario.of(Document(copy.deepcopy(scenario), "pooled"))


@cache
def least(n, level):
    """The fewest responses whose one-sided exact p-value is `level` or less."""
    return next(x for x in range(n + 2) if binom.sf(x - 1, n, NULL) <= level)


def cunanan_by_hand(rates):
    """(success by basket, family-wise error, patients, pooled) summed over all tables of stage 1."""
    rates, null, success, false, patients, pooled = np.array(rates), [], np.zeros(len(rates)), 0.0, 0.0, 0.0
    null = rates <= NULL
    more = np.array([1.0])
    for rate in rates:
        more = np.convolve(more, binom.pmf(np.arange(POOLED - N_1 + 1), POOLED - N_1, rate))
    beyond = more[::-1].cumsum()[::-1]  # P(so many responses or more) among those who come to a pool
    for x in itertools.product(range(N_1 + 1), repeat=len(rates)):
        chance = binom.pmf(x, N_1, rates).prod()
        if fisher(tuple(sorted((N_1, k) for k in x))) > GAMMA:
            pooled += chance
            if sum(x) < R_C:
                patients += chance * N_1 * len(rates)
                continue
            needed = max(least(POOLED * len(rates), ALPHA_C) - sum(x), 0)
            wins = chance * (beyond[needed] if needed < len(beyond) else 0.0)
            success += wins
            false += wins if null.any() else 0.0
            patients += chance * POOLED * len(rates)
            continue
        on = np.array(x) >= R_S
        cut = least(N_2, ALPHA_S / max(on.sum(), 1))
        wins = np.where(on, binom.sf(cut - np.array(x) - 1, N_2 - N_1, rates), 0.0)
        success += chance * wins
        false += chance * (1.0 - np.prod(1.0 - wins[null]))
        patients += chance * (N_1 * len(rates) + (N_2 - N_1) * on.sum())
    return success, false, patients, pooled


def assert_is(row, baskets, success, false, patients, pooled):
    told = [row.get("probability_of_success", name).estimate for name in baskets]
    np.testing.assert_allclose(told, success, rtol=0, atol=1e-10)
    error = row.get("family_wise_error")
    assert (error.estimate if error else 0.0) == pytest.approx(false, abs=1e-10)
    assert row.get("expected_patients").estimate == pytest.approx(patients, abs=1e-8)
    assert row.get("probability_of_pooling").estimate == pytest.approx(pooled, abs=1e-10)


def test_cunanan_is_what_its_tables_sum_to():
    baskets = BASKETS[:4]
    results = exact(read(scenario_of({"cunanan": CUNANAN}, baskets=baskets, active=(0, 1, 4))))
    for m in (0, 1, 4):
        rates = [TARGET] * m + [NULL] * (4 - m)
        assert_is(results.row("cunanan", f"active_{m}"), baskets, *cunanan_by_hand(rates))


def test_pruning_and_pooling_is_what_its_tables_sum_to():
    """Given who is left, the final number of responses is a sum of truncated and of free binomials."""
    results = exact(read(scenario_of({"pruned": PRUNED})))
    for m in (0, 2, 5):
        rates = np.array([TARGET] * m + [NULL] * (5 - m))
        stays = binom.pmf(np.arange(8)[:, None], 7, rates)  # responses at the interim look, by basket
        success, any_false, patients = np.zeros(5), 0.0, 0.0
        for left in itertools.product((False, True), repeat=5):
            total, gone = np.array([1.0]), 1.0
            for k in range(5):
                if not left[k]:
                    gone *= stays[:2, k].sum()
                    continue
                kept = np.where(np.arange(8) >= 2, stays[:, k], 0.0)
                total = np.convolve(total, np.convolve(kept, stays[:, k]))
            count = sum(left)
            wins = gone * total[least(14 * count, 0.01) :].sum() if count else 0.0
            success += wins * np.array(left)
            any_false += wins * any(on and rate <= NULL for on, rate in zip(left, rates, strict=True))
            patients += gone * total.sum() * (35 + 7 * count)
        # Where nobody is left the trial is over before the pool is formed.
        nobody = stays[:2].sum(axis=0).prod()
        assert_is(results.row("pruned", f"active_{m}"), BASKETS, success, any_false, patients, 1.0 - nobody)


def test_level_of_the_pool_is_found():
    """The largest level that keeps the error under the global null; a larger one does not."""
    scenario = read(scenario_of({"pruned": PRUNED}, active=(0, 5)))
    found = calibrate(scenario, "pruned", at_most=0.05, digits=3)
    assert found.method == "exact"
    level = 1.0 - found.cut_off
    rules = [PRUNED["rules"][0], rule("efficacy", "final", "pool", {"p_value": "one_sided", "at_most": 0.0})]
    for value, kept in ((level, True), (level + 0.001, False)):
        rules[1]["when"]["at_most"] = value
        at = read(scenario_of({"pruned": PRUNED | {"rules": rules}}, active=(0,)))
        assert (exact(at).rows[0].get("family_wise_error").estimate <= 0.05) is kept


# ---- played


class PooledTrial(NaiveTrial):
    """The twin, of baskets that may be judged as one."""

    pooled = None  # not settled

    def screen(self, month, decision, look):
        """Once the decision to pool is out, cells take no more than the pool needs, whether accrual pauses or not."""
        stratum = self.stratum_of(self.came)
        number = next((i for i, cell in enumerate(self.cells) if cell.name == stratum), None)
        if self.pooled and self.sized and look > self.settled and number is not None:
            every = sum(cell.placed for cell in self.cells)
            full = every >= self.wanted[look] if self.unit == "in_all" else False
            if full or self.cells[number].placed >= self.at_most[number]:
                return None
        return super().screen(month, decision, look)

    def posterior(self, number):
        """Each basket on its own."""
        prior, (n, x) = self.spec["analysis"]["prior"], self.cells[number].counted
        return prior["alpha"] + x, prior["beta"] + n - x

    def p_value(self, n, x, cell):
        null = self.of_basket[cell.name].get("null_rate", self.spec["null_rate"])
        return float(binom.sf(x - 1, n, null))

    def asked(self, number):
        if not self.pooled:
            return self.cells[number].counted
        return tuple(np.sum([self.cells[i].counted for i in self.due_now], axis=0))

    def holds(self, condition, number, place):
        n, x = self.asked(number)
        if "p_value" in condition:
            times = len(self.due_now) if condition["p_value"] == "bonferroni" else 1
            value = min(1.0, times * self.p_value(n, x, self.cells[number]))
            return value <= condition["at_most"] + 1e-11
        if "number_of" in condition:
            return x < condition["is_below"]
        return super().holds(condition, number, place)

    def judge(self, due, final):
        pooling, self.due_now = self.spec["pooling"], list(due)
        look = self.looks - 1 if final else self.cells[due[0]].look
        first = self.looks - 1 if pooling["from_look"] == "final" else pooling["from_look"] - 1
        settles = self.pooled is None and look >= first
        if settles:
            self.pooled = True
            if "when" in pooling:
                p_value = fisher(tuple(sorted(self.cells[i].counted for i in due)))
                self.pooled = p_value > pooling["when"]["exceeds"] + 1e-11
        of, rules = "pool" if self.pooled else "basket", self.spec["rules"]
        self.spec = self.spec | {"rules": [one for one in rules if one.get("of", "basket") == of]}
        super().judge(due, final)
        self.spec = self.spec | {"rules": rules}
        if settles and self.pooled:
            self.settled = look
            self.resize(pooling)

    sized = False

    def resize(self, pooling):
        self.at_most, self.sized = self.most, "max_patients" in pooling or "max_in_all" in pooling
        if "max_in_all" in pooling:
            self.unit, self.wanted = "in_all", [pooling["max_in_all"]] * self.looks
        elif "max_patients" in pooling:
            self.at_most = [min(pooling["max_patients"], most) for most in self.most]
            self.wanted = [[min(n, m) for n, m in zip(row, self.at_most, strict=True)] for row in self.wanted]


LOSSY = {"death": {"drug": {"median_months": 6}}, "drop_out": {"per_month": 0.08}}
ASSESSED = {"kind": "binary", "assessed_after_months": 0.8}
UNEQUAL = {"strata": {"a": 0.5, "b": 0.3, "c": 0.2}}
WHOEVER = FEW["pooling"] | {"max_in_all": 24}
del WHOEVER["max_patients"]
PLAYED = {
    "each": FEW,
    "whoever comes": FEW | {"pooling": WHOEVER},
    "pruned": PRUNED | {"max_patients": 10, "looks": {"in_each": [4]}},
    "pruned, on and on": PRUNED | {"max_patients": 10, "looks": {"in_each": [4]}, "accrual_at_looks": "continues"},
    "closes": FEW | {"max_months": 2.5, "accrual_at_looks": "continues"},
    "each, on and on": FEW | {"accrual_at_looks": "continues", "months_to_decide": 0.3},
}


@pytest.mark.parametrize("name", PLAYED)
def test_trials_agree_with_the_twin(name):
    scenario = scenario_of({"basket": PLAYED[name]}, baskets="abc", active=(1,), population=UNEQUAL, **LOSSY)
    scenario["endpoints"]["response"] = ASSESSED
    seed, replicates = int(np.random.default_rng().integers(2**40)), 120
    outcomes = play(job_of(read(scenario), "basket", "active_1", replicates), seed, 0, replicates)
    paths = set()
    for replicate in range(replicates):
        twin = PooledTrial(scenario, "basket", "active_1", seed, replicate).play()
        of_cell = outcomes.integers[replicate, column.HEAD :].reshape(3, column.OF_CELL)
        for at, of in ((column.VERDICT, "verdict"), (column.LOOK, "judged_at"), (column.PATIENTS, "taken"),
                       (column.EVALUABLE, "evaluable"), (column.COUNTED, "responses")):  # fmt: skip
            assert of_cell[:, at].tolist() == [getattr(cell, of) for cell in twin.cells], (of, seed, replicate)
        assert outcomes.integers[replicate, column.POOLED] == int(bool(twin.pooled)), (seed, replicate)
        assert outcomes.numbers[replicate, column.MONTHS] == pytest.approx(twin.months, rel=1e-9), (seed, replicate)
        paths.add(bool(twin.pooled))
    assert len(paths) == 2 or "when" not in PLAYED[name]["pooling"]


@pytest.mark.slow  # five baskets of 22 are walked
def test_played_as_enumerated():
    scenario, replicates = read(scenario_of({"cunanan": CUNANAN, "pruned": PRUNED})), 20_000
    sure, played = exact(scenario), run(scenario, replicates=replicates, seed=4)
    for row in sure.rows:
        for one in row.characteristics:
            other = played.row(row.design, row.truth).get(one.name, one.cell)
            assert other is not None
            if "quantile" in one.name:
                continue
            spread = one.estimate * (1.0 - one.estimate) if 0.0 <= one.estimate <= 1.0 else 0.0
            error = max(other.mcse, math.sqrt(max(spread, 25.0 / replicates) / replicates))
            assert abs(other.estimate - one.estimate) <= 5.0 * error, (row.design, row.truth, one, other)


def test_the_path_is_remembered():
    """What look 1 settled holds at look 2, however alike or unlike the baskets have become."""
    scenario = read(scenario_of({"cunanan": CUNANAN}, active=(2,)))
    seen = set()
    for replicate in range(60):
        trial = replay_baskets(scenario, "cunanan", "active_2", 5, replicate)
        first = trial.looks[0]
        table = tuple(sorted((basket.patients, basket.counted) for basket in first.baskets))
        assert first.homogeneity == pytest.approx(fisher(table), abs=1e-9)
        assert all(look.pooled == int(fisher(table) > GAMMA) for look in trial.looks)
        for look in trial.looks[1:]:
            judged = [basket for basket in look.baskets if basket.look is not None]
            if look.pooled:
                pool = sum(b.patients for b in judged), sum(b.counted for b in judged)
                assert {basket.asked for basket in judged} == {pool}
                assert len({basket.verdict for basket in judged}) == 1
            for basket in judged:
                (answer,) = basket.answers[1 if look.pooled else 3]
                p_value = float(binom.sf(basket.asked[1] - 1, basket.asked[0], NULL))
                expected = p_value if look.pooled else min(1.0, p_value * len(judged))
                assert answer.value == pytest.approx(expected, abs=1e-12)
                assert (answer.value <= answer.threshold) is (basket.verdict == EFFICACY)
            seen.add(look.pooled)
    assert seen == {0, 1}
    assert VERDICTS["efficacy"] == EFFICACY


# ---- what makes no sense

MISTAKES = [
    ({"pooling": None}, r"rules\.0\.of: the baskets are never judged as one"),
    ({"looks": {"in_one": [7]}}, "baskets looked at one by one cannot be judged as one"),
    ({"baskets": {"a": {"null_rate": 0.2}, "b": {}}}, r"has one null rate, and baskets differ \(a 0\.2, b 0\.15\)"),
    ({"pooling": CUNANAN["pooling"] | {"max_patients": 5}}, r"of the basket a, pooled.*7 to 22"),
    ({"pooling": CUNANAN["pooling"] | {"max_in_all": 55}}, "contradicts max_patients"),
    ({"pooling": {"from_look": 1, "max_in_all": 30}}, "36 to 110"),
    ({"pooling": {"from_look": "final", "max_patients": 11}}, "comes too late"),
    ({"pooling": {"from_look": 3}}, "is beyond the final look"),
    ({"pooling": {"from_look": 1}}, "from look 1 on all baskets are judged as one"),
    ({"pooling": {"from_look": "final"}}, "baskets are judged as one from look 2 on"),
    ({"rules": CUNANAN["rules"][2:]}, "no rule of the pool can conclude efficacy"),
    ({"rules": [*CUNANAN["rules"], rule("efficacy", "final", "pool", {"p_value": "bonferroni", "at_most": 0.1})]},
     "a pool is one test"),
    ({"rules": [*CUNANAN["rules"], rule("futility", [1], "pool", {"estimate_of": "rate", "at_most": 0.1})]},
     "is of single baskets"),
    ({"rules": [*CUNANAN["rules"], rule("efficacy", [1], "basket", {"p_value": "one_sided", "exceeds": 0.1})]},
     "rules.4"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_what_makes_no_sense_is_refused(change, said):
    design = {key: value for key, value in (CUNANAN | change).items() if value is not None}
    with pytest.raises(ScenarioError) as refused:
        read(scenario_of({"cunanan": design}))

    assert re.search(said, render(refused.value)), render(refused.value)


def test_a_pool_that_whoever_comes_fills_is_not_enumerated():
    scenario = read(scenario_of({"basket": CUNANAN | {"pooling": {**WHOEVER, "max_in_all": 55}}}))
    assert "whoever comes fills the trial" in why_not(scenario, "basket", "active_2")
