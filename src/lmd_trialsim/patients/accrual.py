"""Accrual: when patients arrive."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.evidence.quantities import Months, PositiveMonths, PositiveRate, Rate, Spec
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import advance_clock, arrival_month, write_arrivals
from lmd_trialsim.reading import At


class Profile(NamedTuple):
    """The arrival rate over calendar time: piecewise linear, constant after the last knot. Arrays are (knots,)."""

    month: np.ndarray
    rate: np.ndarray  # patients a month at the knot
    slope: np.ndarray  # its change a month after the knot
    expected: np.ndarray  # patients expected before the knot


class Poisson(NamedTuple):
    """Arrivals as a Poisson process with the rate of the profile."""

    profile: Profile


class EquallySpaced(NamedTuple):
    """Patient number i arrives when i patients are expected: at a constant rate r the first comes at month 1 / r."""

    profile: Profile


class RateFrom(Spec):
    """The accrual rate from a calendar month on."""

    from_month: Months = Field(description="calendar month, counted from the opening of the trial")
    rate: Rate = Field(description="patients a month from then on")


class AccrualSpec(Spec):
    """Arrivals: a rate for the whole trial, by calendar month, or by site; with a linear ramp-up if wanted."""

    arrivals: Literal["poisson", "equally_spaced"] = Field(
        "poisson", description="a Poisson process, or evenly spaced arrivals as some other programs have them"
    )
    patients_per_month: PositiveRate | Annotated[list[RateFrom], Field(min_length=1, max_length=200)] | None = Field(
        None, description="patients a month over all sites: one rate, or a list of {from_month, rate}"
    )
    sites: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="number of sites")
    patients_per_site_month: PositiveRate | None = Field(None, description="patients a month at one site")
    ramp_up_months: PositiveMonths | None = Field(
        None, description="sites open evenly over so many months: the rate rises linearly from 0"
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> AccrualSpec:
        by_site = self.sites is not None and self.patients_per_site_month is not None
        half = (self.sites is None) != (self.patients_per_site_month is None)
        if half or by_site == (self.patients_per_month is not None):
            way_out = "Give patients_per_month, or sites and patients_per_site_month."
            raise At((), "the rate must be said in one way", way_out=way_out, key=True)
        if isinstance(self.patients_per_month, list):
            self._check_steps(self.patients_per_month)
        return self

    def _check_steps(self, steps: list[RateFrom]) -> None:
        if steps[0].from_month.value != 0:
            raise At(("patients_per_month", 0, "from_month"), "the first step must begin at month 0.")
        for i in range(1, len(steps)):
            if steps[i].from_month.value <= steps[i - 1].from_month.value:
                place = ("patients_per_month", i, "from_month")
                raise At(place, "months must increase from step to step. Sort them.")
        if not any(step.rate.value > 0 for step in steps):
            text = "no patient can ever arrive: every rate is 0. Give a positive rate."
            raise At(("patients_per_month",), text, key=True)

    @property
    def dries_up(self) -> bool:
        """Whether arrivals stop for good after some month."""
        return isinstance(self.patients_per_month, list) and self.patients_per_month[-1].rate.value == 0

    def _steps(self) -> list[tuple[float, float]]:
        if isinstance(self.patients_per_month, list):
            return [(step.from_month.value, step.rate.value) for step in self.patients_per_month]
        if self.patients_per_month is not None:
            return [(0.0, self.patients_per_month.value)]
        assert self.sites is not None
        assert self.patients_per_site_month is not None
        return [(0.0, self.sites * self.patients_per_site_month.value)]

    def profile(self) -> Profile:
        """Return the rate as a piecewise linear function; the ramp multiplies whatever rate is stated."""
        steps = self._steps()
        ramp = self.ramp_up_months.value if self.ramp_up_months else 0.0
        months = sorted({month for month, _ in steps} | ({ramp} if ramp else set()))
        starts, slopes, expected = [], [], [0.0]
        for i, month in enumerate(months):
            level = max((m, r) for m, r in steps if m <= month)[1]
            starts.append(level * (min(1.0, month / ramp) if ramp else 1.0))
            slopes.append(level / ramp if month < ramp else 0.0)
            if i + 1 < len(months):
                span = months[i + 1] - month
                expected.append(expected[-1] + span * (starts[-1] + 0.5 * slopes[-1] * span))
        return Profile(np.array(months), np.array(starts), np.array(slopes), np.array(expected))

    def plan(self) -> Any:
        """Return the Plan that kernels read."""
        return (Poisson if self.arrivals == "poisson" else EquallySpaced)(self.profile())


@kernel
def month_when_expected(profile, expected):
    """Return the month at which `expected` patients are expected; inf if the accrual dries up before."""
    piece = profile.month.shape[0] - 1
    while piece > 0 and profile.expected[piece] >= expected:
        piece -= 1
    missing = expected - profile.expected[piece]
    rate = profile.rate[piece]
    slope = profile.slope[piece]
    if slope > 0.0:
        # The stable root of rate * t + slope * t^2 / 2 = missing.
        return profile.month[piece] + 2.0 * missing / (rate + math.sqrt(rate * rate + 2.0 * slope * missing))
    return profile.month[piece] + missing / rate if rate > 0.0 else math.inf


@advance_clock.case
def advance_poisson(accrual: Poisson, stream, desk, upto):
    """Add the unit-rate waiting times of whole groups of eight: one logarithm a group."""
    state = desk.state[0]
    for group in range(state.clocked, (upto + 7) >> 3):
        p = group << 3
        u0, u1, u2, u3, u4, u5, u6, u7 = random.eight_uniforms(stream, group, random.ARRIVAL, 0)
        desk.patients[p].gap = u0
        desk.patients[p + 1].gap = u1
        desk.patients[p + 2].gap = u2
        desk.patients[p + 3].gap = u3
        desk.patients[p + 4].gap = u4
        desk.patients[p + 5].gap = u5
        desk.patients[p + 6].gap = u6
        desk.patients[p + 7].gap = u7
        product = ((((((u0 * u1) * u2) * u3) * u4) * u5) * u6) * u7
        desk.clock[group + 1] = desk.clock[group] - math.log(product)
        state.clocked = group + 1


@arrival_month.case
def arrival_poisson(accrual: Poisson, desk, patient):
    """Patient p waits -log(u) longer than the one before: the sum within the group is one logarithm of a product."""
    group = patient >> 3
    product = desk.patients[group << 3].gap
    for member in range((group << 3) + 1, patient + 1):
        product *= desk.patients[member].gap
    return month_when_expected(accrual.profile, desk.clock[group] - math.log(product)) + desk.patients[patient].put_off


@advance_clock.case
def advance_equally_spaced(accrual: EquallySpaced, stream, desk, upto):
    """Nothing is random."""


@arrival_month.case
def arrival_equally_spaced(accrual: EquallySpaced, desk, patient):
    """Patient number i (from 1) arrives when i patients are expected."""
    return month_when_expected(accrual.profile, patient + 1.0) + desk.patients[patient].put_off


@write_arrivals.case
def write_poisson_arrivals(accrual: Poisson, stream, desk, group):
    """The same waiting times as of any other trial; groups must be asked for in turn."""
    months = desk.coming[0]
    random.write_eight(stream, random.ARRIVAL, group, months)
    product = 1.0
    for member in range(8):
        product *= months[member]
        months[member] = month_when_expected(accrual.profile, desk.clock[0] - math.log(product))
    desk.clock[0] -= math.log(product)


@write_arrivals.case
def write_equally_spaced_arrivals(accrual: EquallySpaced, stream, desk, group):
    """Patient number i (from 1) arrives when i patients are expected."""
    for member in range(8):
        desk.coming[0, member] = month_when_expected(accrual.profile, 8.0 * group + member + 1.0)
