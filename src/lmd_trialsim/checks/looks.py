"""What must hold of the looks of a design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.checks.naming import Place
from lmd_trialsim.designs.generic import General
from lmd_trialsim.designs.looks import Every
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def complaints_of_looks(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    """Yield what is wrong with the looks."""
    looks, times = design.looks, scenario.endpoints[design.endpoint].kind == "time_to_event"
    here = (*at, "looks", looks.unit)
    if looks.unit == "evaluable" and times:
        yield At(here, "goes with binary endpoints. Use patients, events or months.", key=True)
    if looks.unit == "events" and not times:
        yield At(here, "goes with time_to_event endpoints. Use patients, evaluable or months.", key=True)
    if looks.unit in ("patients", "evaluable", "events"):
        yield from _of_numbers(here, design)
    last = looks.numbers()[-1] if looks.numbers() else 0
    if looks.unit == "months" and design.max_months is not None and last > design.max_months:
        yield At((*at, "max_months"), f"the trial closes before its last look at month {last:g}. Raise it.")
    if times and looks.unit == "patients" and looks.final is None and looks.numbers() == [1]:
        text = "nothing can be seen at the first patient's entry. Add final: {follow_up_months: ...}."
        yield At(here, text, key=True)


def _of_numbers(at: Place, design: General) -> Iterator[At]:
    """Yield the first look that the trial is too small for."""
    given = getattr(design.looks, design.looks.unit)
    for i, number in enumerate(design.looks.numbers()):
        if number > design.max_patients:
            place = (*at, "to") if isinstance(given, Every) else (*at, i)
            what = f"a look after the last patient (max_patients is {design.max_patients})"
            way_out = f"Use looks up to {design.max_patients}, or raise max_patients."
            yield At(place, what, got=str(number), way_out=way_out)
            return
