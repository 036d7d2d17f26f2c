"""One platform trial again, patient by patient and look by look: what the kernels played, told in plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.answers import Answer, heard, just_short
from lmd_trialsim.designs.platform import ArmRule
from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_plan import ESTIMATE, STATISTIC, TAILS
from lmd_trialsim.engine.arm_tally import rows_by_arm
from lmd_trialsim.engine.backends import Job, play_logged
from lmd_trialsim.engine.cell_plan import CellRules
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.engine.strata_tally import OfTruthByStratum, false_successes, rows_by_stratum
from lmd_trialsim.kernel.rules import EFFICACY, FUTILITY, GO_ON
from lmd_trialsim.lowering_platforms import PlatformSetting
from lmd_trialsim.platform_trials import platform_job, truth_of
from lmd_trialsim.replay import find_first
from lmd_trialsim.scenario import Scenario


class Patient(NamedTuple):
    """A patient who was taken. outcome: as in kernel.desk; event, censor: months from entry."""

    number: int
    month: float
    stratum: str
    arm: str
    outcome: int
    event: float
    censor: float
    value: float  # of a continuous endpoint


class Known(NamedTuple):
    """What is known of some patients. counted: responses, or events; months: patient-months, or the sum of values."""

    patients: int
    counted: int
    months: float


class SeenStratum(NamedTuple):
    """A stratum of an arm at a look. answers: of each rule of strata; None where they were not asked."""

    stratum: str
    own: Known
    controls: Known
    answers: tuple[tuple[Answer, ...], ...] | None
    verdict: int  # kernel.rules


class Seen(NamedTuple):
    """An arm at a look. look: its number for this arm, from 1; None where the arm is not judged."""

    arm: str
    status: int  # kernel.desk
    own: Known
    controls: Known
    share: float  # of the patients allocated until the look, in proportion to the others'
    look: int | None
    estimate: float
    answers: tuple[tuple[Answer, ...], ...]  # of each rule of arms; empty where it is silent at the look
    verdict: int  # kernel.rules; where the arm is not judged, of its last strata, which close
    strata: tuple[SeenStratum, ...]  # where strata of arms may close


class Look(NamedTuple):
    """A look. alike: the probability that all arms left are alike; NaN where it was not asked."""

    number: int
    month: float
    enrolled: int
    alike: float
    arms: tuple[Seen, ...]


class PlatformReplay(NamedTuple):
    """One replicate of one platform design under one truth. Of arms, the control comes first."""

    setting: PlatformSetting
    truth: str
    seed: int
    replicate: int
    months: float
    arrived: int
    selected: str | None
    closed: bool
    alike: bool
    verdicts: tuple[int | None, ...]  # by arm; None where it never entered or was never judged
    left: tuple[tuple[str, ...], ...]  # by arm: the strata that are left to it; where strata of arms may close
    estimates: tuple[float, ...]
    effects: tuple[float, ...]  # true ones, in the strata that are left
    patients: tuple[Patient, ...]
    looks: tuple[Look, ...]


def replay_platform(scenario: Scenario, design: str, truth: str, seed: int, replicate: int) -> PlatformReplay:
    """Play one replicate and tell everything about it."""
    setting = PlatformSetting.of(scenario, design)
    job = platform_job(scenario, design, truth, 1)
    outcomes, log, desk = play_logged(job, seed, replicate)
    whole = outcomes.integers[0]
    arms, strata = setting.arms, scenario.population.stratum_names()
    (by_arm,) = rows_by_arm(outcomes.integers, len(arms))
    left = _left(setting, outcomes)
    reals = outcomes.numbers[0, 1:].reshape(len(arms), column.NUMBERS_OF_ARM)
    enrolled, selected = int(whole[column.ENROLLED]), int(whole[column.SELECTED])
    patients = tuple(
        Patient(
            i + 1,
            float(person.arrival),
            strata[person.stratum],
            arms[person.arm],
            int(person.outcome),
            float(person.event),
            float(person.censor),
            float(person.value),
        )
        for i, person in enumerate(desk.patients[:enrolled])
    )
    return PlatformReplay(
        setting,
        truth,
        seed,
        replicate,
        float(outcomes.numbers[0, column.MONTHS]),
        int(whole[column.ARRIVED]),
        arms[selected] if selected >= 0 else None,
        bool(whole[column.CLOSED_EARLY]),
        whole[column.ENDED_AS] == column.AS_ALIKE,
        tuple(int(one[column.VERDICT]) if one[column.LOOK] >= 0 else None for one in by_arm),
        tuple(tuple(itertools.compress(strata, row)) for row in left),
        tuple(float(one[column.ESTIMATE]) for one in reals),
        tuple(setting.effects_left(truth, left) if setting.closes_strata else setting.effects(truth)),
        patients,
        tuple(_look(setting, job, number, row) for number, row in enumerate(log, 1)),
    )


def _left(setting: PlatformSetting, outcomes: Outcomes) -> NDArray[np.bool_]:
    """Return which strata are left to the arms of the one trial, (arms, strata); (arms, 0) where none may close."""
    if not setting.closes_strata:
        return np.zeros((len(setting.arms), 0), bool)
    return np.asarray(rows_by_stratum(outcomes.integers, *setting.takes.shape)[0, :, :, column.LEFT] == 1)


def _look(setting: PlatformSetting, job: Job, number: int, row: NDArray[np.float64]) -> Look:
    count = len(setting.arms)
    width = column.LOG_ANSWERS + job.room.answers
    blocks = row[column.LOG_HEAD :].reshape(-1, width)
    of_strata = blocks[count:].reshape(count, -1, width)
    seen = []
    for index, (arm, values) in enumerate(zip(setting.arms, blocks[:count], strict=True)):
        look = int(values[column.LOG_LOOK])
        judged = look >= 0
        seen.append(
            Seen(
                arm,
                int(values[column.LOG_STATUS]),
                _known(values, column.LOG_PATIENTS),
                _known(values, column.LOG_CONTROLS),
                float(values[column.LOG_SHARE]),
                look + 1 if judged else None,
                float(values[column.LOG_ANSWERS + ESTIMATE]) if judged else math.nan,
                tuple(_answers(setting, job.plan.rules, setting.design.rules_of_arms, index, look, values))
                if judged
                else (),
                int(values[column.LOG_VERDICT]),
                tuple(_strata(setting, job, index, of_strata[index])),
            )
        )
    month, enrolled = float(row[column.LOG_MONTH]), int(row[column.LOG_ENROLLED])
    return Look(number, month, enrolled, float(row[column.LOG_ALIKE]), tuple(seen))


def _known(values: NDArray[np.float64], at: int) -> Known:
    return Known(int(values[at]), int(values[at + 1]), float(values[at + 2]))


def _strata(setting: PlatformSetting, job: Job, index: int, rows: NDArray[np.float64]) -> Iterator[SeenStratum]:
    """Yield what was seen of each stratum that the arm is open to at first; nothing of the control's."""
    if index == 0 or not setting.closes_strata:
        return
    table, written = job.plan.randomising.strata.rules, setting.design.rules_of_strata
    for stratum, values, comes in zip(
        setting.scenario.population.stratum_names(), rows, setting.comes[index], strict=True
    ):
        asked = not math.isnan(values[column.LOG_LOOK])
        if comes:
            yield SeenStratum(
                stratum,
                _known(values, column.LOG_PATIENTS),
                _known(values, column.LOG_CONTROLS),
                tuple(_answers(setting, table, written, index, int(values[column.LOG_LOOK]), values))
                if asked
                else None,
                int(values[column.LOG_VERDICT]) if asked else GO_ON,
            )


def _answers(
    setting: PlatformSetting,
    table: CellRules,
    written: list[ArmRule],
    index: int,
    look: int,
    values: NDArray[np.float64],
) -> Iterator[tuple[Answer, ...]]:
    """Yield what each rule sees of an arm, or of a stratum of it, at a look; nothing where it is silent."""
    known = values[column.LOG_ANSWERS :]
    for spoken in heard(table, written, look, index, values[column.LOG_PATIENTS]):
        if spoken is not None and spoken.rule.boundary is not None:
            sense = "at_least" if spoken.rule.stop_for == "efficacy" else "is_below"
            yield (Answer("statistic", sense, float(known[STATISTIC]), spoken.thresholds[0]),)
            continue
        found: list[Answer] = []
        for question, cut, condition in zip(*spoken[1:], spoken.rule.conditions, strict=True) if spoken else ():
            answer = Answer(condition.subject, condition.comparison, float(known[question]), cut)
            quantity = condition.probability_that or ""
            if question >= TAILS and (condition.below is not None) != setting.lower_is_better_of(quantity):
                answer = answer._replace(value=1.0 - answer.value, threshold=1.0 - cut)  # stored as the other side
            found.append(answer)
        yield tuple(found)


def find_platform(scenario: Scenario, design: str, truth: str, seed: int, kind: str, among: range) -> int | None:
    """Return the first replicate of `among` that is of the kind, or None.

    success: of some arm; futility: of some arm; false-positive: success of an arm that is no better; near-miss: an arm
    without success, where a rule of efficacy fell short by `answers.NEAR` at most.
    """
    if kind == "near-miss":
        found = (r for r in among if _near_miss(replay_platform(scenario, design, truth, seed, r)))
        return next(found, None)
    of_truth = truth_of(PlatformSetting.of(scenario, design), truth)

    def is_one(outcomes: Outcomes) -> NDArray[np.bool_]:
        rows = outcomes.integers
        verdict = rows_by_arm(rows, len(of_truth.values))[:, :, column.VERDICT]
        found = verdict == (FUTILITY if kind == "futility" else EFFICACY)
        if kind == "false-positive" and isinstance(of_truth, OfTruthByStratum):
            found = false_successes(rows, of_truth)
        elif kind == "false-positive":
            found = found & of_truth.null
        return np.asarray(found.any(axis=1))

    return find_first(platform_job(scenario, design, truth, 1), seed, among, is_one)


def _near_miss(trial: PlatformReplay) -> bool:
    won = {arm for arm, verdict in zip(trial.setting.arms, trial.verdicts, strict=True) if verdict == EFFICACY}
    for look in trial.looks:
        for seen in look.arms:
            for rule, answers in zip(trial.setting.design.rules_of_arms, seen.answers, strict=False):
                if rule.stop_for == "efficacy" and seen.arm not in won and just_short(answers):
                    return True
    return False
