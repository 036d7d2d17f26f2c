"""The rules of a design, asked in order of what is seen at a look."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmd_trialsim.designs import boundaries
from lmd_trialsim.designs.rules import Condition, PowerCutOff, Rule
from lmd_trialsim.patients.endpoints import TimeToEventEndpoint
from lmd_trialsim.reference.twin import numbers, predictive
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.looks import count_of, numbers_of
from lmd_trialsim.reference.twin.seen import Context, Seen

STRICT, OR_EQUAL = {"exceeds": operator.gt, "is_below": operator.lt}, {"at_least": operator.gt, "at_most": operator.lt}
TIE = 1e-11
"""Numbers that are closer than this are equal: what is off is rounding."""


@dataclass(frozen=True)
class Sight:
    """What there is to see at a look."""

    seen: Sequence[Seen]
    look: int
    month: float
    draws: Draws


class Judge:
    """The rules of a design."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.closest = math.inf
        """How close any number of a rule has come to its threshold, counts and shares of imputations left out."""
        self.last = count_of(context.design.looks) - 1
        self._upper, self._lower = self._boundaries()

    def first(self, sight: Sight, overruled: bool = False) -> int | None:
        """Return the number of the first rule that speaks; `overruled`: of those but non-binding futility rules."""
        for number, rule in enumerate(self.context.design.rules):
            if not (overruled and rule.binding is False) and self._speaks(rule, sight):
                return number
        return None

    def concludes(self, sight: Sight) -> bool:
        """Return whether the final look's rules conclude efficacy, those with a predictive probability left out."""
        for rule in self.context.design.rules:
            if not _predicts(rule) and self._speaks(rule, replace(sight, look=self.last)):
                return rule.stop_for == "efficacy"
        return False

    def analysable(self, sight: Sight) -> bool:
        """Return whether every number can be told that a rule of this look needs, be there enough patients or not."""
        for rule in self.context.design.rules:
            if not self._is_of(rule, sight.look):
                continue
            told = [self._number(condition, rule, sight) for condition in rule.conditions]
            if rule.spending is not None:
                told.append(numbers.z(rule.analysis or self.context.design.analysis, self.context, sight.seen))
            if any(math.isnan(number) for number in told):
                return False
        return True

    def evaluable(self, seen: Sequence[Seen]) -> int:
        """Return the patients in an analysis: those with an outcome; of event times everybody."""
        times = isinstance(self.context.endpoint, TimeToEventEndpoint)
        return len(seen) if times else sum(patient.outcome is not None for patient in seen)

    def _is_of(self, rule: Rule, look: int) -> bool:
        """Return whether a rule speaks at a look; a futility boundary says nothing at the final one."""
        lower = rule.spending is not None and rule.stop_for == "futility"
        return look in self._looks(rule) and not (lower and look == self.last)

    def _looks(self, rule: Rule) -> list[int]:
        """Return the looks (from 0) at which a rule speaks."""
        if isinstance(rule.at, list):
            looks = [number - 1 for number in rule.at]
        else:
            looks = list(range(self.last + 1))
            looks = {"all": looks, "interim": looks[:-1], "final": looks[-1:]}[rule.at]
        ahead = rule.stop_accrual_for is not None or _predicts(rule)
        return [look for look in looks if not ahead or look != self.last]

    def _speaks(self, rule: Rule, sight: Sight) -> bool:
        if not self._is_of(rule, sight.look) or self.evaluable(sight.seen) < rule.from_patients:
            return False
        if rule.spending is not None:
            z = numbers.z(rule.analysis or self.context.design.analysis, self.context, sight.seen)
            bound = (self._upper if rule.stop_for == "efficacy" else self._lower)[sight.look]
            self._note(z, bound)
            return _compares(z, "at_least" if rule.stop_for == "efficacy" else "is_below", bound)
        return all(self._holds(condition, rule, sight) for condition in rule.conditions)

    def _holds(self, condition: Condition, rule: Rule, sight: Sight) -> bool:
        number = self._number(condition, rule, sight)
        threshold = self._threshold(condition, rule, sight.look)
        if condition.number_of is None and condition.predictive_probability_of is None:
            self._note(number, threshold)
        return _compares(number, condition.comparison, threshold)

    def _note(self, number: float, threshold: float) -> None:
        self.closest = min(self.closest, abs(number - threshold)) if math.isfinite(number) else self.closest

    def _threshold(self, condition: Condition, rule: Rule, look: int) -> float:
        cut = condition.cut
        if isinstance(cut, PowerCutOff):
            return cut.scale * math.pow(self._share(look), cut.power)
        return float(cut[self._looks(rule).index(look)] if isinstance(cut, list) else cut)

    def _share(self, look: int) -> float:
        """Return the look's share of the planned information: its number over the last one."""
        planned = self._planned()
        return planned[look] / planned[-1]

    def _planned(self) -> list[float]:
        """Return the planned number at each look; at a final look by follow-up everybody is enrolled."""
        planned = numbers_of(self.context.design.looks)
        return planned if len(planned) > self.last else [*planned, self.context.design.max_patients]

    def _number(self, condition: Condition, rule: Rule, sight: Sight) -> float:
        analysis = rule.analysis or self.context.design.analysis
        if condition.number_of is not None:
            # "Speaks only when just the planned number is evaluable."
            planned = self._planned()[sight.look] == self.evaluable(sight.seen)
            return float(sum(patient.outcome or 0 for patient in sight.seen)) if planned else math.nan
        if condition.predictive_probability_of is not None:

            def concludes(future: Sequence[Seen], _: int) -> bool:
                return self.concludes(replace(sight, seen=future))

            if sight.look == self.last:  # the final look is at hand: it concludes efficacy, or it does not
                return float(self.concludes(sight))
            return predictive.predictive(
                condition, analysis, self.context, sight.seen, concludes, sight.draws, sight.look, sight.month
            )
        return numbers.number(condition, analysis, self.context, sight.seen)

    # Boundaries, from the functions that are checked against gsDesign.

    def _boundaries(self) -> tuple[list[float], list[float]]:
        rules = self.context.design.rules
        upper = next((rule for rule in rules if rule.spending and rule.stop_for == "efficacy"), None)
        lower = next((rule for rule in rules if rule.spending and rule.stop_for == "futility"), None)
        if upper is None:
            return [], []
        assert upper.spending is not None
        assert upper.alpha is not None
        information = upper.information or numbers_of(self.context.design.looks)
        if lower is None:
            above = boundaries.efficacy_boundary(upper.spending, upper.alpha, information, **_parameters(upper))
            return list(above), []
        assert lower.spending is not None
        assert lower.beta is not None
        if lower.binding is not False:
            both = boundaries.binding_boundaries(
                upper.alpha,
                lower.beta,
                information,
                {"shape": upper.spending, **_parameters(upper)},
                {"shape": lower.spending, **_parameters(lower)},
            )
            return list(both.upper), list(both.lower)
        above = boundaries.efficacy_boundary(upper.spending, upper.alpha, information, **_parameters(upper))
        both = boundaries.futility_boundary(lower.spending, lower.beta, information, above, **_parameters(lower))
        return list(np.asarray(above)), list(both.lower)


def _compares(number: float, comparison: str, threshold: float) -> bool:
    """Return whether the comparison holds; NaN fulfils nothing."""
    if abs(number - threshold) <= TIE:
        return comparison in OR_EQUAL
    return bool((STRICT | OR_EQUAL)[comparison](number, threshold))


def _parameters(rule: Rule) -> dict[str, float | Sequence[float]]:
    named = {name: getattr(rule, name) for name in ("gamma", "delta", "rho", "interim", "cumulative")}
    return {name: value for name, value in named.items() if value is not None}


def _predicts(rule: Rule) -> bool:
    return any(condition.predictive_probability_of is not None for condition in rule.conditions)
