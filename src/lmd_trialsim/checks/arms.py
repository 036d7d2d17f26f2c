"""Which arms a design has, and how patients are allocated to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.designs.allocation import AllocationSpec
from lmd_trialsim.designs.generic import General, SingleArm, TwoArm, TwoArms
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def arms_of(scenario: Scenario, design: General) -> list[str]:
    """Return the arms of a design, control first; empty where they can't be told."""
    if isinstance(design, TwoArm):
        if design.arms is not None:
            return [design.arms.control, design.arms.treatment]
        control = scenario.control
        others = [name for name in scenario.arms if name != control]
        return [control, others[0]] if control is not None and len(others) == 1 else []
    assert isinstance(design, SingleArm)
    if design.arm is not None:
        return [design.arm]
    others = [name for name, arm in scenario.arms.items() if not arm.control]
    return others if len(others) == 1 else []


def complaints_of_arms(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    """Yield what is wrong with the arms and the allocation."""
    arms = arms_of(scenario, design)
    if isinstance(design, TwoArm):
        yield from _of_two(scenario, at, design)
        if arms and all(arm in scenario.arms for arm in arms) and len(set(arms)) == len(arms):
            yield from complaints_of_allocation(scenario, (*at, "allocation"), design.allocation, arms)
    elif not arms:
        yield At((*at, "kind"), "which arm is it? Add arm:", allowed=", ".join(scenario.arms))
    elif arms[0] not in scenario.arms:
        yield unknown((*at, "arm"), arms[0], scenario.arms, "arm")


def _of_two(scenario: Scenario, at: Place, design: TwoArm) -> Iterator[At]:
    if design.arms is None:
        if len(scenario.arms) < 2:
            way_out = "Add an arm to arms:, or use kind: single_arm."
            yield At((*at, "kind"), "the scenario has one arm, and this design two", way_out=way_out)
        elif scenario.control is None:
            yield At((*at, "kind"), "two arms need a control, and no arm is one. Mark one with control: true.")
        elif not arms_of(scenario, design):
            yield At((*at, "kind"), "which arm is the treatment? Add arms: {control: ..., treatment: ...}.")
        return
    yield from complaints_of_roles(scenario, at, design.arms)


def complaints_of_roles(scenario: Scenario, at: Place, arms: TwoArms) -> Iterator[At]:
    """Yield what is wrong with the names of control and treatment."""
    for role in ("control", "treatment"):
        name = getattr(arms, role)
        if name not in scenario.arms:
            yield unknown((*at, "arms", role), name, scenario.arms, "arm")
    if arms.control == arms.treatment:
        yield At((*at, "arms", "treatment"), "is the control too. Name another arm.")


def complaints_of_allocation(
    scenario: Scenario, at: Place, allocation: AllocationSpec, arms: list[str]
) -> Iterator[At]:
    """Yield what is wrong with the allocation to these arms."""
    roles = {arms[0]: "the control", arms[1]: "the treatment"}
    for arm in allocation.ratio or {}:
        if arm not in arms:
            yield unknown((*at, "ratio", arm), arm, arms, "arm of this design", key=True)
    for i, arm in enumerate(allocation.order or []):
        if arm not in arms:
            yield unknown((*at, "order", i), arm, arms, "arm of this design")
    for name, given in (("ratio", allocation.ratio), ("order", allocation.order)):
        for arm in arms:
            if given is not None and arm not in given:
                way_out = "Give its share." if name == "ratio" else "Add it."
                yield At((*at, name), f"leaves out {roles[arm]} {arm}", way_out=way_out, key=True)
    total = sum(allocation.shares(arms))
    if allocation.block is not None and allocation.block % total:
        below = allocation.block // total * total
        allowed = f"{below} or {below + total}" if below else str(total)
        what = f"must be a multiple of {total}, the sum of the ratio"
        yield At((*at, "block"), what, got=str(allocation.block), allowed=allowed)
    if allocation.stratify_by and not scenario.population.strata:
        yield At((*at, "stratify_by"), "the population has no strata. Say population: strata:, or remove it.", key=True)
