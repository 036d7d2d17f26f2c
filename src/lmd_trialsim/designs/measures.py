"""What a basket is judged by: its response rate, or the median of a time to an event."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Measure(NamedTuple):
    """A measure, and the words of the YAML that speak of it."""

    word: str  # in probability_that and estimate_of
    null: str  # keys of its null value and of its target
    target: str
    counted: str  # in number_of
    most: float  # it lies between 0 and this
    logarithmic: bool  # models and estimates are of its logarithm

    def scaled(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the values on the scale of estimates."""
        values = np.asarray(values, float)
        return np.log(values) if self.logarithmic else values

    def unscaled(self, value: float) -> float:
        """Return a value of the scale of estimates as the measure itself."""
        return float(np.exp(value)) if self.logarithmic else value


RATE = Measure("rate", "null_rate", "target_rate", "responses", 1.0, logarithmic=False)
MEDIAN = Measure("median", "null_median", "target_median", "events", float("inf"), logarithmic=True)


def measure_of(endpoint_kind: str) -> Measure:
    """Return what baskets of an endpoint of this kind are judged by."""
    return MEDIAN if endpoint_kind == "time_to_event" else RATE
