"""Controls of other times, in a population that drifts: published rejection rates, and bias by patients' own times.

Four arms enter a platform every 250 patients, 250 patients each; what is asked is of the fourth one.
"""

import math

import numpy as np
import pytest
from platform_runs import SIGMAS, assert_alike, assert_meets, mean_and_error, proportion_error, rows_of, scenario_of

from lmd_trialsim.platform_replay import replay_platform

LAST = "arm4"
PATIENTS = 1528  # as many as there are in all: 1,000 in the arms and 527 or 528 in the control


def design(kind, controls):
    return {
        "max_patients": 2000,
        "max_per_arm": 250,
        "arms": {f"arm{i + 1}": {"enters_at_patients": 250 * i} for i in range(4)},
        "controls": controls,
        "allocation": {"kind": "fixed", "block": 2},
        "analysis": {"kind": kind},
        "rules": [{"stop_for": "efficacy", "at": "final", "when": {"statistic": "z", "exceeds": 1.959964}}],
    }


VAGUE = {"kind": "regression", "sd": 1, "level": {"sd": 10}, "prior": {"sd": 10}}
WALK = {"order": 2, "sd": {"kind": "inverse_gamma_variance", "shape": 0.1, "rate": 0.01}}


def bayesian(time):
    """The same, judged by the posterior probability of a regression."""
    better = {"probability_that": "difference", "above": 0, "exceeds": 0.975}
    rules = [{"stop_for": "efficacy", "at": "final", "when": better}]
    return {**design("period_regression", "all"), "analysis": {**VAGUE, "time": time}, "rules": rules}


DESIGNS = {
    "period": design("period_regression", "all"),
    "pooled": design("difference_of_means", "all"),
    "separate": design("difference_of_means", "concurrent"),
    "bayesian": bayesian({"each": "period"}),
    "time_machine": bayesian({"patients": 25, "walk": WALK}),
}


def scenario(drift, **more):
    """Return the scenario in which the mean changes by `drift` from the first patient to the last."""
    courses = {"control": {"mean": 0, "sd": 1}} | {f"arm{i}": {"mean_difference": 0} for i in (1, 2, 3, 4)}
    change = {"per_month": drift / (PATIENTS - 1), **more}
    return scenario_of({"kind": "continuous"}, courses, DESIGNS, per_month=1, equally_spaced=True, drift=change)


# NCC, vignette: datasim_cont(num_arms = 4, n_arm = 250, d = 250 * c(0, 1, 2, 3), period_blocks = 2, sigma = 1,
# lambda = rep(lambda, 5), trend = "linear"), fixmodel_cont, poolmodel_cont, sepmodel_cont; 1,000 trials.
NCC = {
    -0.15: {"period": (0.030, -0.0006), "pooled": (0.007, -0.0439), "separate": (0.027, None)},
    0.0: {"period": (0.031, None), "pooled": (0.023, None), "separate": (0.027, None)},
    0.15: {"period": (0.027, -0.0019), "pooled": (0.093, 0.0441), "separate": (0.025, None)},
}
THEIR_TRIALS = 1_000


@pytest.mark.parametrize("drift", NCC)
def test_rejections_and_bias_are_those_of_ncc(drift):
    replicates = 5_000
    for name, row in rows_of(scenario(drift), replicates, seed=81, designs=list(NCC[drift])).items():
        rejected, bias = NCC[drift][name]
        assert_meets(row, "type_i_error", rejected, proportion_error(rejected, THEIR_TRIALS), LAST)
        own = row.get("bias", LAST)
        if bias is not None:  # our errors of one trial are theirs
            theirs = own.mcse * math.sqrt(replicates / THEIR_TRIALS)
            assert_meets(row, "bias", bias, theirs, LAST)


@pytest.mark.parametrize("drift", [-0.15, 0.15])
def test_pooled_controls_are_biased_by_the_time_between_and_adjusted_ones_are_not(drift):
    rows = rows_of(scenario(drift), 20_000, seed=82, designs=["period", "pooled", "separate"])
    read = scenario(drift)
    gaps = []
    for replicate in range(40):
        patients = replay_platform(read, "pooled", "true", 82, replicate).patients
        months = {arm: np.mean([p.month for p in patients if p.arm == arm]) for arm in ("control", LAST)}
        gaps.append(months[LAST] - months["control"])
    expected, error = mean_and_error(np.array(gaps) * drift / (PATIENTS - 1))
    own = rows["pooled"].get("bias", LAST)
    assert_alike("bias", own.estimate, expected, math.hypot(own.mcse, error))
    assert abs(expected) > 10 * own.mcse
    for name in ("period", "separate"):
        row = rows[name]
        assert abs(row.get("bias", LAST).estimate) < SIGMAS * row.get("bias", LAST).mcse
        # Student's t with many degrees of freedom; the boundary is that of z.
        assert_meets(row, "type_i_error", 0.025, 0.0, LAST)


def test_a_drift_of_one_arm_alone_is_not_adjusted_for():
    # The model is of one trend for all: that of an arm by itself, twice as steep, is taken for an effect.
    rows = rows_of(scenario(0.5, factors={LAST: 2.0}), 2_000, seed=83, designs=["period", "separate"])
    for name in rows:
        assert rows[name].get("bias", LAST).estimate > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("drift", [-0.15, 0.15])
def test_the_time_machine_is_unbiased_by_a_trend_and_knows_more_than_periods(drift):
    """Vague priors by period are the period model; levels that follow each other lend it patients of other times."""
    rows = rows_of(scenario(drift), 20_000, seed=84, designs=["separate", "bayesian", "time_machine"])
    for row in rows.values():
        assert abs(row.get("bias", LAST).estimate) < SIGMAS * row.get("bias", LAST).mcse
    assert_meets(rows["bayesian"], "type_i_error", 0.025, 0.0, LAST)
    separate, periods, machine = (rows[name].get("root_mean_square_error", LAST) for name in rows)
    assert machine.estimate < periods.estimate < separate.estimate
    assert separate.estimate - machine.estimate > SIGMAS * math.hypot(separate.mcse, machine.mcse)
