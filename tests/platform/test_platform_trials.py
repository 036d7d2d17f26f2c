"""What a fresh reader found of platform trials, each by a case of its own; graduation and early endpoints."""

import math

import numpy as np
import pytest
from lifelines.statistics import logrank_test
from scipy.special import ndtr, polygamma, psi

from lmd_trialsim import simulation
from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_plan import PREDICTIVE
from lmd_trialsim.engine.backends import play, play_logged
from lmd_trialsim.lowering_platforms import PlatformSetting
from lmd_trialsim.platform_replay import replay_platform
from lmd_trialsim.reading import Document
from lmd_trialsim.report import page, platform_trial
from lmd_trialsim.scenario import Scenario

ARMS = {"control": {"control": True}, "a": {}, "b": {}, "c": {}}
SAME = {"same_as": "control"}


def scenario(endpoint, course, design, *, strata=None, truth=None):
    """A platform on which no arm differs, unless the truth says so."""
    courses = {"control": course, "a": SAME, "b": SAME, "c": SAME} | (truth or {})
    return Scenario.of(
        Document(
            {
                "schema": 1,
                "title": "A platform",
                "population": {"accrual": {"patients_per_month": 6}, **({"strata": strata} if strata else {})},
                "endpoints": {"it": endpoint},
                "arms": ARMS,
                "truths": {"real": {"it": courses}},
                "designs": {"platform": {"kind": "platform", "endpoint": "it", "max_patients": 60, **design}},
            },
            "platform",
        )
    )


def by_arm(read, replicates, seed=None):
    """The rows of trials, and those of the arms."""
    seed = int(np.random.default_rng().integers(2**40)) if seed is None else seed
    rows = play(simulation.job_of(read, "platform", "real", replicates), seed, 0, replicates).integers
    return rows, rows[:, column.HEAD :].reshape(replicates, len(ARMS), column.OF_ARM)


LOG_RANK = {
    "analysis": {"kind": "log_rank"},
    "looks": {"months": [0.5, 8]},
    "keep_best": [2],
    "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 2}}],
}


def test_the_best_are_kept_when_a_test_knows_nothing_yet():
    read = scenario({"kind": "time_to_event"}, {"median_months": 6}, LOG_RANK)
    rows, arms = by_arm(read, 400)
    assert set(rows[:, column.SUCCEEDED]) <= {0, 1, 2}, "a row that is written out of bounds shows here"
    assert (rows[:, column.ENROLLED] == arms[:, :, column.PATIENTS].sum(axis=1)).all()
    closed = (arms[:, 1:, column.VERDICT] == 2).sum(axis=1)
    nobody = math.exp(-3.0)  # that no patient comes before the first look, when arms enter
    assert abs((closed == 0).mean() - nobody) < 5 * math.sqrt(nobody / len(closed)), "else one arm is closed by it"


RESPONSE = {"kind": "binary"}
BETA = {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}
BY_RATES = {
    "analysis": BETA,
    "arms": {"a": {"strata": ["good"]}, "b": {"strata": ["poor"]}, "c": {}},
    "controls": "concurrently_eligible",
    "rules": [{"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.95}}],
}
PROGNOSIS = {"by_stratum": {"good": {"rate": 0.6}, "poor": {"rate": 0.2}}}


def test_prognosis_is_no_merit_of_an_arm():
    read = scenario(RESPONSE, PROGNOSIS, BY_RATES, strata={"good": 0.5, "poor": 0.5})
    assert np.allclose(PlatformSetting.of(read, "platform").values("real"), 0.0)
    (row,) = simulation.run(read, replicates=200, seed=1).rows
    assert row.get("best_arm_selected") is None, "no arm differs"


def test_an_effect_that_begins_after_the_median_makes_an_arm_the_best():
    late = {"a": {"hazard_ratio": 0.2, "from_month": 6}}
    read = scenario({"kind": "time_to_event"}, {"median_months": 6}, LOG_RANK, truth=late)
    values = PlatformSetting.of(read, "platform").values("real")
    assert values[1] > 1.0
    assert np.allclose(values[[0, 2, 3]], 0.0)


def test_values_that_do_not_spread_are_no_evidence():
    design = {
        "analysis": {"kind": "period_regression"},
        "controls": "all",
        "looks": {"evaluable": [8, 40]},
        "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": [10, 4, 1.96]}}],
    }
    _, arms = by_arm(scenario(RESPONSE, {"rate": 0.5}, design), 2_000)
    assert not ((arms[:, 1:, column.VERDICT] == 1) & (arms[:, 1:, column.LOOK] == 0)).any()


def test_more_patients_than_a_sum_of_times_holds_are_counted_as_they_are():
    design = {"analysis": BETA, "max_patients": 4_000, "rules": BY_RATES["rules"]}
    (row,) = simulation.run(scenario(RESPONSE, {"rate": 0.3}, design), replicates=100, seed=2).rows
    assert row.get("expected_patients").estimate == 4_000
    for arm in ARMS:
        assert row.get("expected_patients", arm).estimate == 1_000, "blocks share out alike"


CELLS = {"kind": "continuous", "better": "lower"}


def test_the_trace_of_a_continuous_endpoint_tells_values_and_means(capsys):
    design = {
        "analysis": {"kind": "difference_of_means"},
        "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 2}}],
    }
    read = scenario(CELLS, {"mean": 2.5, "sd": 0.5}, design)
    trial = replay_platform(read, "platform", "real", 3, 4)
    page.show(*platform_trial.parts(trial, "platform"))
    told = capsys.readouterr().out
    assert "no response" not in told
    seen = trial.looks[-1].arms[0]
    mean = np.mean([patient.value for patient in trial.patients if patient.arm == "control"])
    assert seen.own.months / seen.own.patients == pytest.approx(mean)
    assert f"the control: mean {mean:.3f} of {seen.own.patients}" in told


GRADUATES = {
    "looks": {"months": [6, 12, 18]},
    "rules": [
        {"stop_for": "efficacy", "when": {"predictive_probability_of": "confirmatory_trial", "exceeds": 0.8}},
        {"stop_for": "futility", "when": {"predictive_probability_of": "confirmatory_trial", "is_below": 0.1}},
    ],
}


def predictive(mean, variance, unit, size, alpha):
    """P(estimate of a new trial > z * its error) by simulation-free normal theory, written out."""
    own = unit / size
    z = 1.959963984540054 if alpha == 0.025 else math.nan
    return float(ndtr((mean - z * math.sqrt(own)) / math.sqrt(variance + own)))


def test_graduation_is_by_the_predictive_probability_of_the_next_trial():
    times = {"analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 2}}}
    rates = {"analysis": BETA}
    for endpoint, course, more, size in (
        ({"kind": "time_to_event"}, {"median_months": 4}, times, {"events": 120}),
        (RESPONSE, {"rate": 0.3}, rates, {"patients": 200}),
    ):
        read = scenario(endpoint, course, GRADUATES | more | {"confirmatory_trial": size})
        job = simulation.job_of(read, "platform", "real", 1)
        compared = 0
        for replicate in range(5):
            _, log, _ = play_logged(job, 11, replicate)
            for look in log:
                for seen in look[column.LOG_HEAD :].reshape(len(ARMS), -1)[1:]:
                    if seen[column.LOG_LOOK] < 0:
                        continue
                    n, x, t, m, y, u = seen[column.LOG_PATIENTS : column.LOG_CONTROLS_EXPOSURE + 1]
                    if "events" in size:
                        d, e = x + 0.5, y + 0.5
                        effect = psi(e) - psi(d) + math.log((t + 2) / (u + 2))
                        expected = predictive(effect, polygamma(1, d) + polygamma(1, e), 4.0, 120, 0.025)
                    else:
                        p, q = (x + 1) / (n + 2), (y + 1) / (m + 2)
                        spread = p * (1 - p) / (n + 3) + q * (1 - q) / (m + 3)
                        expected = predictive(p - q, spread, 2 * (p * (1 - p) + q * (1 - q)), 200, 0.025)
                    assert seen[column.LOG_ANSWERS + PREDICTIVE] == pytest.approx(expected, abs=1e-9)
                    compared += 1
        assert compared > 10


@pytest.mark.slow
def test_shares_follow_the_early_endpoint():
    """Arms alike in survival share alike by it, and unlike by a progression in which they differ."""

    def taken(follows):
        allocation = {"kind": "trippa", "burn_in": 40, **({"follows": follows} if follows else {})}
        document = {
            "schema": 1,
            "title": "Early",
            "population": {"accrual": {"patients_per_month": 6}},
            "endpoints": {"os": {"kind": "time_to_event"}, "pfs": {"kind": "time_to_event"}},
            "arms": ARMS,
            "truths": {
                "real": {
                    "os": {"control": {"median_months": 12}, "a": SAME, "b": SAME, "c": SAME},
                    "pfs": {"control": {"median_months": 4}, "a": {"hazard_ratio": 0.4}, "b": SAME, "c": SAME},
                }
            },
            "designs": {
                "platform": {
                    "kind": "platform",
                    "endpoint": "os",
                    "max_patients": 120,
                    "allocation": allocation,
                    "looks": {"months": {"from": 6, "every": 2, "to": 20}},
                    "follow_up_months": 6,
                    "analysis": {"kind": "log_rank"},
                    "rules": [{"stop_for": "efficacy", "at": "final", "when": {"statistic": "z", "exceeds": 2}}],
                }
            },
        }
        _, arms = by_arm(Scenario.of(Document(document, "early")), 1_000)
        counts = arms[:, :, column.PATIENTS]
        return counts.mean(axis=0), counts.std(axis=0) / math.sqrt(len(counts))

    mean, error = taken(
        {"endpoint": "pfs", "analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 2}}}
    )
    assert mean[1] - 5 * error[1] > mean[2] + 5 * error[2]
    mean, error = taken(None)
    assert abs(mean[1] - mean[2]) < 5 * math.hypot(error[1], error[2])
    assert abs(mean[1] - mean[3]) < 5 * math.hypot(error[1], error[3])


def test_the_log_rank_test_meets_all_controls_where_they_all_count():
    design = LOG_RANK | {
        "arms": {"a": {}, "b": {"enters_at_patients": 25}},
        "max_per_arm": 20,
        "controls": "all",
        "looks": {"months": [9]},
        "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "exceeds": 9}}],
    }
    read = scenario({"kind": "time_to_event"}, {"median_months": 4}, {**design, "keep_best": []})
    for replicate in range(5):
        trial = replay_platform(read, "platform", "real", 4, replicate)
        look = trial.looks[0]
        seen = [p for p in trial.patients if p.month <= look.month and p.arm in ("control", "b")]
        follow = np.array([min(p.event, p.censor, look.month - p.month) for p in seen])
        event = np.array([p.event <= f for p, f in zip(seen, follow, strict=True)])
        of_b = np.array([p.arm == "b" for p in seen])
        (shown,) = [arm for arm in look.arms if arm.arm == "b"]
        plain = logrank_test(follow[of_b], follow[~of_b], event[of_b], event[~of_b]).test_statistic
        assert shown.answers[0][0].value ** 2 == pytest.approx(plain, rel=1e-9)
