"""What must hold between a design and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.analyses import complaints_of_analysis
from lmd_trialsim.checks.arms import arms_of, complaints_of_arms
from lmd_trialsim.checks.baskets import arms_of_baskets, complaints_of_baskets
from lmd_trialsim.checks.looks import complaints_of_looks
from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.checks.platforms import arms_of_platform, complaints_of_platform, followed_by
from lmd_trialsim.checks.rules import complaints_of_rules
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import DesignSpec, General, SingleArm
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.patients.endpoints import lower_is_better
from lmd_trialsim.reading import At
from lmd_trialsim.reading.mistakes import listing

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def complaints_of_design(scenario: Scenario, at: Place, design: Any) -> Iterator[At]:
    """Yield what is wrong with a design."""
    if design.endpoint not in scenario.endpoints:
        yield unknown((*at, "endpoint"), design.endpoint, scenario.endpoints, "endpoint")
        return
    endpoint = scenario.endpoints[design.endpoint]
    yield from _of_drift(scenario, at, design)
    if endpoint.kind == "continuous" and not isinstance(design, Platform):
        way_out = "Use kind: platform, which takes one arm beside the control too."
        yield At((*at, "endpoint"), "this design is for no continuous endpoint", got="continuous", way_out=way_out)
        return
    times = endpoint.kind == "time_to_event"
    if not isinstance(design, General):
        if times and not isinstance(design, Basket | Platform):
            allowed = "binary, survival_at_month"
            yield At((*at, "endpoint"), "this design is for binary endpoints", got="time_to_event", allowed=allowed)
            return
        if lower_is_better(endpoint) and not isinstance(design, Basket | Platform):
            text = "this design takes responses for good, and of this endpoint the lower rate is better"
            yield At((*at, "endpoint"), text, way_out="Use kind: single_arm.")
            return
    if isinstance(design, Basket):
        yield from complaints_of_baskets(scenario, at, design)
        yield from _of_conduct(scenario, at, design, times)
        return
    if isinstance(design, Platform):
        yield from complaints_of_platform(scenario, at, design)
        yield from _of_conduct(scenario, at, design, times)
        return
    general = design.general()
    yield from complaints_of_arms(scenario, at, general)
    if isinstance(design, General):
        yield from complaints_of_looks(scenario, at, general)
        yield from complaints_of_analysis(scenario, (*at, "analysis"), general, general.analysis)
        yield from complaints_of_rules(scenario, at, general)
    yield from _of_conduct(scenario, at, general, times)


def _of_drift(scenario: Scenario, at: Place, design: Any) -> Iterator[At]:
    """Yield that a design has no drift to play."""
    drifting = [name for name, truth in scenario.truths.items() if truth.drift is not None]
    if drifting and not isinstance(design, Basket | Platform):
        text = f"patients drift under the truth {drifting[0]}, which is played on platforms and in baskets only"
        way_out = "Use kind: platform, or put the truth into another file."
        yield At((*at, "kind"), text, way_out=way_out)


def _of_conduct(scenario: Scenario, at: Place, design: DesignSpec, times: bool) -> Iterator[At]:
    if design.accrual_at_looks == "pauses" and times:
        yield At((*at, "accrual_at_looks"), "accrual pauses for binary endpoints only. Say continues.")
    if scenario.population.accrual.dries_up and design.max_months is None:
        text = "the accrual dries up, so the trial may never fill. Add max_months, when it closes as it stands."
        yield At(at, text, key=True)
    if isinstance(design, SingleArm) and times and design.null_rate is not None:
        yield At((*at, "null_rate"), "goes with binary endpoints. Remove it.", key=True)


def complaints_of_coverage(scenario: Scenario) -> Iterator[At]:
    """Yield the endpoints and arms that designs need and truths lack."""
    needed: dict[str, dict[str, list[str]]] = {}
    for name, design in scenario.designs.items():
        endpoints = [design.endpoint]
        if isinstance(design, Platform) and (early := followed_by(design)) is not None:
            endpoints.append(early.endpoint)
        for arm in _arms_named(scenario, design):
            for endpoint in endpoints:
                if arm in scenario.arms and endpoint in scenario.endpoints:
                    needed.setdefault(endpoint, {}).setdefault(arm, []).append(name)
    for name, truth in scenario.truths.items():
        for endpoint, arms in needed.items():
            courses = truth.courses.get(endpoint)
            if courses is None:
                designs = dict.fromkeys(design for users in arms.values() for design in users)
                text = f"says nothing of the endpoint {endpoint} of {_named(designs)}. Add it."
                yield At(("truths", name), text, key=True)
                continue
            binary = scenario.endpoints[endpoint].kind == "binary"
            for arm, users in arms.items():
                text = f"lacks the arm {arm} of {_named(users)}. Add it."
                if arm not in courses:
                    yield At(("truths", name, endpoint), text, key=True)
                elif truth.death and arm not in truth.death and binary:
                    yield At(("truths", name, "death"), text, key=True)


def _arms_named(scenario: Scenario, design: Any) -> list[str]:
    if isinstance(design, Basket):
        return arms_of_baskets(scenario, design)
    if isinstance(design, Platform):
        return arms_of_platform(scenario, design)
    return arms_of(scenario, design.general())


def _named(designs: Iterable[str]) -> str:
    names = list(designs)
    return f"design {names[0]}" if len(names) == 1 else f"the designs {listing(names)}"
