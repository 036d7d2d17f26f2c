"""`trace`: the very trial that a run plays, and what it tells of it."""

import math
import re

import numpy as np
import pytest
from calling import BINARY, EVENTS, call

from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.kernel.desk import RESPONSE
from lmd_trialsim.replay import Replay, nearly, replay
from lmd_trialsim.report.spoken import describe
from lmd_trialsim.report.trial import VERDICTS
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of

PAIRS = [
    (BINARY, "simon", "null"),
    (BINARY, "simon", "lossy"),
    (BINARY, "posterior", "better"),
    (BINARY, "posterior", "lossy"),
    (BINARY, "randomised", "null"),
    (EVENTS, "group_sequential", "published"),
    (EVENTS, "group_sequential", "harmful"),
    (EVENTS, "bayesian", "null"),
    (EVENTS, "bayesian", "published"),
]
REPLICATES = 40


@pytest.mark.parametrize(("file", "design", "truth"), PAIRS)
def test_a_replay_is_the_trial_that_was_played(file: str, design: str, truth: str) -> None:
    scenario = Scenario.load(file)
    seed = scenario.run.seed
    played = play(job_of(scenario, design, truth, REPLICATES), seed, 0, REPLICATES)
    for replicate in range(REPLICATES):
        trial = replay(scenario, design, truth, seed, replicate)
        np.testing.assert_array_equal(trial.outcomes.integers[0], played.integers[replicate])
        np.testing.assert_array_equal(trial.outcomes.numbers[0], played.numbers[replicate])
        agrees_with_itself(trial)


def agrees_with_itself(trial: Replay) -> None:
    """The counts told in Python are those of the kernels, and the rule that speaks is the first that may."""
    assert [p.number for p in trial.patients] == list(range(1, len(trial.patients) + 1))
    months = [p.month for p in trial.patients]
    assert months == sorted(months)
    assert len(trial.patients) == trial.integer(column.PATIENTS)
    for arm, name in enumerate(trial.setting.arms):
        assert sum(p.arm == name for p in trial.patients) == trial.integer(column.ARMS + arm)
    looks = [*trial.looks, *([trial.review] if trial.review else []), *trial.overruled]
    for look in looks:
        if trial.setting.scenario.endpoints[trial.setting.design.endpoint].kind == "time_to_event":
            assert sum(count.hits for count in look.by_arm) == look.events
            assert sum(count.patients for count in look.by_arm) == look.enrolled
        else:
            assert sum(count.patients for count in look.by_arm) == look.evaluable
        speaking = [
            judged.number
            for judged in look.rules
            if not (judged.silent or judged.waits or judged.overruled) and all(a.distance > 0.0 for a in judged.answers)
        ]
        assert look.spoke == (speaking[0] if speaking else None)
        assert all(p.month <= look.month + 1e-9 for p in trial.patients[: look.enrolled])
    last = trial.looks[-1]
    assert last.number == trial.integer(column.LOOK) + 1
    assert (last.spoke or 0) == trial.integer(column.RULE) + 1
    assert (last.evaluable, last.events) == (trial.integer(column.EVALUABLE), trial.integer(column.EVENTS))
    counted = [answer for look in looks for judged in look.rules for answer in judged.answers]
    for answer in counted:
        if answer.subject == "number_of" and not math.isnan(answer.value):
            assert answer.value == int(answer.value)


def test_responses_are_those_that_the_rule_saw() -> None:
    scenario = Scenario.load(BINARY)
    seen = 0
    for replicate in range(20):
        trial = replay(scenario, "simon", "null", 11, replicate)
        first = trial.looks[0]
        answer = first.rules[0].answers[0]
        responses = sum(p.outcome == RESPONSE for p in trial.patients[:10])
        assert answer.value == first.by_arm[0].hits == responses
        seen += responses
    assert seen > 0


def test_accrual_that_pauses_is_told() -> None:
    scenario = Scenario.load(BINARY)
    long = next(t for r in range(50) if len((t := replay(scenario, "simon", "better", 11, r)).looks) == 2)
    assert long.patients[9].month + 2.0 == pytest.approx(long.looks[0].month)
    assert long.patients[10].month > long.looks[0].month
    assert long.patients[19].month + 2.0 == pytest.approx(long.looks[1].month)


@pytest.mark.parametrize(("file", "design", "truth"), PAIRS)
def test_the_page_tells_the_ending(file: str, design: str, truth: str) -> None:
    scenario = Scenario.load(file)
    for replicate in range(3):
        page = call("trace", file, "--replicate", replicate, "--design", design, "--truth", truth).stdout
        trial = replay(scenario, design, truth, scenario.run.seed, replicate)
        assert (
            f"Verdict: {VERDICTS[trial.integer(column.VERDICT)]}, at look {trial.integer(column.LOOK) + 1} of " in page
        )
        assert f"decided in month {trial.number(column.MONTHS):.2f} with " in page
        assert len(re.findall(r"^\d+ +\d+\.\d\d ", page, re.MULTILINE)) == len(trial.patients)
        assert page.count("\nLook ") == len(trial.looks) + len(trial.overruled)
        assert ("With complete follow-up" in page) == (trial.review is not None)
        assert "nan" not in page.lower()


def test_the_seed_and_the_replicate_are_the_address() -> None:
    pages = {
        call("trace", EVENTS, "--replicate", replicate, "--seed", seed).stdout
        for replicate, seed in ((1, 7), (2, 7), (1, 8))
    }
    assert len(pages) == 3
    assert call("trace", EVENTS, "--replicate", 1).stdout in pages


def found(*arguments: object) -> int:
    """Return the replicate that an example is."""
    page = call("trace", *arguments).stdout
    match = re.match(r"Replicate (\d+) is the first ", page)
    assert match, page
    return int(match[1])


@pytest.mark.parametrize(
    ("kind", "verdict", "design", "truth"),
    [
        ("success", 1, "posterior", "better"),
        ("futility", 2, "simon", "null"),
        ("false-positive", 1, "posterior", "null"),
    ],
)
def test_an_example_is_the_first_of_its_kind(kind: str, verdict: int, design: str, truth: str) -> None:
    truths = [] if kind == "false-positive" else ["--truth", truth]
    replicate = found(BINARY, "--example", kind, "--design", design, *truths)
    played = play(job_of(Scenario.load(BINARY), design, truth, 1), 11, 0, replicate + 1).integers[:, column.VERDICT]
    assert list(np.flatnonzero(played == verdict)) == [replicate]
    assert found(BINARY, "--example", kind, "--design", design, *truths, "--replicate", replicate + 1) > replicate


def test_a_near_miss_is_near_and_a_miss() -> None:
    scenario = Scenario.load(BINARY)

    def near(replicate: int) -> bool:
        trial = replay(scenario, "posterior", "better", 11, replicate)
        at = [judged for look in trial.looks for judged in look.rules if judged.rule.stop_for == "efficacy"]
        return trial.integer(column.VERDICT) != 1 and any(map(nearly, at))

    replicate = found(BINARY, "--example", "near-miss", "--design", "posterior", "--truth", "better")
    assert [r for r in range(replicate + 1) if near(r)] == [replicate]
    trial = replay(scenario, "posterior", "better", 11, replicate)
    distances = [j.answers[0].distance for look in trial.looks for j in look.rules if j.number == 1]
    assert any(-0.01 - 1e-9 <= distance <= 0.0 for distance in distances)


def test_where_there_is_no_example_it_says_so() -> None:
    result = call("trace", EVENTS, "--example", "futility", "--among", 30, status=1)
    assert result.stdout == ""
    assert result.stderr == "No futility of group_sequential under null among 30 trials from number 0 on.\n"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"stop_for": "efficacy", "when": {"probability_that": "hazard_ratio", "below": 1.0, "exceeds": 0.99}},
            "stop for efficacy if P(hazard ratio < 1) > 0.99",
        ),
        (
            {
                "stop_for": "futility", "at": "interim", "binding": False, "from_patients": 20,
                "when": {"predictive_probability_of": "success", "is_below": 0.05},
            },
            "stop for futility if predictive probability of success < 0.05, at interim looks, "
            "from 20 evaluable patients on, not binding",
        ),
        (
            {"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.025},
            "stop for efficacy if z is above O'Brien and Fleming's boundary (alpha 0.025)",
        ),
        (
            {
                "stop_accrual_for": "efficacy", "at": [2, 3],
                "when": [
                    {"p_value": "one_sided", "at_most": 0.01},
                    {"probability_that": "survival", "month": 6, "above": 0.5, "at_least": [0.9, 0.8]},
                ],
            },
            "stop the accrual for efficacy if one-sided p-value <= 0.01 and P(survival at month 6 > 0.5) >= 0.9, 0.8 "
            "look by look, at looks 2, 3",
        ),
        (
            {"stop_for": "futility", "when": {"number_of": "responses", "at_most": 2}},
            "stop for futility if responses <= 2",
        ),
    ],
)  # fmt: skip
def test_rules_are_said_in_english(rule: dict, words: str) -> None:
    assert describe(Rule.model_validate(rule)) == words
