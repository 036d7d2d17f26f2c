"""Designs that are valid and will often decide nothing: bounds on counts where patients are lost and not replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.lowering import Setting

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def silent_bounds(scenario: Scenario) -> Iterator[str]:
    """Yield a line for each design whose last count is not reached when a patient is lost before the assessment."""
    for name, spec in scenario.designs.items():
        if isinstance(spec, Basket):
            continue
        setting = Setting.of(scenario, name)
        losing = [truth for truth in scenario.truths if setting.design.ends_by_counts and _loses(setting, truth)]
        if losing:
            yield (
                f"designs.{name}: its last bound is on the responses of {_planned(setting)} evaluable patients and is "
                f"silent when one is lost, as may happen under {', '.join(losing)}. Say max_enrolled (max_patients of "
                "a general design) to replace them, or count them as failures."
            )


def _planned(setting: Setting) -> int:
    return int([*setting.design.looks.numbers(), setting.design.max_patients][setting.design.looks.count - 1])


def _loses(setting: Setting, truth_name: str) -> bool:
    """Return whether a patient lost under the truth leaves the last look with too few evaluable ones."""
    truth = setting.scenario.truths[truth_name]
    if setting.lossless(truth):
        return False
    endpoint = setting.scenario.endpoints[setting.design.endpoint]
    standing = []
    if truth.drop_out is not None:
        standing.append(getattr(endpoint, "drop_out_before_assessment", "failure"))
    if truth.death:
        standing.append(getattr(endpoint, "death_before_assessment", "failure"))
    replaced = setting.max_patients > _planned(setting)
    return "missing" in standing or ("not_evaluable" in standing and not replaced)
