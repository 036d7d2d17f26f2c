"""Operating characteristics of basket designs without Monte Carlo error: every outcome of looks at fixed numbers.

States of the baskets are walked from look to look. Baskets that are alike, in the model, in the rules and in truth, may
be exchanged, so their states are kept in order and merged: five alike ones of 20 have 53,130 outcomes, not 4,084,101.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from lmd_trialsim.basket_trials import basket_job, quadrature_error
from lmd_trialsim.characteristics import QUANTILES, VERDICTS, Characteristic
from lmd_trialsim.designs.asking import VERDICTS as VERDICT_OF
from lmd_trialsim.engine.cell_states import Judged, judge_states
from lmd_trialsim.kernel.rules import EFFICACY, GO_ON
from lmd_trialsim.lowering_baskets import BasketSetting, null_cells

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

MOST_STATES = 10_000_000


class TooManyStatesError(ValueError):
    """More states than can be walked."""


class States(NamedTuple):
    """States of the trial and their probabilities. A cell's code is ((closed at look + 1) * 4 + verdict) * base + x."""

    code: Integers  # (states, cells)
    mass: Reals  # (states,)


class Walk:
    """Walks a basket design under one truth, and adds up what happens to each basket.

    Where it is settled at a look whether baskets are pooled, two paths are walked from there on.
    """

    def __init__(self, scenario: Scenario, design: str, truth: str, threads: int) -> None:
        self.setting = BasketSetting.of(scenario, design)
        self.job = basket_job(scenario, design, truth, 1)
        self.threads = threads
        self.numbers: list[Integers] = [np.array(path.number) for path in self.setting.paths]  # of both paths
        self.rates = np.array(self.setting.values(truth))
        self.cells, self.looks = len(self.rates), len(self.numbers[0])
        self.base = int(max(numbers.max() for numbers in self.numbers)) + 1
        self.alike = self._alike()
        self.by_verdict = np.zeros((self.cells, 4, self.looks))
        self.sums = {name: np.zeros(self.cells) for name in ("mean", "square", "borrowed", "covered", "patients")}

    def _alike(self) -> list[int]:
        """Return for each basket the first one that it could be exchanged with."""
        likeness, threshold = self.job.plan.data, self.job.plan.rules.threshold
        kind = np.empty(self.cells, np.int64)
        kind[likeness.order] = likeness.kind
        keys = [
            (int(kind[k]), self.rates[k], *(tuple(n[:, k]) for n in self.numbers), threshold[:, :, k].tobytes())
            for k in range(self.cells)
        ]
        return [keys.index(key) for key in keys]

    def run(self) -> list[tuple[int, States]]:
        """Walk to the end and return how trials end, by path (kernel.desk: pooled)."""
        paths = [(-1, States(np.zeros((1, self.cells), np.int64), np.ones(1)))]
        for look in range(self.looks):
            paths = [
                after
                for path, states in paths
                for after in self._judged(self._enrolled(states, look, path), look, path)
            ]
        return paths

    def ended(self, path: int, states: States) -> tuple[Integers, Integers]:
        """Return verdicts and patients of all baskets at the end, each (states, cells)."""
        verdict, closed_at = states.code // self.base % 4, states.code // self.base // 4 - 1
        return verdict, self._at(path, closed_at)

    def _at(self, path: int, look: Integers) -> Integers:
        """Return the patients that each basket had at a look, (states, cells)."""
        return np.asarray(np.take_along_axis(self.numbers[max(path, 0)], np.maximum(look, 0), axis=0))

    def _enrolled(self, states: States, look: int, path: int) -> States:
        """Add the patients who come between two looks to the open baskets, one basket after the other."""
        numbers = self.numbers[max(path, 0)]
        before = numbers[look - 1] if look else np.zeros(self.cells, np.int64)
        for cell in range(self.cells):
            more = int(numbers[look, cell] - before[cell])
            still_open = states.code[:, cell] < self.base
            count = int(still_open.sum()) * (more + 1) + int((~still_open).sum())
            if count > MOST_STATES:
                raise TooManyStatesError(
                    f"look {look + 1} has more than {MOST_STATES:,} states of the baskets ({count:,} and more)"
                )
            chances = _binomial(more, float(self.rates[cell]))
            grown = np.repeat(states.code[still_open], more + 1, axis=0)
            grown[:, cell] += np.tile(np.arange(more + 1), int(still_open.sum()))
            mass = (states.mass[still_open, None] * chances).ravel()
            code = np.concatenate([states.code[~still_open], grown])
            states = self._merged(code, np.concatenate([states.mass[~still_open], mass]), upto=cell)
        return states

    def _merged(self, code: Integers, mass: Reals, upto: int) -> States:
        """Put baskets that are alike in order, as far as all have been dealt with, and merge states that are equal."""
        for first in set(self.alike):
            members = [k for k in range(upto + 1) if self.alike[k] == first]
            if len(members) > 1:
                code[:, members] = np.sort(code[:, members], axis=1)
        key = np.zeros(len(code), np.uint64)
        span = np.uint64(int(code.max()) + 1)
        if math.log2(int(span)) * self.cells < 64:
            for cell in range(self.cells):
                key = key * span + code[:, cell].astype(np.uint64)
            _, first_at, which = np.unique(key, return_index=True, return_inverse=True)
            return States(code[first_at], _summed(which, mass))
        merged, which = np.unique(code, axis=0, return_inverse=True)
        return States(merged, _summed(which, mass))

    def _judged(self, states: States, look: int, path: int) -> Iterator[tuple[int, States]]:
        """Let the rules judge the open baskets; at the last look all close. Yield the states by path."""
        code = states.code
        still_open = code < self.base
        n = self._at(path, np.where(still_open, look, code // self.base // 4 - 1))
        judged = judge_states(
            self.job.plan, self.job.room, look, n, code % self.base, still_open.astype(np.int64), self.threads, path
        )
        ends = still_open & ((judged.verdict != GO_ON) | (look == self.looks - 1))
        self._add(states.mass, judged, ends, n)
        after = np.where(ends, ((look + 1) * 4 + judged.verdict) * self.base + code, code)
        for verdict in range(4):
            weight = np.where(ends & (judged.verdict == verdict), states.mass[:, None], 0.0)
            self.by_verdict[:, verdict, look] += weight.sum(axis=0)
        for taken in np.unique(judged.pooled):
            where = judged.pooled == taken
            yield int(taken), self._merged(after[where], states.mass[where], upto=self.cells - 1)

    def _add(self, mass: Reals, judged: Judged, ends: NDArray[np.bool_], n: Integers) -> None:
        error = judged.mean - self.rates
        for name, value in (
            ("mean", judged.mean), ("square", error**2), ("borrowed", judged.borrowed), ("covered", judged.covered),
            ("patients", n),
        ):  # fmt: skip
            self.sums[name] += np.where(ends, mass[:, None] * np.nan_to_num(value), 0.0).sum(axis=0)

    def of_each(self, sums: Reals) -> Reals:
        """Return sums by basket: baskets that are alike share theirs, for they stand in order of their counts."""
        shared = np.array(sums, float)
        for first in set(self.alike):
            members = [k for k in range(self.cells) if self.alike[k] == first]
            shared[members] = shared[members].mean(axis=0)
        return shared


def _summed(which: Integers, mass: Reals) -> Reals:
    return np.asarray(np.bincount(which.ravel(), mass), float)


def _binomial(n: int, rate: float) -> Reals:
    x = np.arange(n + 1.0)
    if rate <= 0.0 or rate >= 1.0:
        return np.asarray(x == (n if rate >= 1.0 else 0), float)
    log = -betaln(x + 1.0, n - x + 1.0) - math.log(n + 1.0) + x * math.log(rate) + (n - x) * math.log1p(-rate)
    return np.asarray(np.exp(log))


def exact_baskets(scenario: Scenario, design: str, truth: str, threads: int) -> tuple[Characteristic, ...]:
    """Return the operating characteristics of a basket design under one truth.

    TooManyStatesError where it has more states than can be walked.
    """
    walk = Walk(scenario, design, truth, threads)
    ends = walk.run()
    null = null_cells(walk.setting, truth)
    found = [*_of_trial(walk, ends, null)]
    for number, name in enumerate(walk.setting.baskets):
        found += _of_basket(walk, null, number, name)
    return (*found, *quadrature_error(walk.job.plan))


def _one(name: str, value: float, cell: str | None = None) -> Characteristic:
    return Characteristic(name, cell, float(value), 0.0, float(value), float(value))


def _of_trial(walk: Walk, ends: list[tuple[int, States]], null: tuple[bool, ...] | None) -> Iterator[Characteristic]:
    ended = [walk.ended(path, states) for path, states in ends]
    success = np.concatenate([verdict for verdict, _ in ended]) == EFFICACY
    patients = np.concatenate([patients for _, patients in ended]).sum(axis=1)
    mass = np.concatenate([states.mass for _, states in ends])

    def chance(where: Any) -> float:
        return math.fsum(mass[where])

    yield _one("probability_of_success", chance(success.sum(axis=1) >= walk.setting.design.succeeds_with))
    if null is not None:
        is_null = np.array(null)
        false, true = (success & is_null).sum(axis=1), (success & ~is_null).sum(axis=1)
        correct = (success == ~is_null).sum(axis=1)
        if any(null):
            yield _one("family_wise_error", chance(false > 0))
        if not all(null):
            yield _one("disjunctive_power", chance(true > 0))
        yield _one("all_decisions_correct", chance(correct == walk.cells))
        yield _one("expected_correct_decisions", mass @ correct)
        yield _one("expected_true_successes", mass @ true)
        yield _one("expected_false_successes", mass @ false)
        yield _one("false_discovery_proportion", mass @ (false / np.maximum(false + true, 1)))
    if walk.setting.design.pooling is not None:
        yield _one("probability_of_pooling", math.fsum(states.mass.sum() for path, states in ends if path == 1))
    yield _one("expected_patients", mass @ patients)
    reached = np.cumsum(np.bincount(patients, mass))
    for share in QUANTILES:
        yield _one(f"patients_quantile_{round(100 * share)}", float(np.searchsorted(reached, share - 1e-12)))


def _of_basket(walk: Walk, null: tuple[bool, ...] | None, number: int, name: str) -> Iterator[Characteristic]:
    verdicts = walk.of_each(walk.by_verdict)[number]
    totals = verdicts.sum(axis=1)
    reached = {VERDICT_OF["stop_for", rule.stop_for] for rule in walk.setting.design.rules}
    yield _one("probability_of_success", totals[1], name)
    if null is not None:
        yield _one("type_i_error" if null[number] else "power", totals[1], name)
    for verdict in (2, 3):
        if verdict in reached:
            yield _one(f"probability_of_{VERDICTS[verdict]}", totals[verdict], name)
    yield _one("probability_inconclusive", totals[0], name)
    for look in range(walk.looks):
        yield _one(f"stopped_at_look_{look + 1}", verdicts[:, look].sum(), name)
    for verdict, word in VERDICTS.items():
        if verdict in reached and walk.looks > 1:
            for look in range(walk.looks):
                yield _one(f"{word}_at_look_{look + 1}", verdicts[verdict, look], name)
    sums = {key: float(walk.of_each(value)[number]) for key, value in walk.sums.items()}
    yield _one("expected_patients", sums["patients"], name)
    yield _one("expected_evaluable_patients", sums["patients"], name)
    yield _one("mean_estimate", sums["mean"], name)
    yield _one("bias", sums["mean"] - walk.rates[number], name)
    yield _one("root_mean_square_error", math.sqrt(sums["square"]), name)
    yield _one("coverage", sums["covered"], name)
    yield _one("effective_borrowed_patients", sums["borrowed"], name)


def why_not_baskets(scenario: Scenario, design: str, truth: str) -> str | None:
    """Return in a sentence why the design cannot be walked under the truth; None where it can."""
    setting = BasketSetting.of(scenario, design)
    fixed = setting.fixed_numbers(truth)
    if fixed is not None:
        return fixed
    numbers = np.array(setting.planned.number)
    if len(numbers) == 1 and math.prod(int(n) + 1 for n in numbers[0]) > MOST_STATES:
        kinds = len({(place.null, place.target) for place in setting.places})
        if kinds == len(setting.places):
            states = math.prod(int(n) + 1 for n in numbers[0])
            return (
                f"The baskets have {states:,} outcomes, more than the {MOST_STATES:,} that can be walked: plan fewer."
            )
    return None
