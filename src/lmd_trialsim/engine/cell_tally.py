"""What is added up of trials that are judged cell by cell: whole numbers only, as in `engine.tally`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.outcomes import Outcomes
from lmd_trialsim.engine.tally import VERDICTS, Integers, Moments, added, months_histogram
from lmd_trialsim.kernel.rules import EFFICACY


@dataclass(frozen=True)
class CellTally:
    """Sums over replicates. Verdicts: 0 inconclusive, 1 efficacy, 2 futility, 3 harm."""

    replicates: int
    verdicts: Integers  # (cells, VERDICTS, looks) judged cells by verdict and look
    never_judged: Integers  # (cells,)
    succeeded: int
    closed: int
    pooled: int
    patients: Integers  # (most patients + 1,) trials by number of patients
    months: Integers  # (MONTH_BINS,)
    duration: Moments
    taken: tuple[Moments, ...]  # patients of each cell
    evaluable: tuple[Moments, ...]
    estimates: tuple[Moments, ...]
    errors: tuple[Moments, ...]  # estimate minus true value
    borrowed: tuple[Moments, ...]
    covered: Integers  # (cells,) cells whose interval holds the true value
    intervals: Integers  # (cells,) judged cells
    any_false: int  # trials with a success in a cell whose true rate is a null one
    any_true: int  # trials with a success in a cell whose true rate is not
    true_successes: Moments  # successes in such cells
    false_successes: Moments
    false_share: Moments  # false among all successes of a trial; 0 where it has none
    correct: Moments  # cells decided rightly: success just where the rate is no null one
    all_correct: int

    @classmethod
    def of(
        cls, outcomes: Outcomes, looks: int, most_patients: int, values: NDArray[np.float64], null: Any
    ) -> CellTally:
        """Return the sums over the rows. values: (cells,) what is estimated; null: (cells,) whether it is null."""
        integers, numbers = outcomes
        cells = len(values)
        by_cell = integers[:, column.HEAD :].reshape(-1, cells, column.OF_CELL)
        reals = numbers[:, 1:].reshape(-1, cells, column.NUMBERS_OF_CELL)
        verdict, look = by_cell[:, :, column.VERDICT], by_cell[:, :, column.LOOK]
        judged, covered = look >= 0, by_cell[:, :, column.COVERED]
        estimate = reals[:, :, column.ESTIMATE]
        success = verdict == EFFICACY
        covered = np.where(np.isfinite(values), covered, -1)  # what has no one true value is neither
        false, true = (success & null).sum(axis=1), (success & ~null).sum(axis=1)
        correct = (success == ~null).sum(axis=1)
        (trial,) = Moments.of([numbers[:, column.MONTHS], true, false, false / np.maximum(false + true, 1), correct])

        def moments(values: NDArray[Any]) -> tuple[Moments, ...]:
            return Moments.of(list(values.T))[0]

        return cls(
            replicates=len(integers),
            verdicts=np.stack(
                [
                    np.bincount((verdict * looks + look)[judged[:, k], k], minlength=VERDICTS * looks).reshape(
                        VERDICTS, looks
                    )
                    for k in range(cells)
                ]
            ),
            never_judged=(~judged).sum(axis=0),
            succeeded=int(integers[:, column.SUCCEEDED].sum()),
            closed=int(integers[:, column.CLOSED_EARLY].sum()),
            pooled=int(integers[:, column.POOLED].sum()),
            patients=np.bincount(integers[:, column.ENROLLED], minlength=most_patients + 1),
            months=months_histogram(numbers[:, column.MONTHS]),
            duration=trial[0],
            taken=moments(by_cell[:, :, column.PATIENTS]),
            evaluable=moments(np.where(judged, by_cell[:, :, column.EVALUABLE], np.nan)),
            estimates=moments(estimate),
            errors=moments(estimate - values),
            borrowed=moments(reals[:, :, column.BORROWED]),
            covered=(covered == 1).sum(axis=0),
            intervals=(covered >= 0).sum(axis=0),
            any_false=int((false > 0).sum()),
            any_true=int((true > 0).sum()),
            true_successes=trial[1],
            false_successes=trial[2],
            false_share=trial[3],
            correct=trial[4],
            all_correct=int((correct == cells).sum()),
        )

    def __add__(self, other: CellTally) -> CellTally:
        return CellTally(**{f.name: added(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})
