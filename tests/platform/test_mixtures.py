"""Mixtures as priors, and controls of other times: against densities on a grid that know of no conjugate prior."""

import math

import numpy as np
import pytest
from arm_densities import SIGMA, Hazards, Means, Rates, alike, best, of_controls, posterior
from arm_desks import ask, controls_are, desk_for, frame
from platform_runs import assert_meets, mean_and_error, played, rows_of, scenario_of
from scipy.stats import binom

from lmd_trialsim.analyses.arm_mixtures import OwnControls, PooledByPower, PooledByWeight
from lmd_trialsim.designs.arm_analyses import ArmBetaBinomial
from lmd_trialsim.engine import arm_outcomes as column

BORROWS = {
    "own": OwnControls(0),
    "weight": PooledByWeight(0.5),
    "trusting": PooledByWeight(0.9),
    "power": PooledByPower(0.3),
}
ROBUST = {
    Rates: [(0.5, 19.0, 58.0), (0.3, 3.5, 9.4), (0.2, 1.0, 1.0)],
    Hazards: [(0.5, 25.0, 160.0), (0.3, 6.0, 30.0), (0.2, 0.5, 2.0)],
    Means: [(0.5, 1.1, 0.15), (0.3, 0.9, 0.4), (0.2, 1.0, 2.0)],
}
PLAIN = {Rates: [(1.0, 0.5, 1.5)], Hazards: [(1.0, 0.5, 2.0)], Means: [(1.0, 1.0, 2.0)]}
TWO = {
    Rates: [(0.6, 2.0, 3.0), (0.4, 6.0, 3.0)],
    Hazards: [(0.6, 2.0, 9.0), (0.4, 5.0, 60.0)],
    Means: [(0.6, 0.5, 0.6), (0.4, 1.5, 0.3)],
}
# (count, amount) of all control patients, of those who came with an arm, and of two arms: where other times agree with
# the present ones, where they do not, where there are none, and where there is little.
SAMPLES = {
    Rates: [
        ((40, 10), (20, 5), (24, 11), (22, 5)),
        ((60, 30), (20, 4), (24, 9), (7, 7)),
        ((20, 5), (20, 5), (12, 3), (0, 0)),
        ((30, 0), (2, 0), (30, 12), (3, 1)),
    ],
    Hazards: [
        ((40, 240.0), (20, 130.0), (24, 260.0), (22, 130.0)),
        ((60, 200.0), (20, 180.0), (24, 260.0), (2, 30.0)),
        ((20, 110.0), (20, 110.0), (9, 60.0), (0, 3.0)),
        ((30, 150.0), (1, 2.0), (30, 300.0), (3, 11.0)),
    ],
    Means: [
        ((40, 44.0), (20, 21.0), (24, 34.0), (22, 20.0)),
        ((60, 95.0), (20, 20.0), (24, 31.0), (3, 1.5)),
        ((20, 21.0), (20, 21.0), (9, 9.0), (0, 0.0)),
        ((30, 35.0), (1, 0.3), (30, 41.0), (5, 7.0)),
    ],
}
# What the quadratures lose: of hazards, P(best) is right to 1e-6 (docs/methods.md); where a distribution function that
# is shifted turns, the grid here is right to 1e-7.
NEAR, NEAR_BEST = {Rates: 1e-7, Hazards: 1e-9, Means: 1e-9}, {Rates: 1e-9, Hazards: 1e-6, Means: 1e-9}


def priors_of(family, which):
    """Priors of the control and of two arms, and what is written of them."""
    found = {
        "robust": [ROBUST[family], PLAIN[family], PLAIN[family]],
        "plain": [PLAIN[family]] * 3,
        "all": [ROBUST[family], TWO[family], PLAIN[family]],
    }[which]
    first, second = family.words
    said = {
        f"arm{i}": [{"weight": w, first: one, second: two} for w, one, two in prior] for i, prior in enumerate(found)
    }
    return found, {arm: one[0] if len(one) == 1 else one for arm, one in said.items()}


def said_of(family, which, borrows, sample, lower, within):
    """What the model says of a control and two arms, and the densities of what it is about."""
    priors, written = priors_of(family, which)
    for one in written.values():
        if isinstance(one, dict):
            one.pop("weight")
    more = {"sd": SIGMA} if family is Means else {}
    spec = family.spec.model_validate({"kind": family.kind, "priors": written, **more})
    bounds = [*((family.difference, bound) for bound in family.bounds), (family.alone, family.alone_bound)]
    effects = [math.nan, -0.1, 0.15]
    model, memory = spec.model(
        frame(3, bounds=bounds, effects=effects, most=60, lower=lower, within=within, borrows=borrows)
    )
    desk = desk_for(memory, 3)
    in_all, own, *arms = sample
    for place, name in enumerate(family.names):
        desk.arms[name] = [one[place] for one in (in_all, *arms)]
    controls_are(desk, **dict(zip(family.names, own, strict=True)))
    said = ask(model, desk, len(bounds))
    control = of_controls(family, priors[0], borrows, own, in_all)
    own_ones = [posterior(family, p, *s) for p, s in zip(priors, (in_all, *arms), strict=True)]
    return said, own_ones, control, effects, desk


@pytest.mark.parametrize("lower", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["higher", "lower"])
@pytest.mark.parametrize("which", ["robust", *(pytest.param(one, marks=pytest.mark.slow) for one in ("plain", "all"))])
@pytest.mark.parametrize("borrows", BORROWS.values(), ids=BORROWS)
@pytest.mark.parametrize("family", [Rates, Hazards, Means])
def test_what_is_said_of_mixtures_is_what_densities_say(family, borrows, which, lower):
    if family is Hazards:
        lower = True
    within = 0.0 if family is Hazards else 0.25
    near, near_best = NEAR[family], NEAR_BEST[family]
    for sample in SAMPLES[family]:
        said, arms, control, effects, _ = said_of(family, which, borrows, sample, lower, within)
        assert said.best == pytest.approx(best(family, arms, higher=not lower), abs=near_best)
        if within:
            assert said.alike == pytest.approx(alike(family, arms, within), abs=near)
        for number in (1, 2):
            told = [*said.tails[:3, number], said.better[number], said.beyond[number]]
            neutral = 1.0 if family is Hazards else 0.0
            truth = math.exp(effects[number]) if family is Hazards else effects[number]
            for found, bound in zip(told, [*family.bounds, neutral, truth], strict=True):
                above = arms[number].exceeds(control, bound)
                assert found == pytest.approx(1.0 - above if lower else above, abs=near), (sample, bound)
            above = 1.0 - float(arms[number].below(family.of_value(family.alone_bound)))
            assert said.tails[3, number] == pytest.approx(1.0 - above if lower else above, abs=near)
            values = family.effect(family.grid)
            own, other = arms[number].mean_of(values), control.mean_of(values)
            assert said.estimate[number] == pytest.approx(own - other, abs=near)
            spread = arms[number].mean_of((values - own) ** 2) + control.mean_of((values - other) ** 2)
            assert said.variance[number] == pytest.approx(spread, rel=1e-5)


# The robust prior of a control of six, against RBesT: reference R12 (`oc2S`, treatment Beta(0.5, 1), 24 patients v 6,
# success where P(difference > 0) > 0.95), type I errors by rate.

MAP = [(0.6167463, 19.1916387, 57.7779318), (0.3832537, 3.5278745, 9.3735980)]
OF_RBEST = {
    0.1: "0.0000302",
    0.2: "0.0048515",
    0.25: "0.017946",
    0.3: "0.044170",
    0.4: "0.12526",
    0.5: "0.18992",
    0.6: "0.20185",
}
ROBUST_MAP = [*((0.8 * weight, a, b) for weight, a, b in MAP), (0.2, 1.0, 1.0)]
R12 = {
    "kind": "beta_binomial",
    "prior": {"alpha": 0.5, "beta": 1},
    "priors": {"control": [{"weight": w, "alpha": a, "beta": b} for w, a, b in ROBUST_MAP]},
}


def test_a_robust_prior_succeeds_as_often_as_with_rbest():
    written = R12 | {"priors": {"arm0": R12["priors"]["control"]}}
    model, memory = ArmBetaBinomial.model_validate(written).model(frame(2, bounds=[("difference", 0.0)], most=30))
    desk = desk_for(memory, 2)
    succeeds = np.zeros((25, 7), bool)
    for x in range(25):
        for y in range(7):
            desk.arms.patients, desk.arms.responses = [6, 24], [y, x]
            controls_are(desk)
            succeeds[x, y] = ask(model, desk, 1).tails[0, 1] > 0.95
    for rate, theirs in OF_RBEST.items():
        error = binom.pmf(np.arange(25), 24, rate) @ succeeds @ binom.pmf(np.arange(7), 6, rate)
        assert abs(error - float(theirs)) <= 0.5 * 10.0 ** (2 - len(theirs)), "as many digits as are printed"


@pytest.mark.parametrize("rate", [rate for rate in OF_RBEST if rate > 0.1])
def test_a_platform_of_one_arm_with_a_robust_prior_plays_as_rbest_says(rate):
    design = {
        "max_patients": 30,
        "allocation": {"kind": "fixed", "ratio": {"arm": 4}, "block": 1},
        "analysis": R12,
        "rules": [{"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.95}}],
    }
    courses = {"control": {"rate": rate}, "arm": {"rate": rate}}
    seed = int(np.random.default_rng().integers(2**40))
    (row,) = rows_of(scenario_of({"kind": "binary"}, courses, {"d": design}), 50_000, seed).values()
    assert row.get("expected_patients", "arm").estimate == 24
    assert_meets(row, "type_i_error", float(OF_RBEST[rate]), 0.0, "arm")


# Under a drift, and without: what borrowing costs and what it gains.

LATE = {
    "max_patients": 120,
    "max_per_arm": 30,
    "arms": {"first": {}, "second": {"enters_at_patients": 20}, "third": {"enters_at_patients": 50}},
    "looks": {"patients": [119]},
    "analysis": {"kind": "normal", "sd": 1, "prior": {"mean": 0, "sd": 10}},
    "rules": [{"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.9999}}],
}
BORROWING = {
    "concurrent": {"controls": "concurrent"},
    "weighed": {"controls": "robust_mixture"},
    "power": {"controls": "power", "pool_power": 0.5},
    "all": {"controls": "all"},
}


def errors_of_third(**truth):
    """The errors of the last arm's estimate, trial by trial, in the four ways to make use of controls of other times.

    All meet the same patients, so what differs between them is told by the differences within trials.
    """
    courses = {arm: {"mean": 0, "sd": 1} for arm in ("control", "first", "second", "third")}
    designs = {name: LATE | said for name, said in BORROWING.items()}
    scenario = scenario_of({"kind": "continuous"}, courses, designs, **truth)
    seed = int(np.random.default_rng().integers(2**40))
    return {name: played(scenario, name, 4_000, seed)[2][:, 3, column.ESTIMATE] for name in designs}


def assert_above(values, told):
    mean, error = mean_and_error(values)
    assert mean > 5.0 * error, f"{told}: {mean:.5f}, {error:.5f} its standard error"


@pytest.mark.slow
def test_without_a_drift_borrowing_is_no_bias_and_less_error():
    errors = errors_of_third()
    for name, found in errors.items():
        bias, error = mean_and_error(found)
        assert abs(bias) < 5.0 * error, name
        if name != "concurrent":
            assert_above(errors["concurrent"] ** 2 - found**2, name)


@pytest.mark.slow
def test_under_a_drift_weighing_lets_go_of_what_a_power_keeps():
    errors = errors_of_third(drift={"per_month": 0.4})
    bias, error = mean_and_error(errors["concurrent"])
    assert abs(bias) < 5.0 * error
    for less, more in (("concurrent", "weighed"), ("weighed", "power"), ("power", "all")):
        assert_above(errors[more] - errors[less], (less, more))
