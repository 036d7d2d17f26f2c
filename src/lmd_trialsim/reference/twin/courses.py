"""What a truth says of an arm, as event times and probabilities: formulas of the twin's own, in months."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from lmd_trialsim.patients.course import Course

Courses = Mapping[str, Course]


@dataclass(frozen=True)
class Fate:
    """Event times S(t) = c + (1 - c) exp(-H(t)), where H grows by scale * (t^shape - s^shape) from each step s on."""

    cured: float
    shape: float
    steps: tuple[tuple[float, float], ...]
    """(month, scale) from month 0 on: each scale holds until the next step."""

    def scale_at(self, month: float) -> float:
        """Return the scale that holds at `month`."""
        return [scale for start, scale in self.steps if start <= month][-1]

    def survival(self, month: float) -> float:
        """Return the proportion free of the event at `month`."""
        ends = [start for start, _ in self.steps[1:]] + [math.inf]
        hazard = sum(
            scale * (min(month, end) ** self.shape - start**self.shape)
            for (start, scale), end in zip(self.steps, ends, strict=True)
            if start < month
        )
        return self.cured + (1.0 - self.cured) * math.exp(-hazard)

    def month_of(self, level: float) -> float:
        """Return the month at which survival falls to `level`; inf where it never does."""
        if level <= self.cured:
            return math.inf
        left = -math.log((level - self.cured) / (1.0 - self.cured))
        ends = [start for start, _ in self.steps[1:]] + [math.inf]
        for (start, scale), end in zip(self.steps, ends, strict=True):
            whole = scale * (end**self.shape - start**self.shape) if scale > 0.0 else 0.0
            if left <= whole:
                return float((start**self.shape + left / scale) ** (1.0 / self.shape))
            left -= whole
        return math.inf


NEVER = Fate(1.0, 1.0, ((0.0, 0.0),))
"""The fate of those to whom it can't happen."""


def said(courses: Courses, arm: str, stratum: str) -> Course:
    """Return the course of an arm in a stratum, `same_as` and `by_stratum` followed."""
    course = courses[arm]
    while course.by_stratum is not None or course.same_as is not None:
        course = course.by_stratum[stratum] if course.by_stratum is not None else courses[str(course.same_as)]
    return course


def fate(courses: Courses, arm: str, stratum: str, control: str | None) -> Fate:
    """Return the event times of an arm in a stratum; ratios are to the arm `control`."""
    course = said(courses, arm, stratum)
    if course.hazard_ratio is not None:
        return _relative(course, fate(courses, str(control), stratum, None))
    cured = course.cure_fraction.value if course.cure_fraction else 0.0

    def hazard_to(survival: float) -> float:
        # The stated survival is that of all patients: of those who are not cured (s - c) / (1 - c) survive.
        return math.log((1.0 - cured) / (survival - cured))

    if course.hazards is not None:
        return Fate(cured, 1.0, tuple((step.from_month.value, step.per_month.value) for step in course.hazards))
    if course.landmarks is not None:
        points = [(0.0, 0.0), *((mark.month.value, hazard_to(mark.survival.value)) for mark in course.landmarks)]
        steps = tuple((start, (high - low) / (end - start)) for (start, low), (end, high) in pairwise(points))
        return Fate(cured, 1.0, steps)
    shape = course.shape.value if course.shape else 1.0
    if course.hazard_per_month is not None:
        scale = course.hazard_per_month.value
    elif course.median_months is not None:
        scale = hazard_to(0.5) / course.median_months.value**shape
    else:
        assert course.survival is not None
        assert course.at_month is not None
        scale = hazard_to(course.survival.value) / course.at_month.value**shape
    return Fate(cured, shape, ((0.0, scale),))


def _relative(course: Course, base: Fate) -> Fate:
    """Return the control's fate with its hazard multiplied by the ratio.

    The page does not say whether the hazard in question is that of all patients or of those who are not cured where
    the control has cured ones. The twin reads: of those who are not cured, so that as many are cured in either arm.
    """
    if isinstance(course.hazard_ratio, list):
        ratios = [(step.from_month.value, step.ratio.value) for step in course.hazard_ratio]
    else:
        assert course.hazard_ratio is not None
        begins = course.from_month.value if course.from_month else 0.0
        ratios = [(0.0, 1.0), (begins, course.hazard_ratio.value)]
        if course.until_month is not None:
            ratios.append((course.until_month.value, 1.0))
    months = sorted({month for month, _ in ratios} | {month for month, _ in base.steps})
    steps = tuple((at, base.scale_at(at) * [ratio for month, ratio in ratios if month <= at][-1]) for at in months)
    cured = course.cure_fraction.value if course.cure_fraction else base.cured
    return Fate(cured, base.shape, steps)


def rate(courses: Courses, arm: str, stratum: str, control: str | None, month: float | None) -> float:
    """Return the probability of an outcome of 1; `month`: that of a survival_at_month endpoint, which takes times."""
    course = said(courses, arm, stratum)
    if course.rate is not None:
        return course.rate.value
    if course.difference is None and course.risk_ratio is None and course.odds_ratio is None:
        assert month is not None
        return fate(courses, arm, stratum, control).survival(month)
    of_control = rate(courses, str(control), stratum, None, month)
    if course.difference is not None:
        return of_control + course.difference.value
    if course.risk_ratio is not None:
        return of_control * course.risk_ratio.value
    assert course.odds_ratio is not None
    odds = course.odds_ratio.value * of_control / (1.0 - of_control) if of_control < 1.0 else math.inf
    return 1.0 if odds == math.inf else odds / (1.0 + odds)
