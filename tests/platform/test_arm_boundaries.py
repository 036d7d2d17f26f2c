"""Boundaries of several arms against other programs, normal integrals, one arm's boundaries, and simulated scores."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lmd_trialsim.designs.arm_boundaries import SHAPES, any_rejection, boundary
from lmd_trialsim.designs.boundaries import crossing_probabilities, efficacy_boundary

SIGMAS = 5.0


def test_mams_of_four_arms():
    # MAMS 3.0.2: mams(K = 4, J = 2, alpha = 0.05, power = 0.9, r = 1:2, r0 = 1:2, p = 0.65, p0 = 0.55,
    # ushape = "obf", lshape = "fixed", lfix = 0).
    upper, lower = boundary("obrien_fleming", 0.05, (0.5, 1.0), 4, 1.0, (0.0,))
    assert upper == pytest.approx((3.068, 2.169), abs=5.1e-4)
    assert lower == (0.0, upper[1])


def test_mams_of_two_arms():
    # MAMS 3.0.2: the same with K = 2, p = 0.75, p0 = 0.5.
    upper, lower = boundary("obrien_fleming", 0.05, (0.5, 1.0), 2, 1.0, (0.0,))
    assert upper == pytest.approx((2.7307, 1.9309), abs=5.1e-5)
    assert lower == (0.0, upper[1])


@pytest.mark.parametrize(("alpha", "arms", "ratio"), [(0.05, 2, 1.0), (0.025, 3, 1.0), (0.05, 3, 2.0), (0.1, 4, 0.5)])
def test_one_look_is_dunnetts_test(alpha, arms, ratio):
    # The multivariate normal integral (Dunnett 1955); arms are correlated through their control.
    correlation = 1.0 / (1.0 + ratio)
    covariance = np.full((arms, arms), correlation) + (1.0 - correlation) * np.eye(arms)
    for shape in SHAPES:
        upper, _ = boundary(shape, alpha, (1.0,), arms, ratio, None)
        law = multivariate_normal(np.zeros(arms), covariance, abseps=2e-6, releps=0.0, maxpts=500_000, seed=5)
        assert 1.0 - law.cdf(np.full(arms, upper[0])) == pytest.approx(alpha, abs=5e-6)


def test_dunnetts_table():
    # Dunnett (1955), table 1a, one-sided 0.05, infinite degrees of freedom, 1 to 5 and 9 arms.
    for arms, constant in ((1, 1.64), (2, 1.92), (3, 2.06), (4, 2.16), (5, 2.23), (9, 2.42)):
        assert boundary("pocock", 0.05, (1.0,), arms, 1.0, None)[0][0] == pytest.approx(constant, abs=0.0051)


@pytest.mark.parametrize("shape", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("fraction", [(1.0,), (0.5, 1.0), (0.25, 0.6, 1.0)])
def test_one_arm_is_the_group_sequential_trial(shape, fraction):
    upper, _ = boundary(shape, 0.025, fraction, 1, 1.0, None)
    theirs = efficacy_boundary(shape, 0.025, fraction)
    assert upper == pytest.approx(theirs, abs=1e-4 if len(fraction) > 2 else 1e-6)


def test_one_arm_that_may_fall_is_the_group_sequential_trial():
    fraction, lower = np.array([0.3, 0.7, 1.0]), np.array([-0.2, 0.4, 2.0])
    upper = np.array([3.1, 2.4, 2.0])
    theirs = crossing_probabilities(upper, lower, fraction, 0.0)[0].sum()
    for ratio in (0.5, 1.0, 3.0):  # the control's size is of no consequence to one arm's z
        assert any_rejection(upper, lower, fraction, 1, ratio) == pytest.approx(theirs, abs=1e-5)


# Simulated scores.

REPLICATES = 1_000_000


def simulated(upper, lower, fraction, arms, ratio, seed):
    """Return the share of trials in which some arm without effect rejects: scores of patients, arm by arm."""
    draw = np.random.default_rng(seed)
    steps = np.diff(fraction, prepend=0.0)
    rejected = 0
    for _ in range(10):
        size = REPLICATES // 10
        # The sum over patients of an arm and of the control, of whom there are `ratio` times as many.
        of_arms = np.zeros((arms, size))
        of_control = np.zeros(size)
        runs, some = np.ones((arms, size), bool), np.zeros(size, bool)
        for look, step in enumerate(steps):
            of_arms += math.sqrt(step) * draw.standard_normal((arms, size))
            of_control += math.sqrt(step * ratio) * draw.standard_normal(size)
            information = fraction[look]
            difference = of_arms / information - of_control / (information * ratio)
            z = difference / math.sqrt(1.0 / information + 1.0 / (information * ratio))
            some |= (runs & (z >= upper[look])).any(axis=0)
            runs &= (z < upper[look]) & (z >= lower[look])
        rejected += some.sum()
    return rejected / REPLICATES


CASES = [
    ("obrien_fleming", 0.025, (1 / 3, 2 / 3, 1.0), 3, 2.0, None),
    ("pocock", 0.05, (0.2, 0.7, 1.0), 4, 1.0, (0.0, 0.5)),
    ("triangular", 0.05, (0.25, 0.5, 0.75, 1.0), 3, 2.0, None),
    ("obrien_fleming", 0.05, (0.25, 0.5, 0.75, 1.0), 2, 0.5, (-math.inf, 0.0, 0.3)),
]


@pytest.mark.parametrize(("shape", "alpha", "fraction", "arms", "ratio", "lower"), CASES)
def test_simulated_scores_cross_as_often_as_they_should(shape, alpha, fraction, arms, ratio, lower):
    upper, bottom = boundary(shape, alpha, fraction, arms, ratio, lower)
    found = simulated(upper, bottom, fraction, arms, ratio, seed=arms)
    error = math.sqrt(alpha * (1.0 - alpha) / REPLICATES)
    assert abs(found - alpha) < SIGMAS * error + 1e-4 * (len(fraction) > 3)  # the error of paths on a Sobol sequence
    assert bottom[-1] == upper[-1]
    if lower is not None:
        assert bottom[:-1] == lower


def test_shapes():
    fraction = (0.25, 0.5, 1.0)
    for shape, power in (("obrien_fleming", -0.5), ("pocock", 0.0)):
        upper, _ = boundary(shape, 0.05, fraction, 3, 1.0, None)
        assert np.array(upper) / upper[-1] == pytest.approx(np.array(fraction) ** power)
    # Whitehead's triangle (Magirr et al. 2012, section 3): c (1 + t) / sqrt(t) above, c (3 t - 1) / sqrt(t) below.
    upper, lower = (np.array(b) for b in boundary("triangular", 0.05, fraction, 3, 1.0, None))
    t = np.array(fraction)
    assert upper / lower == pytest.approx((1.0 + t) / (3.0 * t - 1.0))
    assert upper * np.sqrt(t) / (1.0 + t) == pytest.approx(np.full(3, upper[-1] / 2.0))


def test_more_arms_need_a_higher_boundary_and_futility_that_binds_a_lower_one():
    constants = [boundary("pocock", 0.025, (0.5, 1.0), arms, 1.0, None)[0][1] for arms in (1, 2, 3, 6)]
    assert constants == sorted(constants)
    assert constants[3] > constants[0] + 0.5
    assert boundary("pocock", 0.025, (0.5, 1.0), 3, 1.0, (1.2,))[0][1] < constants[2] - 0.01


def test_an_error_that_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match="dropped before they can reject"):
        boundary("obrien_fleming", 0.6, (0.5, 1.0), 1, 1.0, (2.0,))
