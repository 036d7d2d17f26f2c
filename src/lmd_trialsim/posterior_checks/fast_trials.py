"""What a design of one or two arms says of data that are handed to it, one data set after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.questions import NoQuestion, Questions, TabulatedQuestions
from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.kernel.desk import Desk, new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.seams import answer_all, estimate
from lmd_trialsim.lowering import Setting
from lmd_trialsim.scenario import Scenario

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


class People(NamedTuple):
    """Patients of a time to an event, all (patients,): arm and stratum, months followed, 1 where the event was seen."""

    arm: Whole
    stratum: Whole
    follow: Array
    status: Whole


NOBODY = People(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


class Known(NamedTuple):
    """What is known at a look, by arm, all (arms,); and of a time to an event the patients themselves."""

    patients: Whole
    responses: Whole
    events: Whole
    months: Array
    people: People = NOBODY

    @classmethod
    def of_people(cls, people: People, arms: int) -> Known:
        """Return the sums of patients who were followed."""
        return cls(
            np.bincount(people.arm, minlength=arms),
            np.zeros(arms, np.int64),
            np.bincount(people.arm, people.status, arms).astype(np.int64),
            np.bincount(people.arm, people.follow, arms).astype(float),
            people,
        )

    @classmethod
    def of_counts(cls, patients: Sequence[int] | Whole, responses: Sequence[int] | Whole) -> Known:
        """Return what is known of a binary endpoint."""
        nothing = np.zeros(len(patients), np.int64)
        return cls(np.asarray(patients), np.asarray(responses), nothing, nothing.astype(float))


@door
def _ask(questions, needed, desk, counts, months, first, people, times, answers):  # type: ignore[no-untyped-def]
    for i in range(answers.shape[0]):
        _lay_out(desk, counts, months, first, people, times, i)
        answer_all(questions, needed, Stream(1, 0), desk, desk.answers, 0, 0)
        for question in range(answers.shape[1]):
            answers[i, question] = desk.answers[question]


@door
def _estimate(estimator, desk, counts, months, first, people, times, found):  # type: ignore[no-untyped-def]
    for i in range(found.shape[0]):
        _lay_out(desk, counts, months, first, people, times, i)
        found[i, 0], found[i, 1], found[i, 2] = estimate(estimator, desk)


@door
def _lay_out(desk, counts, months, first, people, times, i):  # type: ignore[no-untyped-def]
    """Write data set i to the desk."""
    events, patients = 0, 0
    for arm in range(counts.shape[1]):
        cell = desk.cells[arm, 0]
        cell.patients, cell.responses, cell.events = counts[i, arm, 0], counts[i, arm, 1], counts[i, arm, 2]
        cell.months = months[i, arm]
        events += cell.events
        patients += cell.patients
    for k in range(first[i], first[i + 1]):
        person = desk.patients[k - first[i]]
        person.arm, person.stratum, person.status = people[k, 0], people[k, 1], people[k, 2]
        person.follow = times[k]
    desk.state[0].enrolled = max(patients, first[i + 1] - first[i])
    desk.state[0].evaluable = patients
    desk.state[0].events = events


class FastTrial:
    """A design made ready to be asked."""

    def __init__(self, scenario: Scenario, design: str, truth: str, rules: Sequence[Rule]) -> None:
        """Make the first conditions of these rules, each a probability, the questions."""
        general: Any = Setting.of(scenario, design).design.model_copy(update={"rules": list(rules)})
        plan: Any = scenario.with_design(design, general).plan(design, truth)
        self.plan = plan
        self._place = plan.rules.conditions["question"]
        self._strata = len(scenario.population.stratum_names())

    @property
    def pairs(self) -> Whole | None:
        """The numbers of patients (treatment, control) that the design has answers for; None where it is asked anew."""
        questions = self.plan.questions
        return np.argwhere(questions.offset >= 0) if isinstance(questions, TabulatedQuestions) else None

    def answers(self, data: Sequence[Known]) -> Array:
        """Return the answers, (data sets, rules); NaN where the design can't tell."""
        return self._answers(*_arrays(data))

    def answers_of_arrays(self, counts: Whole, months: Array) -> Array:
        """Return the same of (patients, responses, events), (data sets, arms, 3), and months, (data sets, arms)."""
        sets = len(counts)
        nobody = np.zeros(sets + 1, np.int64), np.zeros((0, 3), np.int64), np.zeros(0)
        return self._answers(np.ascontiguousarray(counts), np.ascontiguousarray(months), *nobody)

    def _answers(self, *arrays: Any) -> Array:
        questions, sets = self.plan.questions, len(arrays[0])
        if isinstance(questions, TabulatedQuestions):
            found = np.full((sets, len(questions.values)), np.nan)
            _ask(questions, np.ones((len(questions.values), 1), np.int64), self._desk(*arrays), *arrays, found)
            return found[:, self._place]
        columns = []
        while isinstance(questions, Questions):
            found = np.full((sets, 1), np.nan)
            alone = canonical(Questions(questions.first, NoQuestion(0)))
            _ask(alone, np.ones((1, 1), np.int64), self._desk(*arrays), *arrays, found)
            columns.append(found[:, 0])
            questions = questions.rest
        return np.stack(columns, axis=1)[:, self._place]

    def estimates(self, data: Sequence[Known]) -> Array:
        """Return estimate and limits, (data sets, 3)."""
        found, arrays = np.full((len(data), 3), np.nan), _arrays(data)
        _estimate(self.plan.estimator, self._desk(*arrays), *arrays, found)
        return found

    def _desk(self, counts: Whole, months: Array, first: Whole, *_: Any) -> Desk:
        most = max(int(counts[:, :, 0].sum(axis=1).max()), int(np.diff(first).max()))
        desk = new_desk(most, months.shape[1], self._strata, max(len(self._place), 1) + 8)
        desk.answers[:] = np.nan
        return desk


def _arrays(data: Sequence[Known]) -> tuple[Any, ...]:
    counts = np.array([[known.patients, known.responses, known.events] for known in data], np.int64)
    sizes = [len(known.people.arm) for known in data]
    people = [np.stack([one.people.arm, one.people.stratum, one.people.status], axis=1) for one in data]
    return (
        np.ascontiguousarray(counts.transpose(0, 2, 1)),
        np.array([known.months for known in data], float),
        np.cumsum([0, *sizes]),
        np.ascontiguousarray(np.concatenate(people), np.int64),
        np.concatenate([known.people.follow for known in data]).astype(float),
    )
