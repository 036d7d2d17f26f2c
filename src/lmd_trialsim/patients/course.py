"""What a truth says of an arm: how its patients fare, stated by medians, landmarks, hazards, rates or ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.evidence.quantities import (
    Months,
    OpenProbability,
    PositiveMonths,
    PositiveRate,
    Probability,
    Rate,
    Ratio,
    Sourced,
    Spec,
)
from lmd_trialsim.patients.hazard import Hazards
from lmd_trialsim.reading import At, Several


class HazardFrom(Spec):
    """A constant hazard from a month on."""

    from_month: Months = Field(description="months since the patient's entry")
    per_month: Rate = Field(description="events per patient-month")


class Landmark(Spec):
    """A proportion still free of the event at a month."""

    month: PositiveMonths = Field(description="months since the patient's entry")
    survival: OpenProbability = Field(description="proportion free of the event at that month")


class RatioFrom(Spec):
    """A hazard ratio from a month on."""

    from_month: Months = Field(description="months since the patient's entry")
    ratio: Ratio = Field(description="hazard ratio to the control arm from then on")


class Difference(Sourced):
    """A difference of two probabilities, -1 to 1."""

    value: Annotated[float, Field(ge=-1, le=1, description="Difference of probabilities, -1 to 1.")]


class Level(Sourced):
    """A mean, or a difference of means."""

    value: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6, description="A number.")]


class Spread(Sourced):
    """A standard deviation."""

    value: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e6, description="A number above 0.")]


class Shape(Sourced):
    """A Weibull shape."""

    value: Annotated[float, Field(ge=0.1, le=10, description="Weibull shape, 0.1 to 10; below 1 the hazard falls.")]


OWN = ("median_months", "survival", "hazard_per_month", "hazards", "landmarks")
OF_TIMES = (*OWN, "hazard_ratio")
OF_RATES = ("rate", "difference", "risk_ratio", "odds_ratio")
OF_MEANS = ("mean", "mean_difference")
RELATIVE = ("hazard_ratio", "difference", "risk_ratio", "odds_ratio", "mean_difference", "same_as")
WAYS = (*OF_TIMES, *OF_RATES, *OF_MEANS, "same_as")


class Course(Spec):
    """How the patients of one arm fare, stated in one of the ways below; by stratum where the strata differ."""

    median_months: PositiveMonths | None = Field(None, description="median time to the event, of all patients")
    survival: OpenProbability | None = Field(None, description="proportion free of the event at `at_month`")
    at_month: PositiveMonths | None = Field(None, description="the month that `survival` speaks of")
    hazard_per_month: PositiveRate | None = Field(None, description="constant hazard")
    hazards: Annotated[list[HazardFrom], Field(min_length=1, max_length=50)] | None = Field(
        None, description="piecewise constant hazards: a list of {from_month, per_month}"
    )
    landmarks: Annotated[list[Landmark], Field(min_length=1, max_length=50)] | None = Field(
        None, description="piecewise exponential through {month, survival}; the last hazard goes on"
    )
    shape: Shape | None = Field(None, description="Weibull shape for median_months, survival or hazard_per_month")
    cure_fraction: Probability | None = Field(None, description="proportion who never have the event")
    hazard_ratio: Ratio | Annotated[list[RatioFrom], Field(min_length=1, max_length=50)] | None = Field(
        None, description="hazard ratio to the control arm: a number, or a list of {from_month, ratio}"
    )
    from_month: Months | None = Field(None, description="the hazard ratio begins at this month since entry (1 before)")
    until_month: PositiveMonths | None = Field(None, description="the hazard ratio ends at this month (1 after)")
    rate: Probability | None = Field(None, description="probability of the outcome")
    difference: Difference | None = Field(None, description="rate minus the control arm's")
    risk_ratio: Ratio | None = Field(None, description="rate over the control arm's")
    odds_ratio: Ratio | None = Field(None, description="odds over the control arm's")
    mean: Level | None = Field(None, description="mean of a continuous endpoint")
    mean_difference: Level | None = Field(None, description="mean minus the control arm's")
    sd: Spread | None = Field(None, description="standard deviation, with mean; with mean_difference, the control's")
    same_as: str | None = Field(None, description="as the arm of this name")
    by_stratum: dict[str, Course] | None = Field(None, description="a course for each stratum, instead of one for all")

    @model_validator(mode="after")
    def _consistent(self) -> Course:
        given = [way for way in WAYS if getattr(self, way) is not None]
        wrong: list[At] = []

        def complain(field: str, text: str) -> None:
            wrong.append(At((field,), text, key=True))

        if self.by_stratum is not None:
            others = [
                name for name in type(self).model_fields if name != "by_stratum" and getattr(self, name) is not None
            ]
            if others:
                complain(others[0], "stands beside by_stratum. Move it into each stratum.")
        elif len(given) != 1:
            raise Several(
                [At((), f"must say the course in one way, not {len(given)}", allowed=", ".join((*WAYS, "by_stratum")))]
                if not given
                else [
                    At((given[1],), f"contradicts {given[0]}: the course must be said in one way. Remove one", key=True)
                ]
            )
        way = given[0] if given else ""
        if (self.survival is None) != (self.at_month is None):
            complain("survival" if self.survival else "at_month", "survival and at_month go together. Give both.")
        if self.shape is not None and way not in ("median_months", "survival", "hazard_per_month"):
            complain("shape", "goes with median_months, survival or hazard_per_month only.")
        if self.mean is not None and self.sd is None:
            complain("mean", "needs a standard deviation. Add sd.")
        if self.sd is not None and way not in OF_MEANS:
            complain("sd", "goes with mean or mean_difference only.")
        if self.cure_fraction is not None and way not in (*OWN, "hazard_ratio"):
            complain("cure_fraction", "goes with an event time, not with a rate.")
        for field in ("from_month", "until_month"):
            if getattr(self, field) is not None and not isinstance(self.hazard_ratio, Ratio):
                complain(field, "goes with a hazard_ratio that is one number.")
        if self.from_month and self.until_month and self.from_month.value >= self.until_month.value:
            complain("until_month", "must come after from_month.")
        wrong += self._order_of("hazards", "from_month", start=True) + self._order_of("landmarks", "month", start=False)
        if isinstance(self.hazard_ratio, list):
            wrong += self._order_of("hazard_ratio", "from_month", start=True)
        wrong += self._possible()
        if wrong:
            raise Several(wrong)
        return self

    def _order_of(self, field: str, month: str, start: bool) -> list[At]:
        months = [getattr(step, month).value for step in getattr(self, field) or []]
        if start and months and months[0] != 0:
            return [At((field, 0, month), "the first step must begin at month 0.")]
        for i in range(1, len(months)):
            if months[i] <= months[i - 1]:
                return [At((field, i, month), "months must increase from step to step. Sort them.")]
        return []

    def _possible(self) -> list[At]:
        cured = self.cure_fraction.value if self.cure_fraction else 0.0
        if self.median_months and cured >= 0.5:
            return [
                At(
                    ("cure_fraction",),
                    "leaves no median: half of the patients or more are cured. State survival instead.",
                )
            ]
        if self.survival and cured >= self.survival.value:
            return [At(("cure_fraction",), "exceeds the stated survival. Lower it, or raise survival.")]
        last = 1.0
        for i, landmark in enumerate(self.landmarks or []):
            if landmark.survival.value > last or landmark.survival.value <= cured:
                return [
                    At(
                        ("landmarks", i, "survival"),
                        "survival must fall from month to month and stay above the cure fraction.",
                    )
                ]
            last = landmark.survival.value
        return []

    def sourced(self) -> list[Sourced]:
        """Return the numbers stated here, for whoever asks where they come from."""
        found: list[Sourced] = []
        stack: list[object] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Sourced):
                found.append(item)
            elif isinstance(item, Spec):
                stack += [getattr(item, name) for name in type(item).model_fields]
            elif isinstance(item, list):
                stack += item
            elif isinstance(item, dict):
                stack += item.values()
        return found


class Curve(NamedTuple):
    """One arm's event times in one stratum: cumulative hazard piecewise linear in t ** shape, and a cured fraction."""

    shape: float
    cured: float
    knots: tuple[float, ...]  # in t ** shape, the first one 0
    slopes: tuple[float, ...]

    def cumulative(self, month: float) -> float:
        """Return the cumulative hazard of the uncured at `month`."""
        scaled = month**self.shape
        total = 0.0
        for i, (knot, slope) in enumerate(zip(self.knots, self.slopes, strict=True)):
            end = self.knots[i + 1] if i + 1 < len(self.knots) else math.inf
            total += slope * max(0.0, min(scaled, end) - knot)
        return total

    def survival(self, month: float) -> float:
        """Return the proportion free of the event at `month`."""
        return self.cured + (1.0 - self.cured) * math.exp(-self.cumulative(month))

    def median(self) -> float:
        """Return the month at which half have had the event; inf where they never do."""
        if self.cured >= 0.5:
            return math.inf
        left = math.log((1.0 - self.cured) / (0.5 - self.cured))
        for i, (knot, slope) in enumerate(zip(self.knots, self.slopes, strict=True)):
            end = self.knots[i + 1] if i + 1 < len(self.knots) else math.inf
            if slope > 0.0 and left <= slope * (end - knot):
                return float((knot + left / slope) ** (1.0 / self.shape))
            left -= slope * (end - knot) if slope > 0.0 else 0.0
        return math.inf

    def times(self, ratios: Sequence[tuple[float, float]]) -> Curve:
        """Return the curve with its hazard multiplied by each ratio from its month on; the first month is 0."""
        starts = [(month**self.shape, ratio) for month, ratio in ratios]
        knots = sorted({*self.knots, *(start for start, _ in starts)})
        slopes = []
        for knot in knots:
            base = max((k, s) for k, s in zip(self.knots, self.slopes, strict=True) if k <= knot)[1]
            slopes.append(base * max((s, r) for s, r in starts if s <= knot)[1])
        return self._replace(knots=tuple(knots), slopes=tuple(slopes))


Courses = Mapping[str, Course]


def course_in(courses: Courses, arm: str, stratum: str) -> Course:
    """Return the course of `arm` in `stratum`, following same_as."""
    course = courses[arm]
    if course.by_stratum is not None:
        course = course.by_stratum[stratum]
    return course_in(courses, course.same_as, stratum) if course.same_as is not None else course


def curve_in(courses: Courses, arm: str, stratum: str, control: str | None) -> Curve:
    """Return the event times of `arm` in `stratum`; ratios refer to `control`."""
    course = course_in(courses, arm, stratum)
    cured = course.cure_fraction.value if course.cure_fraction else 0.0
    if course.hazard_ratio is not None:
        assert control is not None
        base = curve_in(courses, control, stratum, None)
        if course.cure_fraction is not None:
            base = base._replace(cured=cured)
        if isinstance(course.hazard_ratio, list):
            return base.times([(step.from_month.value, step.ratio.value) for step in course.hazard_ratio])
        ratios = [(0.0, 1.0 if course.from_month and course.from_month.value > 0 else course.hazard_ratio.value)]
        if course.from_month and course.from_month.value > 0:
            ratios.append((course.from_month.value, course.hazard_ratio.value))
        if course.until_month:
            ratios.append((course.until_month.value, 1.0))
        return base.times(ratios)

    def log_uncured(survival: float) -> float:
        return math.log((survival - cured) / (1.0 - cured))

    shape = course.shape.value if course.shape else 1.0
    if course.hazards is not None:
        steps = [(step.from_month.value, step.per_month.value) for step in course.hazards]
        return Curve(1.0, cured, tuple(m for m, _ in steps), tuple(h for _, h in steps))
    if course.landmarks is not None:
        knots, slopes, before = [0.0], [], 0.0
        for landmark in course.landmarks:
            after = -log_uncured(landmark.survival.value)
            slopes.append((after - before) / (landmark.month.value - knots[-1]))
            knots.append(landmark.month.value)
            before = after
        return Curve(1.0, cured, tuple(knots[:-1]), tuple(slopes))
    if course.hazard_per_month is not None:
        return Curve(shape, cured, (0.0,), (course.hazard_per_month.value,))
    if course.median_months is not None:
        return Curve(shape, cured, (0.0,), (-log_uncured(0.5) / course.median_months.value**shape,))
    assert course.survival is not None
    assert course.at_month is not None
    return Curve(shape, cured, (0.0,), (-log_uncured(course.survival.value) / course.at_month.value**shape,))


def rate_in(courses: Courses, arm: str, stratum: str, control: str | None) -> float:
    """Return the response probability of `arm` in `stratum`; a difference may take it outside 0 to 1."""
    course = course_in(courses, arm, stratum)
    if course.rate is not None:
        return course.rate.value
    assert control is not None
    base = rate_in(courses, control, stratum, None)
    if course.difference is not None:
        return base + course.difference.value
    if course.risk_ratio is not None:
        return base * course.risk_ratio.value
    assert course.odds_ratio is not None
    odds = course.odds_ratio.value * base
    return odds / (1.0 - base + odds)


def mean_in(courses: Courses, arm: str, stratum: str, control: str | None) -> tuple[float, float]:
    """Return mean and standard deviation of `arm` in `stratum`; differences refer to `control`."""
    course = course_in(courses, arm, stratum)
    if course.mean is not None:
        assert course.sd is not None
        return course.mean.value, course.sd.value
    assert control is not None
    assert course.mean_difference is not None
    mean, sd = mean_in(courses, control, stratum, None)
    return mean + course.mean_difference.value, course.sd.value if course.sd is not None else sd


def log_hazard_ratio(control: Curve, treatment: Curve) -> float:
    """Return the log of the one hazard ratio of all times; NaN where there is none."""
    if control.shape != treatment.shape or not control.cured == treatment.cured == 0.0:
        return math.nan
    ratios = set()
    for knot in sorted({*control.knots, *treatment.knots}):
        base, other = (
            max((k, s) for k, s in zip(c.knots, c.slopes, strict=True) if k <= knot)[1] for c in (control, treatment)
        )
        if base <= 0.0 or other <= 0.0:
            return math.nan
        ratios.add(round(math.log(other / base), 12))
    return ratios.pop() if len(ratios) == 1 else math.nan


def lives_no_longer(control: Curve, treatment: Curve) -> bool:
    """Return whether no more are free of the event under the treatment, at any month.

    Curves of one shape that cure nobody are farthest apart at a knot, or after the last one. Others need the grid.
    """
    knots = [knot ** (1.0 / curve.shape) for curve in (control, treatment) for knot in curve.knots]
    months = [*knots, *(0.25 * 1.12**k for k in range(60))]
    return all(treatment.survival(m) <= control.survival(m) + 1e-12 for m in months)


def hazards_of(curves: Sequence[Sequence[Curve]]) -> Hazards:
    """Return the arrays that kernels read, from curves by arm and stratum."""
    shape = (len(curves), len(curves[0]))
    pieces = max(len(curve.knots) for row in curves for curve in row)
    hazards = Hazards(
        np.ones(shape),
        np.zeros(shape),
        np.full((*shape, pieces), math.inf),
        np.full((*shape, pieces), math.inf),
        np.zeros((*shape, pieces)),
    )
    for a, row in enumerate(curves):
        for s, curve in enumerate(row):
            hazards.shape[a, s] = curve.shape
            hazards.cured[a, s] = curve.cured
            total = 0.0
            for k, (knot, slope) in enumerate(zip(curve.knots, curve.slopes, strict=True)):
                if k:
                    total += curve.slopes[k - 1] * (knot - curve.knots[k - 1])
                hazards.knot[a, s, k] = knot
                hazards.cumulative[a, s, k] = total
                hazards.slope[a, s, k] = slope
    return hazards
