"""What must hold between the parts of a scenario; each complaint names its place and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.checks.arms import arms_of
from lmd_trialsim.checks.courses import complaints_of_truth
from lmd_trialsim.checks.designs import complaints_of_coverage, complaints_of_design
from lmd_trialsim.checks.numbers import complaints_of_numbers
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

__all__ = ["arms_of", "complaints"]

TRUTH_SAYS = ("like", "description", "drop_out", "drift", "death")
"""What a truth says besides its endpoints, which can't have these names."""


def complaints(scenario: Scenario) -> Iterator[At]:
    """Yield what is wrong between the parts."""
    controls = [name for name, arm in scenario.arms.items() if arm.control]
    for name in controls[1:]:
        yield At(("arms", name, "control"), f"a second control beside {controls[0]}. Leave one.")
    if "all" in scenario.population.strata:
        yield At(("population", "strata", "all"), "is a reserved name. Choose another.", key=True)
    for name in TRUTH_SAYS:
        if name in scenario.endpoints:
            yield At(("endpoints", name), "is a word of truths. Choose another name for the endpoint.", key=True)
    yield from complaints_of_numbers(scenario)
    for name, truth in scenario.truths.items():
        yield from complaints_of_truth(scenario, ("truths", name), truth)
    for name, design in scenario.designs.items():
        yield from complaints_of_design(scenario, ("designs", name), design)
    yield from complaints_of_coverage(scenario)
