"""Every number that a design says of a data set, beside the one that PyMC samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.posterior_checks.cases import MEAN, PROBABILITY, Asked, Case, NoTwin, Subject
from lmd_trialsim.posterior_checks.of_baskets import subject_of_baskets
from lmd_trialsim.posterior_checks.of_platforms import subject_of_platform
from lmd_trialsim.posterior_checks.of_trials import subject_of_trial
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion import diagnostics
from lmd_trialsim.second_opinion.comparing import AGREES, APPROXIMATION, Compared, Flip, Summary, flip_of, summary_of
from lmd_trialsim.second_opinion.sampling import Fit, Sampler, Twin


class Fitted(NamedTuple):
    """A data set that was sampled, and why its draws are not trusted, if so."""

    data: str
    hard: bool
    why_not: str


@dataclass(frozen=True)
class Checked:
    """A design, each of its numbers on all data sets, and the looks that would be decided otherwise."""

    design: str
    models: tuple[str, ...]
    fits: tuple[Fitted, ...]
    compared: tuple[Compared, ...]
    summaries: tuple[Summary, ...]
    decisions: int  # looks, or baskets at looks, that were decided a second time
    flips: tuple[Flip, ...]

    @property
    def agrees(self) -> bool:
        """Whether all numbers agree that are meant to, and all fits are trusted."""
        return all(one.verdict in (AGREES, APPROXIMATION) for one in self.summaries)


@dataclass(frozen=True)
class Check:
    """The designs of a scenario."""

    designs: tuple[Checked, ...]
    without: tuple[NoTwin, ...]

    @property
    def agrees(self) -> bool:
        """Whether every design does."""
        return all(one.agrees for one in self.designs)


Fitter = Callable[[Twin], Any]
"""Makes what has `fit(data, seed)` of a twin: sampling.Sampler, or another in tests."""


def subject_of(
    scenario: Scenario, design: str, truths: Sequence[str], number: int, seed: int
) -> tuple[Subject | None, list[NoTwin]]:
    """Return a design with its data sets; and which of its posteriors have no model in PyMC."""
    spec = scenario.designs[design]
    if isinstance(spec, Basket):
        return subject_of_baskets(scenario, design, truths, number, seed)
    if isinstance(spec, Platform):
        return subject_of_platform(scenario, design, truths, number, seed)
    return subject_of_trial(scenario, design, truths, number, seed)


def check(
    scenario: Scenario,
    designs: Sequence[str],
    truths: Sequence[str],
    *,
    data_sets: int,
    seed: int,
    cores: int,
    told: Callable[[int], None] = lambda _: None,
    fitter: Fitter | None = None,
) -> Check:
    """Return what PyMC says of so many data sets of each design, and of hard ones.

    told: is called with 1 after each data set. sampling.NotInstalledError where PyMC is missing.
    """
    found, without = [], []
    for design in designs:
        subject, missing = subject_of(scenario, design, truths, data_sets, seed)
        without += missing
        if subject is not None:
            found.append(checked(subject, seed, fitter or (lambda twin: Sampler(twin, cores)), told))
    return Check(tuple(found), tuple(without))


def checked(subject: Subject, seed: int, fitter: Fitter, told: Callable[[int], None] = lambda _: None) -> Checked:
    """Return what is found of one design."""
    samplers = [fitter(twin) for twin in subject.twins]
    fits, compared, flips, decisions = [], [], [], 0
    for number, case in enumerate(subject.cases):
        each = [sampler.fit(data, seed % 2**31 + 2 * number) for sampler, data in zip(samplers, case.data, strict=True)]
        why_not = "; ".join(fit.why_not for fit in each if fit.why_not)
        fits.append(Fitted(case.label, case.hard, why_not))
        sampled = [_sampled(subject.twins[one.twin], each[one.twin], one) for one in case.asked]
        compared += [
            Compared(
                one.number,
                _at(case, one.where),
                one.fast,
                value,
                error,
                each[one.twin].why_not,
                one.approximate,
                number,
            )
            for one, (value, error) in zip(case.asked, sampled, strict=True)
        ]
        if not why_not:
            decisions += len(case.decisions)
            flips += list(_flips(case, sampled))
        told(1)
    numbers = list(dict.fromkeys(one.number for one in compared))
    return Checked(
        subject.design,
        tuple(twin.name for twin in subject.twins),
        tuple(fits),
        tuple(compared),
        tuple(summary_of(number, [one for one in compared if one.number == number]) for number in numbers),
        decisions,
        tuple(flips),
    )


def _at(case: Case, where: str) -> str:
    return f"{case.label}, {where}" if where else case.label


def _sampled(twin: Twin, fit: Fit, asked: Asked) -> tuple[float, float]:
    """Return the sampled number and its error."""
    drawn = twin.quantity(fit.draws, asked.quantity, asked.cell, asked.month)
    if asked.kind == PROBABILITY:
        above = drawn.above(asked.bound)
        return diagnostics.probability_and_error(1.0 - above if asked.below else above, asked.fast)
    if asked.kind == MEAN:
        return diagnostics.mean_and_error(drawn.mean())
    return diagnostics.quantile_and_error(drawn.values[0], asked.bound)


def _flips(case: Case, sampled: Sequence[tuple[float, float]]) -> Iterator[Flip]:
    nothing = math.nan, math.nan
    for decision in case.decisions:
        rules = [
            [(answer, *(nothing if place is None else sampled[place])) for answer, place in rule]
            for rule in decision.rules
        ]
        flip = flip_of(_at(case, decision.where), rules)
        if flip is not None:
            yield flip
