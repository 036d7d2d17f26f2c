"""Numbers that no trial needs, and that arithmetic would not survive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lmd_trialsim.checks.naming import Place
from lmd_trialsim.evidence.quantities import Sourced, Spec
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

LEAST, MOST = 1e-9, 1e9


def complaints_of_numbers(scenario: Scenario) -> Iterator[At]:
    """Yield each number that is too close to 0 or too far from it, whatever it is."""
    for section in ("population", "endpoints", "truths", "designs"):
        for place, number in numbers_below((section,), getattr(scenario, section)):
            if number and not LEAST <= abs(number) <= MOST:
                much, way_out = (
                    ("small", "Write 0, or a larger one.") if abs(number) < LEAST else ("large", "Lower it.")
                )
                allowed = f"{LEAST:g} to {MOST:g}, and 0 where that has a meaning"
                yield At(place, f"the number is too {much} to compute with", got=f"{number:g}", allowed=allowed,
                         way_out=way_out)  # fmt: skip


def numbers_below(place: Place, item: object) -> Iterator[tuple[Place, float]]:
    """Yield each number with the place where it is written."""
    if isinstance(item, Sourced):
        yield place, item.value  # told by the number's own key: `rate`, not `value`, exists in both ways to write it
    elif isinstance(item, Spec):
        for name, field in type(item).model_fields.items():
            yield from numbers_below((*place, str(field.validation_alias or name)), getattr(item, name))
        for name, value in (item.__pydantic_extra__ or {}).items():
            yield from numbers_below((*place, name), value)
    elif isinstance(item, Mapping):
        for name, value in item.items():
            yield from numbers_below((*place, name), value)
    elif isinstance(item, list):
        for i, value in enumerate(item):
            yield from numbers_below((*place, i), value)
    elif isinstance(item, float):
        yield place, item
