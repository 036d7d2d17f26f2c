"""How long enumerated trials last, and who is enrolled while a look waits for its data."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import gammaincinv, gammaln
from scipy.stats import poisson

from lmd_trialsim.patients.accrual import AccrualSpec
from lmd_trialsim.reference.exact_rates import Array


class Arrivals:
    """Arrival months of patients, from what the scenario says of the accrual."""

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
        self.constant = steps[0][1] if len(steps) == 1 and not ramp else math.nan
        # Pieces (start, rate at the start, slope, patients expected before the start).
        starts = sorted({month for month, _ in steps} | ({ramp} if ramp else set()))
        self._pieces: list[tuple[float, float, float, float]] = []
        expected = 0.0
        for i, start in enumerate(starts):
            level = [rate for month, rate in steps if month <= start][-1]
            ramping = start < ramp
            rate, slope = (level * start / ramp, level / ramp) if ramping else (level, 0.0)
            self._pieces.append((start, rate, slope, expected))
            if i + 1 < len(starts):
                length = starts[i + 1] - start
                expected += rate * length + 0.5 * slope * length**2
        self._mean = lru_cache(maxsize=None)(self._mean_month)

    def month_when(self, expected: float) -> float:
        """Return the month by which so many patients are expected."""
        start, rate, slope, before = [p for p in self._pieces if p[3] < expected or p[0] == 0.0][-1]
        missing = expected - before
        if slope:
            return start + (math.sqrt(rate**2 + 2.0 * slope * missing) - rate) / slope
        return start + missing / rate

    def mean_month(self, number: int) -> float:
        """Return the expected arrival of patient `number`, from 1."""
        return float(self._mean(number))

    def _mean_month(self, number: int) -> float:
        if not self.poisson:
            return self.month_when(float(number))
        if not math.isnan(self.constant):
            return number / self.constant

        # On the clock of the expected number the patient comes after a gamma distributed time.
        def density(clock: float) -> float:
            return math.exp((number - 1) * math.log(clock) - clock - gammaln(number)) if clock > 0.0 else 0.0

        low, high = (float(gammaincinv(number, p)) for p in (1e-15, 1.0 - 1e-15))
        knots = sorted({low, float(number), high} | {p[3] for p in self._pieces if low < p[3] < high})
        return math.fsum(
            quad(lambda u: self.month_when(u) * density(u), a, b, epsabs=1e-12, epsrel=1e-11, limit=200)[0]
            for a, b in pairwise(knots)
        )

    def enrolled_meanwhile(self, number: int, months: float, most: int) -> Array | None:
        """Return the distribution of how many of `most` more patients come within `months` of patient `number`.

        None where the rate is not constant: their number would depend on when patient `number` came.
        """
        if months == 0.0 or most == 0:
            return np.ones(1)
        if math.isnan(self.constant):
            return None
        if self.poisson:
            chance = poisson.pmf(np.arange(most + 1), self.constant * months)
            chance[most] = poisson.sf(most - 1, self.constant * months)
            return np.asarray(chance)
        until = number / self.constant + months
        more = sum((number + i) / self.constant <= until for i in range(1, most + 1))
        return np.asarray(np.eye(most + 1)[more])
