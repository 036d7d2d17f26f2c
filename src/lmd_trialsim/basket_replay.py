"""One basket trial again, patient by patient and look by look: what the kernels played, told in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.answers import NEAR, Answer, heard, just_short
from lmd_trialsim.basket_trials import basket_job
from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.backends import Job, play_logged
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.kernel.rules import EFFICACY, FUTILITY
from lmd_trialsim.lowering_baskets import BasketSetting, bounds_of, null_cells
from lmd_trialsim.replay import find_first
from lmd_trialsim.scenario import Scenario

NEAR_IN_BASKETS = {**NEAR, "estimate_of": 0.01}
"""How far an answer may lie from its threshold to be a near miss; estimates are rates."""

KINDS = ("success", "futility", "false-positive", "near-miss")


class Patient(NamedTuple):
    """A patient who was taken. outcome: of a binary endpoint, as in kernel.desk; event, censor: months from entry."""

    number: int
    month: float
    basket: str
    arm: int  # of the setting
    outcome: int
    event: float
    censor: float


class OfArm(NamedTuple):
    """What is known of one arm of a basket. counted: responses, or events; months: patient-months."""

    patients: int
    counted: int
    months: float


class Seen(NamedTuple):
    """A basket at a look. look: its number for this basket, from 1; None where the basket is not judged."""

    basket: str
    patients: int
    counted: int  # responses, or events
    months: float  # patient-months of times to an event
    mean: float  # of the rate, or of the logarithm of the median or ratio
    look: int | None
    answers: tuple[tuple[Answer, ...], ...]  # of each rule that speaks at the look; empty where it is silent
    verdict: int  # kernel.rules
    of_control: OfArm  # of a single arm, what is known of it
    asked: tuple[int, int]  # patients and responses that the rules are asked of: the basket's, or the pool's

    @property
    def of_treatment(self) -> OfArm:
        """What is known of the rest."""
        control = self.of_control
        left = self.patients - control.patients, self.counted - control.counted, self.months - control.months
        return OfArm(*left)


class Look(NamedTuple):
    """A look."""

    number: int
    month: float
    enrolled: int
    pooled: int  # kernel.desk
    homogeneity: float  # p-value that settled it; NaN where there was none
    baskets: tuple[Seen, ...]


class BasketReplay(NamedTuple):
    """One replicate of one basket design under one truth."""

    setting: BasketSetting
    truth: str
    seed: int
    replicate: int
    months: float
    succeeded: bool
    closed: bool
    values: tuple[float, ...]  # true rates, medians in months, or ratios
    patients: tuple[Patient, ...]
    looks: tuple[Look, ...]


def replay_baskets(scenario: Scenario, design: str, truth: str, seed: int, replicate: int) -> BasketReplay:
    """Play one replicate and tell everything about it."""
    setting = BasketSetting.of(scenario, design)
    job = basket_job(scenario, design, truth, 1)
    outcomes, log, desk = play_logged(job, seed, replicate)
    enrolled = int(outcomes.integers[0, column.ENROLLED])
    patients = tuple(
        Patient(
            i + 1,
            float(person.arrival),
            setting.baskets[person.stratum],
            int(person.arm),
            int(person.outcome),
            float(person.event),
            float(person.censor),
        )
        for i, person in enumerate(desk.patients[:enrolled])
    )
    return BasketReplay(
        setting,
        truth,
        seed,
        replicate,
        float(outcomes.numbers[0, column.MONTHS]),
        bool(outcomes.integers[0, column.SUCCEEDED]),
        bool(outcomes.integers[0, column.CLOSED_EARLY]),
        tuple(setting.values(truth)),
        patients,
        tuple(_look(setting, job, number, row) for number, row in enumerate(log, 1)),
    )


def _look(setting: BasketSetting, job: Job, number: int, row: NDArray[np.float64]) -> Look:
    cells = row[column.LOG_HEAD :].reshape(len(setting.baskets), -1)
    seen = []
    for index, (basket, values) in enumerate(zip(setting.baskets, cells, strict=True)):
        look = int(values[column.LOG_LOOK])
        first, events, months = values[column.LOG_OF_CONTROL : column.LOG_OF_CONTROL + 3]
        seen.append(
            Seen(
                basket,
                int(values[column.LOG_PATIENTS]),
                int(values[column.LOG_COUNTED]),
                float(values[column.LOG_EXPOSURE]),
                float(values[column.LOG_MEAN]),
                look + 1 if look >= 0 else None,
                tuple(_answers(setting, job, index, _row(setting, row, look), values)) if look >= 0 else (),
                int(values[column.LOG_VERDICT]),
                OfArm(int(first), int(events), float(months)),
                (int(values[column.LOG_ASKED]), int(values[column.LOG_ASKED + 1])),
            )
        )
    month, enrolled, pooled, homogeneity = row[: column.LOG_HEAD]
    return Look(number, float(month), int(enrolled), int(pooled), float(homogeneity), tuple(seen))


def _row(setting: BasketSetting, row: NDArray[np.float64], look: int) -> int:
    """Return where the thresholds of a look stand: those of a pool follow those of single baskets."""
    return look + setting.looks if row[column.LOG_POOLED] == 1 else look


def _answers(
    setting: BasketSetting, job: Job, index: int, look: int, values: NDArray[np.float64]
) -> Iterator[tuple[Answer, ...]]:
    """Yield what each rule sees of a basket at a look; nothing where it is silent."""
    bounds = len(bounds_of(setting))
    known = [*values[column.LOG_TAILS : column.LOG_TAILS + bounds], values[column.LOG_MEAN]]
    known += [values[column.LOG_ASKED + 1], values[column.LOG_PREDICTIVE]]
    known += [*values[column.LOG_TESTS : column.LOG_TESTS + 2]]
    for spoken in heard(job.plan.rules, setting.design.rules, look, index, values[column.LOG_ASKED]):
        found: list[Answer] = []
        for question, cut, condition in zip(*spoken[1:], spoken.rule.conditions, strict=True) if spoken else ():
            value = float(known[question])
            answer = Answer(condition.subject, condition.comparison, value, cut)
            if condition.estimate_of is not None:
                measure = setting.measure
                answer = answer._replace(value=measure.unscaled(value), threshold=measure.unscaled(cut))
            if condition.below is not None:  # stored as the probability beyond the bound
                answer = answer._replace(value=1.0 - value, threshold=1.0 - cut)
            found.append(answer)
        yield tuple(found)


def find_baskets(scenario: Scenario, design: str, truth: str, seed: int, kind: str, among: range) -> int | None:
    """Return the first replicate of `among` that is of the kind (KINDS), or None.

    success: the trial is one; futility: of some basket; false-positive: success of a basket whose rate is a null one;
    near-miss: a basket without success, where a rule of efficacy fell short by NEAR_IN_BASKETS at most.
    """
    if kind == "near-miss":
        found = (r for r in among if _near_miss(replay_baskets(scenario, design, truth, seed, r)))
        return next(found, None)
    setting = BasketSetting.of(scenario, design)
    null = np.array(null_cells(setting, truth) or [False] * len(setting.baskets))

    def is_one(outcomes: Outcomes) -> NDArray[np.bool_]:
        rows = outcomes.integers
        if kind == "success":
            return rows[:, column.SUCCEEDED] > 0
        verdict = rows[:, column.HEAD :].reshape(len(rows), len(null), column.OF_CELL)[:, :, column.VERDICT]
        found = verdict == FUTILITY if kind == "futility" else (verdict == EFFICACY) & null
        return np.asarray(found.any(axis=1))

    return find_first(basket_job(scenario, design, truth, 1), seed, among, is_one)


def _near_miss(trial: BasketReplay) -> bool:
    won = {seen.basket for look in trial.looks for seen in look.baskets if seen.verdict == EFFICACY}
    for look in trial.looks:
        for seen in look.baskets:
            for rule, answers in zip(trial.setting.design.rules, seen.answers, strict=False):
                if rule.stop_for == "efficacy" and seen.basket not in won and just_short(answers, NEAR_IN_BASKETS):
                    return True
    return False
