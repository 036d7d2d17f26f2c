"""What a rule saw of a trial that is played again, against what it needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine.cell_plan import CellRules

A_MOMENT = 1e-9
"""Months: what lies closer to a look than this happens at it. Answers closer to a distance than this are at it."""

NEAR = {
    "probability_that": 0.01, "predictive_probability_of": 0.01, "p_value": 0.01, "statistic": 0.1, "estimate_of": 0.1,
    "number_of": 1.0,
}  # fmt: skip
"""How far an answer may lie from its threshold to be a near miss: probabilities, z, an estimate, responses."""


class Answer(NamedTuple):
    """What a condition looks at, and what it needs. `subject` and `comparison` are words of designs.conditions."""

    subject: str
    comparison: str
    value: float
    threshold: float

    @property
    def distance(self) -> float:
        """How far the answer lies on the side where the condition holds; negative where it falls short."""
        sign = 1.0 if self.comparison in ("exceeds", "at_least") else -1.0
        return sign * (self.value - self.threshold)


def just_short(answers: Sequence[Answer], near: Mapping[str, float] = NEAR) -> bool:
    """Return whether the answers to a rule's conditions fall short, and none by more than a near miss."""
    distances = [(answer.distance, near[answer.subject] + A_MOMENT) for answer in answers]
    return any(d <= 0.0 for d, _ in distances) and all(d >= -far for d, far in distances)


class Heard(NamedTuple):
    """A rule that speaks of a cell, or arm, at a look: by conditions, the rows of its answers, and the thresholds."""

    rule: Any  # as a person wrote it
    questions: NDArray[np.int64]
    thresholds: list[float]


def heard(table: CellRules, written: Sequence[Any], look: int, cell: int, patients: float) -> Iterator[Heard | None]:
    """Yield each rule as it speaks of a cell at its look (from 0); None where it is silent, or waits for patients."""
    for row, rule in zip(table.rules, written, strict=True):
        conditions = slice(int(row["first"]), int(row["end"]))
        thresholds = table.threshold[conditions, look, cell]
        silent = patients < rule.from_patients or bool(np.isnan(thresholds).any())
        yield None if silent else Heard(rule, table.conditions["question"][conditions], thresholds.tolist())
