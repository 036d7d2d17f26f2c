"""What the data of a basket say of its effect: log likelihoods at given effects."""

from __future__ import annotations

import math
from typing import NamedTuple

from lmd_trialsim.kernel.seams import write_log_likelihood


class ExponentialTimes(NamedTuple):
    """Events in patient-months; the effect is the log of the median, in months."""

    arm: int


@write_log_likelihood.case
def write_of_times(data: ExponentialTimes, desk, cell, eta, offset, found):
    """Poisson: events * log hazard - hazard * months, with hazard = log 2 / median."""
    seen = desk.cells[data.arm, cell]
    for m in range(eta.shape[0]):
        effect = eta[m] + offset
        exposed = math.log(2.0) * seen.months * math.exp(-effect) if seen.months > 0.0 else 0.0
        found[m] = -seen.events * effect - exposed
