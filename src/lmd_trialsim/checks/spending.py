"""What must hold of group-sequential boundaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.checks.analyses import kinds
from lmd_trialsim.checks.naming import Place
from lmd_trialsim.designs.analyses import Z_OF
from lmd_trialsim.designs.boundaries import SPENDING
from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

CLOSEST = 1e-4
"""Looks whose information differs by a smaller share are too close for the integration."""

MOST_LOOKS = 50
"""Looks of a boundary: the integration's time grows faster than their number."""


def complaints_of_spending(scenario: Scenario, at: Place, design: General, rule: Rule) -> Iterator[At]:
    """Yield what is wrong with a rule that spends error."""
    group = "two" if isinstance(design, TwoArm) else "single"
    kind = (rule.analysis or design.analysis).kind
    place = (*at, "spending")
    if kind not in Z_OF[group]:
        text = f"needs a test statistic, and {kind} has none"
        yield At(place, text, allowed=kinds(scenario, design, Z_OF[group]), key=True)
    if design.looks.count > MOST_LOOKS:
        way_out = "Look less often, or write the thresholds in when:."
        yield At(place, "there are too many looks for a boundary", got=str(design.looks.count),
                 allowed=f"up to {MOST_LOOKS}", way_out=way_out, key=True)  # fmt: skip
    elif rule.information is None and not _known(design):
        text = "the information at each look is not known here. Add information: [...], one for each look."
        yield At(place, text, key=True)
    yield from _of_lists(at, design, rule)
    yield from _of_sides(at, design, rule)


def _known(design: General) -> bool:
    """Whether the looks' own numbers are the information."""
    looks = design.looks
    return looks.unit not in ("months", "final") and (looks.final is None or looks.unit == "events")


def _of_lists(at: Place, design: General, rule: Rule) -> Iterator[At]:
    count = design.looks.count
    for name in ("information", "cumulative"):
        given = getattr(rule, name)
        if given is None:
            continue
        if len(given) != count:
            looks = "1 look" if count == 1 else f"{count} looks"
            text = f"has {len(given)} {'number' if len(given) == 1 else 'numbers'} for {looks}. Give one for each."
            yield At((*at, name), text, key=True)
            continue
        for i in range(1, len(given)):
            if given[i] < given[i - 1] or (name == "information" and given[i] - given[i - 1] <= CLOSEST * given[i]):
                yield At((*at, name, i), "must increase from look to look", got=f"{given[i]:g}", way_out="Sort them.")
                break
    error = rule.alpha if rule.alpha is not None else rule.beta
    if rule.cumulative is not None and error is not None and abs(rule.cumulative[-1] - error) > 1e-12:
        name = "alpha" if rule.alpha is not None else "beta"
        last = len(rule.cumulative) - 1
        text = f"the error spent up to the last look must be {name}"
        got = f"{rule.cumulative[-1]:g}"
        yield At((*at, "cumulative", last), text, got=got, allowed=f"{error:g}")


def _of_sides(at: Place, design: General, rule: Rule) -> Iterator[At]:
    place = (*at, "spending")
    upper = [r for r in design.rules if r.spending is not None and r.stop_for == "efficacy"]
    lower = [r for r in design.rules if r.spending is not None and r.stop_for == "futility"]
    if rule.stop_for == "efficacy":
        if rule is not upper[0]:
            yield At(place, "there are two efficacy boundaries. Leave one.", key=True)
        return
    if rule is not lower[0]:
        yield At(place, "there are two futility boundaries. Leave one.", key=True)
    if not upper:
        yield At(place, "a futility boundary needs an efficacy boundary beside it. Add it.", key=True)
        return
    if rule.spending not in SPENDING:
        text = f"{rule.spending} spends no beta, so it makes no futility boundary"
        yield At(place, text, allowed=", ".join(SPENDING))
    elif rule.binding is not False and upper[0].spending not in SPENDING:
        text = f"futility cannot be binding beside {upper[0].spending}, which spends no alpha"
        way_out = f"Say binding: false, or use another efficacy boundary: {', '.join(SPENDING)}."
        yield At(place, text, way_out=way_out, key=True)
    if (rule.analysis or design.analysis) != (upper[0].analysis or design.analysis):
        yield At(place, "both boundaries must be on the same analysis. Give them the same one.", key=True)
    if rule.information is not None and rule.information != upper[0].information:
        yield At((*at, "information"), "differs from the efficacy boundary's. Write the same in both.", key=True)
