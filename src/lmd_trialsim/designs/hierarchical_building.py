"""The tables of hierarchical models, at the first level of accuracy that suffices."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from lmd_trialsim.analyses.calibrated_hierarchical import NEIGHBOURS, CalibratedHierarchical
from lmd_trialsim.analyses.hierarchical import Hierarchical
from lmd_trialsim.analyses.hierarchical_rules import Rule
from lmd_trialsim.analyses.hierarchical_tables import (
    EXCHANGEABLE,
    Counts,
    Kind,
    Normal,
    Panels,
    Tables,
    alone,
    panels_of,
    tail_alone,
)
from lmd_trialsim.analyses.several_exchangeable import SeveralExchangeable, scratch_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.scale_priors import FixedSd, NormalLogit, rule_of
from lmd_trialsim.kernel.jit import CACHE_FOLDER

Array = NDArray[np.float64]

TOLERANCE = 1e-5
"""Quadrature error that is let pass in any posterior probability that a rule looks at."""

LEVELS = ((10, 0.8), (13, 0.9), (17, 1.0), (22, 1.2), (30, 1.5), (42, 2.0))
LEVELS_OF_ONE_TAU = tuple((1, fineness) for _, fineness in LEVELS)
"""Nodes of tau, and fineness of the panels of mu: each is tried until the next one agrees."""


class Component(Protocol):
    """An exchangeable component."""

    weight: float
    mean: NormalLogit
    sd: Any


class Question(NamedTuple):
    """All that tables depend on; two truths of a design that differ in rates only ask the same."""

    numbers: tuple[int, ...]  # most patients of each basket
    occurring: tuple[int, ...]
    null: tuple[float, ...]
    judged: tuple[tuple[float, ...], ...]  # logits that rules ask about, by basket
    mean: NormalLogit
    sd: Any
    kinds: tuple[Kind, ...]  # of each basket

    @classmethod
    def of(cls, frame: Frame, mean: NormalLogit, sd: Any, kinds: Sequence[Kind]) -> Question:
        """Return what is asked of the tables of a design."""
        judged = logit(frame.bounds[: max(frame.judged, 1)])  # of rules that ask nothing: beyond the true rate
        return cls(
            tuple(frame.numbers),
            tuple(sorted(set(frame.occurring))),
            tuple(np.nan_to_num(frame.null, nan=-1.0).tolist()),
            tuple(tuple(row) for row in judged.tolist()),
            mean,
            sd,
            tuple(kinds),
        )

    def tables(self, scales: Rule, fineness: float, counts: Counts) -> Tables:
        """Return the tables of one grid."""
        offsets, numbers = np.array([kind.offset for kind in self.kinds]), np.array(self.numbers, float)
        return Tables(panels_of(Normal(self.mean.mean, self.mean.sd), scales, offsets, numbers, fineness), counts)


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
        return first_that_agrees(question, levels, lambda level, counts: (tables(level, counts), _normalised))

    level, error = remembered(question, search)
    return Found(tables(level, rows_of(question.occurring)[0]), error)


def _tails_of(tables: Tables, kinds: Sequence[Kind], bounds: Array) -> tuple[NDArray[np.int64], Array]:
    """Return which table belongs to each bound and basket, and the tables (tables, rows, nodes). bounds: logits."""
    keys = [[(kind, float(bound)) for kind, bound in zip(kinds, row, strict=True)] for row in bounds]
    known = list(dict.fromkeys(key for row in keys for key in row))
    by_kind = {kind: [bound for other, bound in known if other == kind] for kind, _ in known}
    found = {
        (kind, bound): table
        for kind, wanted in by_kind.items()
        for bound, table in zip(wanted, tables.tails(kind, wanted), strict=True)
    }
    return np.array([[known.index(key) for key in row] for row in keys]), np.stack([found[key] for key in known])


def _whole(found: Found, frame: Frame, kinds: Sequence[Kind]) -> Hierarchical:
    """Return all tables as kernels read them."""
    tables = found.tables
    tail_of, tail = _tails_of(tables, kinds, logit(frame.bounds))
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


def rows_of(numbers: Sequence[int]) -> tuple[Counts, NDArray[np.int64]]:
    """Return the rows (n, x), x = 0..n, of each n, and where those of an n begin, -1 for others."""
    start = np.full(max(numbers) + 1, -1, np.int64)
    n, x, begin = [], [], 0
    for number in sorted(set(numbers)):
        start[number] = begin
        n.append(np.full(number + 1, float(number)))
        x.append(np.arange(number + 1.0))
        begin += number + 1
    return Counts(np.concatenate(n), np.concatenate(x)), start


Level = tuple[float, float]
Data = tuple[NDArray[np.int64], NDArray[np.int64]]
Weigh = Callable[[Data, Array], Array]
"""From the data and prior times likelihood, (samples, nodes), to posterior weights that sum to 1."""


def remembered(question: Question, search: Callable[[], tuple[Level, float]]) -> tuple[Level, float]:
    """Return the level that `search` finds and its error, from the disk if another process has found them.

    The folder is named by a digest of the sources, so what stands there was found by this very search.
    """
    if CACHE_FOLDER is None:
        return search()
    place = Path(CACHE_FOLDER) / f"level-{hashlib.sha256(repr(question).encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError):
        (order, fineness), error = json.loads(place.read_text())
        return (order, fineness), error
    level, error = search()
    with contextlib.suppress(OSError):
        unfinished = place.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps([level, error]))
        unfinished.replace(place)
    return level, error


def first_that_agrees(
    question: Question, levels: Sequence[Level], at: Callable[[Any, Counts], tuple[Tables, Weigh]]
) -> tuple[Level, float]:
    """Return the first level that agrees with the next one within TOLERANCE at sampled data, and their difference.

    at: gives the tables at a level of the given rows, and how their nodes are weighted.
    """
    data = sampled_data(question)
    pairs, row = np.unique(np.stack([data[0].ravel(), data[1].ravel()]), axis=1, return_inverse=True)
    counts = Counts(pairs[0].astype(float), pairs[1].astype(float))
    row = row.reshape(data[0].shape)
    before = _posterior(question, *at(levels[0], counts), data, row)
    for level, finer in itertools.pairwise(levels):
        after = _posterior(question, *at(finer, counts), data, row)
        error = float(np.nanmax(np.abs(before - after)))
        if error <= TOLERANCE:
            return level, error
        before = after
    raise ValueError(f"the quadrature of this prior does not come within {TOLERANCE:g} of itself on a finer grid")


LIKELY, EXTREME = 60, 160
DIFFERENT_NUMBERS = 4  # of patients that the data have, beside the largest


def sampled_data(question: Question) -> Data:
    """Return (n, x), each (samples, baskets): data of like and of unlike rates, and extremes."""
    draw = np.random.Generator(np.random.Philox(20_260_101))
    numbers = np.array(question.numbers)
    occurring = np.array(question.occurring)[:: -(-len(question.occurring) // DIFFERENT_NUMBERS)]
    shape = (LIKELY + EXTREME, len(numbers))
    n = np.minimum(occurring[draw.integers(0, len(occurring), shape)], numbers)
    n[::2] = numbers
    null = np.array(question.null)
    centre = np.where(null > 0.0, logit(np.clip(null, 1e-9, 1.0 - 1e-9)), -1.0) + draw.normal(0.5, 1.0, (LIKELY, 1))
    spread = draw.choice([0.0, 0.5, 1.5], (LIKELY, 1))
    likely = draw.binomial(n[:LIKELY], expit(centre + spread * draw.normal(size=(LIKELY, shape[1]))))
    share = draw.choice([0.0, 0.0, 0.1, 0.25, 0.5, 0.8, 1.0, 1.0], (EXTREME, shape[1]))
    x = np.concatenate([likely, np.rint(share * n[LIKELY:]).astype(np.int64)])
    x[0], x[1] = 0, n[1]
    x[2] = np.where(np.arange(shape[1]) == 0, n[2], 0)
    return n, x


def _posterior(question: Question, tables: Tables, weigh: Weigh, data: Data, row: NDArray[np.int64]) -> Array:
    """Return posterior tails and means of the data, (bounds that rules look at + 1, samples, baskets)."""
    judged = np.array(question.judged)
    tail_of, tail = _tails_of(tables, question.kinds, judged)
    likelihood = [tables.likelihood(kind) for kind in question.kinds]
    weight = weigh(data, tables.prior * np.prod([rows[row[:, k]] for k, rows in enumerate(likelihood)], axis=0))
    of_basket = [
        [*(tail[tail_of[bound, k]] for bound in range(len(judged))), tables.moments(kind)[0]]
        for k, kind in enumerate(question.kinds)
    ]
    return np.stack(
        [[(weight * rows[row[:, k]]).sum(axis=1) for rows in found] for k, found in enumerate(of_basket)], axis=2
    )


def _normalised(data: Data, product: Array) -> Array:  # noqa: ARG001 (as any Weigh)
    return np.asarray(product / product.sum(axis=1, keepdims=True))


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
    keys = [(kind, float(b)) for row in logit(frame.bounds) for kind, b in zip(kinds, row, strict=True)]
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
        np.stack([tail_alone(counts, kind, bound) for kind, bound in dict.fromkeys(keys)]),
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
        return question.tables(Rule(taus(level[0]), np.ones(len(taus(level[0])))), level[1], counts)

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
