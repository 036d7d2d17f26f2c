"""What is kept of each trial: one row a replicate, integers and numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Columns of the integers; the patients of each arm follow.
VERDICT = 0  # 0 inconclusive, 1 efficacy, 2 futility, 3 harm (kernel.rules)
LOOK = 1  # the look of the verdict, from 0
RULE = 2  # the number of the rule that spoke, -1 if none did
PATIENTS = 3  # enrolled
EVALUABLE = 4
EVENTS = 5
CLOSED = 6  # 1 where the trial closed as it stood
ANALYSABLE = 7  # 0 where the last look could not be analysed
CONTRADICTED = 8  # 1 where complete follow-up contradicts an early verdict
SUCCESS_IGNORING = 9  # 1 where efficacy would be concluded if non-binding rules were ignored
ACCRUAL_CLOSED = 10  # the verdict (kernel.rules) that closed the accrual before the final look, or 0
ARMS = 11

# Columns of the numbers.
MONTHS, ESTIMATE, LOW, HIGH = 0, 1, 2, 3
NUMBERS = 4

# Columns of the log of one trial, a row a look; the answers to the design's questions follow.
LOOK_NUMBER, LOOK_MONTH, LOOK_ENROLLED, LOOK_EVALUABLE, LOOK_EVENTS, LOOK_RULE = 0, 1, 2, 3, 4, 5
LOOK_REVIEW = 6  # 1 where this is the complete follow-up of an early verdict, not a look of the trial
LOOK_ANSWERS = 7

NO_LOG = np.zeros((0, LOOK_ANSWERS))


class Outcomes(NamedTuple):
    """Rows of a chunk."""

    integers: np.ndarray  # (replicates, columns)
    numbers: np.ndarray  # (replicates, columns)


def empty_outcomes(replicates: int, integers: int, numbers: int) -> Outcomes:
    """Return room for so many replicates, with so many columns of either kind."""
    return Outcomes(np.zeros((replicates, integers), np.int64), np.zeros((replicates, numbers), np.float64))
