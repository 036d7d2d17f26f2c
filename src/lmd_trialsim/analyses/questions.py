"""The list of a design's questions: a nest of NamedTuples, so that each is compiled as what it is."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.binary import answer_counts, counts_by_arm
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer, answer_all, estimate
from lmd_trialsim.kernel.special import normal_cdf


class NoQuestion(NamedTuple):
    """The end of the list."""

    end: int


class Questions(NamedTuple):
    """A question and those that follow."""

    first: Any
    rest: Any


def ask(questions: list[Any]) -> Any:
    """Return the nest of the questions."""
    nest: Any = NoQuestion(0)
    for question in reversed(questions):
        nest = Questions(question, nest)
    return nest


@answer_all.case
def answer_none(questions: NoQuestion, needed, stream, desk, answers, look, index):
    """All have been answered."""


@answer_all.case
def answer_first_and_rest(questions: Questions, needed, stream, desk, answers, look, index):
    """Answer those that some rule looks at."""
    if needed[index, look]:
        answers[index] = answer(questions.first, stream, desk, look)
    answer_all(questions.rest, needed, stream, desk, answers, look, index + 1)


class TabulatedQuestions(NamedTuple):
    """All questions of a binary design, answered beforehand for every pair of numbers that its looks can meet.

    One type serves every such design, so that they share one compiled kernel.
    """

    offset: np.ndarray  # (largest n of treatment + 1, largest n of control + 1); -1 for pairs that cannot occur
    values: np.ndarray  # (questions, entries): at offset[n_t, n_c] + x_t * (n_c + 1) + x_c
    only_at: np.ndarray  # (questions, looks) the one number of patients that the question speaks of, -1 for any


@answer_all.case
def answer_from_tables(questions: TabulatedQuestions, needed, stream, desk, answers, look, index):
    """Look them all up at one place."""
    n_t, x_t, n_c, x_c = counts_by_arm(desk)
    offset = questions.offset[n_t, n_c]
    place = offset + x_t * (n_c + 1) + x_c
    for question in range(questions.values.shape[0]):
        if needed[question, look]:
            only = questions.only_at[question, look]
            speaks = offset >= 0 and (only < 0 or only == n_t + n_c)
            answers[index + question] = questions.values[question, place] if speaks else math.nan


class Complement(NamedTuple):
    """One minus the answer to a question."""

    question: Any


class PValue(NamedTuple):
    """The p-value of a z statistic."""

    question: Any
    sides: int


class EstimateOf(NamedTuple):
    """The estimate of the effect."""

    estimator: Any


@kernel
def _p_value(z, sides):
    return normal_cdf(-z) if sides == 1 else 2.0 * normal_cdf(-abs(z))


@answer.case
def complement(question: Complement, stream, desk, look):
    """1 - p."""
    return 1.0 - answer(question.question, stream, desk, look)


@answer_counts.case
def complement_of_counts(question: Complement, desk, n_treatment, x_treatment, n_control, x_control):
    """1 - p."""
    return 1.0 - answer_counts(question.question, desk, n_treatment, x_treatment, n_control, x_control)


@answer.case
def p_value(question: PValue, stream, desk, look):
    """The normal tail beyond z."""
    return _p_value(answer(question.question, stream, desk, look), question.sides)


@answer_counts.case
def p_value_of_counts(question: PValue, desk, n_treatment, x_treatment, n_control, x_control):
    """The normal tail beyond z."""
    z = answer_counts(question.question, desk, n_treatment, x_treatment, n_control, x_control)
    return _p_value(z, question.sides)


@answer.case
def estimate_as_answer(question: EstimateOf, stream, desk, look):
    """The estimate itself, without its limits."""
    middle, _, _ = estimate(question.estimator, desk)
    return middle
