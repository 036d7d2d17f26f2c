"""The list of a design's questions: a nest of NamedTuples, so that each is compiled as what it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from lmd_trialsim.analyses.binary import answer_counts
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
