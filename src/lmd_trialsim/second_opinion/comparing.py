"""A fast number beside a sampled one: how far apart, by how many errors, and what would be decided.

Plain arithmetic; nothing here needs PyMC.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lmd_trialsim.answers import Answer

SIGMAS = 5.0
"""Numbers that lie further apart than so many standard errors of the sampled one differ."""

AGREES, DIFFERS, NOT_TRUSTED, APPROXIMATION = "agrees", "differs", "not trusted", "approximate"


class Compared(NamedTuple):
    """One number of one data set. approximate: why the fast number is not meant to be that of the posterior, if so."""

    number: str
    data: str
    fast: float
    sampled: float
    error: float
    why_not: str = ""  # the fit is not trusted
    approximate: str = ""
    fit: int = 0  # numbers of one fit go together

    @property
    def difference(self) -> float:
        """Fast less sampled."""
        return self.fast - self.sampled

    @property
    def z(self) -> float:
        """The difference in standard errors of the sampled number."""
        return self.difference / self.error

    @property
    def verdict(self) -> str:
        """agrees, differs, not trusted; or approximate, where the difference is told and nothing is concluded."""
        if self.why_not:
            return NOT_TRUSTED
        if self.approximate:
            return APPROXIMATION
        return AGREES if abs(self.z) <= SIGMAS else DIFFERS  # NaN differs


class Summary(NamedTuple):
    """What is said of one number over all data sets."""

    number: str
    compared: int  # those of trusted fits
    not_trusted: int
    worst: Compared | None  # the largest difference among trusted fits
    largest_z: float  # of one data set
    mean: float  # of the differences, and its standard error
    mean_error: float
    verdict: str
    approximate: str

    @property
    def mean_z(self) -> float:
        """The mean difference in standard errors."""
        return self.mean / self.mean_error if self.mean_error > 0.0 else math.nan


def summary_of(number: str, found: Sequence[Compared]) -> Summary:
    """Return what is said of one number; it differs where one data set does, or all do on average."""
    trusted = [one for one in found if not one.why_not]
    n = max(len(trusted), 1)
    mean = math.fsum(one.difference for one in trusted) / n
    # Numbers of one fit may lie off together: their errors are added, those of different fits in squares.
    of_fits: dict[int, float] = {}
    for one in trusted:
        of_fits[one.fit] = of_fits.get(one.fit, 0.0) + one.error
    mean_error = math.hypot(*of_fits.values()) / n
    approximate = found[0].approximate
    verdicts = {one.verdict for one in found}
    differs = DIFFERS in verdicts or (not approximate and not abs(mean) <= SIGMAS * mean_error)
    return Summary(
        number,
        len(trusted),
        len(found) - len(trusted),
        max(trusted, key=_distance, default=None),
        max((abs(one.z) for one in trusted), default=math.nan),
        mean,
        mean_error,
        DIFFERS if differs else NOT_TRUSTED if NOT_TRUSTED in verdicts else APPROXIMATION if approximate else AGREES,
        approximate,
    )


def _distance(one: Compared) -> float:
    return math.inf if math.isnan(one.difference) else abs(one.difference)


class Flip(NamedTuple):
    """A look that would be decided otherwise by the sampled numbers. Rules by number from 1; None: none speaks."""

    data: str
    fast: int | None
    sampled: int | None
    beyond_error: bool  # False: the sampled number lies within its error of the threshold


Held = tuple[Answer, float, float]
"""A condition as the rule saw it; the sampled number and its error (NaN where there is none: the fast one stands)."""


def spoke(rules: Sequence[Sequence[Answer]]) -> int | None:
    """Return the number of the first rule all of whose conditions hold, from 1; rules without conditions are silent."""
    for number, answers in enumerate(rules, 1):
        if answers and all(answer.distance > 0.0 for answer in answers):
            return number
    return None


def flip_of(data: str, rules: Sequence[Sequence[Held]]) -> Flip | None:
    """Return the flip of a look, or None where it is decided alike."""
    fast = spoke([[answer for answer, _, _ in rule] for rule in rules])
    second = [
        [answer if math.isnan(value) else answer._replace(value=value) for answer, value, _ in rule] for rule in rules
    ]
    sampled = spoke(second)
    if fast == sampled:
        return None
    moved = [
        abs(value - answer.threshold) > SIGMAS * error
        for rule in rules
        for answer, value, error in rule
        if not math.isnan(value) and (answer.distance > 0.0) != (answer._replace(value=value).distance > 0.0)
    ]
    return Flip(data, fast, sampled, all(moved))
