"""What is added up of trials in which strata of arms may close, beside what is of all trials judged arm by arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_tally import ArmTally, OfTruth, rows_by_arm
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.engine.tally import Integers, Moments
from lmd_trialsim.kernel.rules import EFFICACY

Bools = NDArray[np.bool_]


class OfTruthByStratum(OfTruth):
    """What the tally needs to know of a truth: of each trial, by the strata that are left to its arms."""

    def __init__(
        self, whole: OfTruth, null: Bools, comes: Bools, effects: Callable[[Bools], NDArray[np.float64]]
    ) -> None:
        super().__init__(whole.effects, whole.values, whole.null, whole.control)
        self.by_stratum = null  # (arms, strata) whether the arm is no better than the control there
        self.comes = comes  # (arms, strata) whether the arm takes patients of it at first
        self.effects_left = effects  # of (trials, arms, strata), whether the stratum is left, to (trials, arms)

    def of_trials(self, left: Bools) -> OfTruth:
        """Return the truth of each trial: effects and null are (trials, arms)."""
        null = np.asarray((self.by_stratum | ~left).all(axis=2))
        found = _OfTrials(self.effects_left(left), self.values, null, self.control)
        found.can_be_true = np.asarray((~self.by_stratum & self.comes).any(axis=1))
        return found


class _OfTrials(OfTruth):
    can_be_true: Bools

    @property
    def better(self) -> Bools:
        return self.can_be_true


@dataclass(frozen=True)
class StrataTally(ArmTally):
    """Sums over replicates. A stratum of an arm is selected where the arm succeeds and the stratum is left to it."""

    closed_at: Integers  # (arms, strata, looks) trials in which it is closed, by the arm's look
    selections: Integers  # (arms, strata)
    by_stratum: tuple[Moments, ...]  # patients taken, strata within arms
    true_selections: Moments  # strata of arms that are selected, and in which the arm is better
    false_selections: Moments
    any_false_selection: int
    exact_selection: int  # trials that select all strata of arms in which the arm is better, and no other

    @classmethod
    def of(cls, outcomes: Outcomes, looks: int, most_patients: int, truth: OfTruth) -> StrataTally:
        """Return the sums over the rows."""
        assert isinstance(truth, OfTruthByStratum)
        integers = outcomes.integers
        by_stratum = rows_by_stratum(integers, *truth.comes.shape)
        left = by_stratum[:, :, :, column.LEFT] == 1
        of_trials = truth.of_trials(left)
        success = rows_by_arm(integers, len(truth.values))[:, :, column.VERDICT] == EFFICACY
        success[:, : truth.first] = False
        whole = ArmTally.of(outcomes, looks, most_patients, of_trials)
        return cls(
            **vars(whole),
            closed_at=_closed_at(by_stratum, looks),
            by_stratum=Moments.of(list(by_stratum[:, :, :, column.TAKEN].reshape(len(integers), -1).T))[0],
            **_of_selections(left & success[:, :, None], truth),
        )


def rows_by_stratum(integers: Integers, arms: int, strata: int) -> Integers:
    """Return the columns of the strata of arms, (trials, arms, strata, columns)."""
    return integers[:, column.HEAD + arms * column.OF_ARM :].reshape(-1, arms, strata, column.OF_STRATUM)


def false_successes(integers: Integers, truth: OfTruthByStratum) -> Bools:
    """Return which arms succeed falsely, (trials, arms)."""
    null = truth.of_trials(rows_by_stratum(integers, *truth.comes.shape)[:, :, :, column.LEFT] == 1).null
    return np.asarray((rows_by_arm(integers, len(truth.values))[:, :, column.VERDICT] == EFFICACY) & null)


def _closed_at(by_stratum: Integers, looks: int) -> Integers:
    """Return how often each stratum of each arm is closed at each look of the arm, (arms, strata, looks)."""
    at = by_stratum[:, :, :, column.CLOSED_AT]
    return np.stack([(at == look).sum(axis=0) for look in range(looks)], axis=2)


def _of_selections(selected: Bools, truth: OfTruthByStratum) -> dict[str, Any]:
    """Return the sums of what is selected rightly and wrongly. selected: (trials, arms, strata)."""
    better = ~truth.by_stratum & truth.comes
    better[: truth.first] = False
    true, false = (selected & better).sum(axis=(1, 2)), (selected & ~better).sum(axis=(1, 2))
    ((of_true, of_false),) = Moments.of([true, false])
    return {
        "selections": selected.sum(axis=0),
        "true_selections": of_true,
        "false_selections": of_false,
        "any_false_selection": int((false > 0).sum()),
        "exact_selection": int((selected == better).all(axis=(1, 2)).sum()),
    }
