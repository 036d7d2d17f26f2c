"""Basket designs on trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.basket_replay import Look, OfArm, Seen, replay_baskets
from lmd_trialsim.designs.basket import BasketCondition, ByBasket
from lmd_trialsim.designs.measures import RATE
from lmd_trialsim.lowering_baskets import BasketSetting, bounds_of
from lmd_trialsim.posterior_checks.cases import (
    MEAN,
    PROBABILITY,
    Asked,
    Case,
    Collector,
    Data,
    Decision,
    NoTwin,
    Subject,
    probability_label,
)
from lmd_trialsim.posterior_checks.fast_baskets import Cells, FastBaskets
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion.baskets import tau_of_counts, twin_of_baskets

Whole = NDArray[np.int64]


def subject_of_baskets(
    scenario: Scenario, design: str, truths: Sequence[str], number: int, seed: int
) -> tuple[Subject | None, list[NoTwin]]:
    """Return the design with `number` data sets at looks and the hard ones; or that it has no model.

    The looks are those of replicates 0, 1, ... under each truth in turn, the first, the second, ... in turn.
    """
    setting = BasketSetting.of(scenario, design)
    twin = twin_of_baskets(setting.design.analysis, setting.places, setting.measure)
    if twin is None:
        return None, [NoTwin(design, f"no PyMC model of {setting.design.analysis.kind} in baskets")]
    cases, seen = [], []
    for i in range(number):
        truth = truths[i % len(truths)]
        trial = replay_baskets(scenario, design, truth, seed, i)
        judged = [look for look in trial.looks if any(one.look is not None for one in look.baskets)]
        if judged:
            look = judged[(i // len(truths)) % len(judged)]
            seen.append(_cells(setting, look))
            cases.append(_at_look(setting, f"{truth}, replicate {i}, look {look.number}", look, seen[-1]))
    hard = _hard(setting, truths[0], seen) if seen else ()
    return Subject(design, (twin,), (*cases, *hard)), []


def _cells(setting: BasketSetting, look: Look) -> Cells:
    def arms_of(one: Seen) -> list[OfArm]:
        return [one.of_control, one.of_treatment] if len(setting.arms) > 1 else [one.of_control]

    rows = np.array([arms_of(one) for one in look.baskets], float)  # (baskets, arms, 3)
    patients, counted = (rows[..., i].T.astype(np.int64) for i in (0, 1))
    return _counted(setting, patients, counted, rows[..., 2].T)


def _counted(setting: BasketSetting, patients: Whole, counted: Whole, months: NDArray[np.float64]) -> Cells:
    nothing = np.zeros_like(patients)
    if setting.endpoint.kind == "time_to_event":
        return Cells(patients, nothing, counted, months)
    return Cells(patients, counted, nothing, nothing.astype(float))


def _data(setting: BasketSetting, cells: Cells) -> Data:
    named: Data = {"patients": cells.patients, "responses": cells.responses}
    if setting.endpoint.kind == "time_to_event":
        named = {"events": cells.events.astype(float), "months": cells.months}
    data = {name: values[0] if len(setting.arms) == 1 else values for name, values in named.items()}
    return {**data, **tau_of_counts(setting.design.analysis, cells.patients[0], cells.responses[0])}


def _probability(setting: BasketSetting, condition: BasketCondition, basket: int, fast: float) -> Asked:
    quantity, below = str(condition.probability_that), condition.below is not None
    said = condition.below if condition.below is not None else condition.above
    words = "its bound" if isinstance(said, ByBasket) else said.replace("_", " ") if isinstance(said, str) else said
    place = setting.places[basket]
    label = probability_label(quantity, f"{words}" if isinstance(words, str) else f"{words:g}", below=below)
    bound = setting.design.bound(said, place)
    return Asked(label, PROBABILITY, quantity, basket, fast, bound, below, where=place.name)


def _mean(setting: BasketSetting, basket: int, fast: float) -> Asked:
    measure = setting.measure
    quantity = measure.word if measure is RATE else f"log_{measure.word}"
    label = f"{quantity.replace('_', ' ')}, mean"
    return Asked(label, MEAN, quantity, basket, fast, where=setting.baskets[basket])


def _at_look(setting: BasketSetting, label: str, look: Look, cells: Cells) -> Case:
    """Return a look of a simulated trial, with the answers that the rules saw of the baskets that are judged."""
    numbers, decisions = Collector(), []
    for basket, seen in enumerate(look.baskets):
        if seen.look is None:
            continue
        rules = []
        for rule, answers in zip(setting.design.rules, seen.answers, strict=True):
            held = []
            for answer, condition in zip(answers, rule.conditions, strict=False):
                asks = condition.probability_that is not None
                place = numbers.add(_probability(setting, condition, basket, answer.value)) if asks else None
                held.append((answer, place))
            rules.append(tuple(held))
        decisions.append(Decision(tuple(rules), seen.basket))
        numbers.add(_mean(setting, basket, seen.mean))
    return Case(label, (_data(setting, cells),), numbers.all(), tuple(decisions))


def _hard(setting: BasketSetting, truth: str, seen: Sequence[Cells]) -> Iterator[Case]:
    """Yield data sets that simulation seldom meets, and all that is asked of each basket."""
    usual = max(seen, key=lambda cells: int(cells.patients.sum()))
    bounds = bounds_of(setting) or [(0.5,) * len(setting.places)]
    conditions = {
        repr((c.probability_that, c.above, c.below)): c
        for rule in setting.design.rules
        for c in rule.conditions
        if c.probability_that is not None
    }
    named = dict(_data_sets(setting, usual))
    occurring = {int(n) for cells in named.values() for n in cells.patients.ravel()}
    tails, means = FastBaskets(setting, truth, np.array(bounds), sorted(occurring)).answers(list(named.values()))
    for (label, cells), of_bounds, of_baskets in zip(named.items(), tails, means, strict=True):
        numbers = Collector()
        for basket in range(len(setting.places)):
            for condition in conditions.values():
                said = condition.below if condition.below is not None else condition.above
                row = tuple(setting.design.bound(said, one) for one in setting.places)
                above = float(of_bounds[bounds.index(row), basket])
                fast = 1.0 - above if condition.below is not None else above
                numbers.add(_probability(setting, condition, basket, fast))
            numbers.add(_mean(setting, basket, float(of_baskets[basket])))
        yield Case(label, (_data(setting, cells),), numbers.all(), hard=True)


def _data_sets(setting: BasketSetting, usual: Cells) -> Iterator[tuple[str, Cells]]:
    n, months = usual.patients, np.maximum(usual.months, 0.5 * (usual.patients > 0))
    first = np.arange(n.shape[1]) == 0
    what = "events" if setting.endpoint.kind == "time_to_event" else "responses"
    seen = usual.events + usual.responses

    def cells(patients: Whole, counted: Whole) -> Cells:
        return _counted(setting, patients, counted, np.where(patients > 0, months, 0.0))

    yield f"no {what}", cells(n, 0 * n)
    yield f"{what} of everybody", cells(n, n)
    yield f"{what} of everybody in the first basket only", cells(n, n * first)
    yield f"{what} of everybody but in the first basket", cells(n, n * ~first)
    yield "the first basket empty", cells(n * ~first, seen * ~first)
    one = np.minimum(n, 1) * (np.cumsum(n > 0, axis=1) == 1) * (np.arange(len(n)) == len(n) - 1)[:, None]
    yield f"one patient, {what} of one", cells(one, one)
    yield "all baskets empty", cells(0 * n, 0 * n)
