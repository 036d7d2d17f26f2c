"""Basket designs by the number of active baskets: 0, 1, ... of them at their target, the others at their null value."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from lmd_trialsim.characteristics import Characteristic, proportion
from lmd_trialsim.designs.measures import MEASURES, MEDIAN
from lmd_trialsim.lowering_baskets import BasketSetting
from lmd_trialsim.patients.course import Course
from lmd_trialsim.scenario import Scenario, Truth
from lmd_trialsim.simulation import Results, Row

MOST_IN_SUBSETS = 6  # baskets: 64 subsets
AVERAGES = {
    "average_power": ("expected_true_successes", True),
    "average_type_i_error": ("expected_false_successes", False),
}
"""What is divided by the number of active baskets, or of the others."""

OF_SUBSETS = (
    *AVERAGES, "probability_of_success", "family_wise_error", "disjunctive_power", "all_decisions_correct",
    "probability_of_pooling", "expected_patients", "expected_months", "power", "type_i_error",
)  # fmt: skip
"""What is told where several subsets are averaged."""

WAYS = {measure.word: measure.word for measure in MEASURES.values()} | {MEDIAN.word: "median_months"}

Subset = tuple[int, ...]


def subsets_of(baskets: int, *, every: bool) -> list[list[Subset]]:
    """Return which baskets are active, by their number: the first ones, or every subset of so many."""
    numbers = range(baskets + 1)
    if every:
        return [list(itertools.combinations(range(baskets), active)) for active in numbers]
    return [[tuple(range(active))] for active in numbers]


def lacking(scenario: Scenario, design: str) -> str | None:
    """Return why the number of active baskets means nothing for a basket design; None where it does."""
    setting = BasketSetting.of(scenario, design)
    for place in setting.places:
        for value, key in ((place.null, setting.measure.null), (place.target, setting.measure.target)):
            if value is None:
                return f"{design}: the basket {place.name} says no {key}. Add it to the design, or to the basket."
    return None


def with_active(scenario: Scenario, design: str, like: str, subsets: Iterable[Subset]) -> Scenario:
    """Return the scenario with one truth for each subset of the design's baskets, in all else like the named one.

    Active baskets have the design's target, the others its null value: rates, medians of exponential times, or ratios
    to the control of the named truth. Strata that are no baskets fare as there.
    """
    setting, base = BasketSetting.of(scenario, design), scenario.truths[like]
    endpoint, arm = setting.design.endpoint, setting.arms[-1]
    courses = base.courses[endpoint]
    own = courses[arm]
    strata = {name: own.by_stratum[name] if own.by_stratum else own for name in scenario.population.stratum_names()}

    def truth(active: Subset) -> Truth:
        values = {
            place.name: place.target if number in active else place.null for number, place in enumerate(setting.places)
        }
        way = WAYS[setting.measure.word]
        told: dict[str, Any] = {name: Course.model_validate({way: value}) for name, value in values.items()}
        course = Course.model_validate({"by_stratum": strata | told})
        return base.model_copy(update={endpoint: {**courses, arm: course}})

    return scenario.with_truths({name_of(setting, active): truth(active) for active in subsets})


def name_of(setting: BasketSetting, active: Subset) -> str:
    """Return the name of the truth with these active baskets."""
    return "active: " + (", ".join(setting.baskets[number] for number in active) or "none")


def by_number(scenario: Scenario, design: str, results: Results, subsets: Sequence[Sequence[Subset]]) -> list[Row]:
    """Return a row for each number of active baskets, under the truth `active_0`, `active_1`, ...

    results: under the truths of `with_active`. Where several subsets have a number, what is told is their mean. They
    are played with the same patients, so that the mean of their errors is the most that the error of the mean can be.
    """
    setting = BasketSetting.of(scenario, design)
    rows = []
    for active, several in enumerate(subsets):
        found = [results.row(design, name_of(setting, subset)).characteristics for subset in several]
        told = [[*_averages(one, active, len(setting.baskets) - active, results.replicates), *one] for one in found]
        rows.append(Row(design, f"active_{active}", tuple(told[0] if len(told) == 1 else _mean(told))))
    return rows


def _averages(
    told: Sequence[Characteristic], active: int, others: int, replicates: int | None
) -> Iterable[Characteristic]:
    """Yield the chance of success of an active basket, and of another, each the mean over baskets.

    Errors are those of the number of successes in a trial, which knows that baskets of a trial go together; where all
    trials are alike, the limits are those of a proportion. replicates: None of exact numbers.
    """
    for name, (total, of_active) in AVERAGES.items():
        among = active if of_active else others
        one = next(one for one in told if one.name == total and one.cell is None)
        if not among:
            continue
        mean, *spread = (min(max(number / among, 0.0), 1.0) for number in one[2:])
        if replicates is not None and spread[0] == 0.0 and mean in (0.0, 1.0):
            yield proportion(name, round(mean) * replicates, replicates)
        else:
            yield Characteristic(name, None, mean, *spread)


def _mean(told: Sequence[Sequence[Characteristic]]) -> Iterable[Characteristic]:
    gathered: dict[tuple[str, str | None], list[Characteristic]] = {}
    for one in itertools.chain.from_iterable(told):
        if one.name in OF_SUBSETS and (one.cell is None or one.name in ("power", "type_i_error")):
            gathered.setdefault((one.name, one.cell), []).append(one)
    for (name, cell), several in gathered.items():
        yield Characteristic(name, cell, *(fmean(numbers) for numbers in zip(*(o[2:] for o in several), strict=True)))
