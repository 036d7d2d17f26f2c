"""What must hold between a basket design and the rest of the scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.arms import complaints_of_allocation, complaints_of_roles
from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.checks.pooling import complaints_of_pooling
from lmd_trialsim.checks.rules import looks_beyond
from lmd_trialsim.checks.sides import complaints_of_sides
from lmd_trialsim.designs.basket import MEASURED, MIDPOINT, Basket, BasketCondition, BasketRule, ByBasket
from lmd_trialsim.designs.basket import Place as BasketPlace
from lmd_trialsim.designs.measures import (
    HAZARD_RATIO,
    MEASURES,
    MEDIAN,
    ODDS_RATIO,
    RATE,
    RATIOS,
    Measure,
    higher_is_better,
    measure_of,
)
from lmd_trialsim.designs.rules import PowerCutOff
from lmd_trialsim.reading import At
from lmd_trialsim.reading.mistakes import listing

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def arms_of_baskets(scenario: Scenario, design: Basket) -> list[str]:
    """Return the arms, the control first; an empty name where the one arm can't be told."""
    if design.arms is not None:
        return [design.arms.control, design.arms.treatment]
    return [_arm_of(scenario, design)]


def _arm_of(scenario: Scenario, design: Basket) -> str:
    if design.arm is not None:
        return design.arm
    others = [name for name, arm in scenario.arms.items() if not arm.control]
    return others[0] if len(others) == 1 else ""


def complaints_of_baskets(scenario: Scenario, at: Place, design: Basket) -> Iterator[At]:
    """Yield what is wrong with a basket design."""
    yield from _of_arms(scenario, at, design)
    strata = scenario.population.strata
    if len(strata) < 2:
        text = "baskets are strata of the population, and it has fewer than two. Say population: strata:"
        yield At((*at, "kind"), text)
        return
    missing = [name for name in design.baskets if name not in strata]
    for name in missing:
        yield unknown((*at, "baskets", name), name, strata, "stratum", key=True)
    if missing:
        return
    strange = [*_of_words(scenario, at, design), *_of_kind(scenario, at, design)]
    yield from strange
    if strange:
        return
    places = design.places(list(strata))
    for place in places:
        yield from _of_place(scenario, at, design, place)
    yield from _of_targets(scenario, at, design, places)
    complaints = list(_of_looks(at, design, places))
    yield from complaints
    for i, rule in enumerate(design.rules):
        if not complaints:
            yield from _of_hearing((*at, "rules", i), design, rule, places)
        for j, condition in enumerate(rule.conditions):
            here = (*at, "rules", i, "when") if isinstance(rule.when, BasketCondition) else (*at, "rules", i, "when", j)
            yield from _of_condition(here, design, condition, places)
            if not complaints and isinstance(condition.cut, list):
                yield from _of_list(here, design, rule, condition, places)
    yield from complaints_of_pooling(scenario, at, design, places)
    yield from _of_sides(scenario, at, design)
    if not any(rule.stop_for == "efficacy" for rule in design.rules):
        yield At((*at, "rules"), "no rule can conclude efficacy. Add one with stop_for: efficacy.", key=True)
    if design.succeeds_with > len(places):
        yield At((*at, "succeeds_with"), "is more than there are baskets", got=str(design.succeeds_with),
                 allowed=f"1 to {len(places)}")  # fmt: skip
    yield from _of_offset(at, design, places)


def _of_arms(scenario: Scenario, at: Place, design: Basket) -> Iterator[At]:
    if design.arms is None:
        (arm,) = arms_of_baskets(scenario, design)
        if not arm:
            yield At((*at, "kind"), "which arm is it? Add arm:", allowed=", ".join(scenario.arms))
        elif arm not in scenario.arms:
            yield unknown((*at, "arm"), arm, scenario.arms, "arm")
        for key in ("ratio", "block"):
            if getattr(design, key) is not None:
                text = "is of two arms. Add arms: {control: ..., treatment: ...}, or remove it."
                yield At((*at, key), text, key=True, misplaced=True)
        return
    if design.arm is not None:
        yield At((*at, "arm"), "contradicts arms. Remove one.", key=True, misplaced=True)
    strange = list(complaints_of_roles(scenario, at, design.arms))
    yield from strange
    if not strange:
        arms = arms_of_baskets(scenario, design)
        yield from complaints_of_allocation(scenario, at, design.allocation, arms)


def _of_words(scenario: Scenario, at: Place, design: Basket) -> Iterator[At]:
    """Yield the keys and words that speak of rates where the endpoint is a time to an event, or the other way round."""
    endpoint = scenario.endpoints[design.endpoint]
    randomised = design.arms is not None
    measure = measure_of(endpoint.kind, randomised)
    others = [other for other in (RATE, MEDIAN, ODDS_RATIO) if other.null != measure.null]
    how = "two arms" if randomised else "one arm"
    why = f"the endpoint {design.endpoint} is of kind {endpoint.kind}, and the design has {how}"
    with_arms = measure_of(endpoint.kind, randomised=True)
    if_randomised = {with_arms.word, with_arms.null, with_arms.target} - {measure.word, measure.null, measure.target}

    def instead(place: Place, word: str, right: str) -> At:
        way_out = f"Say {right}"
        if word in if_randomised:
            way_out += ", or add arms: {control: ..., treatment: ...} to randomise each basket"
        text = f"does not go with this design: {why}"
        return At(place, text, got=word, way_out=f"{way_out}.", key=True, misplaced=True)

    for other in others:
        for wrong, right in ((other.null, measure.null), (other.target, measure.target)):
            if getattr(design, wrong) is not None:
                yield instead((*at, wrong), wrong, right)
            for name, spec in design.baskets.items():
                if getattr(spec, wrong, None) is not None:
                    yield instead(
                        (*at, "baskets", name, wrong), wrong, f"{right} in the design" if randomised else right
                    )
            if getattr(design.analysis, "offset", None) == wrong:
                yield instead((*at, "analysis", "offset"), wrong, right)
    for i, rule in enumerate(design.rules):
        for j, condition in enumerate(rule.conditions):
            here = (*at, "rules", i, "when") if isinstance(rule.when, BasketCondition) else (*at, "rules", i, "when", j)
            yield from _of_words_in(here, condition, measure, others, instead)
    if endpoint.kind != "time_to_event" and design.follow_up_months:
        text = f"goes with times to an event: {why}, and looks count whom has been assessed. Remove it."
        yield At((*at, "follow_up_months"), text, key=True, misplaced=True)
    most = getattr(endpoint, "followed_for_months", None)
    if most is not None and design.follow_up_months > most:
        text = f"is longer than patients are followed: followed_for_months of {design.endpoint} is {most:g}"
        way_out = "Lower it, or raise that one."
        yield At((*at, "follow_up_months"), text, got=f"{design.follow_up_months:g}", allowed=f"0 to {most:g}",
                 way_out=way_out)  # fmt: skip


def _of_words_in(
    at: Place,
    condition: BasketCondition,
    measure: Measure,
    others: Sequence[Measure],
    instead: Callable[[Place, str, str], At],
) -> Iterator[At]:
    words = {"probability_that": measure.word, "estimate_of": measure.word, "number_of": measure.counted}
    for key, right in words.items():
        word = getattr(condition, key)
        if word is not None and word != right:
            yield instead((*at, key), word, right)
    for side in ("above", "below"):
        for other in others:
            for wrong, right in ((other.null, measure.null), (other.target, measure.target)):
                if getattr(condition, side) == wrong:
                    yield instead((*at, side), wrong, right)
    if condition.predictive_probability_of is not None and measure is not RATE:
        text = f"is of response rates of one arm. Use probability_that: {measure.word}."
        yield At((*at, "predictive_probability_of"), text, key=True, misplaced=True)


OF_TIMES = ("gamma_exponential", "hierarchical", "exnex")
OF_TWO_ARMS = ("hierarchical", "exnex")


def _of_kind(scenario: Scenario, at: Place, design: Basket) -> Iterator[At]:
    """Yield that an analysis is of another kind of data."""
    analysis: Any = design.analysis
    measure = measure_of(scenario.endpoints[design.endpoint].kind, design.arms is not None)
    place = (*at, "analysis", "kind")
    if measure in RATIOS and analysis.kind not in OF_TWO_ARMS:
        yield At(place, "is of one arm; the design has two", got=analysis.kind, allowed=", ".join(OF_TWO_ARMS))
    elif measure is MEDIAN and analysis.kind not in OF_TIMES:
        yield At(place, "is of response rates; the endpoint is a time to an event", got=analysis.kind,
                 allowed=", ".join(OF_TIMES))  # fmt: skip
    elif measure is RATE and analysis.kind == "gamma_exponential":
        way_out = "Use independent or pooled, with prior: {alpha: 1, beta: 1}."
        yield At(place, "is of times to an event; the endpoint is binary", got=analysis.kind, way_out=way_out)
    elif measure is not RATE and analysis.kind == "exnex" and sum(c.weight > 0.0 for c in analysis.exchangeable) > 1:
        text = f"of the {measure.spoken} there is one exchangeable component"
        yield At((*at, "analysis", "exchangeable"), text, got=str(len(analysis.exchangeable)), key=True)
    yield from _of_control(at, analysis, measure)
    offset = getattr(analysis, "offset", None)
    if measure in RATIOS and offset is not None:
        text = "ratios are counted from 1. Remove it, or move the mean."
        yield At((*at, "analysis", "offset"), text, key=True, misplaced=True)
    if measure is RATE and isinstance(offset, float) and offset >= 1.0:
        yield At((*at, "analysis", "offset"), "a rate lies between 0 and 1", got=f"{offset:g}")


CONTROL_PRIORS = {"control_rate": "{alpha: 1, beta: 1}", "control_hazard": "{events: 0.5, months: 2}"}


LEAST_OF_CONTROL = 0.1  # of a beta prior: its logit has thousands of points below


def _of_control(at: Place, analysis: Any, measure: Measure) -> Iterator[At]:
    """Yield that the prior of the control is missing, or of no use."""
    if analysis.kind not in OF_TWO_ARMS:
        return
    needed = {ODDS_RATIO.word: "control_rate", HAZARD_RATIO.word: "control_hazard"}.get(measure.word)
    for key, example in CONTROL_PRIORS.items():
        given = getattr(analysis, key) is not None
        if key == needed and not given:
            text = "needs a prior of the control, in each basket"
            yield At((*at, "analysis", "kind"), text, way_out=f"Add {key}: {example}.")
        elif given and key == needed == "control_rate":
            least = min(analysis.control_rate.alpha, analysis.control_rate.beta)
            if least >= LEAST_OF_CONTROL:
                continue
            text = "is too vague to be summed over"
            yield At(
                (*at, "analysis", key),
                text,
                got=f"{least:g}",
                allowed=f"alpha and beta of {LEAST_OF_CONTROL:g} or more",
                key=True,
            )
        elif key != needed and given:
            text = f"is of no use where baskets are judged by the {measure.spoken}. Remove it."
            yield At((*at, "analysis", key), text, key=True, misplaced=True)


def _of_place(scenario: Scenario, at: Place, design: Basket, place: BasketPlace) -> Iterator[At]:
    here = (*at, "baskets", place.name) if place.name in design.baskets else at
    if scenario.population.strata[place.name].value <= 0.0:
        text = f"no patient of the basket {place.name} ever comes: its share is 0"
        yield At((*at, "kind"), text, way_out="Leave it out of baskets, or give it a share in population: strata.")
    closes = place.spec.closes_if
    if closes is not None and closes.by_month <= place.spec.opens_at_month:
        text = f"comes before the basket opens, at month {place.spec.opens_at_month:g}"
        yield At((*here, "closes_if", "by_month"), text, got=f"{closes.by_month:g}", way_out="Raise it.")
    if design.max_months is not None and place.spec.opens_at_month >= design.max_months:
        text = f"comes when the trial has closed, at month {design.max_months:g}"
        yield At((*here, "opens_at_month"), text, got=f"{place.spec.opens_at_month:g}", way_out="Lower it.")


def _of_targets(scenario: Scenario, at: Place, design: Basket, places: list[BasketPlace]) -> Iterator[At]:
    """Yield each target that is no better than a null value; one of several baskets is told once."""
    endpoint = scenario.endpoints[design.endpoint]
    measure = measure_of(endpoint.kind, design.arms is not None)
    higher = higher_is_better(endpoint, measure)
    wrong: dict[tuple[Place, float, float], list[str]] = {}
    for name, null, target, _, spec in places:
        if null is not None and target is not None and ((target <= null) if higher else (target >= null)):
            own = name in design.baskets and getattr(spec, measure.target, None) is not None
            here = (*at, "baskets", name, measure.target) if own else (*at, measure.target)
            wrong.setdefault((here, null, target), []).append(name)
    for (here, null, target), names in wrong.items():
        whose = "" if measure in RATIOS else f", of {listing(names)}"
        side, what = "above" if higher else "below", measure.null.replace("_", " ")
        yield At(here, f"must lie {side} the {what}, {null:g}{whose}", got=f"{target:g}")


def _of_looks(at: Place, design: Basket, places: list[BasketPlace]) -> Iterator[At]:
    if design.looks is None:
        return
    unit = design.looks.unit
    here = (*at, "looks", unit)
    most = {place.name: place.max_patients for place in places}
    for i, item in enumerate(design.looks.listed()):
        place = (*here, i) if isinstance(getattr(design.looks, unit), list) else here
        if unit in ("in_each", "in_one") and isinstance(item, dict):
            for name, number in item.items():
                if name not in most:
                    yield unknown((*place, name), name, most, "basket of this design", key=True)
                elif number > most[name]:
                    text = f"is after the last patient of the basket (max_patients: {most[name]})"
                    yield At((*place, name), text, got=str(number), way_out="Lower it, or raise max_patients.")
        elif unit in ("in_each", "in_one") and item > max(most.values()):
            text = f"is after the last patient of every basket (max_patients: {max(most.values())})"
            yield At(place, text, got=str(item), way_out="Lower it, or raise max_patients.")
        elif unit == "in_all" and item > design.in_all(places):
            text = f"is after the last patient of all baskets, {design.in_all(places)}"
            yield At(place, text, got=str(item), way_out="Lower it, or raise max_patients or max_in_all.")
        elif unit == "months" and design.max_months is not None and item >= design.max_months:
            text = f"is not before the trial closes, at month {design.max_months:g}"
            yield At(place, text, got=f"{item:g}", way_out="Lower it, or raise max_months.")


def _of_hearing(at: Place, design: Basket, rule: BasketRule, places: list[BasketPlace]) -> Iterator[At]:
    """Yield why a rule could never be heard, or speaks at looks that do not exist."""
    count = design.look_count(places)
    yield from looks_beyond(at, rule.at if isinstance(rule.at, list) else [], count)
    if not rule.looks(count):
        text = "the only look is the final one, so this rule would never speak. Add looks, or remove the rule."
        yield At((*at, "at"), text)
    pool = rule.of == "pool"
    most = design.in_all(places) if pool else max(place.max_patients for place in places)
    if rule.from_patients > most:
        text = f"the rule would never speak: {'the pool' if pool else 'a basket'} has {most} patients at most"
        yield At((*at, "from_patients"), text, got=str(rule.from_patients), way_out="Lower it.")


def _of_list(
    at: Place, design: Basket, rule: BasketRule, condition: BasketCondition, places: list[BasketPlace]
) -> Iterator[At]:
    speaks = len(rule.looks(design.look_count(places)))
    if len(condition.cut) != speaks:
        text = f"has {len(condition.cut)} numbers, and the rule speaks at {speaks} looks (the final one included)"
        yield At((*at, condition.comparison), text, way_out="Give one for each.", key=True)


def _of_condition(at: Place, design: Basket, condition: BasketCondition, places: list[BasketPlace]) -> Iterator[At]:
    said = condition.probability_that
    for name in ("above", "below"):
        bound = getattr(condition, name)
        if bound is None:
            continue
        if isinstance(bound, ByBasket):
            yield from _of_names((*at, name, "by_basket"), bound, places, MEASURES.get(str(said)))
            continue
        for place in places:
            if math.isnan(design.bound(bound, place)):
                text = f"the basket {place.name} says no {_missing(bound, MEASURES[str(said)], place)}"
                where = "the design" if design.arms is not None else "the design, or to the basket"
                yield At((*at, name), text, way_out=f"Add it to {where}.")
                break
    if condition.predictive_probability_of is not None:
        yield from _of_predictive(at, design)
    cut = condition.cut
    if isinstance(cut, ByBasket):
        yield from _of_names((*at, condition.comparison, "by_basket"), cut, places, None)
    elif isinstance(cut, PowerCutOff) and design.looks is not None and design.looks.unit == "months":
        text = "looks by months have no planned share of patients. Give a number, or one for each look."
        yield At((*at, condition.comparison), text, key=True)


def _of_sides(scenario: Scenario, at: Place, design: Basket) -> Iterator[At]:
    endpoint = scenario.endpoints[design.endpoint]
    measure = measure_of(endpoint.kind, design.arms is not None)
    better = 1 if higher_is_better(endpoint, measure) else -1

    def favours(condition: BasketCondition) -> int:
        match condition.subject:
            case "probability_that":
                return better if condition.above is not None else -better
            case "number_of":
                return better if measure is RATE else 0  # of both arms, or of times: it tells how much is known
            case "estimate_of":
                return better
            case "p_value":
                return -1
            case _:
                return 1

    yield from complaints_of_sides((*at, "rules"), design.rules, favours)


def _missing(bound: object, measure: Measure, place: BasketPlace) -> str:
    """Return the keys that a bound needs of a basket, and that it does not say."""
    needed = {measure.null: place.null, measure.target: place.target}
    return " and no ".join(key for key, value in needed.items() if value is None and bound in (key, MIDPOINT))


def _of_predictive(at: Place, design: Basket) -> Iterator[At]:
    place = (*at, "predictive_probability_of")
    if design.looks is None:
        yield At(place, "there is no interim look to predict from. Add looks.", key=True)
    ends = (
        rule.at != "interim" and all(c.predictive_probability_of is None for c in rule.conditions)
        for rule in design.rules
        if rule.stop_for == "efficacy"
    )
    if not any(ends):
        text = "success at the final look is not defined. Add a rule with stop_for: efficacy, at: final."
        yield At(place, text, key=True)


def _of_names(at: Place, given: ByBasket, places: list[BasketPlace], measure: Measure | None) -> Iterator[At]:
    """Yield what is wrong with numbers by basket; measure: what they are values of, None of other numbers."""
    names = [place.name for place in places]
    for name, value in given.by_basket.items():
        if name not in names:
            yield unknown((*at, name), name, names, "basket of this design", key=True)
        elif measure is RATE and not 0.0 < value < measure.most:
            yield At((*at, name), "a rate lies between 0 and 1", got=f"{value:g}")
        elif measure is not None and not 0.0 < value <= measure.most:
            yield At((*at, name), "must be above 0", got=f"{value:g}", allowed=f"up to {measure.most:g}")
    for name in names:
        if name not in given.by_basket:
            yield At(at, f"leaves out the basket {name}. Give its number.", key=True)


def _of_offset(at: Place, design: Basket, places: list[BasketPlace]) -> Iterator[At]:
    analysis: Any = design.analysis
    offset = getattr(analysis, "offset", None)
    for name in (f"{which}_{of}" for of in MEASURED for which in ("null", "target")):
        lacking = [place.name for place in places if getattr(place, name.split("_")[0]) is None]
        if offset == name and lacking:
            text = f"the basket {lacking[0]} says no {name}. Add it to the design, or to the basket."
            yield At((*at, "analysis", "offset"), text)
    for key in ("priors", "own"):
        for name in getattr(analysis, key, {}) or {}:
            if name not in {place.name for place in places}:
                yield unknown((*at, "analysis", key, name), name, [p.name for p in places], "basket", key=True)
