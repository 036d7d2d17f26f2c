"""The list of a design's questions: a nest of NamedTuples, so that each is compiled as what it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from lmd_trialsim.kernel.seams import answer, answer_all


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
