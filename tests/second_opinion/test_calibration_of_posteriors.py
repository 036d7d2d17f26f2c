"""Uniformity of ranks; ranks of fast posteriors; and posteriors that are wrong on purpose, which are caught."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from lmd_trialsim.posterior_checks import calibrating
from lmd_trialsim.posterior_checks.calibrating import calibrated, ranks_between
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion import uniformity
from lmd_trialsim.second_opinion.uniformity import uniformity_of

RANKS = 4000
NEVER = 1e-9
"""Of a wrong posterior with so many ranks."""


# ---- uniformity ------------------------------------------------------------------------------------------------------


def test_the_chance_to_stay_in_a_band_is_that_of_many_samples():
    draw, n, samples = np.random.default_rng(), 200, 4000
    low, high = uniformity.band(n, 0.01)
    ranks = np.sort(draw.uniform(size=(samples, n)), axis=1)
    below = np.array([np.searchsorted(row, uniformity.points(), side="right") for row in ranks])
    inside = ((below >= low) & (below <= high)).all(axis=1).mean()
    exact = uniformity.probability_inside(n, low, high)
    assert abs(inside - exact) < 5.0 * np.sqrt(exact * (1.0 - exact) / samples)


def test_a_simultaneous_band_is_left_as_often_as_it_says():
    for n in (50, 1000):
        low, high = uniformity.simultaneous_band(n, 0.05)
        left = 1.0 - uniformity.probability_inside(n, low, high)
        assert 0.02 < left <= 0.05 + 1e-9  # numbers are whole: it can't be reached just so


def test_p_values_of_uniform_ranks_are_not_small_too_often():
    draw, samples = np.random.default_rng(), 400
    found = np.array([uniformity_of(draw.uniform(size=500)) for _ in range(samples)])
    for level in (0.05, 0.2):
        for share in (found <= level).mean(axis=0):
            assert share < level + 5.0 * np.sqrt(level * (1.0 - level) / samples)


@pytest.mark.parametrize("bent", [lambda u: u**1.2, lambda u: 0.5 + 0.85 * (u - 0.5), lambda u: 1.0 - (1.0 - u) ** 1.2])
def test_ranks_that_are_not_uniform_are_caught(bent):
    ranks = bent(np.random.default_rng().uniform(size=RANKS))
    assert uniformity_of(ranks).least < NEVER


def test_ranks_between_bounds_are_uniform_where_the_posterior_is_right():
    # Without data the posterior is the prior: here the uniform distribution itself.
    draw, bounds = np.random.default_rng(), np.array([0.2, 0.5, 0.9])
    truths = draw.uniform(size=20_000)
    above = np.tile(1.0 - bounds, (len(truths), 1))
    assert uniformity_of(ranks_between(draw, truths, bounds, above)).least > 1e-6
    assert uniformity_of(ranks_between(draw, truths, bounds, above**1.1)).least < NEVER


# ---- fast posteriors -------------------------------------------------------------------------------------------------

RULE = {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": 0.2, "exceeds": 0.95}}
MIXTURE = [{"weight": 0.7, "alpha": 4.0, "beta": 16.0}, {"weight": 0.3, "alpha": 1.0, "beta": 1.0}]
HAZARD = {"kind": "gamma_exponential", "prior": {"events": 2.0, "months": 6.0}}


def scenario():
    """Return designs of one arm and of two, of rates and of times, and baskets."""
    rate, median = ({"value": value, "assumption": "for the test"} for value in (0.2, 4.0))

    def rule(quantity, bound):
        when = {"probability_that": quantity, "below" if "hazard" in quantity else "above": bound, "exceeds": 0.95}
        return {"stop_for": "efficacy", "when": when}

    one = {"kind": "single_arm", "arm": "new", "max_patients": 24}
    two = {"kind": "two_arm", "max_patients": 24, "allocation": {"block": 4}}
    of_rates = {"endpoint": "response", "looks": {"evaluable": [12, 24]}, "accrual_at_looks": "pauses"}
    of_times = {"endpoint": "pfs", "looks": {"patients": [24]}}
    basket = {"kind": "basket", "arm": "new", "endpoint": "response", "null_rate": 0.2, "max_patients": 10,
              "accrual_at_looks": "pauses", "rules": [RULE]}  # fmt: skip
    hierarchy = {"mean": {"mean": -1.0, "sd": 1.0}, "sd": {"kind": "half_normal", "scale": 0.7}}
    document = {
        "schema": 1,
        "title": "Calibration",
        "population": {
            "accrual": {"sites": 5, "patients_per_site_month": 1},
            "strata": {name: {"value": 0.5, "assumption": "for the test"} for name in ("lung", "breast")},
        },
        "endpoints": {"response": {"kind": "binary"}, "pfs": {"kind": "time_to_event"}},
        "arms": {"old": {"control": True}, "new": {}},
        "truths": {
            "null": {
                "response": {arm: {"rate": rate} for arm in ("old", "new")},
                "pfs": {arm: {"median_months": median} for arm in ("old", "new")},
            }
        },
        "designs": {
            "one_rate": one | of_rates | {"null_rate": 0.2, "analysis": {"kind": "beta_binomial", "prior": MIXTURE},
                                          "rules": [RULE]},
            "two_rates": two | of_rates | {
                "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1.0, "beta": 2.0}},
                "rules": [rule("difference", 0.0)]},
            "one_hazard": one | of_times | {"analysis": HAZARD, "rules": [rule("median_months", 4.0)]},
            "two_hazards": two | of_times | {"analysis": HAZARD, "rules": [rule("hazard_ratio", 1.0)]},
            "separate": basket | {"analysis": {"kind": "independent", "prior": MIXTURE}},
            "hierarchical": basket | {"analysis": {"kind": "hierarchical", **hierarchy}},
            "exnex": basket | {"analysis": {
                "kind": "exnex", "exchangeable": [{"weight": 0.6, **hierarchy}],
                "non_exchangeable": {"weight": 0.4, "mean": -1.0, "sd": 1.5}}},
        },
    }  # fmt: skip
    return Scenario.of(Document(document, "calibration"))


def ranks_of(designs, seed):
    return calibrated(scenario(), designs, "null", ranks=RANKS, seed=seed)


def test_fast_posteriors_are_calibrated():
    seed = int(np.random.default_rng().integers(2**31))
    designs = ["one_rate", "two_rates", "one_hazard", "two_hazards", "separate", "hierarchical", "exnex"]
    found = ranks_of(designs, seed)
    assert [one.design for one in found.numbers] == [*designs[:4], *(d for d in designs[4:] for _ in range(2))]
    assert not found.without
    for one in found.numbers:
        assert one.uniformity.least > 1e-7, (seed, one.design, one.number, one.uniformity)


@pytest.mark.parametrize("design", ["one_rate", "one_hazard", "separate"])
def test_a_posterior_with_another_prior_is_caught(design, monkeypatch):
    right = calibrating.draw_mixture

    def other(draw, parts, family, size):
        return right(draw, [(w, 2.0 * one, 1.5 * two) for w, one, two in parts], family, size)

    monkeypatch.setattr(calibrating, "draw_mixture", other)
    found = ranks_of([design], 1)
    assert not found.agrees


@pytest.mark.parametrize("design", ["two_rates", "two_hazards"])
def test_a_posterior_that_is_too_narrow_is_caught(design, monkeypatch):
    right = calibrating.FastTrial.answers_of_arrays

    def surer(self, counts, months):
        return ndtr(1.25 * ndtri(right(self, counts, months)))

    monkeypatch.setattr(calibrating.FastTrial, "answers_of_arrays", surer)
    assert not ranks_of([design], 1).agrees


def test_a_posterior_that_borrows_too_much_is_caught(monkeypatch):
    right = calibrating.draw_effects

    def wider(draw, hierarchy, size):  # baskets are less alike than the model believes
        kinds = [kind._replace(between=kind.between.model_copy(update={"scale": 2.0})) for kind in hierarchy.kinds]
        return right(draw, hierarchy._replace(kinds=kinds), size)

    monkeypatch.setattr(calibrating, "draw_effects", wider)
    assert not ranks_of(["hierarchical"], 1).agrees
