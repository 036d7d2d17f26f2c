"""What the model of a platform design is built for, and what it needs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.arm_mixtures import OwnControls

Array = NDArray[np.float64]


class ArmFrame(NamedTuple):
    """What the model of a platform design is built for."""

    arms: list[str]  # the control first
    control: bool  # whether there is one
    lower: bool  # whether the lower value of the endpoint is the better one
    bounds: list[tuple[str, float]]  # quantities and bounds of posterior probabilities that rules ask for
    effects: Array  # (arms,) true effects on the scale of estimates; NaN where there is no one number
    most: int  # patients in an arm, or in all
    within: float  # the margin of equivalence
    borrows: Any = OwnControls(0)  # analyses.arm_mixtures: what an arm is compared with
    endpoint: str = "binary"  # its kind
    strata: int = 1
    months: float | None = None  # at which the trial closes as it stands


class Memory(NamedTuple):
    """What the desk must hold for a model."""

    scratch: int = 1
    entries: int = 1
    size: int = 1
