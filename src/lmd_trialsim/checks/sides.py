"""Rules that conclude efficacy from what speaks against the treatment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lmd_trialsim.checks.naming import Place
from lmd_trialsim.designs.conditions import UPWARDS
from lmd_trialsim.reading import At

OTHER_SIDE = {"above": "below", "below": "above"}


def complaints_of_sides(at: Place, rules: Sequence[Any], favours: Callable[[Any], int]) -> Iterator[At]:
    """Yield the rules for efficacy all of whose conditions that speak of the treatment speak against it.

    at: of the rules. favours: of a condition, 1 where a large number speaks for the treatment, -1 where it speaks
    against it, 0 where it says neither.
    """
    for i, rule in enumerate(rules):
        if "efficacy" not in (rule.stop_for, getattr(rule, "stop_accrual_for", None)):
            continue
        sides = [favours(one) if one.comparison in UPWARDS else -favours(one) for one in rule.conditions]
        if -1 in sides and 1 not in sides:
            j = sides.index(-1)
            here = (*at, i, "when", j) if isinstance(rule.when, list) else (*at, i, "when")
            yield _wrong_side(here, rule.conditions[j])


def _wrong_side(at: Place, condition: Any) -> At:
    side = next((side for side in OTHER_SIDE if getattr(condition, side) is not None), None)
    turned = f"Say {OTHER_SIDE[side]}" if side else "Turn the comparison round"
    text = "the rule concludes efficacy from what speaks against the treatment"
    return At((*at, side or condition.comparison), text, way_out=f"{turned}, or stop for harm or futility.", key=True)
