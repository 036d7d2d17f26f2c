"""Single-arm designs, as the YAML says them, against published tables and other programs.

What is printed is given as text, and met to its digits. The Monte Carlo numbers of the same designs agree with the
exact ones within five standard errors.
"""

import math

import numpy as np
import pytest
from scipy.stats import beta, betabinom, binom
from test_exact_against_simulation import CATALOGUE, compare

from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.replay import replay
from lmd_trialsim.scenario import Scenario


def scenario_of(design, rates):
    """Return the scenario of one design of one arm, under truths p0, p1, ... of these rates."""
    document = {
        "schema": 1, "title": "single arm", "population": {"accrual": {"patients_per_month": 3}},
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"drug": {}},
        "truths": {f"p{i}": {"response": {"drug": {"rate": rate}}} for i, rate in enumerate(rates)},
        "designs": {"design": {"endpoint": "response"} | design},
    }  # fmt: skip
    return Scenario.of(Document(document, "single arm"))


def exactly(design, rates):
    """Return the exact row of each rate."""
    return exact(scenario_of(design, rates)).rows


def assert_printed(value, printed, what="", cut=False):
    """Insist that a number is what is printed: rounded to its digits, or cut after them."""
    last = 10.0 ** -len(printed.partition(".")[2])
    middle = float(printed) + 0.5 * last if cut else float(printed)
    assert abs(value - middle) <= 0.5 * last + 1e-12, f"{what}: {value:.8f}, printed {printed}"


def value(row, name):
    """Return a number of the row; what the design cannot do has probability 0 and is not listed."""
    found = row.get(name)
    assert found or "_at_look_" in name, name
    return found.estimate if found else 0.0


def stopped_early(row, word="stopped"):
    """Return the probability to stop before the last look."""
    looks = sum(c.name.startswith("stopped_at_look") for c in row.characteristics)
    return sum(value(row, f"{word}_at_look_{look}") for look in range(1, looks))


def walk(numbers, futility, efficacy, rate):
    """Return P(futility) and P(success) by look, by counting responses; at most the one, at least the other, stops."""
    alive = {0: 1.0}
    before, found = 0, []
    for n, low, high in zip(numbers, futility, efficacy, strict=True):
        reached = {}
        for x, chance in alive.items():
            for more, step in enumerate(binom.pmf(range(n - before + 1), n - before, rate)):
                reached[x + more] = reached.get(x + more, 0.0) + chance * step
        found.append(
            (
                math.fsum(p for x, p in reached.items() if x <= low),
                math.fsum(p for x, p in reached.items() if x >= high),
            )
        )
        alive = {x: p for x, p in reached.items() if low < x < high}
        before = n
    return found


def assert_bounds(design, numbers, futility, efficacy, rates=(0.03, 0.2, 0.4, 0.6, 0.9)):
    """Insist that a design stops at these numbers of responses: any other number would show in some probability."""
    for row, rate in zip(exactly(design, rates), rates, strict=True):
        for look, (futile, success) in enumerate(walk(numbers, futility, efficacy, rate), 1):
            assert value(row, f"futility_at_look_{look}") == pytest.approx(futile, rel=1e-9, abs=1e-15)
            assert value(row, f"success_at_look_{look}") == pytest.approx(success, rel=1e-9, abs=1e-15)


NEVER = -1  # no number of responses is at most this
ALWAYS_MORE = 10**6  # none is at least this


# Simon's two-stage designs.

SIMON = [
    # clinfun 1.1.5 ph2simon(p0, p1, alpha, beta), and an independent enumeration
    ((0.1, 0.3, 0.05, 0.2), "optimal", (1, 10, 5, 29), (".7361", "15.014", "26.163", ".047086", ".805063")),
    ((0.1, 0.3, 0.05, 0.2), "minimax", (1, 15, 5, 25), (".5490", "19.510", "24.647", ".032809", ".801701")),
    ((0.05, 0.25, 0.1, 0.1), "optimal", (0, 9, 2, 24), (".6302", "14.546", "22.874", ".093129", ".902841")),
    ((0.05, 0.25, 0.1, 0.1), "minimax", (0, 13, 2, 20), (".5133", "16.407", "19.834", ".073555", ".902953")),
]


def searched(rates_and_errors, criterion):
    null, target, alpha, beta_error = rates_and_errors
    search = {"target_rate": target, "alpha": alpha, "beta": beta_error, "criterion": criterion}
    return {"kind": "simon_two_stage", "null_rate": null} | search


def given(null, r1, n1, r, n):
    stages = [{"patients": n1, "stop_if_at_most": r1}, {"patients": n, "stop_if_at_most": r}]
    return {"kind": "simon_two_stage", "null_rate": null, "stages": stages}


@pytest.mark.parametrize("way", ["searched", "given"])
@pytest.mark.parametrize(("rates_and_errors", "criterion", "bounds", "printed"), SIMON)
def test_simons_designs(rates_and_errors, criterion, bounds, printed, way):
    null, target, *_ = rates_and_errors
    design = searched(rates_and_errors, criterion) if way == "searched" else given(null, *bounds)
    r1, n1, r, n = bounds
    assert_bounds(design, [n1, n], [r1, r], [ALWAYS_MORE, r + 1])
    at_null, at_target = exactly(design, (null, target))
    found = (
        value(at_null, "stopped_at_look_1"),
        value(at_null, "expected_patients"),
        value(at_target, "expected_patients"),
        value(at_null, "type_i_error"),
        value(at_target, "power"),
    )
    for number, text, what in zip(found, printed, ("PET", "EN(p0)", "EN(p1)", "type I", "power"), strict=True):
        assert_printed(number, text, what)


def every_two_stage_design(null, target, alpha, beta_error, largest):
    """Yield (EN(p0), n, n1, r1, r) of the designs that keep both errors, by brute force over all of them."""
    for n in range(2, largest + 1):
        for n1 in range(1, n):
            x = np.arange(n1 + 1)
            more = np.arange(n)[:, None] - x  # (r, x): more responses than these are needed
            reject = []
            for rate in (null, target):
                chance = binom.pmf(x, n1, rate) * binom.sf(more, n - n1, rate)
                reject.append(np.cumsum(chance[:, ::-1], axis=1)[:, ::-1][:, 1:].T)  # (r1, r)
            kept = (reject[0] <= alpha) & (reject[1] >= 1.0 - beta_error)
            for r1, r in np.argwhere(kept):
                if r1 <= r:
                    yield n1 + binom.sf(r1, n1, null) * (n - n1), n, n1, r1, r


@pytest.mark.parametrize(
    ("rates_and_errors", "largest"), [((0.1, 0.3, 0.05, 0.2), 34), ((0.18, 0.43, 0.09, 0.15), 30)], ids=str
)
def test_no_other_design_is_better(rates_and_errors, largest):
    designs = list(every_two_stage_design(*rates_and_errors, largest))
    assert designs
    for criterion, best in (("optimal", min(designs)), ("minimax", min(designs, key=lambda d: (d[1], d[0])))):
        expected, n, n1, r1, r = best
        assert_bounds(searched(rates_and_errors, criterion), [n1, n], [r1, r], [ALWAYS_MORE, r + 1])
        row = exactly(searched(rates_and_errors, criterion), rates_and_errors[:1])[0]
        assert value(row, "expected_patients") == pytest.approx(expected, rel=1e-12)


# Simon (1989), table 1 (p1 - p0 = .20), with alpha, beta = .10, .10; .05, .20; .05, .10 in turn: r1/n1, r/n, EN(p0) of
# the optimal design, then of the minimax one
TABLE_1 = {
    (0.05, 0.25): [
        ((0, 9), (2, 24), "14.5", (0, 13), (2, 20), "16.4"),
        ((0, 9), (2, 17), "12.0", (0, 12), (2, 16), "13.8"),
        ((0, 9), (3, 30), "16.8", (0, 15), (3, 25), "20.4"),
    ],
    (0.10, 0.30): [
        ((1, 12), (5, 35), "19.8", (1, 16), (4, 25), "20.4"),
        ((1, 10), (5, 29), "15.0", (1, 15), (5, 25), "19.5"),
        ((2, 18), (6, 35), "22.5", (2, 22), (6, 33), "26.2"),
    ],
    (0.20, 0.40): [
        ((3, 17), (10, 37), "26.0", (3, 19), (10, 36), "28.3"),
        ((3, 13), (12, 43), "20.6", (4, 18), (10, 33), "22.3"),
        ((4, 19), (15, 54), "30.4", (5, 24), (13, 45), "31.2"),
    ],
    (0.30, 0.50): [
        ((7, 22), (17, 46), "29.9", (7, 28), (15, 39), "35.0"),
        ((5, 15), (18, 46), "23.6", (6, 19), (16, 39), "25.7"),
        ((8, 24), (24, 63), "34.7", (7, 24), (21, 53), "36.6"),
    ],
    (0.40, 0.60): [
        ((7, 18), (22, 46), "30.2", (11, 28), (20, 41), "33.8"),
        ((7, 16), (23, 46), "24.5", (17, 34), (20, 39), "34.4"),
        ((11, 25), (32, 66), "36.0", (12, 29), (27, 54), "38.1"),
    ],
}
ERRORS = [(0.1, 0.1), (0.05, 0.2), (0.05, 0.1)]


@pytest.mark.parametrize("rates", TABLE_1, ids=str)
def test_simons_table_1(rates):
    for errors, line in zip(ERRORS, TABLE_1[rates], strict=True):
        for criterion, (first, second, expected) in (("optimal", line[:3]), ("minimax", line[3:])):
            (r1, n1), (r, n) = first, second
            design = searched((*rates, *errors), criterion)
            assert_bounds(design, [n1, n], [r1, r], [ALWAYS_MORE, r + 1], rates)
            row = exactly(design, rates[:1])[0]
            assert_printed(value(row, "expected_patients"), expected, f"{errors} {criterion}: EN")


def test_optimal_and_minimax_may_coincide():
    for criterion in ("optimal", "minimax"):
        assert_bounds(searched((0.1, 0.3, 0.1, 0.2), criterion), [7, 18], [0, 3], [ALWAYS_MORE, 4])


def test_the_pembrolizumab_trial():
    # S3 and C20 of the evidence: .18 v .43, go on with 2 of 10 alive at three months, succeed with 6 of 18
    at_null, at_target = exactly(given(0.18, 1, 10, 5, 18), (0.18, 0.43))
    assert_printed(value(at_null, "stopped_at_look_1"), ".44")
    assert_printed(value(at_null, "type_i_error"), ".087")
    assert_printed(value(at_target, "power"), ".85")
    published = Scenario.load(CATALOGUE / "pembrolizumab_single_arm.yaml")
    rows = {row.truth: row for row in exact(published, ["simon_published"], ["null", "target"]).rows}
    assert_printed(value(rows["null"], "type_i_error"), ".087")
    assert_printed(value(rows["target"], "power"), ".85")


# One stage.


def single_stage(null, target, alpha, beta_error, method="exact"):
    search = {"target_rate": target, "alpha": alpha, "beta": beta_error, "method": method}
    return {"kind": "single_stage", "null_rate": null} | search


# A'Hern (2001), table 1, alpha .05: least responses / n for power .8, then .9
@pytest.mark.parametrize(
    ("rates", "bounds"),
    [
        ((0.05, 0.20), ((4, 27), (5, 38))),
        ((0.10, 0.30), ((6, 25), (7, 33))),
        ((0.20, 0.40), ((12, 35), (15, 47))),
        ((0.30, 0.50), ((17, 39), (22, 53))),
    ],
    ids=str,
)
def test_aherns_table(rates, bounds):
    for beta_error, (least, n) in zip((0.2, 0.1), bounds, strict=True):
        assert_bounds(single_stage(*rates, 0.05, beta_error), [n], [NEVER], [least])


def test_one_stage_with_its_errors():
    # gsDesign's reference page of nBinomial1Sample(p0 = .05, p1 = .2, alpha = .025, beta = .2, n = 25:40): 33, with
    # b = 5, alphaR .023026479, Power .8178743; with n = 39: b = 6, alphaR .012304191, Power .8199868
    assert_bounds(single_stage(0.05, 0.2, 0.025, 0.2), [33], [NEVER], [5])
    for n, least, error, power in ((33, 5, ".023026479", ".8178743"), (39, 6, ".012304191", ".8199868")):
        one_look = {"kind": "single_stage", "null_rate": 0.05, "patients": n, "success_if_at_least": least}
        at_null, at_target = exactly(one_look, (0.05, 0.2))
        assert_printed(value(at_null, "type_i_error"), error)
        assert_printed(value(at_target, "power"), power)
    # Khan, Sarker and Hackshaw (2012), abstract: .1 v .2, alpha .05, power .8: n = 78, alpha 4.53 %, power 80.81 %
    # (cut); with 65 patients 5.67 % and 77.7 %
    for design, n, error, power in (
        (single_stage(0.1, 0.2, 0.05, 0.2), 78, ".0453", ".8081"),
        ({"kind": "single_stage", "null_rate": 0.1, "patients": 65, "success_if_at_least": 11}, 65, ".0567", ".777"),
    ):
        at_null, at_target = exactly(design, (0.1, 0.2))
        assert value(at_null, "expected_patients") == pytest.approx(n)
        assert_printed(value(at_null, "type_i_error"), error)
        assert_printed(value(at_target, "power"), power, cut=True)


# Predictive probability.

PREDICTIVE = {
    "kind": "predictive_monitoring", "null_rate": 0.2, "prior": {"alpha": 0.2, "beta": 0.8}, "max_patients": 36,
    "looks": {"from": 10, "every": 1, "to": 36}, "theta_l": 0.001, "theta_u": 1, "theta_t": 0.9,
}  # fmt: skip
SUCCESS = {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.2, "exceeds": 0.9}}
PREDICTIVE_IN_GENERAL = {
    "kind": "single_arm", "null_rate": 0.2, "max_patients": 36,
    "looks": {"evaluable": {"from": 10, "every": 1, "to": 36}},
    "analysis": {"kind": "beta_binomial", "prior": {"alpha": 0.2, "beta": 0.8}},
    "rules": [
        {"stop_for": "futility", "at": "interim", "when": {"predictive_probability_of": "success", "is_below": 0.001}},
        {"stop_for": "efficacy", "at": "interim", "when": {"predictive_probability_of": "success", "exceeds": 1}},
        SUCCESS,
    ],
}  # fmt: skip
# Lee and Liu (2008), section 3: stop with at most so many responses among the first n
LEE_AND_LIU = dict.fromkeys(range(10, 17), 0) | dict.fromkeys(range(17, 21), 1) | dict.fromkeys(range(21, 24), 2)
LEE_AND_LIU |= dict.fromkeys(range(24, 27), 3) | dict.fromkeys((27, 28), 4) | dict.fromkeys((29, 30), 5)
LEE_AND_LIU |= {31: 6, 32: 6, 33: 7, 34: 8, 35: 9}


@pytest.mark.parametrize("design", [PREDICTIVE, PREDICTIVE_IN_GENERAL], ids=["named", "general"])
def test_lee_and_lius_design(design):
    assert_bounds(design, [*LEE_AND_LIU, 36], [*LEE_AND_LIU.values(), NEVER], [ALWAYS_MORE] * 26 + [11])
    at_null, at_target = exactly(design, (0.2, 0.4))
    assert_printed(value(at_null, "type_i_error"), ".0878")
    assert_printed(value(at_target, "power"), ".9062")
    assert_printed(stopped_early(at_null), ".8571")
    assert_printed(value(at_null, "expected_patients"), "27.668")
    assert_printed(value(at_target, "expected_patients"), "35.654")


@pytest.mark.parametrize("theta_t", [0.852, 0.88, 0.922])
def test_eleven_responses_are_needed_for_any_theta_t_in_between(theta_t):
    only_the_last = PREDICTIVE | {"looks": [36], "theta_t": theta_t}
    assert_bounds(only_the_last, [36], [NEVER], [11])


SIXTEEN_OF_23 = {
    "kind": "single_arm", "null_rate": 0.6, "max_patients": 40, "looks": {"evaluable": [23, 40]},
    "analysis": {"kind": "beta_binomial", "prior": {"alpha": 0.6, "beta": 0.4}},
}  # fmt: skip


def success_at_forty(interim):
    final = {"stop_for": "efficacy", "at": "final", "when": {"probability_that": "rate", "above": 0.6, "exceeds": 0.9}}
    return SIXTEEN_OF_23 | {"rules": [*interim, final]}


def test_lee_and_lius_predictive_probability_as_traced():
    # Lee and Liu (2008), table 1: Beta(.6, .4), 16 of 23, 40 at most, p0 .6, theta_T .9
    rules = [
        {"stop_for": "futility", "at": "interim", "when": {"predictive_probability_of": "success", "is_below": 1e-9}},
        {
            "stop_for": "efficacy",
            "at": "interim",
            "when": {"probability_that": "rate", "above": 0.6, "exceeds": 0.99999},
        },
    ]
    scenario = scenario_of(success_at_forty(rules), (0.7,))
    looks = (replay(scenario, "design", "p0", 11, replicate).looks[0] for replicate in range(200))
    look = next(look for look in looks if look.by_arm[0].hits == 16)
    predictive, posterior = (judged.answers[0].value for judged in look.rules[:2])
    assert_printed(predictive, ".565559")
    assert_printed(posterior, ".8359", cut=True)


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [
        ({"predictive_probability_of": "success"}, 0.5655585, 0.5655595),
        ({"probability_that": "rate", "above": 0.6}, 0.8359, 0.836),
    ],
)
def test_lee_and_lius_predictive_probability_as_bracketed(number, low, high):
    # The rule speaks of 16 responses if the threshold is above the number, and of 15 only if it is below.
    for threshold, bound in ((low, 15), (high, 16)):
        rule = {"stop_for": "futility", "at": "interim", "when": number | {"is_below": threshold}}
        row = exactly(success_at_forty([rule]), (0.7,))[0]
        assert value(row, "futility_at_look_1") == pytest.approx(binom.cdf(bound, 23, 0.7), rel=1e-12)


@pytest.mark.parametrize(("theta_l", "theta_u", "theta_t"), [(0.05, 0.95, 0.9), (0.1, 0.8, 0.95), (0.0, 0.99, 0.85)])
def test_predictive_monitoring_as_summed_here(theta_l, theta_u, theta_t):
    a, b, null, looks, most = 0.6, 1.4, 0.3, (8, 13, 21, 30), 30
    design = PREDICTIVE | {
        "null_rate": null, "prior": {"alpha": a, "beta": b}, "max_patients": most, "looks": list(looks),
        "theta_l": theta_l, "theta_u": theta_u, "theta_t": theta_t,
    }  # fmt: skip
    needed = min(x for x in range(most + 1) if beta.sf(null, a + x, b + most - x) > theta_t)
    futility, efficacy = [], []
    for n in looks[:-1]:
        chance = [betabinom.sf(needed - x - 1, most - n, a + x, b + n - x) for x in range(n + 1)]
        futility.append(max((x for x in range(n + 1) if chance[x] < theta_l), default=NEVER))
        efficacy.append(min((x for x in range(n + 1) if chance[x] > theta_u), default=ALWAYS_MORE))
    assert_bounds(design, looks, [*futility, NEVER], [*efficacy, needed])


# BOP2.

BOP2 = {
    "kind": "bop2", "null_rate": 0.2, "prior": {"alpha": 0.2, "beta": 0.8}, "max_patients": 40,
    "looks": {"from": 10, "every": 5, "to": 40}, "lambda": 0.84, "gamma": 0.64,
}  # fmt: skip
BOP2_IN_GENERAL = {
    "kind": "single_arm", "null_rate": 0.2, "max_patients": 40,
    "looks": {"evaluable": {"from": 10, "every": 5, "to": 40}},
    "analysis": {"kind": "beta_binomial", "prior": {"alpha": 0.2, "beta": 0.8}},
    "rules": [
        {
            "stop_for": "futility",
            "when": {"probability_that": "rate", "above": 0.2, "is_below": {"lambda": 0.84, "gamma": 0.64}},
        },
        {"stop_for": "efficacy", "at": "final", "when": {"number_of": "responses", "at_least": 0}},
    ],
}  # fmt: skip
BOP2_LOOKS, BOP2_BOUNDS = range(10, 41, 5), [1, 2, 4, 5, 7, 9, 10]


@pytest.mark.parametrize("design", [BOP2, BOP2_IN_GENERAL], ids=["named", "general"])
def test_bop2(design):
    # Zhou, Lee and Yuan (2017): lambda .84, gamma .64; independent enumeration
    assert_bounds(design, BOP2_LOOKS, BOP2_BOUNDS, [ALWAYS_MORE] * 6 + [11])
    at_null, at_target = exactly(design, (0.2, 0.4))
    assert_printed(value(at_null, "type_i_error"), ".0974")
    assert_printed(value(at_target, "power"), ".8815")
    assert_printed(value(at_null, "expected_patients"), "20.293")
    assert_printed(stopped_early(at_null), ".8868")


def test_bop2s_bounds_as_traced():
    seen = {n: {True: set(), False: set()} for n in BOP2_LOOKS}
    scenario = scenario_of(BOP2, (0.2, 0.3))
    for truth in scenario.truths:
        for replicate in range(60):
            for look in replay(scenario, "design", truth, 5, replicate).looks:
                assert look.rules[0].answers[0].threshold == pytest.approx(0.84 * (look.evaluable / 40) ** 0.64)
                seen[look.evaluable][look.spoke == 1].add(look.by_arm[0].hits)
    for n, bound in zip(BOP2_LOOKS, BOP2_BOUNDS, strict=True):
        assert max(seen[n][True], default=bound) <= bound < min(seen[n][False])


def test_bop2_with_efficacy_stopping():
    design = BOP2_IN_GENERAL | {
        "rules": [
            {"stop_for": "futility", "when": {"number_of": "responses", "at_most": [1, 2, 3, 5, 7, 9, 11]}},
            {"stop_for": "efficacy", "when": {"number_of": "responses", "at_least": [6, 8, 9, 10, 10, 11, 12]}},
        ]
    }
    printed = ((".8798", ".0805", "20.270", ".0909"), (".1055", ".8639", "22.294", ".8842"))
    for row, (futile, early, patients, success) in zip(exactly(design, (0.2, 0.4)), printed, strict=True):
        assert_printed(stopped_early(row, "futility"), futile)
        assert_printed(stopped_early(row, "success"), early)
        assert_printed(value(row, "expected_patients"), patients)
        assert_printed(value(row, "probability_of_success"), success)


# Others.


@pytest.mark.parametrize("prior", [(0.4, 1.6), (1, 1)])
def test_posterior_monitoring_as_computed_here(prior):
    # Thall and Simon (1994), with a standard that is known
    (a, b), looks = prior, (7, 12, 20, 31)
    design = {
        "kind": "posterior_monitoring", "null_rate": 0.2, "prior": {"alpha": a, "beta": b}, "max_patients": 31,
        "looks": list(looks), "futility_below": 0.1, "futility_rate": 0.35, "efficacy_above": 0.98,
        "success_above": 0.95, "from_patients": 10,
    }  # fmt: skip
    futility, efficacy = [NEVER], [ALWAYS_MORE]
    for n in looks[1:-1]:
        x = np.arange(n + 1)
        futility.append(x[beta.sf(0.35, a + x, b + n - x) < 0.1].max(initial=NEVER))
        efficacy.append(x[beta.sf(0.2, a + x, b + n - x) > 0.98].min(initial=ALWAYS_MORE))
    x = np.arange(32)
    least = x[beta.sf(0.2, a + x, b + 31 - x) > 0.95].min()
    assert_bounds(design, looks, [*futility, NEVER], [*efficacy, least])


# gsDesign's reference page of gsBinomialExact(k = 3, theta = seq(.1, .9, .1), n.I = c(12, 24, 36), a = c(-1, 0, 11),
# b = c(5, 9, 12)): theta, upper at each analysis, E{N}, lower at the second and third
GS_BINOMIAL_EXACT = """
    0.1 0.0043 0.0002 0.0001 34.9 0.0798 0.9157
    0.2 0.0726 0.0155 0.0168 34.0 0.0047 0.8905
    0.3 0.2763 0.0993 0.1164 28.2 0.0002 0.5077
    0.4 0.5618 0.1782 0.1362 20.4 0.0000 0.1238
    0.5 0.8062 0.1372 0.0463 15.0 0.0000 0.0104
    0.6 0.9427 0.0519 0.0052 12.8 0.0000 0.0002
    0.7 0.9905 0.0093 0.0002 12.1 0.0000 0.0000
    0.8 0.9994 0.0006 0.0000 12.0 0.0000 0.0000
    0.9 1.0000 0.0000 0.0000 12.0 0.0000 0.0000
"""


def test_gsdesigns_exact_binomial_design():
    design = {
        "kind": "single_arm", "null_rate": 0.2, "max_patients": 36, "looks": {"evaluable": [12, 24, 36]},
        "analysis": {"kind": "exact_binomial", "null_rate": 0.2},
        "rules": [
            {"stop_for": "efficacy", "when": {"number_of": "responses", "at_least": [5, 9, 12]}},
            {"stop_for": "futility", "at": [2, 3], "when": {"number_of": "responses", "at_most": [0, 11]}},
        ],
    }  # fmt: skip
    lines = [line.split() for line in GS_BINOMIAL_EXACT.strip().splitlines()]
    for row, (rate, *printed) in zip(exactly(design, [float(line[0]) for line in lines]), lines, strict=True):
        names = [f"success_at_look_{k}" for k in (1, 2, 3)] + ["expected_patients"]
        for name, text in zip([*names, "futility_at_look_2", "futility_at_look_3"], printed, strict=True):
            assert_printed(value(row, name), text, f"{name} at {rate}")


def test_rpacts_exact_group_sequential_test_of_one_rate():
    # rpact 3.3.4, getSimulationRates(getDesignGroupSequential(kMax = 3, alpha = .05, typeOfDesign = "asP"), groups = 1,
    # thetaH0 = .2, pi1 = .4, plannedSubjects = c(15, 30, 45), normalApproximation = FALSE, maxNumberOfIterations = 1e6,
    # seed = 25). Exact binomial p-values against the levels of the stages: .0226416213 .0230871317 .0238346775
    levels = [0.0226416213, 0.0230871317, 0.0238346775]
    design = {
        "kind": "single_arm", "null_rate": 0.2, "max_patients": 45, "looks": {"evaluable": [15, 30, 45]},
        "analysis": {"kind": "exact_binomial", "null_rate": 0.2},
        "rules": [{"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": levels}}],
    }  # fmt: skip
    row = exactly(design, (0.4,))[0]
    for look, theirs in enumerate((0.390669, 0.229577, 0.189037), 1):
        error = math.sqrt(theirs * (1.0 - theirs) / 1e6)
        assert abs(value(row, f"success_at_look_{look}") - theirs) < 5.0 * error


# The same designs as simulated.


@pytest.mark.parametrize(
    ("design", "rates"),
    [
        (searched(SIMON[0][0], "optimal"), (0.1, 0.3)),
        (searched(SIMON[3][0], "minimax"), (0.05, 0.25)),
        (given(0.18, 1, 10, 5, 18), (0.18, 0.43)),
        (PREDICTIVE, (0.2, 0.4)),
        (PREDICTIVE_IN_GENERAL, (0.2, 0.4, 0.9)),
        (BOP2, (0.2, 0.4)),
        (BOP2_IN_GENERAL, (0.2, 0.4)),
    ],
    ids=[
        "Simon optimal",
        "Simon minimax",
        "pembrolizumab",
        "Lee and Liu",
        "Lee and Liu in general",
        "BOP2",
        "BOP2 too",
    ],
)
def test_simulation_agrees(design, rates):
    compare(scenario_of(design, rates), "design", 40_000, seed=1989)


def test_early_verdicts_are_tried_by_p_values_and_not_by_counts():
    """A bound on the responses of 30 says nothing of the 10 of an early success; the same bound as a p-value does."""
    looks = {
        "kind": "single_arm", "max_patients": 30, "looks": {"evaluable": [10, 30]}, "null_rate": 0.2,
        "analysis": {"kind": "exact_binomial", "null_rate": 0.2},
    }  # fmt: skip
    early = {"stop_for": "efficacy", "at": [1], "when": {"number_of": "responses", "at_least": 5}}
    counted = {"stop_for": "efficacy", "at": "final", "when": {"number_of": "responses", "at_least": 10}}
    level = float(binom.sf(9, 30, 0.2))
    tested = {"stop_for": "efficacy", "at": "final", "when": {"p_value": "one_sided", "at_most": level}}
    name = "early_success_contradicted"
    (by_count,) = exactly(looks | {"rules": [early, counted]}, [0.6])
    (by_p_value,) = exactly(looks | {"rules": [early, tested]}, [0.6])
    assert by_count.get(name) is None
    assert by_p_value.get("early_futility_contradicted") is None  # no rule for it
    (late,) = exactly(looks | {"rules": [tested]}, [0.6])
    assert late.get(name) is None  # no early success
    futile = {"stop_for": "futility", "at": "final", "when": {"number_of": "responses", "at_most": 4}}
    (mixed,) = exactly(looks | {"rules": [early, futile, tested]}, [0.6])
    assert mixed.get(name).estimate == by_p_value.get(name).estimate
    assert value(by_count, "power") == pytest.approx(value(by_p_value, "power"), abs=1e-12)
    # Undone are the early successes whose p-value with the 10 alone is above the level.
    undone = [x for x in range(5, 11) if binom.sf(x - 1, 10, 0.2) > level]
    assert value(by_p_value, name) == pytest.approx(math.fsum(binom.pmf(undone, 10, 0.6)), abs=1e-12)
    compare(scenario_of(looks | {"rules": [early, tested]}, [0.6]), "design", 4000, 3)
