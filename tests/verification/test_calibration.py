"""Calibrated cut-offs against another program's, against counting, and against themselves with fresh patients."""

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from lmd_trialsim.calibration import CannotBeMetError, calibrate
from lmd_trialsim.designs.cut_off import CutOff
from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.scenario import Scenario

NULL, PATIENTS = 0.2, 30


def scenario_of(design, truths, *, strata=()):
    document = {
        "schema": 1, "title": "calibrated",
        "population": {
            "accrual": {"patients_per_month": 3}, **({"strata": {s: 1 / len(strata) for s in strata}} if strata else {})
        },
        "endpoints": {"response": {"kind": "binary"}}, "arms": {"drug": {}},
        "truths": {name: {"response": {"drug": course}} for name, course in truths.items()},
        "designs": {"design": {"endpoint": "response"} | design},
        "run": {"replicates": 20_000},
    }  # fmt: skip
    return Scenario.of(Document(document, "calibrated"))


def one_look(**more):
    """Return a single look at 30 patients under a flat prior."""
    design = {
        "kind": "single_arm", "null_rate": NULL, "max_patients": PATIENTS, "looks": {"evaluable": [PATIENTS]},
        "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
        "rules": [{"stop_for": "efficacy", "when": {"probability_that": "rate", "above": NULL, "exceeds": 0.5}}],
    }  # fmt: skip
    return scenario_of(design | more, {"null": {"rate": NULL}, "better": {"rate": 0.45}})


def counted(at_most, digits):
    """Return the smallest cut-off by trying all of them, and its error."""
    x = np.arange(PATIENTS + 1)
    above = beta.sf(NULL, 1 + x, 1 + PATIENTS - x)
    for step in range(1, 10**digits):
        error = binom.pmf(x[above > step / 10**digits], PATIENTS, NULL).sum()
        if error <= at_most:
            return step / 10**digits, error
    raise AssertionError


BASKETS = {
    "kind": "basket", "null_rate": 0.2, "target_rate": 0.5, "max_patients": 15,
    "analysis": {
        "kind": "power_prior", "prior": {"alpha": 1, "beta": 1}, "weights": {"kind": "calibrated", "a": 2, "b": 2}
    },
    "rules": [{"stop_for": "efficacy", "when": {"probability_that": "rate", "above": "null_rate", "exceeds": 0.99}}],
}  # fmt: skip


def baskets():
    rates = {"a": {"rate": 0.2}, "b": {"rate": 0.2}, "c": {"rate": 0.5}}
    truths = {"null": {"rate": 0.2}, "one": {"by_stratum": rates}, "all": {"rate": 0.5}}
    return scenario_of(BASKETS, truths, strata="abc")


def test_baskets_meet_the_cut_off_of_another_program():
    """R8: baskexact's 0.9774, with a family-wise error of 0.04853831, is the smallest of four digits."""
    found = calibrate(baskets(), "design", truths=["null"])
    assert found.method == "exact"
    assert found.error == "family_wise_error"
    assert found.cut_off == 0.9774
    (under,) = found.under
    assert under.error.estimate == pytest.approx(0.04853831, abs=5e-9)
    assert under.below.estimate > 0.05
    assert under.fresh is None
    assert found.confirmed


def test_the_worst_null_configuration_and_the_error_of_each_basket():
    together = calibrate(baskets(), "design")
    each = calibrate(baskets(), "design", each=True)
    assert together.cut_off > 0.9774  # a basket that responds lends to the two that do not
    assert each.cut_off < together.cut_off
    for found in (together, each):
        errors = [one.error.estimate for one in found.under if one.error is not None]
        below = [one.below.estimate for one in found.under if one.below is not None]
        assert max(errors) <= 0.05 < max(below)
        assert [one.truth for one in found.under if one.error is None] == ["all"]
    scenario = baskets()
    design = CutOff.of(scenario.designs["design"]).set_in(scenario.designs["design"], each.cut_off)
    (row,) = exact(scenario.with_design("design", design), ["design"], ["one"]).rows
    worst = max(row.get("type_i_error", cell).estimate for cell in "ab")
    assert worst == next(one.error.estimate for one in each.under if one.truth == "one")


@pytest.mark.parametrize("at_most", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("digits", [2, 4])
def test_one_look_is_counted(at_most, digits):
    found = calibrate(one_look(), "design", at_most=at_most, digits=digits)
    cut_off, error = counted(at_most, digits)
    assert found.cut_off == cut_off
    assert found.under[0].error.estimate == pytest.approx(error, abs=1e-12)
    assert found.under[0].error.estimate <= at_most < found.under[0].below.estimate
    assert found.under[1].error is None


@pytest.mark.parametrize("seed", [1, 2, 20_260_101])
def test_played_cut_offs_are_accepted_on_the_upper_limit_and_tried_anew(seed):
    played = calibrate(one_look(), "design", playing=True, seed=seed)
    assert played.method == "monte_carlo"
    assert (played.seed, played.fresh_seed, played.replicates) == (seed, seed + 1, 20_000)
    under = played.under[0]
    assert under.error.high <= 0.05 < under.below.high
    assert under.fresh.estimate != under.error.estimate
    cut_off, error = counted(0.05, 4)
    standard_error = math.sqrt(0.05 * 0.95 / 20_000)
    if played.cut_off == cut_off:
        assert abs(under.error.estimate - error) < 5 * standard_error
        assert abs(under.fresh.estimate - error) < 5 * standard_error
    else:  # the patients of this seed had it worse, and the next attainable error is taken
        assert played.cut_off > cut_off


def test_a_cut_off_that_grows_and_conditions_in_a_list():
    rules = [
        {
            "stop_for": "efficacy",
            "when": [
                {"estimate_of": "effect", "at_least": 0.25},
                {"probability_that": "rate", "above": NULL, "exceeds": {"lambda": 0.9, "gamma": 0.02}},
            ],
        }
    ]
    scenario = one_look(rules=rules, looks={"evaluable": [15, PATIENTS]})
    found = calibrate(scenario, "design")
    assert found.before == 0.9
    design = CutOff.of(scenario.designs["design"]).set_in(scenario.designs["design"], found.cut_off)
    cut = design.rules[0].conditions[1].exceeds
    assert (cut.scale, cut.power) == (found.cut_off, 0.02)
    (row, _) = exact(scenario.with_design("design", design)).rows
    assert row.get("type_i_error").estimate == found.under[0].error.estimate <= 0.05 < found.under[0].below.estimate
    before, _ = exact(scenario).rows  # the scenario itself is as it was
    assert before.get("type_i_error").estimate != row.get("type_i_error").estimate


def test_what_cannot_be_calibrated():
    with pytest.raises(CannotBeMetError, match=r"no cut-off up to 0\.9999 keeps the error"):
        calibrate(one_look(), "design", at_most=1e-9)
    rule = {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": NULL, "exceeds": 0.9}}
    late = {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": NULL, "exceeds": 0.8}}
    two = one_look(rules=[rule, late])
    with pytest.raises(ValueError, match=r"different cut-offs \(rule 1 0\.9, rule 2 0\.8\)"):
        calibrate(two, "design")
    assert calibrate(two, "design", rules=[1], at_most=0.2).rules == (1,)
    with pytest.raises(ValueError, match="Rule 3 is no rule that stops for efficacy"):
        calibrate(two, "design", rules=[2])
    with pytest.raises(ValueError, match="Under none of better is success of design an error"):
        calibrate(one_look(), "design", truths=["better"])
    counts = [{"stop_for": "efficacy", "when": {"number_of": "responses", "at_least": 9}}]
    with pytest.raises(ValueError, match="There is no rule that stops for efficacy when a posterior"):
        calibrate(one_look(rules=counts), "design")
    listed = [{"stop_for": "efficacy", "when": {"probability_that": "rate", "above": NULL, "exceeds": [0.9]}}]
    with pytest.raises(ValueError, match="Rule 1 has a cut-off for each look"):
        calibrate(one_look(rules=listed), "design")


def test_rules_that_do_not_bind_earn_nothing():
    futility = {
        "stop_for": "futility",
        "at": "interim",
        "when": {"probability_that": "rate", "above": NULL, "is_below": 0.6},
    }
    efficacy = {"stop_for": "efficacy", "when": {"probability_that": "rate", "above": NULL, "exceeds": 0.9}}
    looks = {"looks": {"evaluable": [15, PATIENTS]}}
    free = calibrate(one_look(rules=[efficacy], **looks), "design")
    overruled = calibrate(one_look(rules=[futility | {"binding": False}, efficacy], **looks), "design")
    obeyed = calibrate(one_look(rules=[futility, efficacy], **looks), "design")
    assert overruled.error == "success_ignoring_non_binding_rules"
    assert overruled.cut_off == free.cut_off >= obeyed.cut_off
    assert overruled.under[0].error.estimate == pytest.approx(free.under[0].error.estimate, abs=1e-12)
    assert overruled.under[1].error is None


def test_baskets_that_may_succeed_early_are_told_of():
    early = scenario_of(
        BASKETS | {"looks": {"in_each": [6]}, "accrual_at_looks": "pauses"},
        {"null": {"rate": 0.2}},
        strata="abc",
    )
    assert calibrate(early, "design", digits=3).may_rise
    assert not calibrate(baskets(), "design", truths=["null"], digits=2).may_rise
