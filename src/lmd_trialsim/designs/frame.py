"""What the model of a basket design is built for: the baskets, their patients, the rates that are asked about."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.designs.measures import RATE, Measure

Array = NDArray[np.float64]


class Frame(NamedTuple):
    """What the model of a basket design is built for."""

    baskets: list[str]
    numbers: list[int]  # most patients of each basket
    occurring: list[int]  # numbers of patients that a basket may have at a look
    null: Array  # (baskets,) null rates, medians in months, or ratios
    target: Array  # (baskets,) targets; NaN where none is said
    bounds: Array  # (bounds, baskets) rates, medians or ratios that posterior probabilities speak of
    judged: int  # so many of the bounds, the first ones, are looked at by rules
    measure: Measure = RATE
