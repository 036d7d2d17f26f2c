"""What must hold of tests of baskets, and of baskets that are judged as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.designs.basket import Basket, BasketCondition, BasketRule, ByBasket, Pooling
from lmd_trialsim.designs.basket import Place as BasketPlace
from lmd_trialsim.designs.cell_looks import interim_looks
from lmd_trialsim.designs.measures import RATE, measure_of
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


def complaints_of_pooling(scenario: Scenario, at: Place, design: Basket, places: list[BasketPlace]) -> Iterator[At]:
    """Yield what is wrong with p-values of baskets, and with their pooling."""
    pooling, count = design.pooling, design.look_count(places)
    binary = measure_of(scenario.endpoints[design.endpoint].kind, design.arms is not None) is RATE
    if pooling is not None and not binary:
        yield At((*at, "pooling"), "is of response rates of one arm. Remove it.", key=True, misplaced=True)
        return
    if pooling is not None:
        yield from _of_pool((*at, "pooling"), design, pooling, places, count)
    for i, rule in enumerate(design.rules):
        here = (*at, "rules", i)
        if rule.of == "pool" and pooling is None:
            text = "the baskets are never judged as one. Add pooling: to the design, or remove of: pool."
            yield At((*here, "of"), text)
        elif pooling is not None:
            yield from _of_silence(here, rule, pooling, count)
        for j, condition in enumerate(rule.conditions):
            place = (*here, "when") if isinstance(rule.when, BasketCondition) else (*here, "when", j)
            yield from _of_test(place, condition, places, binary=binary)
            if rule.of == "pool":
                yield from _of_condition(place, condition, places)


def _of_pool(at: Place, design: Basket, pooling: Pooling, places: list[BasketPlace], count: int) -> Iterator[At]:
    if isinstance(pooling.from_look, int) and pooling.from_look > count:
        yield At((*at, "from_look"), "is beyond the final look", got=str(pooling.from_look), allowed=f"1 to {count}")
    if design.looks is not None and design.looks.unit == "in_one":
        yield At((*at, "from_look"), "baskets looked at one by one cannot be judged as one. Use in_each looks.")
    if not any(rule.of == "pool" and rule.stop_for == "efficacy" for rule in design.rules):
        yield At(at, "no rule of the pool can conclude efficacy. Add one with of: pool, stop_for: efficacy.", key=True)
    sizes = [key for key in ("max_patients", "max_in_all") if getattr(pooling, key) is not None]
    for key in sizes[1:]:
        yield At((*at, key), f"contradicts {sizes[0]}. Remove one.", key=True)
    if sizes and pooling.settled_at(count) >= count - 1:
        yield At((*at, sizes[0]), "comes too late: baskets are pooled when all patients are in. Remove it.", key=True)
    elif sizes and (design.looks is None or design.looks.unit != "in_each"):
        yield At((*at, sizes[0]), "goes with looks in_each. Remove it, or use these.", key=True)
    elif sizes:
        yield from _of_size((*at, sizes[0]), design, pooling, places)


def _of_size(at: Place, design: Basket, pooling: Pooling, places: list[BasketPlace]) -> Iterator[At]:
    names, most = [place.name for place in places], [place.max_patients for place in places]
    last = interim_looks(design.looks, names, most, design.in_all(places))[-1]
    if pooling.max_in_all is not None:
        if not sum(last) < pooling.max_in_all <= design.in_all(places):
            yield At(at, "of all baskets, pooled", got=str(pooling.max_in_all),
                     allowed=f"{sum(last) + 1} to {design.in_all(places)}: more than the last interim look has, and no "
                     "more than there are without pooling")  # fmt: skip
        return
    said = pooling.max_patients
    if isinstance(said, ByBasket):
        for name in said.by_basket:
            if name not in names:
                yield unknown((*at, "by_basket", name), name, names, "basket of this design", key=True)
    given = said.by_basket if isinstance(said, ByBasket) else dict.fromkeys(names, float(said or 0))
    for name, number, upto in zip(names, last, most, strict=True):
        if name in given and not (number <= given[name] <= upto and given[name] == int(given[name])):
            yield At(at, f"of the basket {name}, pooled", got=f"{given[name]:g}",
                     allowed=f"{number} to {upto}: those of the last interim look, at least")  # fmt: skip
            return


def _of_silence(at: Place, rule: BasketRule, pooling: Pooling, count: int) -> Iterator[At]:
    """Yield that a rule is never heard, because of the path that the trial is on."""
    first, looks = pooling.settled_at(count), rule.looks(count)
    if rule.of == "pool" and looks and max(looks) < first:
        text = f"the rule would never speak: baskets are judged as one from look {first + 1} on. Change at:."
        yield At((*at, "of"), text)
    if rule.of == "basket" and pooling.when is None and looks and min(looks) >= first:
        text = f"the rule would never speak: from look {first + 1} on all baskets are judged as one. Say of: pool."
        yield At((*at, "stop_for"), text)


def _of_test(at: Place, condition: BasketCondition, places: list[BasketPlace], *, binary: bool) -> Iterator[At]:
    if condition.p_value is None:
        return
    if not binary:
        text = "is of response rates of one arm. Use probability_that."
        yield At((*at, "p_value"), text, key=True, misplaced=True)
    elif lacking := [place.name for place in places if place.null is None]:
        text = f"the basket {lacking[0]} says no null_rate. Add it to the design, or to the basket."
        yield At((*at, "p_value"), text)


def _of_condition(at: Place, condition: BasketCondition, places: list[BasketPlace]) -> Iterator[At]:
    """Yield what a pool cannot be asked."""
    if condition.subject not in ("p_value", "number_of"):
        text = "is of single baskets. Ask a pool for p_value: one_sided or number_of: responses."
        yield At((*at, condition.subject), text, key=True)
    if condition.p_value == "bonferroni":
        yield At((*at, "p_value"), "a pool is one test. Use one_sided.", got="bonferroni")
    if condition.p_value is not None and len({place.null for place in places}) > 1:
        rates = ", ".join(f"{place.name} {place.null:g}" for place in places if place.null is not None)
        text = f"a pool has one null rate, and baskets differ ({rates}). Give all the same, or take those alike only."
        yield At((*at, "p_value"), text)
    if isinstance(condition.cut, ByBasket):
        yield At((*at, condition.comparison), "a pool is judged as one. Give one number.", key=True)
