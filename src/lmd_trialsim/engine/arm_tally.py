"""What is added up of trials that are judged arm by arm: whole numbers only, as in `engine.tally`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.engine.tally import VERDICTS, Integers, Moments, added, months_histogram
from lmd_trialsim.kernel.rules import EFFICACY

IMBALANCE = 0.1
"""Of all patients, by which a worse arm has more than the best one: 20 of 200 in Thall, Fox and Wathen 2015."""


class OfTruth:
    """What the tally needs to know of a truth. values: (arms,) better where larger."""

    def __init__(self, effects: NDArray[np.float64], values: NDArray[np.float64], null: Any, control: bool) -> None:
        self.effects = effects  # (arms,) true effects, as estimates state them
        self.values = values  # (arms,) how good the arms are
        self.null = np.asarray(null, bool)  # (arms,) whether success is a type I error
        self.control = control  # whether arm 0 is the control

    @property
    def first(self) -> int:
        """The first arm under trial."""
        return int(self.control)

    @property
    def alike(self) -> slice:
        """The arms whose sizes can be compared: those under trial, and of one alone the control too."""
        return slice(self.first if len(self.values) - self.first > 1 else 0, None)

    @property
    def better(self) -> NDArray[np.bool_]:
        """Whether success of an arm can be true, (arms,)."""
        return ~self.null


@dataclass(frozen=True)
class ArmTally:
    """Sums over replicates. Verdicts: 0 inconclusive, 1 efficacy, 2 futility, 3 harm. Arms: the control first."""

    replicates: int
    verdicts: Integers  # (arms, VERDICTS, looks) judged arms by verdict and look
    entered: Integers  # (arms,)
    judged: Integers  # (arms,)
    selected: Integers  # (arms + 1,) trials in which the arm was selected; the last one: none
    succeeded: int
    closed: int
    alike: int
    last_left: Integers  # (arms,) trials that ended as no other arm was left
    patients: Integers  # (most patients + 1,) trials by number of patients
    months: Integers  # (MONTH_BINS,)
    duration: Moments
    turned_away: Moments
    taken: tuple[Moments, ...]  # patients of each arm
    evaluable: tuple[Moments, ...]
    controls: tuple[Moments, ...]  # control patients an arm was compared with
    estimates: tuple[Moments, ...]
    errors: tuple[Moments, ...]  # estimate minus true value
    errors_of_successes: tuple[Moments, ...]
    queued: tuple[Moments, ...]  # months of waiting for a place
    decided: tuple[Moments, ...]  # months from entry to verdict
    covered: Integers  # (arms,) arms whose interval holds the true value
    intervals: Integers  # (arms,)
    false_of: Integers  # (arms,) trials in which the arm succeeds and is no better
    any_false: int  # trials with a success of an arm that is no better
    any_true: int
    all_true: int  # trials in which all arms succeed that are better
    best_selected: int  # trials that select the best arm, or one that is as good
    true_successes: Moments
    false_successes: Moments
    false_share: Moments
    on_inferior: Moments  # patients in arms that are worse than the best one
    ideal: Moments  # how good the selected arm is: 0 the worst, 1 the best
    errors_of_selected: Moments  # estimate minus true value of the selected arm, the control aside
    wrong_way: int  # trials in which a worse arm has more patients than the best one by over IMBALANCE of all

    @classmethod
    def of(cls, outcomes: Outcomes, looks: int, most_patients: int, truth: OfTruth) -> ArmTally:
        """Return the sums over the rows."""
        integers, numbers = outcomes
        by_arm = rows_by_arm(integers, len(truth.values))
        reals = numbers[:, 1:].reshape(-1, len(truth.values), column.NUMBERS_OF_ARM)
        return cls(
            replicates=len(integers),
            succeeded=int((integers[:, column.SUCCEEDED] > 0).sum()),
            closed=int(integers[:, column.CLOSED_EARLY].sum()),
            alike=int((integers[:, column.ENDED_AS] == column.AS_ALIKE).sum()),
            patients=np.bincount(integers[:, column.ENROLLED], minlength=most_patients + 1),
            months=months_histogram(numbers[:, column.MONTHS]),
            **_of_each_arm(by_arm, reals, looks, truth),
            **_of_decisions(integers, numbers, by_arm, truth),
        )

    def __add__(self, other: ArmTally) -> ArmTally:
        return type(self)(**{f.name: added(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def rows_by_arm(integers: Integers, arms: int) -> Integers:
    """Return the columns of the arms, (trials, arms, columns)."""
    return integers[:, column.HEAD : column.HEAD + arms * column.OF_ARM].reshape(-1, arms, column.OF_ARM)


def _of_each_arm(by_arm: Integers, reals: NDArray[np.float64], looks: int, truth: OfTruth) -> dict[str, Any]:
    """Return the sums of each arm. by_arm, reals: (trials, arms, columns)."""
    verdict, look = by_arm[:, :, column.VERDICT], by_arm[:, :, column.LOOK]
    judged, estimate = look >= 0, reals[:, :, column.ESTIMATE]
    covered, error = by_arm[:, :, column.COVERED], estimate - truth.effects

    def moments(values: NDArray[Any]) -> tuple[Moments, ...]:
        return Moments.of(list(values.T))[0]

    def verdicts(arm: int) -> Integers:
        places = (verdict * looks + look)[judged[:, arm], arm]
        return np.bincount(places, minlength=VERDICTS * looks).reshape(VERDICTS, looks)

    return {
        "verdicts": np.stack([verdicts(arm) for arm in range(len(truth.values))]),
        "entered": by_arm[:, :, column.ENTERED].sum(axis=0),
        "judged": judged.sum(axis=0),
        "taken": moments(by_arm[:, :, column.PATIENTS]),
        "evaluable": moments(np.where(judged, by_arm[:, :, column.EVALUABLE], np.nan)),
        "controls": moments(np.where(judged, by_arm[:, :, column.CONTROLS], np.nan)),
        "estimates": moments(estimate),
        "errors": moments(error),
        "errors_of_successes": moments(np.where(verdict == EFFICACY, error, np.nan)),
        "queued": moments(reals[:, :, column.QUEUED]),
        "decided": moments(reals[:, :, column.DECIDED]),
        "covered": (covered == 1).sum(axis=0),
        "intervals": (covered >= 0).sum(axis=0),
    }


def _of_decisions(integers: Integers, numbers: NDArray[np.float64], by_arm: Integers, truth: OfTruth) -> dict[str, Any]:
    """Return the sums of what is decided rightly and wrongly, and of what that costs."""
    arms, first = len(truth.values), truth.first
    success, selected = by_arm[:, :, column.VERDICT] == EFFICACY, integers[:, column.SELECTED]
    false, true = (success & truth.null)[:, first:].sum(axis=1), (success & ~truth.null)[:, first:].sum(axis=1)
    low, high = truth.values.min(), truth.values.max()
    inferior, has = truth.values < high - 1e-12, selected >= 0
    ideal = np.full(len(integers), np.nan)
    if high > low + 1e-12:
        ideal[has] = (truth.values[selected[has]] - low) / (high - low)
    taken = by_arm[:, :, column.PATIENTS]
    estimates = numbers[:, 1:].reshape(-1, arms, column.NUMBERS_OF_ARM)[:, :, column.ESTIMATE]
    error = np.where(selected >= first, (estimates - truth.effects)[np.arange(len(selected)), selected], np.nan)
    one_left = (integers[:, column.ENDED_AS] == column.AS_ONE_LEFT) & has
    names = (
        "duration",
        "turned_away",
        "true_successes",
        "false_successes",
        "false_share",
        "on_inferior",
        "ideal",
        "errors_of_selected",
    )
    (of_trial,) = Moments.of(
        [
            numbers[:, column.MONTHS],
            integers[:, column.ARRIVED] - integers[:, column.ENROLLED],
            true,
            false,
            false / np.maximum(false + true, 1),
            taken[:, inferior].sum(axis=1),
            ideal,
            error,
        ]
    )
    return dict(zip(names, of_trial, strict=True)) | {
        "selected": np.bincount(np.where(has, selected, arms), minlength=arms + 1),
        "last_left": np.bincount(selected[one_left], minlength=arms),
        "false_of": (success & truth.null).sum(axis=0),
        "any_false": int((false > 0).sum()),
        "any_true": int((true > 0).sum()),
        "all_true": int((true == truth.better[first:].sum()).sum()),
        "best_selected": int((has & ~inferior[selected]).sum()),
        "wrong_way": int((_surplus(taken, truth) > IMBALANCE * integers[:, column.ENROLLED]).sum()),
    }


def _surplus(taken: Integers, truth: OfTruth) -> Integers:
    """Return how many patients the largest worse arm has more than the largest best one, (trials,)."""
    arms = truth.alike
    best = truth.values[arms].max()
    worse = truth.values[arms] < best - 1e-12
    return np.asarray(taken[:, arms][:, worse].max(axis=1, initial=0) - taken[:, arms][:, ~worse].max(axis=1))
