"""Drift: patients who come later fare better or worse, by a shift on the scale on which treatments add up.

The shift is of the logit of a rate, the logarithm of a hazard, or a mean. It is made through the uniform that decides
what becomes of a patient, so that a drift of 0 changes no bit.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.evidence.quantities import Months, Spec
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import admit, observe_arms, observe_cells, shifted, times_differ
from lmd_trialsim.patients.binary import Binary, LossyBinary
from lmd_trialsim.patients.continuous import Continuous
from lmd_trialsim.patients.course import Level
from lmd_trialsim.patients.time_to_event import TimeToEvent
from lmd_trialsim.reading import At


class DriftStep(Spec):
    """A change at a month."""

    at_month: Months = Field(description="calendar month")
    by: Level = Field(description="the change of the logit of the rate, of the log hazard, or of the mean")


class Seasons(Spec):
    """A cosine with a period of a year."""

    amplitude: Level = Field(description="height of the wave")
    peak_month: Months = Field(description="a calendar month, from the opening of the trial, at which it is highest")


class DriftSpec(Spec):
    """How patients change with the calendar month in which they enter; what is said adds up."""

    per_month: Level | None = Field(None, description="change a month of the logit, of the log hazard, or of the mean")
    steps: Annotated[list[DriftStep], Field(min_length=1, max_length=100)] | None = Field(
        None, description="changes at months: a list of {at_month, by}"
    )
    seasonal: Seasons | None = Field(None, description="a wave with a period of twelve months")
    factors: dict[str, Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="by arm: so many times the drift; 1 where not said"
    )

    @model_validator(mode="after")
    def _says_something(self) -> DriftSpec:
        if self.per_month is None and self.steps is None and self.seasonal is None:
            raise At((), "says no drift", allowed="per_month, steps, seasonal")
        return self

    def plan(self, endpoint: Any, arms: list[str]) -> Drifting:
        """Return the endpoint as kernels read it, with this drift."""
        steps = self.steps or []
        wave = self.seasonal
        return Drifting(
            endpoint,
            self.per_month.value if self.per_month is not None else 0.0,
            np.array([step.at_month.value for step in steps]),
            np.array([step.by.value for step in steps]),
            wave.amplitude.value if wave is not None else 0.0,
            wave.peak_month.value if wave is not None else 0.0,
            np.array([self.factors.get(arm, 1.0) for arm in arms]),
        )


class Drifting(NamedTuple):
    """An endpoint whose patients change over the calendar."""

    endpoint: Any
    per_month: float
    step_month: np.ndarray  # (steps,)
    step: np.ndarray  # (steps,)
    amplitude: float
    peak: float
    factor: np.ndarray  # (arms,)

    @property
    def purpose(self) -> int:
        """The uniform that decides what becomes of a patient."""
        return int(getattr(self.endpoint, "purpose", random.EVENT))


@kernel
def shift_at(drift, arm, month):
    """Return the shift of a patient of the arm who enters at the month."""
    shift = drift.per_month * month
    for number in range(drift.step.shape[0]):
        shift += drift.step[number] if month >= drift.step_month[number] else 0.0
    if drift.amplitude != 0.0:
        shift += drift.amplitude * math.cos(2.0 * math.pi * (month - drift.peak) / 12.0)
    return drift.factor[arm] * shift


@admit.case
def admit_drifting(endpoint: Drifting, stream, desk, patient, arrival, stratum, chance):
    """As the endpoint does, with another uniform; a value is shifted itself."""
    person = desk.patients[patient]
    shift = shift_at(endpoint, person.arm, person.arrival)
    moved, added = shifted(endpoint.endpoint, chance, shift)
    admit(endpoint.endpoint, stream, desk, patient, arrival, stratum, moved)
    person.value += added


@shifted.case
def shifted_rate(endpoint: Binary | LossyBinary, chance, shift):
    """The logit of the rate is shifted: the uniform falls below the rate where it was below the shifted one."""
    if shift == 0.0:
        return chance, 0.0
    odds = chance / (1.0 - chance) * math.exp(-shift)
    return odds / (1.0 + odds), 0.0


@shifted.case
def shifted_hazard(endpoint: TimeToEvent, chance, shift):
    """The survival function to the power exp(shift)."""
    return (chance if shift == 0.0 else chance ** math.exp(-shift)), 0.0


@shifted.case
def shifted_mean(endpoint: Continuous, chance, shift):
    """The mean is shifted."""
    return chance, shift


@observe_arms.case
def observe_drifting_arms(endpoint: Drifting, desk, month, upto):
    """As the endpoint does."""
    observe_arms(endpoint.endpoint, desk, month, upto)


@observe_cells.case
def observe_drifting_cells(endpoint: Drifting, delay, desk, month):
    """As the endpoint does."""
    observe_cells(endpoint.endpoint, delay, desk, month)


@times_differ.case
def drifting_times_differ(endpoint: Drifting, arm, control):
    """As the endpoint does."""
    return times_differ(endpoint.endpoint, arm, control)
