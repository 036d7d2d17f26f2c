"""What must hold between the rules of a design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.analyses import complaints_of_analysis
from lmd_trialsim.checks.arms import arms_of
from lmd_trialsim.checks.conditions import complaints_of_condition
from lmd_trialsim.checks.naming import Place
from lmd_trialsim.checks.sides import complaints_of_sides
from lmd_trialsim.checks.spending import complaints_of_spending
from lmd_trialsim.designs.conditions import UPWARDS
from lmd_trialsim.designs.generic import General
from lmd_trialsim.designs.rules import Condition, Rule
from lmd_trialsim.patients.endpoints import lower_is_better
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

MOST_QUESTIONS = 24
"""Different numbers that the rules of a design may ask for: each is compiled."""

LOWER_IS_BETTER = ("hazard_ratio", "hazard_per_month")


def complaints_of_rules(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    """Yield what is wrong with the rules, each and together."""
    at = (*at, "rules")
    for i, rule in enumerate(design.rules):
        place = (*at, i)
        yield from _of_hearing(place, design, rule)
        if rule.analysis is not None:
            yield from complaints_of_analysis(scenario, (*place, "analysis"), design, rule.analysis)
        if rule.spending is not None:
            yield from complaints_of_spending(scenario, place, design, rule)
        for j, condition in enumerate(rule.conditions):
            here = (*place, "when", j) if isinstance(rule.when, list) else (*place, "when")
            yield from complaints_of_condition(scenario, here, design, rule, condition)
    if not any(rule.stop_for == "efficacy" for rule in design.rules):
        text = "no rule can conclude efficacy, so the trial can't succeed. Add one with stop_for: efficacy."
        yield At(at, text, key=True)
    asked = {_question(design, rule, condition) for rule in design.rules for condition in rule.conditions}
    if len(asked) > MOST_QUESTIONS:
        text = "the rules ask for too many different numbers"
        way_out = "Ask for the same number with a list of thresholds, one for each look."
        yield At(at, text, got=str(len(asked)), allowed=f"up to {MOST_QUESTIONS}", way_out=way_out, key=True)
    yield from _contradictions(at, design)
    yield from complaints_of_sides(at, design.rules, lambda condition: _favours(scenario, design, condition))


def _favours(scenario: Scenario, design: General, condition: Condition) -> int:
    """Return 1 where a large number speaks for the treatment, -1 where it speaks against it, else 0."""
    better = -1 if lower_is_better(scenario.endpoints[design.endpoint]) else 1
    match condition.subject:
        case "probability_that":
            if condition.arm is not None and condition.arm not in arms_of(scenario, design)[-1:]:
                return 0  # it is of the control
            side = 1 if condition.above is not None else -1
            return -side if condition.probability_that in LOWER_IS_BETTER else side * better
        case "number_of":
            return better
        case "p_value":
            return -1 if condition.p_value == "one_sided" else 0
        case "estimate_of":
            return 0  # its scale is that of the analysis
        case _:
            return 1


def looks_beyond(at: Place, listed: list[int], count: int) -> Iterator[At]:
    """Yield the looks in the list `at:` of the rule at `at` that do not exist."""
    for j, look in enumerate(listed):
        if look > count:
            what = f"there are {count} looks" if count > 1 else "there is one look"
            yield At((*at, "at", j), what, got=str(look), allowed=f"1 to {count}" if count > 1 else "1")


def _of_hearing(at: Place, design: General, rule: Rule) -> Iterator[At]:
    """Yield why a rule could never be heard, or speaks at looks that do not exist."""
    count = design.looks.count
    listed = rule.at if isinstance(rule.at, list) else []
    yield from looks_beyond(at, listed, count)
    if rule.stop_accrual_for is not None:
        if design.looks.final is None:
            text = "needs a final look by follow-up. Add looks: final: {follow_up_months: ...}."
            yield At((*at, "stop_accrual_for"), text, key=True)
        elif count in listed:
            text = "at the last look there is no accrual to stop. Take it out of the list."
            yield At((*at, "at", listed.index(count)), text)
    predicts = any(condition.predictive_probability_of is not None for condition in rule.conditions)
    if predicts and count > 1 and (count in listed or rule.at == "final"):
        place = (*at, "at", listed.index(count)) if listed else (*at, "at")
        yield At(place, "at the final look nothing is left to predict. Say interim, or take it out of the list.")
    elif not rule.looks(count):
        place = (*at, "at") if rule.at != "all" else (*at, "when" if predicts else "stop_accrual_for")
        text = "the only look is the final one, so this rule would never speak. Add looks, or remove the rule."
        yield At(place, text, key=rule.at == "all")
    if rule.from_patients > design.max_patients:
        text = f"the rule would never speak: there are {design.max_patients} patients at most"
        yield At((*at, "from_patients"), text, got=str(rule.from_patients), way_out="Lower it.")


def _question(design: General, rule: Rule, condition: Condition) -> tuple[Any, ...]:
    """Return what tells the condition's number from others."""
    about = (*Condition.SUBJECTS, "above", "below", "month", "arm", "at", "imputations")
    return (repr(rule.analysis or design.analysis), repr(condition.model), *(getattr(condition, n) for n in about))


def _contradictions(at: Place, design: General) -> Iterator[At]:
    """Yield two rules on the same number that would both speak: one could never be heard, or success is futile."""
    simple = [
        (i, rule, rule.conditions[0])
        for i, rule in enumerate(design.rules)
        if len(rule.conditions) == 1 and isinstance(rule.conditions[0].cut, float | int)
    ]
    for k, (_, first, a) in enumerate(simple):
        for i, second, b in simple[k + 1 :]:
            shared = set(first.looks(design.looks.count)) & set(second.looks(design.looks.count))
            if (
                shared
                and first.verdict != second.verdict
                and _question(design, first, a) == _question(design, second, b)
            ):
                yield from _contradiction((*at, i, "when"), (first, a), (second, b))


def _contradiction(place: Place, earlier: tuple[Rule, Condition], later: tuple[Rule, Condition]) -> Iterator[At]:
    (first, a), (second, b) = earlier, later
    assert isinstance(a.cut, float | int)
    assert isinstance(b.cut, float | int)
    if (a.comparison in UPWARDS) != (b.comparison in UPWARDS):
        low, high = (b.cut, a.cut) if a.comparison in UPWARDS else (a.cut, b.cut)
        if low > high:
            text = f"contradicts an earlier rule: between {high:g} and {low:g} both would speak"
            yield At(place, text, way_out="Move one of the thresholds.", key=True)
    elif "efficacy" in (first.verdict, second.verdict):
        text = "contradicts an earlier rule, which speaks on the same side of the same number with another verdict"
        yield At(place, text, way_out="Remove one, or let them speak at different looks.", key=True)
    elif (a.cut <= b.cut if a.comparison in UPWARDS else a.cut >= b.cut) and (
        first.from_patients <= second.from_patients
    ):
        text = "would never be heard: an earlier rule with another verdict speaks whenever this one would"
        yield At(place, text, way_out="Put this one first, or move its threshold.", key=True)
