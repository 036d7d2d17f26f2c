"""`exact` against the simulator, for each design of the catalogue that can be enumerated; `exact` against counting.

The two share no code, so that agreement means something. Tolerances hold for any seed: five standard errors, and where
fewer than a hundred trials are expected on one side, a binomial tail or a bound that is as rare.
"""

import functools
import itertools
import math
import secrets
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, binom, norm

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact, why_not
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

SIGMAS = 5.0
TAIL = float(norm.sf(SIGMAS))
FEW = 100
CATALOGUE = Path(__file__).parents[2] / "scenarios"


# How two rows agree.


def assert_share(what, hits, of, expected):
    """Insist on a number of hits that is no rarer than five standard errors are."""
    if of == 0:
        return
    assert -1e-12 < expected < 1.0 + 1e-12, f"{what}: {expected}"
    expected = min(max(expected, 0.0), 1.0)
    if min(expected, 1.0 - expected) * of >= FEW:
        z = (hits / of - expected) / math.sqrt(expected * (1.0 - expected) / of)
        assert abs(z) < SIGMAS, f"{what}: {hits} of {of} is {z:+.1f} standard errors from {expected:.6f}"
    else:
        rare = min(binom.sf(hits - 1, of, expected), binom.cdf(hits, of, expected))
        assert rare > TAIL, f"{what}: {hits} of {of} where {expected:.3e} is exact has probability {rare:.1e}"


def assert_agrees(played, sure, replicates, most_patients):
    """Insist that each characteristic that was played agrees with the exact one."""
    exactly = {(c.name, c.cell): c.estimate for c in sure.characteristics}
    seen = {(c.name, c.cell): c for c in played.characteristics}
    absent = {name for name, _ in seen.keys() ^ exactly.keys()}
    assert not {n for n in absent if not (n.startswith(("months_quantile", "early_")) or "_given_" in n)}, absent
    # A trial that ends at a look that hardly any misses: the means of what a look fixes are hardly random.
    looks = [p for (name, _), p in exactly.items() if name.startswith("stopped_at_look")]
    away = 1.0 - max(looks)
    misses = replicates - max(round(seen[n, None].estimate * replicates) for n, _ in seen if n.startswith("stopped_at"))
    unsure = most_patients * (away + misses / replicates) if away * replicates < FEW else 0.0
    compared = 0
    for (name, cell), c in seen.items():
        if (name, cell) not in exactly or "quantile" in name:
            continue  # quantiles are for assert_quantiles
        compared += 1
        what, expected = f"{played.design} under {played.truth}: {name} {cell or ''}", exactly[name, cell]
        if math.isnan(expected):
            assert math.isnan(c.estimate), what
            continue
        of = replicates
        if "_given_" in name:
            verdict = {"success": "success", "futility": "futility", "harm": "harm"}[name.rpartition("_")[2]]
            of = round(seen[f"probability_of_{verdict}", None].estimate * replicates)
        if name.startswith("coverage"):  # of the trials with an interval; its error tells how many they are
            if c.mcse > 0.0:
                of = round(c.estimate * (1.0 - c.estimate) / c.mcse**2)
            assert_share(what, round(c.estimate * of), of, expected)
        elif is_share(name):
            assert_share(what, round(c.estimate * of), of, expected)
        elif of < FEW:  # Hoeffding: estimates of a rate or of a difference lie in a range of 2
            room = 2.0 * math.sqrt(math.log(2.0 / (2.0 * TAIL)) / (2.0 * of))
            assert abs(c.estimate - expected) <= room, f"{what}: {c.estimate} of {of} trials, exactly {expected}"
        else:
            room = SIGMAS * c.mcse + 1e-9 + (unsure if name.startswith("expected") else 2.0 * unsure / most_patients)
            assert abs(c.estimate - expected) <= room, f"{what}: {c.estimate} ± {c.mcse}, exactly {expected}"
    assert compared >= 10


def is_share(name):
    words = ("probability_", "power", "type_i_error", "success_", "futility_", "harm_", "stopped_", "not_", "accrual_")
    return name.startswith((*words, "early_"))


def assert_quantiles(scenario, sure, seed, replicates):
    """Insist that no more patients than may be lie on either side of an exact quantile."""
    job = job_of(scenario, sure.design, sure.truth, replicates)
    counts = [
        play(job, seed, start, min(start + 50_000, replicates)).integers[:, column.PATIENTS]
        for start in range(0, replicates, 50_000)
    ]
    patients = np.concatenate(counts)
    for p in (0.1, 0.5, 0.9):
        q = sure.get(f"patients_quantile_{round(100 * p)}").estimate
        what = f"{sure.design} under {sure.truth}: {p} quantile {q:.0f}"
        up_to, below = int((patients <= q).sum()), int((patients < q).sum())
        assert binom.cdf(up_to, replicates, p) > TAIL, f"{what}: only {up_to} of {replicates} up to it"
        assert binom.sf(below - 1, replicates, p) > TAIL, f"{what}: {below} of {replicates} below it"


def compare(scenario, design, replicates, seed):
    """Play a design and enumerate it, under every truth under which it can be enumerated."""
    truths = [truth for truth in scenario.truths if why_not(scenario, design, truth) is None]
    most = scenario.plan(design, truths[0]).limits.max_patients
    sure = exact(scenario, [design], truths)
    played = run(scenario, replicates=replicates, seed=seed, designs=[design], truths=truths)
    for ours, theirs in zip(played.rows, sure.rows, strict=True):
        assert_agrees(ours, theirs, replicates, most)
    for row in sure.rows:
        assert_quantiles(scenario, row, seed, min(replicates, 50_000))


# The catalogue.


def enumerable():
    for file in sorted(CATALOGUE.glob("*.yaml")):
        scenario = Scenario.load(file)
        for design, spec in scenario.designs.items():
            if isinstance(spec, Basket | Platform):
                continue  # tests/baskets
            if any(why_not(scenario, design, truth) is None for truth in scenario.truths):
                yield pytest.param(file, design, id=f"{file.stem}-{design}")


DESIGNS = list(enumerable())


def test_the_catalogue_has_designs_to_compare():
    assert len(DESIGNS) >= 20
    assert {type(Scenario.load(p.values[0]).designs[p.values[1]]).__name__ for p in DESIGNS} >= {"TwoArm", "SingleArm"}


@pytest.mark.parametrize(("file", "design"), DESIGNS)
def test_the_catalogue_agrees(file, design):
    compare(Scenario.load(file), design, 20_000, seed=4711)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "design"), DESIGNS)
def test_the_catalogue_agrees_in_a_million_fresh_trials(file, design):
    seed = secrets.randbits(62)
    print(f"seed {seed}")
    compare(Scenario.load(file), design, 1_000_000, seed)


# `exact` against counting every outcome in fractions.

LOOKS = (10, 19)
RATES = Fraction(1, 5), Fraction(1, 2)  # control, treatment
# rpact 3.3.4, getDesignGroupSequential(informationRates = c(10, 19) / 19, alpha = .05, typeOfDesign = "OF")
OBRIEN_FLEMING = Fraction("2.319139223"), Fraction("1.682480427")


PROBABILITY = {"probability_that": "difference", "above": 0}


def by_posterior(look, x_t, n_t, x_c, n_c):
    """P(p_T > p_C) under uniform priors by Miller (2015), Formulas for Bayesian A/B testing, equation 6."""
    a_t, b_t, a_c, b_c = 1 + x_t, 1 + n_t - x_t, 1 + x_c, 1 + n_c - x_c

    def beta(a, b):
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    p = sum(beta(a_c + i, b_t + b_c) / ((b_t + i) * beta(1 + i, b_t) * beta(a_c, b_c)) for i in range(a_t))
    if p > Fraction(95, 100) if look == 0 else p >= Fraction(9, 10):
        return "success"
    return "futility" if look == 0 and p < Fraction(1, 4) else None


def by_pooled_z(look, x_t, n_t, x_c, n_c):
    if 0 in (n_t, n_c):
        return None
    p, gain = Fraction(x_t + x_c, n_t + n_c), Fraction(x_t, n_t) - Fraction(x_c, n_c)
    variance = p * (1 - p) * (Fraction(1, n_t) + Fraction(1, n_c))
    if gain > 0 and gain**2 >= OBRIEN_FLEMING[look] ** 2 * variance:
        return "success"
    return "futility" if look == 0 and gain < 0 else None


def by_fisher(look, x_t, n_t, x_c, n_c):
    if 0 in (n_t, n_c):
        return None
    x, n = x_t + x_c, n_t + n_c
    tail = sum(math.comb(n_t, k) * math.comb(n_c, x - k) for k in range(max(x_t, x - n_c), min(x, n_t) + 1))
    p = Fraction(tail, math.comb(n, x))
    if p <= (Fraction(2, 100), Fraction(10, 100))[look]:
        return "success"
    return "futility" if look == 0 and p > Fraction(3, 4) else None


def posterior_means(x_t, n_t, x_c, n_c):
    return Fraction(1 + x_t, 2 + n_t) - Fraction(1 + x_c, 2 + n_c)


def proportions(x_t, n_t, x_c, n_c):
    return None if 0 in (n_t, n_c) else Fraction(x_t, n_t) - Fraction(x_c, n_c)


ANALYSES = {
    "posterior": (
        by_posterior,
        posterior_means,
        {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        [
            {"stop_for": "efficacy", "at": [1], "when": PROBABILITY | {"exceeds": 0.95}},
            {"stop_for": "efficacy", "at": [2], "when": PROBABILITY | {"at_least": 0.9}},
            {"stop_for": "futility", "at": [1], "when": PROBABILITY | {"is_below": 0.25}},
        ],
    ),
    "pooled z": (
        by_pooled_z,
        proportions,
        {"kind": "difference_of_proportions"},
        [
            {"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.05},
            {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "is_below": 0}},
        ],
    ),
    "Fisher": (
        by_fisher,
        proportions,
        {"kind": "fisher_exact"},
        [
            {"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": [0.02, 0.1]}},
            {"stop_for": "futility", "at": "interim", "when": {"p_value": "one_sided", "exceeds": 0.75}},
        ],
    ),
}


def hypergeometric(k, n, of):
    """Return P(k treatment among n of a block with `of` places for each arm)."""
    return Fraction(math.comb(of, k) * math.comb(of, n - k), math.comb(2 * of, n))


def sizes_in_order():
    yield Fraction(1), 5, 9


def sizes_in_blocks_of_four():
    # Ten patients are two full blocks and a half one; nine more fill it, and make a full one and three places.
    for first in range(3):
        for last in range(1, 3):
            yield hypergeometric(first, 2, 2) * hypergeometric(last, 3, 2), 4 + first, 8 + last


def sizes_at_random():
    for first, more in itertools.product(range(11), range(10)):
        yield Fraction(math.comb(10, first) * math.comb(9, more), 2**19), first, first + more


ALLOCATIONS = {
    "in order": (sizes_in_order, {"method": "fixed_order", "order": ["control", "treatment"]}),
    "in blocks": (sizes_in_blocks_of_four, {"block": 4}),
    "at random": (sizes_at_random, {"method": "simple"}),
}


def count(decide, estimate, sizes):
    """Return the characteristics of two looks by going through every outcome."""
    found = dict.fromkeys(("success 1", "futility 1", "success 2", "none", "patients", "treated", "known"), Fraction(0))
    found |= {"error": Fraction(0), "square": Fraction(0)}
    decide, estimate = functools.cache(decide), functools.cache(estimate)
    (p_c, p_t), (n_1, n_2) = RATES, LOOKS

    @functools.cache
    def binomial(x, n, p):
        return math.comb(n, x) * p**x * (1 - p) ** (n - x)

    def end(chance, how, x_t, n_t, x_c, n_c):
        found[how] += chance
        found["patients"] += chance * (n_t + n_c)
        found["treated"] += chance * n_t
        value = estimate(x_t, n_t, x_c, n_c)
        if value is not None:
            error = value - (p_t - p_c)
            found["known"] += chance
            found["error"] += chance * error
            found["square"] += chance * error**2

    for weight, t_1, t_2 in sizes():
        c_1, c_2 = n_1 - t_1, n_2 - t_2
        for x_t, x_c in itertools.product(range(t_1 + 1), range(c_1 + 1)):
            here = weight * binomial(x_t, t_1, p_t) * binomial(x_c, c_1, p_c)
            verdict = decide(0, x_t, t_1, x_c, c_1)
            if verdict:
                end(here, f"{verdict} 1", x_t, t_1, x_c, c_1)
                continue
            for y_t, y_c in itertools.product(range(t_2 - t_1 + 1), range(c_2 - c_1 + 1)):
                there = here * binomial(y_t, t_2 - t_1, p_t) * binomial(y_c, c_2 - c_1, p_c)
                how = "success 2" if decide(1, x_t + y_t, t_2, x_c + y_c, c_2) else "none"
                end(there, how, x_t + y_t, t_2, x_c + y_c, c_2)
    return found


def two_looks(analysis, allocation, looks):
    """Return a scenario of one two-arm design with two looks."""
    *_, kind, rules = ANALYSES[analysis]
    design = {
        "kind": "two_arm", "endpoint": "response", "allocation": ALLOCATIONS[allocation][1], "max_patients": looks[-1],
        "looks": {"evaluable": list(looks)}, "analysis": kind, "rules": rules,
    }  # fmt: skip
    scenario = {
        "schema": 1, "title": "two looks", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"control": {"control": True}, "treatment": {}},
        "truths": {"true": {"response": {"control": {"rate": 0.2}, "treatment": {"rate": 0.5}}}},
        "designs": {"two_looks": design},
    }  # fmt: skip
    return Scenario.of(Document(scenario, "counting"))


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_exact_is_what_counting_gives(analysis, allocation):
    decide, estimate, *_ = ANALYSES[analysis]
    row = exact(two_looks(analysis, allocation, LOOKS)).rows[0]
    counted = count(decide, estimate, ALLOCATIONS[allocation][0])
    assert counted["success 1"] + counted["futility 1"] + counted["success 2"] + counted["none"] == 1
    expected = {
        ("success_at_look_1", None): counted["success 1"],
        ("futility_at_look_1", None): counted["futility 1"],
        ("success_at_look_2", None): counted["success 2"],
        ("power", None): counted["success 1"] + counted["success 2"],
        ("probability_inconclusive", None): counted["none"],
        ("expected_patients", None): counted["patients"],
        ("expected_patients", "treatment"): counted["treated"],
        ("expected_months", None): counted["patients"] / 3,
        ("not_estimable", None): 1 - counted["known"],
        ("bias", None): counted["error"] / counted["known"],
        ("root_mean_square_error", None): math.sqrt(counted["square"] / counted["known"]),
    }
    for (name, cell), value in expected.items():
        assert row.get(name, cell).estimate == pytest.approx(float(value), rel=1e-10, abs=1e-13), name


@pytest.mark.parametrize("analysis", ANALYSES)
def test_arms_without_a_patient(analysis):
    # One look in four finds an arm empty, and one trial in 64 ends so: a test can then tell nothing, a posterior can.
    scenario = two_looks(analysis, "at random", (3, 7))
    compare(scenario, "two_looks", 20_000, seed=4712)
    sure = exact(scenario).rows[0]
    assert (sure.get("not_analysable").estimate > 0.0) == (analysis != "posterior")


# Where a number equals its threshold, `at_least` and `at_most` hold, `exceeds` and `is_below` do not. What floating
# point makes of it is no part of the rule.

OPPOSITE = {"at_least": "is_below", "exceeds": "at_most", "at_most": "exceeds", "is_below": "at_least"}
TIES = {
    # 7 of 10 v 4 of 10 are 0.3 apart
    "estimate": (20, {"kind": "difference_of_proportions"}, {"estimate_of": "effect"}, 0.3),
    "posterior estimate": (
        16,
        {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        {"estimate_of": "effect"},
        0.2,
    ),
    # 3 of 3 v 1 of 3
    "Fisher's p": (6, {"kind": "fisher_exact"}, {"p_value": "one_sided"}, 0.2),
    # 8 of 10 v 4 of 10: .4 / sqrt(.16 / 10 + .24 / 10)
    "unpooled z": (20, {"kind": "difference_of_proportions", "pooled": False}, {"statistic": "z"}, 2),
    "z with a margin": (20, {"kind": "difference_of_proportions", "margin": 0.1}, {"statistic": "z"}, 0),
    "pooled z": (16, {"kind": "difference_of_proportions"}, {"statistic": "z"}, 2),
    "p": (20, {"kind": "difference_of_proportions"}, {"p_value": "one_sided"}, 0.5),
    # as many responses in either arm
    "posterior": (16, {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}, PROBABILITY, 0.5),
}


def one_look(n, analysis, when, stop_for="efficacy"):
    """Return a scenario of one look at n patients, half of them in either arm."""
    rules = [{"stop_for": stop_for, "when": when}]
    if stop_for != "efficacy":  # of which some rule must speak
        never = [{"estimate_of": "effect", "exceeds": 2.0}, {"estimate_of": "effect", "at_least": 3.0}]
        rules.append({"stop_for": "efficacy", "when": never})
    document = {
        "schema": 1, "title": "ties", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"control": {"control": True}, "treatment": {}},
        "truths": {"true": {"response": {"control": {"rate": 0.4}, "treatment": {"rate": 0.6}}}},
        "designs": {
            "one_look": {
                "kind": "two_arm", "endpoint": "response", "allocation": ALLOCATIONS["in order"][1],
                "max_patients": n, "looks": {"evaluable": [n]}, "analysis": analysis, "rules": rules,
            }
        },
    }  # fmt: skip
    return Scenario.of(Document(document, "ties"))


@pytest.mark.parametrize("comparison", OPPOSITE)
@pytest.mark.parametrize("what", TIES)
def test_a_number_that_equals_its_threshold(what, comparison):
    n, analysis, number, threshold = TIES[what]
    success = {}
    for word in (comparison, OPPOSITE[comparison]):
        scenario = one_look(n, analysis, number | {word: threshold}, "futility")
        played, sure = run(scenario, replicates=20_000, seed=3).rows[0], exact(scenario).rows[0]
        success[word] = sure.get("probability_of_futility").estimate
        hits = round(played.get("probability_of_futility").estimate * 20_000)
        assert_share(f"{what} {word} {threshold}", hits, 20_000, success[word])
    assert sum(success.values()) == pytest.approx(1.0)


def test_an_estimate_that_equals_its_threshold_as_counted():
    # "at least 0.3" is three responses more among ten than among ten.
    expected = sum(binom.pmf(x, 10, 0.6) * binom.cdf(x - 3, 10, 0.4) for x in range(11))
    scenario = one_look(20, {"kind": "difference_of_proportions"}, {"estimate_of": "effect", "at_least": 0.3})
    assert exact(scenario).rows[0].get("probability_of_success").estimate == pytest.approx(expected, rel=1e-12)
    played = run(scenario, replicates=20_000, seed=3).rows[0].get("probability_of_success")
    assert_share("at least 0.3", round(played.estimate * 20_000), 20_000, expected)


@pytest.mark.parametrize("comparison", ["at_least", "is_below"])
def test_a_predictive_probability_of_one(comparison):
    # With so many responses among thirty, thirty-six patients will do, whatever comes: that is sure, not almost sure.
    needed = min(x for x in range(37) if beta.sf(0.3, 1 + x, 37 - x) > 0.9)
    design = {
        "kind": "single_arm", "endpoint": "response", "null_rate": 0.3, "max_patients": 36,
        "looks": {"evaluable": [30, 36]}, "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        "rules": [
            {"stop_for": "harm", "at": "interim", "when": {"predictive_probability_of": "success", comparison: 1}},
            {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.3, "exceeds": 0.9}},
        ],
    }  # fmt: skip
    document = {
        "schema": 1, "title": "sure", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"treatment": {}},
        "truths": {"true": {"response": {"treatment": {"rate": 0.5}}}}, "designs": {"design": design},
    }  # fmt: skip
    scenario = Scenario.of(Document(document, "sure"))
    expected = (binom.sf if comparison == "at_least" else binom.cdf)(needed - 1, 30, 0.5)
    assert exact(scenario).rows[0].get("probability_of_harm").estimate == pytest.approx(expected, rel=1e-12)
    played = run(scenario, replicates=20_000, seed=3).rows[0].get("probability_of_harm")
    assert_share("sure of success", round(played.estimate * 20_000), 20_000, expected)


# Rules that may be overruled, more than once.


def test_success_when_futility_is_overruled_at_every_look():
    # Futility at 0 of 4, 1 of 8 or 2 of 12, which may be overruled; success at 5 of 16.
    design = {
        "kind": "single_arm", "endpoint": "response", "null_rate": 0.2, "max_patients": 16,
        "looks": {"evaluable": [4, 8, 12, 16]}, "analysis": {"kind": "exact_binomial", "null_rate": 0.2},
        "rules": [
            {
                "stop_for": "futility", "at": "interim", "binding": False,
                "when": {"number_of": "responses", "at_most": [0, 1, 2]},
            },
            {"stop_for": "efficacy", "at": "final", "when": {"number_of": "responses", "at_least": 5}},
        ],
    }  # fmt: skip
    document = {
        "schema": 1, "title": "overruled", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"treatment": {}},
        "truths": {"true": {"response": {"treatment": {"rate": 0.3}}}}, "designs": {"design": design},
    }  # fmt: skip
    scenario = Scenario.of(Document(document, "overruled"))
    name, expected = "success_ignoring_non_binding_rules", binom.sf(4, 16, 0.3)
    assert exact(scenario).rows[0].get(name).estimate == pytest.approx(expected, rel=1e-12)
    played = run(scenario, replicates=20_000, seed=3).rows[0].get(name)
    assert_share(name, round(played.estimate * 20_000), 20_000, expected)


# What the catalogue does not have.

POSTERIOR = {"kind": "beta_binomial", "prior": {"alpha": 0.5, "beta": 0.7}}
MIXTURE = [{"weight": 0.6, "alpha": 4, "beta": 9}, {"weight": 0.4, "alpha": 1, "beta": 1}]
FUTILE = {"predictive_probability_of": "success", "is_below": 0.1}


def probability(quantity, **words):
    return {"probability_that": quantity} | words


def two_arm(endpoint, looks, analysis, rules, **words):
    design = {"kind": "two_arm", "endpoint": endpoint, "max_patients": 40, "looks": looks, "analysis": analysis}
    return design | {"rules": rules} | words


def one_arm(endpoint, looks, analysis, rules, **words):
    design = {"kind": "single_arm", "arm": "new", "endpoint": endpoint, "null_rate": 0.3, "max_patients": 30}
    return design | {"looks": looks, "analysis": analysis, "rules": rules} | words


MANY_WAYS = {
    "mixture, ratio, harm": two_arm(
        "response",
        {"evaluable": [12, 25, 40]},
        POSTERIOR | {"effect": "ratio", "priors": {"control": MIXTURE}},
        [
            {"stop_for": "harm", "when": probability("ratio", below=0.9, exceeds=0.9), "from_patients": 20},
            {"stop_for": "efficacy", "when": probability("ratio", above=1.1, exceeds=[0.97, 0.95, 0.9])},
            {"stop_for": "futility", "at": "interim", "binding": False, "when": FUTILE},
        ],
        allocation={"ratio": {"control": 1, "new": 2}, "block": 6},
    ),
    "odds ratio, simple 2:3": two_arm(
        "prompt",
        {"evaluable": {"from": 8, "every": 8, "to": 40}},
        POSTERIOR | {"effect": "odds_ratio"},
        [
            {
                "stop_for": "efficacy",
                "when": [
                    probability("odds_ratio", above=1, exceeds=0.95),
                    {"estimate_of": "effect", "at_least": 0.5},
                    probability("rate", arm="new", above=0.3, at_least=0.6),
                ],
            },
            {"stop_for": "futility", "at": [1, 3], "when": probability("rate", arm="control", above=0.5, exceeds=0.5)},
        ],
        allocation={"method": "simple", "ratio": {"control": 2, "new": 3}},
    ),
    "a cut-off that rises, an order": two_arm(
        "response",
        {"evaluable": [10, 20, 30, 38]},
        POSTERIOR,
        [
            {
                "stop_for": "futility",
                "when": probability("difference", above=0.05, is_below={"lambda": 0.8, "gamma": 1.2}),
            },
            {"stop_for": "efficacy", "at": "final", "when": probability("difference", above=0.05, at_least=0.8)},
        ],
        allocation={"method": "fixed_order", "order": ["new", "control", "new"]},
        months_to_decide=0.7,
    ),
    "spending, lower is better, pauses": two_arm(
        "toxicity",
        {"evaluable": [16, 28, 40]},
        {"kind": "difference_of_proportions"},
        [
            {"stop_for": "efficacy", "spending": "lan_demets_pocock", "alpha": 0.05},
            {"stop_for": "futility", "spending": "kim_demets", "rho": 2, "beta": 0.2, "binding": False},
            {"stop_for": "harm", "when": {"statistic": "z", "at_most": -1.5}},
        ],
        allocation={"block": 8},
        accrual_at_looks="pauses",
        months_to_decide=0.3,
    ),
    "binding futility, survival at six months": two_arm(
        "os6",
        {"evaluable": [20, 40]},
        {"kind": "difference_of_proportions"},
        [
            {"stop_for": "efficacy", "spending": "hwang_shih_decani", "gamma": -2, "alpha": 0.05},
            {"stop_for": "futility", "spending": "hwang_shih_decani", "gamma": -1, "beta": 0.2},
        ],
        max_patients=48,
    ),
    "a margin, unpooled, looks by patients": two_arm(
        "prompt",
        {"patients": [18, 40]},
        {"kind": "difference_of_proportions", "pooled": False, "margin": -0.1},
        [
            {"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": [2.5, 1.7]}},
            {"stop_for": "futility", "at": "interim", "when": {"p_value": "two_sided", "exceeds": 0.91}},
        ],
        allocation={"block": 4},
    ),
    "Fisher, futility by another analysis": two_arm(
        "response",
        {"evaluable": [20, 40]},
        {"kind": "fisher_exact"},
        [
            {"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": [0.01, 0.045]}},
            {"stop_for": "futility", "at": "interim", "analysis": POSTERIOR, "when": FUTILE},
        ],
        allocation={"block": 2},
    ),
    "accrual that is stopped": two_arm(
        "prompt",
        {"patients": [16, 24], "final": {"follow_up_months": 2}},
        POSTERIOR,
        [
            {
                "stop_accrual_for": "efficacy",
                "when": {"predictive_probability_of": "success", "at": "present", "exceeds": 0.9},
            },
            {"stop_accrual_for": "futility", "when": FUTILE},
            {"stop_for": "efficacy", "at": "final", "when": probability("difference", above=0, exceeds=0.95)},
        ],
        allocation={"block": 2},
    ),
    "an estimate": two_arm(
        "response",
        {"evaluable": [20, 40]},
        {"kind": "difference_of_proportions"},
        [
            {"stop_for": "efficacy", "when": {"estimate_of": "effect", "at_least": [0.29, 0.19]}},
            {"stop_for": "futility", "at": "interim", "when": {"estimate_of": "effect", "at_most": 0.01}},
        ],
    ),
    "one arm, mixture": one_arm(
        "response",
        {"evaluable": {"from": 6, "every": 4, "to": 30}},
        {"kind": "beta_binomial", "prior": MIXTURE},
        [
            {"stop_for": "efficacy", "when": probability("rate", above=0.3, exceeds=0.95)},
            {"stop_for": "futility", "binding": False, "at": "interim", "when": FUTILE},
        ],
        max_patients=34,
    ),
    "one arm, lower is better": one_arm(
        "toxicity",
        {"evaluable": [10, 20, 30]},
        {"kind": "exact_binomial", "null_rate": 0.4},
        [
            {"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": [0.01, 0.03, 0.1]}},
            {"stop_for": "harm", "when": {"number_of": "responses", "at_least": [7, 12, 15]}},
        ],
        null_rate=0.4,
        accrual_at_looks="pauses",
    ),
    "BOP2, survival at six months": {
        "kind": "bop2", "arm": "new", "endpoint": "os6", "null_rate": 0.4, "prior": {"alpha": 0.4, "beta": 0.6},
        "max_patients": 30, "looks": [8, 16], "lambda": 0.9, "gamma": 0.5,
    },
}  # fmt: skip


def many_ways(design):
    """Return a scenario with a ramp, a step of the accrual, strata, deaths and drop-outs."""
    rate = {"control": {"rate": 0.3}}
    document = {
        "schema": 1,
        "title": "many ways",
        "population": {
            "accrual": {
                "patients_per_month": [{"from_month": 0, "rate": 1.0}, {"from_month": 9, "rate": 4.0}],
                "ramp_up_months": 4,
            },
            "strata": {"a": 0.3, "b": 0.7},
        },
        "endpoints": {
            "response": {"kind": "binary", "assessed_after_months": 1.5, "drop_out_before_assessment": "failure"},
            "prompt": {"kind": "binary"},
            "toxicity": {
                "kind": "binary", "better": "lower", "assessed_after_months": 0.5,
                "death_before_assessment": "failure", "drop_out_before_assessment": "failure",
            },
            "os6": {"kind": "survival_at_month", "month": 6, "drop_out_before_assessment": "failure"},
        },
        "arms": {"control": {"control": True}, "new": {}},
        "truths": {
            "lossy": {
                "response": {
                    "control": {"by_stratum": {"a": {"rate": 0.1}, "b": {"rate": 0.4}}}, "new": {"odds_ratio": 2.5}
                },
                "prompt": rate | {"new": {"rate": 0.5}},
                "toxicity": {"control": {"rate": 0.4}, "new": {"risk_ratio": 0.5}},
                "os6": {"control": {"median_months": 5, "shape": 0.7}, "new": {"hazard_ratio": 0.5}},
                "death": {"control": {"median_months": 6}, "new": {"hazard_ratio": 1.5}},
                "drop_out": {"per_month": 0.03},
            },
            "none": {
                "response": rate | {"new": {"same_as": "control"}},
                "prompt": rate | {"new": {"same_as": "control"}},
                "toxicity": rate | {"new": {"same_as": "control"}},
                "os6": {"control": {"survival": 0.4, "at_month": 6}, "new": {"same_as": "control"}},
            },
        },
        "designs": {"design": design},
    }  # fmt: skip
    return Scenario.of(Document(document, "many ways"))


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY_WAYS)
def test_what_the_catalogue_does_not_have_agrees(name):
    seed = secrets.randbits(62)
    print(f"seed {seed}")
    compare(many_ways(MANY_WAYS[name]), "design", 200_000, seed)
