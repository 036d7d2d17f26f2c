"""Two-stage and single-stage designs against published designs and against enumeration in exact fractions."""

import math
from fractions import Fraction

import pytest

from lmd_trialsim.designs.binomial_designs import evaluate_two_stage, simon_two_stage, single_stage


def binomial(k, n, rate):
    return math.comb(n, k) * rate**k * (1 - rate) ** (n - k)


def two_stage_exactly(n1, r1, n, r, rate):
    """Return P(stop early) and P(success) by counting every outcome of both stages."""
    stop = sum(binomial(x, n1, rate) for x in range(r1 + 1))
    success = sum(
        binomial(x, n1, rate) * binomial(y, n - n1, rate)
        for x in range(r1 + 1, n1 + 1)
        for y in range(n - n1 + 1)
        if x + y > r
    )
    return stop, success


def every_design(null_rate, target_rate, alpha, beta, largest):
    """Yield (expected patients at the null rate, n, n1, r1, r) of every design that keeps both errors."""
    for n in range(2, largest + 1):
        for n1 in range(1, n):
            for r1 in range(n1):
                for r in range(r1, n):
                    if two_stage_exactly(n1, r1, n, r, target_rate)[1] < 1 - beta:
                        break
                    stop, error = two_stage_exactly(n1, r1, n, r, null_rate)
                    if error <= alpha:
                        yield n1 + (1 - stop) * (n - n1), n, n1, r1, r


# clinfun 1.1.5 ph2simon and an independent enumeration; the designs are those of Simon (1989), tables 1 and 2.
@pytest.mark.parametrize(
    ("rates_and_errors", "criterion", "design", "characteristics"),
    [
        ((0.1, 0.3, 0.05, 0.2), "optimal", (10, 1, 29, 5), (0.7361, 15.014, 26.163, 0.047086, 0.805063)),
        ((0.1, 0.3, 0.05, 0.2), "minimax", (15, 1, 25, 5), (0.5490, 19.510, 24.647, 0.032809, 0.801701)),
        ((0.05, 0.25, 0.1, 0.1), "optimal", (9, 0, 24, 2), (0.6302, 14.546, 22.874, 0.093129, 0.902841)),
        ((0.05, 0.25, 0.1, 0.1), "minimax", (13, 0, 20, 2), (0.5133, 16.407, 19.834, 0.073555, 0.902953)),
    ],
)
def test_known_two_stage_designs(rates_and_errors, criterion, design, characteristics):
    found = simon_two_stage(*rates_and_errors, criterion)
    assert (found.n1, found.r1, found.n, found.r) == design
    early_stop, expected_null, expected_target, type_i_error, power = characteristics
    assert found.early_stop_null == pytest.approx(early_stop, abs=6e-5)
    assert (found.expected_null, found.expected_target) == pytest.approx((expected_null, expected_target), abs=6e-4)
    assert (found.type_i_error, found.power) == pytest.approx((type_i_error, power), abs=6e-7)


# Simon (1989), tables 1 and 2, alpha .05; r1/n1 r/n
@pytest.mark.parametrize(
    ("null_rate", "target_rate", "beta", "optimal", "minimax"),
    [
        (0.05, 0.20, 0.2, (10, 0, 29, 3), (13, 0, 27, 3)),
        (0.05, 0.25, 0.1, (9, 0, 30, 3), (15, 0, 25, 3)),
        (0.20, 0.40, 0.2, (13, 3, 43, 12), (18, 4, 33, 10)),
        (0.30, 0.50, 0.2, (15, 5, 46, 18), (19, 6, 39, 16)),
        (0.30, 0.45, 0.2, (27, 9, 81, 30), (46, 16, 65, 25)),
        (0.30, 0.45, 0.1, (40, 13, 110, 40), (77, 27, 88, 33)),
    ],
)
def test_simons_tables(null_rate, target_rate, beta, optimal, minimax):
    for criterion, design in (("optimal", optimal), ("minimax", minimax)):
        found = simon_two_stage(null_rate, target_rate, 0.05, beta, criterion)
        assert (found.n1, found.r1, found.n, found.r) == design


def test_optimal_and_minimax_may_coincide():
    optimal, minimax = (simon_two_stage(0.1, 0.3, 0.1, 0.2, criterion) for criterion in ("optimal", "minimax"))
    assert optimal == minimax
    assert (optimal.n1, optimal.r1, optimal.n, optimal.r) == (7, 0, 18, 3)


def test_a_published_design_that_is_given():
    # Pembrolizumab in leptomeningeal disease (Brastianos et al. 2020; ASCO 2018 abstract for the stages): survival to
    # 3 months .18 v .43, go on if 2 of 10 are alive, success from 6 of 18. Its errors: independent enumeration.
    found = evaluate_two_stage(10, 1, 18, 5, null_rate=0.18, target_rate=0.43)
    assert found.early_stop_null == pytest.approx(0.44, abs=0.005)
    assert found.type_i_error == pytest.approx(0.087, abs=0.0005)
    assert found.power == pytest.approx(0.85, abs=0.005)


@pytest.mark.parametrize("design", [(10, 1, 29, 5), (7, 0, 18, 3), (1, 0, 2, 0), (9, 4, 30, 4), (3, 0, 20, 15)])
def test_characteristics_equal_those_counted_in_fractions(design):
    n1, _, n, _ = design
    rates = Fraction(1, 7), Fraction(2, 5)
    found = evaluate_two_stage(*design, null_rate=float(rates[0]), target_rate=float(rates[1]))
    (stop_null, error), (stop_target, power) = (two_stage_exactly(*design, rate) for rate in rates)
    assert found.type_i_error == pytest.approx(float(error), rel=1e-12)
    assert found.power == pytest.approx(float(power), rel=1e-12)
    assert found.early_stop_null == pytest.approx(float(stop_null), rel=1e-12)
    assert found.expected_null == pytest.approx(float(n1 + (1 - stop_null) * (n - n1)), rel=1e-12)
    assert found.expected_target == pytest.approx(float(n1 + (1 - stop_target) * (n - n1)), rel=1e-12)


@pytest.mark.parametrize(
    "rates_and_errors", [(0.1, 0.4, 0.1, 0.2), (0.3, 0.65, 0.1, 0.15), (0.02, 0.3, 0.05, 0.1), (0.5, 0.9, 0.05, 0.2)]
)
def test_the_search_finds_what_enumeration_finds(rates_and_errors):
    largest = 20
    designs = list(every_design(*rates_and_errors, largest))
    assert designs
    by = {
        "optimal": lambda d: (d[0], d[1], -d[4]),
        "minimax": lambda d: (d[1], d[0], -d[4]),
        "admissible": lambda d: (0.4 * d[1] + 0.6 * d[0], d[1], -d[4]),
    }
    for criterion, key in by.items():
        weight = 0.4 if criterion == "admissible" else None
        found = simon_two_stage(*rates_and_errors, criterion, max_patients=largest, weight=weight)
        assert (found.n, found.n1, found.r1, found.r) == min(designs, key=key)[1:]


def test_admissible_runs_from_optimal_to_minimax():
    for weight, criterion in ((0.0, "optimal"), (1.0, "minimax")):
        admissible = simon_two_stage(0.2, 0.4, 0.05, 0.2, "admissible", weight=weight)
        assert admissible == simon_two_stage(0.2, 0.4, 0.05, 0.2, criterion)


# Single stage.


# A'Hern (2001), table 1, alpha .05: least responses / n
@pytest.mark.parametrize(
    ("null_rate", "target_rate", "beta", "least_responses", "n"),
    [
        (0.05, 0.20, 0.2, 4, 27),
        (0.05, 0.20, 0.1, 5, 38),
        (0.10, 0.30, 0.2, 6, 25),
        (0.10, 0.30, 0.1, 7, 33),
        (0.20, 0.40, 0.2, 12, 35),
        (0.20, 0.40, 0.1, 15, 47),
        (0.30, 0.50, 0.2, 17, 39),
        (0.30, 0.50, 0.1, 22, 53),
    ],
)
def test_aherns_table(null_rate, target_rate, beta, least_responses, n):
    found = single_stage(null_rate, target_rate, 0.05, beta, "exact")
    assert (found.least_responses, found.n) == (least_responses, n)


def test_a_published_exact_design_with_its_errors():
    # Khan, Sarker and Hackshaw (2012), abstract: p0 .1, p1 .2, alpha .05, power .8:
    # n = 78, exact alpha 4.53 %, power 80.81 % (digits cut, not rounded)
    found = single_stage(0.1, 0.2, 0.05, 0.2, "exact")
    assert found.n == 78
    assert (found.type_i_error, found.power) == pytest.approx((0.0453, 0.8081), abs=1e-4)


@pytest.mark.parametrize(
    ("null_rate", "target_rate", "alpha", "beta"),
    [("1/20", "1/4", "1/20", "1/5"), ("1/2", "9/10", "1/32", "1/10"), ("3/10", "3/5", "1/10", "1/10")],
)
def test_the_smallest_n_by_enumeration_in_fractions(null_rate, target_rate, alpha, beta):
    p0, p1, alpha, beta = (Fraction(value) for value in (null_rate, target_rate, alpha, beta))
    n = 0
    kept = []
    while not kept:
        n += 1
        tails = [[sum(binomial(k, n, p) for k in range(least, n + 1)) for p in (p0, p1)] for least in range(n + 1)]
        kept = [least for least, (error, power) in enumerate(tails) if error <= alpha and power >= 1 - beta]
    found = single_stage(float(p0), float(p1), float(alpha), float(beta), "exact")
    assert (found.n, found.least_responses) == (n, kept[0])
    assert (found.type_i_error, found.power) == pytest.approx([float(p) for p in tails[kept[0]]], rel=1e-12)


def test_an_error_that_equals_its_limit_keeps_it():
    # 5 of 5 at rate 1/2 has probability 1/32, a limit that rounding must not break.
    found = single_stage(0.5, 0.96, 1 / 32, 0.2, "exact")
    assert (found.n, found.least_responses) == (5, 5)


def test_the_normal_approximation():
    # ((1.64485 * .3 + .84162 * sqrt(.21)) / .2)^2 = 19.3; 20 * .1 + 1.64485 * sqrt(20 * .09) = 4.2, nearest 4
    found = single_stage(0.1, 0.3, 0.05, 0.2, "normal")
    assert (found.n, found.least_responses) == (20, 5)
    tail = [float(sum(binomial(k, 20, Fraction(rate)) for k in range(5, 21))) for rate in ("1/10", "3/10")]
    assert (found.type_i_error, found.power) == pytest.approx(tail, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simon_two_stage(0.3, 0.1, 0.05, 0.2, "optimal"), r"target_rate: 0.1 must lie between null_rate"),
        (lambda: simon_two_stage(0.1, 0.3, 0.0, 0.2, "optimal"), "alpha: 0 must lie"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.9, "optimal"), "beta: 0.9 must lie"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.2, "optimum"), "did you mean 'optimal'"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.2, "optimal", max_patients=20), "raise max_patients"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.2, "admissible"), "weight: None with criterion admissible"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.2, "optimal", weight=0.5), "for admissible alone"),
        (lambda: simon_two_stage(0.1, 0.3, 0.05, 0.2, "admissible", weight=1.5), "weight: 1.5 must lie"),
        (lambda: evaluate_two_stage(10, 10, 20, 12, null_rate=0.1, target_rate=0.3), "r1 must be below n1"),
        (lambda: single_stage(0.1, 0.3, 0.05, 0.2, "exakt"), "did you mean 'exact'"),
        (lambda: single_stage(0.1, 0.3, 0.05, 0.2, "exact", max_patients=10), "raise max_patients"),
        (lambda: single_stage(0.5, 0.99, 0.05, 0.2, "normal"), "use method exact"),
    ],
)
def test_mistakes_are_named_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
