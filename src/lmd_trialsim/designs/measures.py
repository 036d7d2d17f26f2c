"""What a basket is judged by: its response rate, the median of a time to an event, or a ratio of two arms."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from lmd_trialsim.patients.endpoints import lower_is_better

LARGEST = 600.0
"""Of medians in months, and of ratios."""

Value = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
"""A median in months, a ratio, or a rate (which is below 1)."""


class Measure(NamedTuple):
    """A measure, and the words of the YAML that speak of it."""

    word: str  # in probability_that and estimate_of
    null: str  # keys of its null value and of its target
    target: str
    counted: str  # in number_of
    borrowed: str | None  # the characteristic that tells what a basket borrows; none of two arms
    most: float  # a value that is stated lies between 0 and this
    logarithmic: bool  # models and estimates are of its logarithm

    @property
    def spoken(self) -> str:
        """The word as people read it."""
        return self.word.replace("_", " ")

    def scaled(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the values on the scale of estimates."""
        values = np.asarray(values, float)
        return np.log(values) if self.logarithmic else values

    def unscaled(self, value: float) -> float:
        """Return a value of the scale of estimates as the measure itself."""
        return float(np.exp(value)) if self.logarithmic else value


RATE = Measure("rate", "null_rate", "target_rate", "responses", "effective_borrowed_patients", 1.0, logarithmic=False)
MEDIAN = Measure(
    "median", "null_median", "target_median", "events", "effective_borrowed_events", LARGEST, logarithmic=True
)
ODDS_RATIO = Measure("odds_ratio", "null_ratio", "target_ratio", "responses", None, LARGEST, logarithmic=True)
HAZARD_RATIO = Measure("hazard_ratio", "null_ratio", "target_ratio", "events", None, LARGEST, logarithmic=True)
RATIOS = (ODDS_RATIO, HAZARD_RATIO)
MEASURES = {measure.word: measure for measure in (RATE, MEDIAN, *RATIOS)}


def measure_of(endpoint_kind: str, randomised: bool) -> Measure:
    """Return what baskets of an endpoint of this kind are judged by, of one arm or of two."""
    if endpoint_kind == "time_to_event":
        return HAZARD_RATIO if randomised else MEDIAN
    return ODDS_RATIO if randomised else RATE


def higher_is_better(endpoint: object, measure: Measure) -> bool:
    """Return whether a higher value of the measure is the better one."""
    return measure is not HAZARD_RATIO and not lower_is_better(endpoint)
