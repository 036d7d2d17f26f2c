"""What the analysis of a basket design says of data that are handed to it, one data set after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh
from lmd_trialsim.lowering_baskets import BasketSetting, frame_of

Array = NDArray[np.float64]


class Cells(NamedTuple):
    """What is known of the baskets, all (arms, baskets); responses of rates, events and months of times, else 0."""

    patients: NDArray[np.int64]
    responses: NDArray[np.int64]
    events: NDArray[np.int64]
    months: Array


@door
def _ask(model, desk, counts, months, tails, means):  # type: ignore[no-untyped-def]
    for i in range(counts.shape[0]):
        for arm in range(counts.shape[2]):
            for basket in range(counts.shape[3]):
                cell = desk.cells[arm, basket]
                cell.patients, cell.responses = counts[i, 0, arm, basket], counts[i, 1, arm, basket]
                cell.events, cell.months = counts[i, 2, arm, basket], months[i, arm, basket]
        weigh(model, desk)
        for basket in range(counts.shape[3]):
            for bound in range(tails.shape[1]):
                tails[i, bound, basket] = posterior_tail(model, desk, basket, bound)
            means[i, basket], _ = posterior_moments(model, desk, basket)


class FastBaskets:
    """The analysis of a basket design, made ready for bounds (bounds, baskets).

    numbers: of patients that a basket may have; as many as the design allows where they are not said.
    """

    def __init__(self, setting: BasketSetting, truth: str, bounds: Array, numbers: Sequence[int] = ()) -> None:
        occurring = sorted(numbers) or list(range(max(setting.most) + 1))
        frame = frame_of(setting, truth)
        frame = frame._replace(occurring=occurring, bounds=np.asarray(bounds, float), judged=len(bounds))
        self._model, self._scratch = setting.design.analysis.model(frame)
        self._bounds = len(bounds)

    def answers(self, data: Sequence[Cells]) -> tuple[Array, Array]:
        """Return P(measure > bound), (data sets, bounds, baskets), and the means on the scale of estimates."""
        counts = np.array([(one.patients, one.responses, one.events) for one in data], np.int64)
        return self.answers_of_arrays(counts, np.array([one.months for one in data], float))

    def answers_of_arrays(self, counts: NDArray[np.int64], months: Array) -> tuple[Array, Array]:
        """Return the same. counts: patients, responses and events, (data sets, 3, arms, baskets)."""
        sets, _, arms, baskets = counts.shape
        tails, means = np.full((sets, self._bounds, baskets), np.nan), np.full((sets, baskets), np.nan)
        counts, months = np.ascontiguousarray(counts), np.ascontiguousarray(months)
        desk = new_desk(1, arms, baskets, 1, self._scratch)
        _ask(canonical(self._model), desk, counts, months, tails, means)
        return tails, means
