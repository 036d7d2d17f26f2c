"""The cut-off above which a design concludes efficacy: where it stands, and its change.

It is that of a posterior probability, or of 1 less a p-value.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from lmd_trialsim.designs.basket import BasketCondition
from lmd_trialsim.designs.rules import PowerCutOff

RISING = ("exceeds", "at_least")
FALLING = ("is_below", "at_most")


class CutOff(NamedTuple):
    """Conditions of a design that share one cut-off."""

    places: tuple[tuple[int, int], ...]  # (rule, condition), from 0
    value: float  # as the design says it; the scale of one that grows with the information

    @classmethod
    def of(cls, design: Any, only: Collection[int] = ()) -> CutOff:
        """Return the cut-off of a general or basket design.

        only: the rules (from 0) that are meant, if not all for efficacy. In a rule with several conditions it is that
        of the first posterior probability or p-value. Raises ValueError, with a sentence, where there is none, where
        rules have different ones, or where it is not one number.
        """
        found: dict[tuple[int, int], float] = {}
        for number, rule in enumerate(design.rules):
            if rule.stop_for != "efficacy" or (only and number not in only):
                continue
            for place, condition in enumerate(rule.conditions):
                if condition.probability_that is not None and condition.comparison in RISING:
                    found[number, place] = _one_number(condition.cut, number)
                    break
                if is_of_p_value(condition):
                    found[number, place] = 1.0 - _one_number(condition.cut, number)
                    break
        missing = [number for number in only if all(number != rule for rule, _ in found)]
        if missing or not found:
            which = f"Rule {missing[0] + 1} is" if missing else "There is"
            what = (
                "stops for efficacy when a posterior probability exceeds (or is at_least) a number, or a p-value of a "
                "basket is_below (or at_most) one"
            )
            raise ValueError(f"{which} no rule that {what}.")
        if len(set(found.values())) > 1:
            values = ", ".join(f"rule {rule + 1} {value:g}" for (rule, _), value in found.items())
            raise ValueError(
                f"The rules for efficacy have different cut-offs ({values}): say which is meant, by --rule."
            )
        return cls(tuple(found), next(iter(found.values())))

    def set_in(self, design: Any, value: float) -> Any:
        """Return the design with this cut-off."""
        rules = list(design.rules)
        for number, place in self.places:
            rule = rules[number]
            conditions = rule.conditions
            old = conditions[place]
            cut = old.cut.model_copy(update={"scale": value}) if isinstance(old.cut, PowerCutOff) else value
            if is_of_p_value(old):
                cut = 1.0 - value
            conditions[place] = old.model_copy(update={old.comparison: cut})
            when = conditions if isinstance(rule.when, list) else conditions[0]
            rules[number] = rule.model_copy(update={"when": when})
        return design.model_copy(update={"rules": rules})


def is_of_p_value(condition: Any) -> bool:
    """Return whether the condition holds where a p-value of a basket, or pool, is small."""
    return isinstance(condition, BasketCondition) and condition.p_value is not None and condition.comparison in FALLING


def _one_number(cut: Any, rule: int) -> float:
    if isinstance(cut, PowerCutOff):
        return float(cut.scale)
    if isinstance(cut, int | float):
        return float(cut)
    raise ValueError(
        f"Rule {rule + 1} has a cut-off for each look or basket: one number, or {{lambda, gamma}}, is needed."
    )
