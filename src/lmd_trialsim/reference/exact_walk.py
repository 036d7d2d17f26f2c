"""Forward over the outcomes of a binary trial, patient by patient: what has not stopped goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.reference.exact_decisions import (
    CLOSE_FOR_EFFICACY,
    CLOSE_FOR_FUTILITY,
    GO_ON,
    Codes,
    Judge,
    shares_of,
)
from lmd_trialsim.reference.exact_rates import Array

FEW = 64
"""Ways from one look's arm sizes to the next look's up to which a stretch of patients is taken in one step."""


class Turns:
    """Who gets the next patient, given how many there were, and how many of them got the treatment."""

    def __init__(self, design: General, arms: Sequence[str]) -> None:
        self.method = "one"
        if isinstance(design, TwoArm):
            self.method = design.allocation.method
            control, treatment = shares_of(design, arms)
            self.share = treatment / (control + treatment)
            self.order = [arm == arms[1] for arm in design.allocation.order or ()]
            self.block = design.allocation.block or 2 * (control + treatment)
            self.places = self.block // (control + treatment) * treatment

    def to_treatment(self, n: int, n_treatment: int) -> float:
        """Return the probability that the patient after the first n gets the treatment."""
        if self.method == "one":
            return 1.0
        if self.method == "simple":
            return self.share
        if self.method == "fixed_order":
            return float(self.order[n % len(self.order)])
        full, begun = divmod(n, self.block)
        return (self.places - (n_treatment - full * self.places)) / (self.block - begun)

    def onward(self, n: int, n_treatment: int, upto: int) -> dict[int, float]:
        """Return the probability of each number of treatment patients among the first `upto`, from here."""
        chances = {n_treatment: 1.0}
        for patient in range(n, upto):
            after: dict[int, float] = {}
            for number, chance in chances.items():
                p = self.to_treatment(patient, number)
                if p > 0.0:
                    after[number + 1] = after.get(number + 1, 0.0) + chance * p
                if p < 1.0:
                    after[number] = after.get(number, 0.0) + chance * (1.0 - p)
            chances = after
        return chances

    def treated(self, n: int, n_treatment: int, numbers: int) -> Array:
        """Return the treatment patients expected when 0, 1, ... more patients have been enrolled, (numbers,)."""
        if self.method in ("one", "simple"):
            return np.asarray(n_treatment + self.to_treatment(n, n_treatment) * np.arange(numbers), float)
        expected, chances = np.empty(numbers), {n_treatment: 1.0}
        for more in range(numbers):
            expected[more] = sum(number * chance for number, chance in chances.items())
            after: dict[int, float] = {}
            for number, chance in chances.items():
                for then, step in self.onward(n + more, number, n + more + 1).items():
                    after[then] = after.get(then, 0.0) + chance * step
            chances = after
        return expected


class Ended(NamedTuple):
    """Trials of one pair of arm sizes that have ended: how many (as probability) of each outcome, and how."""

    look: int  # at which the data are those of the end
    by_look: int  # the look whose rules ended it: the last one, where the accrual was closed before
    n_treatment: int
    n_control: int
    mass: Array
    verdict: Codes
    unanswered: Array  # of those without a verdict, the ones where a rule got no answer
    closed_for: int  # the verdict that closed the accrual before, or 0


def walk(judge: Judge, turns: Turns, rates: tuple[float, float], ignoring: bool = False) -> Iterator[Ended]:
    """Yield all the ways to end, under the rates of control and treatment."""
    alive: dict[int, Array] = {0: np.ones((1, 1))}
    before = 0
    for look, n in enumerate(judge.numbers):
        alive = _enrol(alive, turns, before, n, rates)
        before = n
        for n_t in sorted(alive):
            mass, n_c = alive[n_t], n - n_t
            judged = judge.at(look, n_t, n_c, ignoring)
            final = look == judge.last
            stopped = (judged.verdict > GO_ON) & (judged.verdict < CLOSE_FOR_EFFICACY) | final
            if stopped.any():
                here = np.where(stopped, mass, 0.0)
                unanswered = np.where(judged.answered | (judged.verdict > GO_ON), 0.0, here)
                yield Ended(look, look, n_t, n_c, here, judged.verdict, unanswered, 0)
            for verdict in (CLOSE_FOR_EFFICACY, CLOSE_FOR_FUTILITY):
                closed = judged.verdict == verdict
                if closed.any():
                    end = judge.at(judge.last, n_t, n_c, ignoring)
                    here = np.where(closed, mass, 0.0)
                    unanswered = np.where(end.answered | (end.verdict > GO_ON), 0.0, here)
                    yield Ended(look, judge.last, n_t, n_c, here, end.verdict, unanswered, verdict)
            alive[n_t] = np.where(judged.verdict == GO_ON, mass, 0.0)


def arm_sizes(numbers: Sequence[int], turns: Turns) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the patients at each look, and the numbers of treatment patients that they may have among them."""
    sizes: Sequence[int] = [0]
    before = 0
    for n in numbers:
        if turns.method == "simple":
            sizes = range(n + 1)
        elif turns.method == "blocks":
            full, begun = divmod(n, turns.block)
            least = full * turns.places + max(0, begun - (turns.block - turns.places))
            sizes = range(least, full * turns.places + min(begun, turns.places) + 1)
        else:
            sizes = sorted({number for size in sizes for number in turns.onward(before, size, n)})
        before = n
        yield n, sizes


def _enrol(
    alive: dict[int, Array], turns: Turns, before: int, upto: int, rates: tuple[float, float]
) -> dict[int, Array]:
    ways = {} if turns.method == "simple" else {n_t: turns.onward(before, n_t, upto) for n_t in alive}
    if ways and sum(map(len, ways.values())) <= FEW:
        return _in_one_step(alive, ways, upto - before, rates)
    for n in range(before, upto):
        after: dict[int, Array] = {}
        for n_t in sorted(alive):
            mass, p = alive[n_t], turns.to_treatment(n, n_t)
            if p > 0.0:
                more = np.zeros((n_t + 2, n - n_t + 1))
                more[:-1] = mass * (p * (1.0 - rates[1]))
                more[1:] += mass * (p * rates[1])
                _add(after, n_t + 1, more)
            if p < 1.0:
                more = np.zeros((n_t + 1, n - n_t + 2))
                more[:, :-1] = mass * ((1.0 - p) * (1.0 - rates[0]))
                more[:, 1:] += mass * ((1.0 - p) * rates[0])
                _add(after, n_t, more)
        alive = after
    return alive


def _in_one_step(
    alive: dict[int, Array], ways: dict[int, dict[int, float]], patients: int, rates: tuple[float, float]
) -> dict[int, Array]:
    after: dict[int, Array] = {}
    for n_t, mass in alive.items():
        for final_t, chance in ways[n_t].items():
            more_t = final_t - n_t
            of_treatment = _binomial(more_t, rates[1], mass.shape[0])
            of_control = _binomial(patients - more_t, rates[0], mass.shape[1])
            _add(after, final_t, chance * (of_treatment.T @ mass @ of_control))
    return after


def _binomial(more: int, rate: float, rows: int) -> Array:
    """Return P(x of all | x of those so far), (rows, rows + more)."""
    chance = binom.pmf(np.arange(more + 1), more, rate)
    table = np.zeros((rows, rows + more))
    for x in range(rows):
        table[x, x : x + more + 1] = chance
    return table


def _add(tables: dict[int, Array], key: int, table: Array) -> None:
    if key in tables:
        tables[key] += table
    else:
        tables[key] = table
