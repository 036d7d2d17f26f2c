"""The tables of hierarchical models, at the first level of accuracy that suffices."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from lmd_trialsim.analyses.calibrated_hierarchical import NEIGHBOURS, CalibratedHierarchical
from lmd_trialsim.analyses.hierarchical import Hierarchical
from lmd_trialsim.analyses.hierarchical_rules import Rule
from lmd_trialsim.analyses.hierarchical_tables import EXCHANGEABLE, Counts, Kind, Panels, Tables, alone, tail_alone
from lmd_trialsim.analyses.several_exchangeable import SeveralExchangeable, scratch_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical_levels import (
    Data,
    Level,
    Question,
    Weigh,
    first_that_agrees,
    normalised,
    remembered,
    rows_of,
    tails_of,
    tails_wanted,
)
from lmd_trialsim.designs.scale_priors import FixedSd, NormalLogit, rule_of

Array = NDArray[np.float64]

LEVELS: tuple[Level, ...] = ((10, 0.8), (13, 0.9), (17, 1.0), (22, 1.2), (30, 1.5), (42, 2.0))
"""Nodes of tau, and fineness of the panels of mu: each is tried until the next one agrees."""

LEVELS_OF_ONE_TAU: tuple[Level, ...] = tuple((1, fineness) for _, fineness in LEVELS)


class Component(Protocol):
    """An exchangeable component."""

    weight: float
    mean: NormalLogit
    sd: Any


class Found(NamedTuple):
    """The tables that suffice, of all rows that occur."""

    tables: Tables
    error: float


@functools.lru_cache(maxsize=6)
def _found(question: Question) -> Found:
    """Return the tables of the first level that agrees with the next; ValueError if none does."""

    def tables(level: Level, counts: Counts) -> Tables:
        return question.tables(rule_of(question.sd, int(level[0])), level[1], counts)

    levels = LEVELS if not isinstance(question.sd, FixedSd) else LEVELS_OF_ONE_TAU

    def search() -> tuple[Level, float]:
        return first_that_agrees(question, levels, lambda level, counts: (tables(level, counts), normalised))

    level, error = remembered(question, search)
    return Found(tables(level, rows_of(question.occurring)[0]), error)


def _whole(found: Found, frame: Frame, kinds: Sequence[Kind]) -> Hierarchical:
    """Return all tables as kernels read them."""
    tables = found.tables
    tail_of, tail = tails_of(tables, kinds, logit(frame.bounds))
    distinct = list(dict.fromkeys(kinds))
    moments = [tables.moments(kind) for kind in distinct]
    return Hierarchical(
        tables.prior,
        rows_of(frame.occurring)[1],
        np.array([distinct.index(kind) for kind in kinds]),
        np.stack([tables.likelihood(kind) for kind in distinct]),
        np.stack([mean for mean, _ in moments]),
        np.stack([square for _, square in moments]),
        tail_of,
        tail,
        found.error,
    )


def built(frame: Frame, mean: NormalLogit, sd: Any, kinds: Sequence[Kind]) -> tuple[Hierarchical, int]:
    """Return the model, and the room that it works in; ValueError if no level suffices."""
    model = _whole(_found(Question.of(frame, mean, sd, kinds)), frame, kinds)
    return model, len(model.prior) + 8


# ---- several components ---------------------------------------------------------------------------------------------


def built_of_several(
    frame: Frame, parts: Sequence[Component], kinds: Sequence[Kind]
) -> tuple[SeveralExchangeable, int]:
    """Return the tables of several exchangeable components, and the room that the model works in.

    kinds: of each basket, with its own prior; the weight of being exchangeable is the components' own.
    """
    found = [_found(Question.of(frame, part.mean, part.sd, kinds)) for part in parts]
    nodes = max(len(one.tables.prior) for one in found)
    models = [_whole(one, frame, kinds) for one in found]
    counts, start = rows_of(frame.occurring)

    def padded(tables: Sequence[Array]) -> Array:
        return np.stack([np.pad(t, [(0, 0)] * (t.ndim - 1) + [(0, nodes - t.shape[-1])]) for t in tables])

    solo = [alone(counts, kind) for kind in dict.fromkeys(kinds)]
    _, tails = tails_wanted(kinds, logit(frame.bounds))
    model = SeveralExchangeable(
        np.array([*(part.weight for part in parts), 1.0 - sum(part.weight for part in parts)]),
        padded([one.prior for one in models]),
        start,
        models[0].likelihood_of,
        padded([one.likelihood for one in models]),
        padded([one.mean for one in models]),
        padded([one.square for one in models]),
        models[0].tail_of,
        padded([one.tail for one in models]),
        np.stack([one.likelihood for one in solo]),
        np.stack([one.mean for one in solo]),
        np.stack([one.square for one in solo]),
        np.stack([tail_alone(counts, kind, bound) for kind, bound in tails]),
        max(one.error for one in found),
    )
    return model, scratch_of(len(parts), len(frame.baskets), nodes)


# ---- calibrated: tau by the data -------------------------------------------------------------------------------------

LEAST_TAU, MOST_TAU = 1e-3, 50.0
"""Below, the baskets are pooled; beyond, independent: to five digits either way."""

CALIBRATED_LEVELS = ((0.3, 0.8), (0.22, 0.9), (0.16, 1.1), (0.11, 1.4))
"""Step of log tau, and fineness of the panels of mu."""


def built_calibrated(
    frame: Frame, mean: NormalLogit, calibration: tuple[float, float], offsets: Array
) -> tuple[CalibratedHierarchical, int]:
    """Return the tables of a calibrated model at the first level that agrees with the next within TOLERANCE."""
    kinds = [Kind(float(offset), EXCHANGEABLE) for offset in offsets]
    question = Question.of(frame, mean, calibration, kinds)
    step, found = _found_between_tau(question)
    model = _whole(found, frame, kinds)
    first = np.cumsum([0, *(len(part.mu) for part in found.tables.grid)])
    calibrated = CalibratedHierarchical(model, first, np.log(taus(step)), *calibration, found.error)
    return calibrated, len(model.prior) + 8


@functools.lru_cache(maxsize=4)
def _found_between_tau(question: Question) -> tuple[float, Found]:
    """Return the step of log tau, and the tables, of the first level that agrees with the next."""

    def tables(level: Level, counts: Counts) -> Tables:
        scales = taus(level[0])
        return question.tables(Rule(scales, np.ones(len(scales))), level[1], counts)

    def at(level: Level, counts: Counts) -> tuple[Tables, Weigh]:
        made = tables(level, counts)
        return made, functools.partial(_between_tau, made.grid, question.sd)

    level, error = remembered(question, lambda: first_that_agrees(question, CALIBRATED_LEVELS, at))
    return level[0], Found(tables(level, rows_of(question.occurring)[0]), error)


def taus(step: float) -> Array:
    """Return tau from LEAST_TAU to MOST_TAU, evenly spaced in their logarithms."""
    count = math.ceil(math.log(MOST_TAU / LEAST_TAU) / step) + 1
    return np.geomspace(LEAST_TAU, MOST_TAU, count)


def _between_tau(grid: list[Panels], calibration: tuple[float, float], data: Data, product: Array) -> Array:
    """Return weights that interpolate the posteriors at the neighbouring tau (Lagrange)."""
    n, x = data
    log_tau = np.log([part.tau for part in grid])
    first = np.cumsum([0, *(len(part.mu) for part in grid)])
    weight = np.zeros_like(product)
    for sample in range(len(n)):
        rate = x[sample].sum() / n[sample].sum() if n[sample].sum() else 0.0
        spread = n[sample] * rate * (1.0 - rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.nansum(np.where(spread > 0.0, (x[sample] - n[sample] * rate) ** 2 / spread, 0.0))
            wanted = np.clip((calibration[0] + calibration[1] * np.log(statistic)) / 2.0, log_tau[0], log_tau[-1])
        near = np.sort(np.argsort(np.abs(log_tau - wanted), kind="stable")[:NEIGHBOURS])
        for tau in near:
            others = near[near != tau]
            share = np.prod((wanted - log_tau[others]) / (log_tau[tau] - log_tau[others]))
            nodes = slice(first[tau], first[tau + 1])
            weight[sample, nodes] = share * product[sample, nodes] / product[sample, nodes].sum()
    return weight
