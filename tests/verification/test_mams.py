"""Multi-arm multi-stage trials: published expected numbers, and scores simulated by numpy that share no code."""

import math

import numpy as np
import pytest
from platform_runs import SIGMAS, assert_alike, assert_meets, played, proportion_error, rows_of, scenario_of
from scipy.stats import norm

from lmd_trialsim.engine import arm_outcomes as column

pytestmark = pytest.mark.slow

INTERESTING, OTHERWISE = math.sqrt(2.0) * norm.ppf(0.65), math.sqrt(2.0) * norm.ppf(0.55)
# MAMS 3.0.2: mams(K = 4, J = 2, alpha = 0.05, power = 0.9, r = 1:2, r0 = 1:2, p = 0.65, p0 = 0.55, ushape = "obf",
# lshape = "fixed", lfix = 0): 44 and 88 in each arm, upper 3.068 2.169; expected 346.2 where one arm is interesting and
# all others just are not. And with K = 2, p = 0.75, p0 = 0.5: 12 and 24, upper 2.7307 1.9309.
PROGRAMS = {4: (88, (3.068, 2.169)), 2: (24, (2.7307, 1.9309))}
LEAST_FAVOURABLE = [INTERESTING, OTHERWISE, OTHERWISE, OTHERWISE]


def mams(arms, looks):
    """Return the design; `each`: looks at each arm by itself, `together` at all arms when all have half."""
    most = PROGRAMS[arms][0]
    half = most // 2
    unit = {"in_each": [half]} if looks == "each" else {"patients": [half * (arms + 1)]}
    return {
        "max_patients": most * (arms + 1),
        "max_per_arm": most,
        "looks": unit,
        "allocation": {"kind": "fixed", "block": 1},
        "analysis": {"kind": "difference_of_means", "sd": 1},
        "ends_with": "first_success",
        "rules": [
            {"stop_for": "efficacy", "boundary": "obrien_fleming", "alpha": 0.05, "information": [half, most]},
            {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "is_below": 0}},
        ],
    }


def scenario(effects):
    arms = len(effects)
    courses = {"control": {"mean": 0, "sd": 1}}
    courses |= {f"arm{i}": {"mean_difference": float(effect)} for i, effect in enumerate(effects, 1)}
    designs = {looks: mams(arms, looks) for looks in ("together", "each")}
    return scenario_of({"kind": "continuous"}, courses, designs)


def simulated(effects, replicates, seed):
    """Return means and errors of any rejection, that of the first arm, stops at the first look, and patients."""
    arms = len(effects)
    most, upper = PROGRAMS[arms]
    half = most // 2
    draw = np.random.default_rng(seed)
    effects = np.array(effects)
    first = effects + draw.standard_normal((replicates, arms)) / math.sqrt(half)
    second = effects + draw.standard_normal((replicates, arms)) / math.sqrt(half)
    control = draw.standard_normal((2, replicates)) / math.sqrt(half)
    z = (first - control[0][:, None]) / math.sqrt(2.0 / half)
    success = z >= upper[0]
    stops = success.any(axis=1) | (z < 0.0).all(axis=1)
    left = (z >= 0.0) & ~stops[:, None]
    z = ((first + second) / 2.0 - control.mean(axis=0)[:, None]) / math.sqrt(2.0 / most)
    success |= left & (z >= upper[1])
    patients = half * (arms + 1) + np.where(stops, 0, half * (left.sum(axis=1) + 1))
    several = success.any(axis=1), success[:, 0], stops, patients
    return [(np.mean(one), np.std(one) / math.sqrt(replicates)) for one in several]


NOTHING = {4: [0.0] * 4, 2: [0.0] * 2}
ENDS_EARLY = 1  # patient


@pytest.mark.parametrize("arms", [4, 2])
def test_the_error_of_any_false_rejection_is_what_was_asked_for(arms):
    for looks, row in rows_of(scenario(NOTHING[arms]), 50_000, seed=71).items():
        if looks == "together" or arms == 4:  # a patient more or less in an arm of 12 is not to be told from noise
            assert_meets(row, "family_wise_error", 0.05, 0.0)
        if arms == 2:
            # MAMS: any rejection in 200,000 simulated trials.
            assert_meets(row, "family_wise_error", 0.0503, 0.0005)


@pytest.mark.parametrize("effects", [LEAST_FAVOURABLE, NOTHING[4], [0.9, 0.0]], ids=["least favourable", "none", "two"])
def test_the_trial_is_that_of_simulated_scores(effects):
    any_success, of_first, stops, patients = simulated(effects, 400_000, seed=72)
    read, replicates = scenario(effects), 50_000
    row = rows_of(read, replicates, seed=73)["together"]
    assert_meets(row, "probability_of_success", *any_success)
    assert_meets(row, "probability_of_success", *of_first, "arm1")
    own = row.get("expected_patients")
    # The last block may end with the arms full, and the control's patient not taken.
    assert (
        abs(own.estimate + ENDS_EARLY / 2 - patients[0]) < SIGMAS * math.hypot(own.mcse, patients[1]) + ENDS_EARLY / 2
    )
    trial, _, _ = played(read, "together", replicates, 73)
    at_first = trial[:, column.ENROLLED] == PROGRAMS[len(effects)][0] // 2 * (len(effects) + 1)
    error = math.hypot(stops[1], proportion_error(stops[0], replicates))
    assert_alike("stops at the first look", at_first.mean(), stops[0], error)


def test_mams_of_four_arms():
    rows = rows_of(scenario(LEAST_FAVOURABLE), 50_000, seed=74)
    # Their number has one decimal. Looked at by itself, an arm is judged up to a block of five patients before others.
    for looks, rounding in (("together", 0.05 + ENDS_EARLY), ("each", 5.0 + ENDS_EARLY)):
        ours = rows[looks].get("expected_patients")
        assert abs(ours.estimate - 346.2) < 5.0 * ours.mcse + rounding, (looks, ours)
    assert rows["together"].get("power", "arm1").estimate > 0.9
    assert rows["together"].get("disjunctive_power").estimate >= rows["together"].get("power", "arm1").estimate
