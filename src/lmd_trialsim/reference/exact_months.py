"""When enumerated trials end, and who is enrolled while a look waits for its data: by the calendar, not by outcomes."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv, gammaln
from scipy.stats import poisson

from lmd_trialsim.patients.accrual import AccrualSpec
from lmd_trialsim.reference.exact_rates import NODES, WEIGHTS, Array


class Arrivals:
    """Arrival months of patients, from what the scenario says of the accrual.

    On a clock that counts the patients expected, Poisson arrivals come at rate 1: patient n after a gamma distributed
    time, which the expectations here integrate over.
    """

    def __init__(self, accrual: AccrualSpec) -> None:
        self.poisson = accrual.arrivals == "poisson"
        ramp = accrual.ramp_up_months.value if accrual.ramp_up_months else 0.0
        given = accrual.patients_per_month
        if isinstance(given, list):
            steps = [(step.from_month.value, step.rate.value) for step in given]
        elif given is not None:
            steps = [(0.0, given.value)]
        else:
            assert accrual.sites is not None
            assert accrual.patients_per_site_month is not None
            steps = [(0.0, accrual.sites * accrual.patients_per_site_month.value)]
        starts = sorted({month for month, _ in steps} | ({ramp} if ramp else set()))
        levels = [[rate for month, rate in steps if month <= start][-1] for start in starts]
        ramping = [start < ramp for start in starts]
        self._start = np.array(starts)
        self._rate = np.array([y * s / ramp if r else y for y, s, r in zip(levels, starts, ramping, strict=True)])
        self._slope = np.array([y / ramp if r else 0.0 for y, r in zip(levels, ramping, strict=True)])
        length = np.diff(starts)
        grown = self._rate[:-1] * length + 0.5 * self._slope[:-1] * length**2
        self._expected = np.append(0.0, np.cumsum(grown))
        self._means: dict[int, float] = {}

    def month_when(self, expected: Array) -> Array:
        """Return the month by which so many patients are expected."""
        piece = np.maximum(np.searchsorted(self._expected, expected, side="left") - 1, 0)
        missing, rate, slope = expected - self._expected[piece], self._rate[piece], self._slope[piece]
        root = rate + np.sqrt(rate**2 + 2.0 * slope * missing)
        return np.asarray(self._start[piece] + 2.0 * missing / root)

    def expected_by(self, month: Array) -> Array:
        """Return the patients expected by a month."""
        piece = np.maximum(np.searchsorted(self._start, month, side="right") - 1, 0)
        since = month - self._start[piece]
        return np.asarray(self._expected[piece] + self._rate[piece] * since + 0.5 * self._slope[piece] * since**2)

    def mean_month(self, number: int) -> float:
        """Return the expected arrival of patient `number`, from 1."""
        if not self.poisson:
            return float(self.month_when(np.array([float(number)]))[0])
        if number not in self._means:
            clock, chance = self._clock(number, self._expected)
            self._means[number] = float(chance @ self.month_when(clock))
        return self._means[number]

    def enrolled_meanwhile(self, number: int, delay: float, decide: float, most: int) -> Array:
        """Return the distribution of how many of `most` more patients come within delay + decide of `number`."""
        months = delay + decide
        if months == 0.0 or most == 0:
            return np.ones(1)
        if not self.poisson:
            arrival = self.month_when(number + np.arange(most + 1.0))
            return np.asarray(np.eye(most + 1)[int((arrival[1:] <= arrival[0] + delay + decide).sum())])
        turns = np.concatenate([self._expected, self.expected_by(np.maximum(self._start - months, 0.0))])
        clock, chance = self._clock(number, turns)
        more = (self.expected_by(self.month_when(clock) + months) - clock)[:, None]
        result = np.asarray(chance @ poisson.pmf(np.arange(most + 1), more))
        result[most] = chance @ poisson.sf(most - 1, more[:, 0])
        return result

    def _clock(self, number: int, turns: Array) -> tuple[Array, Array]:
        """Return when patient `number` comes on the clock, as nodes and their probabilities; smooth between `turns`.

        Panels become short towards 0, where the month at which a ramp has brought so many begins with a square root.
        """
        low, high = gammaincinv(number, 1e-17), gammaincinv(number, 1.0 - 1e-15)
        even = np.arange(low, high, np.sqrt(number))
        edges = np.unique(np.concatenate([[low, high], even, turns, 0.5 ** np.arange(50.0)]))
        edges = edges[(edges >= low) & (edges <= high)]
        half = 0.5 * np.diff(edges)[:, None]
        clock = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES).ravel()
        density = np.exp((number - 1) * np.log(clock) - clock - gammaln(number))
        return clock, (half * WEIGHTS).ravel() * density
