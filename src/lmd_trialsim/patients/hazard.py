"""Event times: every course of this package is a cumulative hazard that is piecewise linear in t ** shape, plus a cure.

One form serves exponential, Weibull and piecewise exponential times, hazard ratios that begin or fade, and cured
fractions, so that all truths of a scenario run through one compiled kernel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel


class Hazards(NamedTuple):
    """Event times by arm and stratum. With s = t ** shape: H(t) = cumulative[k] + slope[k] * (s - knot[k])."""

    shape: np.ndarray  # (arms, strata)
    cured: np.ndarray  # (arms, strata) fraction that never has the event
    knot: np.ndarray  # (arms, strata, pieces), padded with inf
    cumulative: np.ndarray  # (arms, strata, pieces)
    slope: np.ndarray  # (arms, strata, pieces)


@kernel
def months_to_event(hazards, arm, stratum, u):
    """Return the months at which the survival function falls to `u`; inf for the cured (inversion)."""
    cured = hazards.cured[arm, stratum]
    if cured > 0.0:
        if u <= cured:
            return math.inf
        u = (u - cured) / (1.0 - cured)
    hazard = -math.log(u)
    piece = hazards.knot.shape[2] - 1
    while piece > 0 and hazards.cumulative[arm, stratum, piece] > hazard:
        piece -= 1
    slope = hazards.slope[arm, stratum, piece]
    missing = hazard - hazards.cumulative[arm, stratum, piece]
    if slope <= 0.0:
        return math.inf
    scaled = hazards.knot[arm, stratum, piece] + missing / slope
    shape = hazards.shape[arm, stratum]
    return scaled if shape == 1.0 else scaled ** (1.0 / shape)
