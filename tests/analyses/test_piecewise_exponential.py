"""Piecewise exponential posteriors: sums of gammas against closed forms, quadrature and sampling."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special
from survival_data import asked, desk_of, estimated, people, random_desk

from lmd_trialsim.analyses.piecewise_exponential import (
    PiecewiseSurvivalEstimate,
    SurvivalAbove,
    SurvivalDifferenceAbove,
    cumulative_hazard,
    probability_below,
)
from lmd_trialsim.kernel.jit import door

CUTS = np.array([3.0, 6.0, 12.0])
EVENTS = np.array([[0.3, 0.3, 0.2, 0.1], [0.2, 0.2, 0.2, 0.5]])
MONTHS = np.array([[3.0, 3.0, 2.0, 1.0], [2.0, 2.0, 2.0, 5.0]])
ONE_PIECE = (np.zeros(0), np.array([[0.4], [0.7]]), np.array([[5.0], [4.0]]))
PROBABILITY_BELOW = door(probability_below.py_func)
CUMULATIVE_HAZARD = door(cumulative_hazard.py_func)
SHAPES = [0.001, 0.1, 0.5, 1.0, 3.0, 20.0, 100.0, 500.0]


def below(shape, scale, point=0.0):
    return PROBABILITY_BELOW(np.array(shape, float), np.array(scale, float), len(shape), point)


def tabulated(desk, arm, cuts, events, months):
    """Return the posterior shapes and rates, patient by patient and piece by piece."""
    shape, rate = events[arm].copy(), months[arm].copy()
    edges = [0.0, *cuts, math.inf]
    for patient in people(desk, arm):
        for piece, (begin, end) in enumerate(pairwise(edges)):
            rate[piece] += max(min(patient.follow, end) - begin, 0.0)
            shape[piece] += patient.status if begin < patient.follow <= end else 0
    return shape, rate


def widths(month):
    return np.diff(np.minimum([0.0, *CUTS, math.inf], month))


@pytest.mark.parametrize("shape", SHAPES)
def test_one_gamma(shape):
    for probability in (1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999, 1.0 - 1e-9):
        point = special.gammaincinv(shape, probability)
        if point > 1e-290:
            for scale in (1e-4, 1.0, 1e4):
                expected = special.gammainc(shape, point)
                assert below([shape], [scale], scale * point) == pytest.approx(expected, abs=1e-11)
                assert below([shape / 4.0, shape * 0.75], [scale] * 2, scale * point) == pytest.approx(
                    expected, abs=1e-11
                )


@pytest.mark.parametrize("shape", SHAPES)
def test_two_gammas_compared_are_a_beta(shape):
    for other in SHAPES:
        for ratio in (1e-4, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 100.0, 1e4):
            expected = special.betainc(shape, other, ratio / (1.0 + ratio))
            assert below([shape, other], [1.0, -ratio]) == pytest.approx(expected, abs=1e-11)
            split = [0.3 * shape, 0.7 * shape, 0.5 * other, 0.5 * other]
            assert below(split, [1.0, 1.0, -ratio, -ratio]) == pytest.approx(expected, abs=1e-11)


def test_exponentials_in_exact_fractions():
    """sum_j scale_j E_j < 0 has probability sum over negative j of prod_k scale_j / (scale_j - scale_k)."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        count = int(rng.integers(2, 41))
        scale = np.exp(rng.normal(0.0, 2.0, count))
        negative = int(rng.integers(1, count))
        scale[:negative] *= -1.0
        exact = [Fraction(s) for s in scale]
        expected = sum(
            math.prod((exact[j] / (exact[j] - s) for k, s in enumerate(exact) if k != j), start=Fraction(1))
            for j in range(negative)
        )
        assert below(np.ones(count), scale) == pytest.approx(float(expected), abs=1e-11)


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ((0.1, 1.0), (0.1, 3.0), (0.1, 2.0)),
        ((0.1, 5.0), (3.0, 0.01), (0.5, 2.0)),
        ((0.1, 30.0), (20.0, 0.01), (40.0, 0.01)),
        ((500.0, 0.001), (0.1, 5.0), (300.0, 0.002)),
        ((2.0, 0.1), (0.3, 2.0), (500.0, 0.001)),
    ],
)
def test_two_gammas_against_one_by_quadrature(first, second, other):
    """The two are a gamma of total shape a times a mixture of their scales by a beta share: a beta at each share."""
    (a, s), (b, r), (c, q) = first, second, other

    def given(share):
        odds = q / (s + (r - s) * share)
        return special.betainc(a + b, c, odds / (1.0 + odds))

    inside = min(max(a / (a + b), 0.02), 0.98)
    parts = [
        integrate.quad(
            lambda v: given(v) * (1.0 - v) ** (a - 1.0), 0.0, 1.0 - inside, weight="alg", wvar=(b - 1.0, 0.0)
        ),
        integrate.quad(lambda v: given(v) * v ** (b - 1.0), 1.0 - inside, 1.0, weight="alg", wvar=(0.0, a - 1.0)),
    ]
    expected = sum(value for value, _ in parts) / special.beta(a, b)
    assert below([a, b, c], [s, r, -q]) == pytest.approx(expected, abs=1e-9)
    assert below([a, b, c], [-s, -r, q]) == pytest.approx(1.0 - expected, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second"), [((0.1, 1.0), (0.1, 0.01)), ((0.1, 2.0), (500.0, 0.001)), ((2.0, 0.1), (0.3, 2.0))]
)
@pytest.mark.parametrize("point", [0.05, 0.4, 0.55, 2.0])
def test_a_sum_of_two_gammas_by_quadrature(first, second, point):
    """The second takes a share v of the point and leaves the rest to the first."""
    (a, s), (b, r) = first, second

    def left(v):
        return special.gammainc(a, point * (1.0 - v) / s)

    def density(v):
        return math.exp(b * math.log(point / r) - special.gammaln(b) + (b - 1.0) * math.log(v) - v * point / r)

    # The powers v ** (b - 1) near 0 and (1 - v) ** a near 1 are left to the rule.
    cut = 0.02 if b < 1.0 else 0.0
    if cut:
        scale = (point / r) ** b / special.gamma(b)
        head, _ = integrate.quad(
            lambda v: scale * left(v) * math.exp(-v * point / r), 0.0, cut, weight="alg", wvar=(b - 1.0, 0.0)
        )
    else:
        head = 0.0
    mode = min(max(b * r / point, 0.03), 0.97)
    middle, _ = integrate.quad(lambda v: left(v) * density(v) if v else 0.0, cut, 0.99, points=[mode], limit=500)
    tail, _ = integrate.quad(
        lambda v: density(v) * left(min(v, 1.0 - 1e-12)) / max(1.0 - v, 1e-12) ** a,
        0.99,
        1.0,
        weight="alg",
        wvar=(0.0, a),
    )
    assert below([a, b], [s, r], point) == pytest.approx(head + middle + tail, abs=1e-9)


def test_many_very_unequal_terms_by_sampling():
    rng = np.random.default_rng()
    draws = 400_000
    for _ in range(4):
        shape = 10.0 ** rng.uniform(-1.0, 2.7, 12)
        scale = np.exp(rng.normal(0.0, 1.5, 12)) / shape
        sign = np.where(rng.permutation(12) < 6, 1.0, -1.0)
        sample = rng.standard_gamma(shape, (draws, 12)) * scale
        for found, hits in (
            (below(shape, scale * sign), np.sum(sample @ sign < 0.0)),
            (below(shape, scale, np.sum(shape * scale)), np.sum(sample.sum(axis=1) < np.sum(shape * scale))),
        ):
            error = math.sqrt(max(found * (1.0 - found), 10.0 / draws) / draws)
            assert abs(hits / draws - found) < 5.0 * error


@pytest.mark.parametrize("month", [2.0, 6.0, 9.0, 20.0])
def test_events_and_months_by_arm_and_piece(month):
    desk = random_desk(1, strata=2)
    for arm in (0, 1):
        question = SurvivalDifferenceAbove(CUTS, EVENTS, MONTHS, month)
        shape, scale = np.zeros(8), np.zeros(8)
        end = CUMULATIVE_HAZARD(question, arm, desk, shape, scale, 1)
        expected, rate = tabulated(desk, arm, CUTS, EVENTS, MONTHS)
        kept = widths(month) > 0.0
        assert end == 1 + np.sum(kept)
        assert shape[1:end] == pytest.approx(expected[kept])
        assert scale[1:end] == pytest.approx((widths(month) / rate)[kept])


def test_an_event_on_a_cut_belongs_to_the_piece_that_ends_there():
    desk = desk_of(np.array([0, 0]), np.array([3.0, 6.0]), np.array([1, 0]), arms=1)
    shape, scale = np.zeros(4), np.zeros(4)
    CUMULATIVE_HAZARD(SurvivalDifferenceAbove(CUTS, EVENTS, MONTHS, 20.0), 0, desk, shape, scale, 0)
    assert shape == pytest.approx(EVENTS[0] + [1, 0, 0, 0])
    assert scale == pytest.approx([3.0 / 9.0, 3.0 / 6.0, 6.0 / 2.0, 8.0 / 1.0])


@pytest.mark.parametrize("patients", [1, 10, 200])
def test_one_piece_is_the_exponential_model(patients):
    desk = random_desk(2, patients=patients)
    (a_c, b_c), (a_t, b_t) = (tabulated(desk, arm, *ONE_PIECE) for arm in (0, 1))
    expected = special.betainc(a_t[0], a_c[0], b_t[0] / (b_t[0] + b_c[0]))
    assert asked(SurvivalDifferenceAbove(*ONE_PIECE, 8.0), desk) == pytest.approx(expected, abs=1e-11)
    for null in (0.2, 0.5, 0.9):
        expected = special.gammainc(a_t[0], -math.log(null) / 8.0 * b_t[0])
        assert asked(SurvivalAbove(1, *ONE_PIECE, 8.0, null), desk) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("month", [5.0, 18.0])
@pytest.mark.parametrize("patients", [6, 150])
def test_survival_by_sampling(patients, month):
    desk = random_desk(3, patients=patients)
    rng = np.random.default_rng()
    draws = 400_000
    survival = []
    for arm in (0, 1):
        shape, rate = tabulated(desk, arm, CUTS, EVENTS, MONTHS)
        survival.append(np.exp(-(rng.standard_gamma(shape, (draws, 4)) / rate) @ widths(month)))
    model = (CUTS, EVENTS, MONTHS, month)
    for found, hits in (
        (asked(SurvivalDifferenceAbove(*model), desk), np.sum(survival[1] > survival[0])),
        (asked(SurvivalAbove(0, *model, 0.4), desk), np.sum(survival[0] > 0.4)),
        (asked(SurvivalAbove(1, *model, 0.4), desk), np.sum(survival[1] > 0.4)),
    ):
        error = math.sqrt(max(found * (1.0 - found), 10.0 / draws) / draws)
        assert abs(hits / draws - found) < 5.0 * error
    for arms, sample in ((2, survival[1] - survival[0]), (1, survival[0])):
        middle, low, high = estimated(PiecewiseSurvivalEstimate(*model, arms), desk)
        deviation = np.std(sample)
        assert abs(middle - np.mean(sample)) < 5.0 * deviation / math.sqrt(draws)
        kurtosis = np.mean((sample - np.mean(sample)) ** 4) / deviation**4
        assert abs((high - low) / (2 * 1.959964) / deviation - 1.0) < 5.0 * math.sqrt((kurtosis - 1.0) / draws) / 2.0


def test_moments_of_survival_are_those_of_the_gamma_distribution():
    desk = random_desk(4, patients=40)
    moments = []
    for arm in (0, 1):
        shape, rate = tabulated(desk, arm, CUTS, EVENTS, MONTHS)
        first, second = (np.prod((rate / (rate + k * widths(9.0))) ** shape) for k in (1, 2))
        moments.append((first, second - first**2))
    (mean_c, variance_c), (mean_t, variance_t) = moments
    for arms, mean, variance in ((1, mean_c, variance_c), (2, mean_t - mean_c, variance_t + variance_c)):
        half = 1.959963984540054 * math.sqrt(variance)
        found = estimated(PiecewiseSurvivalEstimate(CUTS, EVENTS, MONTHS, 9.0, arms), desk)
        assert found == pytest.approx((mean, mean - half, mean + half), rel=1e-9)


def test_exchanged_arms_exchange_the_probability():
    desk = random_desk(5)
    everybody = people(desk)
    other = desk_of(1 - everybody.arm, everybody.follow, everybody.status)
    question = SurvivalDifferenceAbove(CUTS, EVENTS, MONTHS, 9.0)
    mirrored = SurvivalDifferenceAbove(CUTS, EVENTS[::-1], MONTHS[::-1], 9.0)
    assert asked(question, desk) + asked(mirrored, other) == pytest.approx(1.0, abs=1e-12)


def test_twenty_pieces_fit_on_a_small_desk():
    cuts = np.arange(1.0, 20.0)
    prior = np.full((2, 20), 0.1)
    desk = random_desk(6, patients=6)
    assert 0.0 < asked(SurvivalDifferenceAbove(cuts, prior, prior, 20.0), desk) < 1.0
