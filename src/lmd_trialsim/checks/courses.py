"""What must hold of a truth: courses describe the endpoints, and what is relative refers to what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.patients.course import OF_MEANS, OF_RATES, OF_TIMES, RELATIVE, WAYS, Course, rate_in
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario, Truth

Courses = Mapping[str, Course]

WAYS_OF = {
    "binary": OF_RATES,
    "time_to_event": OF_TIMES,
    "survival_at_month": (*OF_RATES, *OF_TIMES),
    "continuous": OF_MEANS,
}
"""How the course of each kind of endpoint can be said."""


def complaints_of_truth(scenario: Scenario, at: Place, truth: Truth) -> Iterator[At]:
    """Yield what is wrong with a truth."""
    if not truth.courses:
        yield At(at, "says nothing of any endpoint", allowed=", ".join(scenario.endpoints), key=True)
    for endpoint, courses in truth.courses.items():
        if endpoint not in scenario.endpoints:
            yield unknown((*at, endpoint), endpoint, scenario.endpoints, "endpoint", key=True)
        else:
            ways = WAYS_OF[scenario.endpoints[endpoint].kind]
            yield from _of_courses(scenario, (*at, endpoint), courses, ways)
    yield from _of_courses(scenario, (*at, "death"), truth.death, OF_TIMES)
    for arm in truth.drift.factors if truth.drift is not None else ():
        if arm not in scenario.arms:
            yield unknown((*at, "drift", "factors", arm), arm, scenario.arms, "arm", key=True)


def _of_courses(scenario: Scenario, at: Place, courses: Courses, ways: tuple[str, ...]) -> Iterator[At]:
    wrong = False
    for arm, course in courses.items():
        for found in _of_arm(scenario, (*at, arm), arm, course, courses, ways):
            wrong = True
            yield found
    if not wrong:
        yield from _of_rates(scenario, at, courses)


def _of_rates(scenario: Scenario, at: Place, courses: Courses) -> Iterator[At]:
    """Yield the relative rates that are no probabilities."""
    for arm, course in courses.items():
        for place, own in said_by((*at, arm), course):
            way = next((way for way in ("difference", "risk_ratio") if getattr(own, way) is not None), None)
            strata = [str(place[-1])] if course.by_stratum else scenario.population.stratum_names()
            rates = [rate_in(courses, arm, stratum, scenario.control) for stratum in strata] if way else []
            for rate in rates:
                if way and not 0.0 <= rate <= 1.0:
                    way_out = f"Bring the {way} nearer to {0 if way == 'difference' else 1}."
                    yield At((*place, way), "takes the rate outside 0 to 1", got=f"a rate of {rate:g}", way_out=way_out)
                    break


def said_by(at: Place, course: Course) -> Iterator[tuple[Place, Course]]:
    """Yield the course, or that of each stratum, with its place."""
    if course.by_stratum is None:
        yield at, course
    else:
        for stratum, own in course.by_stratum.items():
            yield (*at, "by_stratum", stratum), own


def _of_arm(
    scenario: Scenario, at: Place, arm: str, course: Course, courses: Courses, ways: tuple[str, ...]
) -> Iterator[At]:
    if arm not in scenario.arms:
        yield unknown(at, arm, scenario.arms, "arm", key=True)
        return
    strata = scenario.population.strata
    if course.by_stratum is not None:
        here = (*at, "by_stratum")
        if not strata:
            yield At(here, "the population has no strata. Say population: strata:", key=True)
            return
        missing = [stratum for stratum in strata if stratum not in course.by_stratum]
        for stratum in course.by_stratum:
            if stratum not in strata:
                yield unknown((*here, stratum), stratum, missing or strata, "stratum", key=True)
        for stratum in missing:
            yield At(here, f"lacks the stratum {stratum}. Give it a course.", key=True)
    for place, own in said_by(at, course):
        if own.by_stratum is not None:
            yield At((*place, "by_stratum"), "stands within by_stratum. Take it out.", key=True)
        elif own is course or place[-1] in strata:
            yield from _of_one(scenario, place, arm, own, courses, ways)


def _of_one(
    scenario: Scenario, at: Place, arm: str, course: Course, courses: Courses, ways: tuple[str, ...]
) -> Iterator[At]:
    """Yield what is wrong with one arm's course in one stratum, or in all."""
    said = next(way for way in WAYS if getattr(course, way) is not None)
    place = (*at, said)
    if said == "same_as":
        yield from _of_likeness(scenario, place, arm, course, courses, stratum=at[-1])
    elif said not in ways:
        yield At(place, "does not describe this endpoint", allowed=", ".join((*ways, "same_as")), key=True)
    elif said in RELATIVE:
        yield from _of_ratio(scenario, place, arm, said, courses)


def _of_ratio(scenario: Scenario, place: Place, arm: str, said: str, courses: Courses) -> Iterator[At]:
    control = scenario.control
    if control is None:
        yield At(place, "refers to the control arm, and there is none. Mark one with control: true.", key=True)
    elif control == arm:
        yield At(place, "refers to the control arm, which this is. State its course on its own.", key=True)
    elif control not in courses:
        yield At(place, f"refers to the control arm {control}, which has no course here. Give it one.", key=True)
    else:
        base = [own for _, own in said_by((), courses[control]) if own.by_stratum is None]
        if any(getattr(own, way) is not None for own in base for way in RELATIVE):
            text = f"refers to {control}, whose own course is relative. State that one on its own."
            yield At(place, text, key=True)
        elif said == "mean_difference" and any(own.mean is None for own in base):
            yield At(place, f"does not go with the course of {control}. State its mean and sd.")
        elif any((said == "hazard_ratio") != any(getattr(own, w) is not None for w in OF_TIMES) for own in base):
            text = f"does not go with the course of {control}: one is a rate, the other an event time."
            yield At(place, text, way_out="State both as rates, or both as event times.", key=True)


def _of_likeness(
    scenario: Scenario, place: Place, arm: str, course: Course, courses: Courses, stratum: str | int
) -> Iterator[At]:
    seen, here = [arm], course
    while here.same_as is not None:
        other = here.same_as
        if other in seen:
            yield At(place, "goes round in a circle. State one of the courses on its own.")
            return
        if other not in scenario.arms:
            if len(seen) == 1:  # else told where it is written
                yield unknown(place, other, scenario.arms, "arm")
            return
        if other not in courses:
            if len(seen) == 1:
                yield At(place, f"{other} has no course here. Give it one.")
            return
        seen.append(other)
        here = courses[other]
        if here.by_stratum is not None:
            # Of an arm without strata of its own, all the strata lead to the same circle: the first will do.
            own = here.by_stratum.get(str(stratum)) or next(iter(here.by_stratum.values()), None)
            if own is None:
                return
            here = own
