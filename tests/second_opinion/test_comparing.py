"""Verdicts, summaries and flips: plain arithmetic; and a whole check with samplers known to be right or wrong."""

import math

import numpy as np
import pytest

from lmd_trialsim.answers import Answer
from lmd_trialsim.posterior_checks.cases import PROBABILITY, Asked, Case, Decision, Subject
from lmd_trialsim.posterior_checks.checking import Check, checked
from lmd_trialsim.second_opinion.arms import beta_binomial
from lmd_trialsim.second_opinion.comparing import (
    AGREES,
    APPROXIMATION,
    DIFFERS,
    NOT_TRUSTED,
    Compared,
    flip_of,
    spoke,
    summary_of,
)
from lmd_trialsim.second_opinion.sampling import Fit, Gates

GOOD = Gates(1.0, 4000.0, 4000.0, 0)


def compared(fast, sampled, error=0.01, **more):
    return Compared("P(rate > 0.2)", "look 1", fast, sampled, error, **more)


def test_verdicts():
    assert compared(0.52, 0.5).verdict == AGREES
    assert compared(0.56, 0.5).verdict == DIFFERS
    assert compared(math.nan, 0.5).verdict == DIFFERS
    assert compared(0.56, 0.5, why_not="R-hat 1.08").verdict == NOT_TRUSTED
    assert compared(0.56, 0.5, approximate="normal limits").verdict == APPROXIMATION


def test_small_differences_in_one_direction_add_up():
    found = [compared(0.52, 0.5, fit=i) for i in range(25)]
    summary = summary_of("P(rate > 0.2)", found)
    assert summary.mean == pytest.approx(0.02)
    assert summary.mean_error == pytest.approx(0.01 / 5)
    assert summary.verdict == DIFFERS
    # Numbers of one fit are one piece of evidence.
    assert summary_of("P(rate > 0.2)", [one._replace(fit=0) for one in found]).verdict == AGREES


def test_what_is_not_trusted_is_counted_and_left_out():
    summary = summary_of("P", [compared(0.9, 0.1, why_not="R-hat 1.08"), compared(0.51, 0.5)])
    assert (summary.compared, summary.not_trusted, summary.verdict) == (1, 1, NOT_TRUSTED)
    assert summary.worst.difference == pytest.approx(0.01)
    alone = summary_of("P", [compared(0.9, 0.1, why_not="R-hat 1.08")])
    assert (alone.compared, alone.worst, alone.verdict) == (0, None, NOT_TRUSTED)


def answer(value, threshold=0.95, comparison="exceeds"):
    return Answer("probability_that", comparison, value, threshold)


def test_flips():
    low, high = answer(0.94), answer(0.96)
    assert spoke([[low], [high], [high]]) == 2
    assert spoke([[], [high, low]]) is None
    nothing = (math.nan, math.nan)
    flip = flip_of("look 1", [[(low, *nothing)], [(high, 0.949, 0.001)]])
    assert (flip.fast, flip.sampled, flip.beyond_error) == (2, None, False)
    assert flip_of("look 1", [[(high, 0.90, 0.001)]]).beyond_error
    assert flip_of("look 1", [[(high, 0.97, 0.001)]]) is None


class Exact:
    """Draws from the conjugate posterior, and what its gates are made to say."""

    def __init__(self, twin, gates=GOOD, more=0):
        assert twin.name == "beta_binomial"
        self.gates, self.more = gates, more

    def fit(self, data, seed):
        x, n = data["responses"][0] + self.more, data["patients"][0] + self.more
        draws = np.random.default_rng(seed).beta(1 + x, 1 + n - x, (4, 1000))
        return Fit({"rate_0": draws}, self.gates)


def subject():
    """Return one arm with beta(1, 1), at ten and at no responses of twenty."""

    def case(x, fast, *, decides):
        asked = Asked("P(rate > 0.3)", PROBABILITY, "rate", 0, fast, 0.3)
        rule = ((Answer("probability_that", "exceeds", fast, 0.97), 0),)
        data = {"patients": np.array([20]), "responses": np.array([x])}
        return Case(f"{x} of 20", (data,), (asked,), (Decision((rule,)),) if decides else (), hard=not decides)

    twin = beta_binomial([[(1.0, 1.0, 1.0)]])
    return Subject("one", (twin,), (case(10, 0.9736107, decides=True), case(0, 0.0005585, decides=False)))


def test_a_right_posterior_agrees_and_a_wrong_one_does_not():
    right = checked(subject(), 1, Exact)
    assert right.agrees
    assert right.decisions == 1
    assert [fit.hard for fit in right.fits] == [False, True]
    assert Check((right,), ()).agrees
    wrong = checked(subject(), 1, lambda twin: Exact(twin, more=8))
    assert not wrong.agrees
    assert wrong.summaries[0].verdict == DIFFERS


def test_a_fit_that_fails_is_not_trusted_and_decides_nothing():
    failed = checked(subject(), 1, lambda twin: Exact(twin, Gates(1.08, 4000.0, 4000.0, 0)))
    assert not failed.agrees
    assert failed.summaries[0].verdict == NOT_TRUSTED
    assert failed.decisions == 0
    assert {fit.why_not for fit in failed.fits} == {"R-hat 1.08"}
