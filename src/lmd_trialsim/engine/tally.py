"""What is added up of trials: whole numbers only, so that any order and any cutting into chunks gives the same sums.

Numbers with fractions are added as multiples of 2 ** -30: rounding each by at most 2 ** -31 is far below any Monte
Carlo error, and sums of whole numbers do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.kernel.sums import LARGEST, UNIT, add_up

Integers = NDArray[np.int64]

BINS_A_MONTH = 50
MONTH_BINS = int(LARGEST) * BINS_A_MONTH + 1
VERDICTS = 4


@dataclass(frozen=True)
class Moments:
    """Sums of so many numbers, of their squares and of the squares' squares, in units of 2 ** -30."""

    count: int
    first: int
    second: int
    fourth: int

    @classmethod
    def of(
        cls, columns: Sequence[NDArray[Any]], group: Integers | None = None, groups: int = 1
    ) -> list[tuple[Moments, ...]]:
        """Return the sums of the finite values of each group's rows in each column, [group][column].

        Whole numbers of any size are added as they are; others count as `LARGEST` at most.
        """
        values = np.stack(columns, axis=1).astype(np.float64)
        rows = np.zeros(len(values), np.int64) if group is None else np.ascontiguousarray(group)
        sums = np.zeros((groups, values.shape[1], 4), np.int64)
        add_up(values, rows, sums)
        found = [[cls(*column) for column in of_group] for of_group in sums.tolist()]
        for place in np.flatnonzero(np.nanmax(np.abs(values), axis=0, initial=0.0) > LARGEST):
            said = values[~np.isnan(values[:, place]), place]
            if np.isfinite(said).all() and (said == np.rint(said)).all():
                for number in range(groups):
                    found[number][place] = cls.of_counts(values[rows == number, place])
        return [tuple(of_group) for of_group in found]

    @classmethod
    def of_counts(cls, counts: NDArray[np.float64]) -> Moments:
        """Return the sums of whole numbers, NaN left out, in Python's own, which have no largest."""
        values, times = np.unique(counts[~np.isnan(counts)], return_counts=True)
        pairs = [(int(value), int(many)) for value, many in zip(values, times, strict=True)]
        first, second = (sum(value**power * many for value, many in pairs) for power in (1, 2))
        most = int(LARGEST) ** 2  # what `add_up` takes a fourth power for, so that chunks make no difference
        fourth = sum(min(value**4, most) * many for value, many in pairs)
        return cls(sum(many for _, many in pairs), first * int(UNIT), second * int(UNIT), fourth * int(UNIT))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            self.first + other.first,
            self.second + other.second,
            self.fourth + other.fourth,
        )

    @property
    def mean(self) -> float:
        """The mean."""
        return self.first / self.count / UNIT

    @property
    def mean_square(self) -> float:
        """The mean of the squares."""
        return self.second / self.count / UNIT

    @property
    def variance(self) -> float:
        """The sample variance; 0 of fewer than two numbers."""
        if self.count < 2:
            return 0.0
        # In whole numbers: no cancellation.
        numerator = self.count * self.second * int(UNIT) - self.first**2
        return max(numerator / (self.count * (self.count - 1)) / UNIT**2, 0.0)

    @property
    def variance_of_squares(self) -> float:
        """The sample variance of the squares."""
        if self.count < 2:
            return 0.0
        numerator = self.count * self.fourth * int(UNIT) - self.second**2
        return max(numerator / (self.count * (self.count - 1)) / UNIT**2, 0.0)


@dataclass(frozen=True)
class Tally:
    """Sums over replicates. Verdicts: 0 inconclusive, 1 efficacy, 2 futility, 3 harm."""

    replicates: int
    verdicts: Integers  # (VERDICTS, looks) trials by verdict and look
    contradicted: Integers  # (VERDICTS,) early verdicts that complete follow-up contradicts
    closed: int
    not_analysable: int
    success_ignoring: int
    accrual_closed: Integers  # (2,) for efficacy, for futility
    patients: Integers  # (most patients + 1,) trials by number of patients
    months: Integers  # (MONTH_BINS,) trials by duration, BINS_A_MONTH to a month
    duration: Moments
    arms: tuple[Moments, ...]
    evaluable: Moments
    events: Moments
    estimates: tuple[Moments, ...]  # by verdict
    errors: tuple[Moments, ...]  # estimate minus truth, by verdict; empty sums where there is no one truth
    covered: Integers  # (VERDICTS,) trials whose interval holds the truth
    intervals: Integers  # (VERDICTS,) trials with an interval

    @classmethod
    def of(cls, outcomes: Outcomes, looks: int, most_patients: int, effect: float) -> Tally:
        """Return the sums over the rows; `effect` is the true effect, NaN where there is not one."""
        integers, numbers = outcomes
        verdict, look = integers[:, column.VERDICT], integers[:, column.LOOK]
        estimate = numbers[:, column.ESTIMATE]
        has_interval = np.isfinite(numbers[:, column.LOW]) | np.isfinite(numbers[:, column.HIGH])
        has_interval &= np.isfinite(estimate) & np.isfinite(effect)
        holds = has_interval & (numbers[:, column.LOW] <= effect) & (effect <= numbers[:, column.HIGH])
        months = numbers[:, column.MONTHS]

        def by_verdict(mask: NDArray[np.bool_]) -> Integers:
            return np.bincount(verdict[mask], minlength=VERDICTS).astype(np.int64)

        (whole,) = Moments.of(
            [months, integers[:, column.EVALUABLE], integers[:, column.EVENTS], *integers[:, column.ARMS :].T]
        )
        of_verdict = Moments.of([estimate, estimate - effect], verdict, VERDICTS)
        return cls(
            replicates=len(verdict),
            verdicts=np.bincount(verdict * looks + look, minlength=VERDICTS * looks).reshape(VERDICTS, looks),
            contradicted=by_verdict(integers[:, column.CONTRADICTED] > 0),
            closed=int(integers[:, column.CLOSED].sum()),
            not_analysable=int((integers[:, column.ANALYSABLE] == 0).sum()),
            success_ignoring=int(integers[:, column.SUCCESS_IGNORING].sum()),
            accrual_closed=np.array([(integers[:, column.ACCRUAL_CLOSED] == v).sum() for v in (4, 5)]),
            patients=np.bincount(integers[:, column.PATIENTS], minlength=most_patients + 1),
            months=months_histogram(months),
            duration=whole[0],
            arms=whole[3:],
            evaluable=whole[1],
            events=whole[2],
            estimates=tuple(of[0] for of in of_verdict),
            errors=tuple(of[1] for of in of_verdict),
            covered=by_verdict(holds),
            intervals=by_verdict(has_interval),
        )

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: added(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def months_histogram(months: NDArray[np.float64]) -> Integers:
    """Return the trials by duration, BINS_A_MONTH to a month, (MONTH_BINS,)."""
    return np.bincount(np.minimum(months * BINS_A_MONTH, MONTH_BINS - 1).astype(np.int64), minlength=MONTH_BINS)


def added(a: Any, b: Any) -> Any:
    """Return the sum of two fields of tallies; of tuples, one by one."""
    return tuple(map(added, a, b)) if isinstance(a, tuple) else a + b
