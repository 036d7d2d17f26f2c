"""One trial again, patient by patient and look by look: what the kernels played, told in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.answers import A_MOMENT, Answer, just_short
from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.effects import true_effect
from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import Job, play, play_logged
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.kernel.desk import RESPONSE, Desk
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.rules import EFFICACY
from lmd_trialsim.kernel.seams import arrival_month
from lmd_trialsim.lowering import Setting
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of


class Patient(NamedTuple):
    """A patient as drawn. Months of event and censoring count from entry; outcome (kernel.desk) where it is binary."""

    number: int
    month: float
    stratum: str
    arm: str
    outcome: int | None
    event: float
    censor: float


class Count(NamedTuple):
    """What is known of an arm at a look: evaluable patients and responses, or events and patient-months."""

    arm: str
    patients: int
    hits: int
    months: float | None


class Judged(NamedTuple):
    """A rule at a look. Silent where it does not speak at this look, waits before so many patients are evaluable.

    Overruled where it does not bind and the trial is played on in spite of it.
    """

    number: int
    rule: Rule
    answers: tuple[Answer, ...]
    silent: bool
    waits: bool
    overruled: bool


class Look(NamedTuple):
    """A look, or the complete follow-up of an early verdict. `spoke` is the number of the rule, or None."""

    number: int
    month: float
    enrolled: int
    evaluable: int
    events: int
    by_arm: tuple[Count, ...]
    rules: tuple[Judged, ...]
    spoke: int | None


@dataclass(frozen=True)
class Replay:
    """One replicate of one design under one truth."""

    setting: Setting
    truth: str
    seed: int
    replicate: int
    effect: float
    outcomes: Outcomes
    patients: tuple[Patient, ...]
    looks: tuple[Look, ...]
    review: Look | None
    overruled: tuple[Look, ...]  # the looks that follow where a futility rule that does not bind is overruled

    def integer(self, number: int) -> int:
        """Return a column of the integers (engine.outcomes)."""
        return int(self.outcomes.integers[0, number])

    def number(self, number: int) -> float:
        """Return a column of the numbers (engine.outcomes)."""
        return float(self.outcomes.numbers[0, number])


def replay(scenario: Scenario, design: str, truth: str, seed: int, replicate: int) -> Replay:
    """Play one replicate and tell everything about it."""
    job = job_of(scenario, design, truth, 1)
    outcomes, log, desk = play_logged(job, seed, replicate)
    setting = Setting.of(scenario, design)
    reviews = np.flatnonzero(log[:, column.LOOK_REVIEW] > 0.0)
    end = int(reviews[0]) if len(reviews) else len(log)
    people = _patients(setting, job, desk, max(int(row[column.LOOK_ENROLLED]) for row in log))
    looks = [_look(setting, job, people, row, overruled=i > end) for i, row in enumerate(log)]
    return Replay(
        setting,
        truth,
        seed,
        replicate,
        true_effect(scenario, design, truth),
        outcomes,
        tuple(people[: max(int(outcomes.integers[0, column.PATIENTS]), *(look.enrolled for look in looks[:end]))]),
        tuple(looks[:end]),
        looks[end] if len(reviews) else None,
        tuple(looks[end + 1 :]),
    )


@door
def _arrivals(accrual: Any, desk: Any, months: Any) -> None:
    for patient in range(months.shape[0]):
        months[patient] = arrival_month(accrual, desk, patient)


def _patients(setting: Setting, job: Job, desk: Desk, enrolled: int) -> list[Patient]:
    """Return the first so many patients."""
    enrolled = max(enrolled, int(desk.state[0].enrolled))
    months = np.zeros(enrolled)
    _arrivals(job.plan.enrolment.accrual, desk, months)
    binary = setting.scenario.endpoints[setting.design.endpoint].kind != "time_to_event"
    return [
        Patient(
            i + 1,
            float(months[i]),
            setting.strata[person.stratum],
            setting.arms[person.arm],
            int(person.outcome) if binary else None,
            float(person.event),
            float(person.censor),
        )
        for i, person in enumerate(desk.patients[:enrolled])
    ]


def _look(setting: Setting, job: Job, people: list[Patient], row: NDArray[np.float64], overruled: bool) -> Look:
    month, enrolled = float(row[column.LOOK_MONTH]), int(row[column.LOOK_ENROLLED])
    look, evaluable = int(row[column.LOOK_NUMBER]), int(row[column.LOOK_EVALUABLE])
    spoke = int(row[column.LOOK_RULE])
    answers = row[column.LOOK_ANSWERS :]
    return Look(
        look + 1,
        month,
        enrolled,
        evaluable,
        int(row[column.LOOK_EVENTS]),
        tuple(_count(setting, [p for p in people[:enrolled] if p.arm == arm], arm, month) for arm in setting.arms),
        tuple(_judged(setting, job, look, evaluable, answers, overruled)),
        None if spoke < 0 else spoke + 1,
    )


def _count(setting: Setting, people: list[Patient], arm: str, month: float) -> Count:
    """Return what is known of an arm's patients by the month of a look."""
    if setting.scenario.endpoints[setting.design.endpoint].kind != "time_to_event":
        known = [p for p in people if p.month + setting.delay <= month + A_MOMENT]
        seen = [p for p in known if p.outcome is not None and p.outcome <= RESPONSE]
        return Count(arm, len(seen), sum(p.outcome == RESPONSE for p in seen), None)
    events = [p for p in people if p.event <= p.censor and p.month + p.event <= month + A_MOMENT]
    followed = [min(p.event, p.censor, month - p.month) for p in people]
    return Count(arm, len(people), len(events), math.fsum(followed))


def _judged(
    setting: Setting, job: Job, look: int, evaluable: int, answers: NDArray[np.float64], overruled: bool = False
) -> Iterator[Judged]:
    table = job.plan.rules
    for number, rule in enumerate(setting.design.rules):
        first, end = int(table.rules[number].first), int(table.rules[number].end)
        threshold = table.threshold[first:end, look]
        questions = table.conditions["question"][first:end]
        told = tuple(
            Answer(*words, float(answers[question]), float(cut))
            for words, question, cut in zip(subjects(rule), questions, threshold, strict=True)
        )
        silent = bool(np.isnan(threshold).any())
        waits = evaluable < rule.from_patients
        yield Judged(number + 1, rule, told, silent, waits, overruled and rule.binding is False)


def subjects(rule: Rule) -> list[tuple[str, str]]:
    """Return what each condition of the rule looks at, and how it compares it."""
    if rule.spending is not None:
        return [("statistic", "exceeds" if rule.stop_for == "efficacy" else "is_below")]
    return [(condition.subject, condition.comparison) for condition in rule.conditions]


def nearly(judged: Judged) -> bool:
    """Return whether a rule falls short at a look, and by so little that it is a near miss."""
    return not (judged.silent or judged.waits) and just_short(judged.answers)


def find_first(job: Job, seed: int, among: range, is_one: Callable[[Outcomes], NDArray[np.bool_]]) -> int | None:
    """Return the first replicate of `among` that is one, or None. is_one: of the outcomes of trials, (trials,)."""
    start, size = among.start, 64
    while start < among.stop:
        end = min(start + size, among.stop)
        hits = np.flatnonzero(is_one(play(job, seed, start, end)))
        if len(hits):
            return start + int(hits[0])
        start, size = end, min(4 * size, 16_384)
    return None


def find_verdict(job: Job, seed: int, verdict: int, among: range) -> int | None:
    """Return the first replicate of `among` that ends with the verdict (kernel.rules), or None."""
    return find_first(job, seed, among, lambda outcomes: outcomes.integers[:, column.VERDICT] == verdict)


def find_near_miss(setting: Setting, job: Job, seed: int, among: range) -> int | None:
    """Return the first replicate of `among` without success where a rule of efficacy was a near miss, or None."""
    for replicate in among:
        outcomes, log, _ = play_logged(job, seed, replicate)
        if outcomes.integers[0, column.VERDICT] == EFFICACY:
            continue
        for row in log:
            if row[column.LOOK_REVIEW]:
                break
            look, evaluable = int(row[column.LOOK_NUMBER]), int(row[column.LOOK_EVALUABLE])
            for judged in _judged(setting, job, look, evaluable, row[column.LOOK_ANSWERS :]):
                if judged.rule.stop_for == "efficacy" and nearly(judged):
                    return replicate
    return None
