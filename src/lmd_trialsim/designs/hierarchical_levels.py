"""The level of accuracy that a quadrature needs: the first that agrees with the next one at sampled data."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from lmd_trialsim.analyses.hierarchical_rules import Rule
from lmd_trialsim.analyses.hierarchical_tables import Counts, Kind, Normal, Tables, panels_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.scale_priors import NormalLogit
from lmd_trialsim.kernel.jit import CACHE_FOLDER

Array = NDArray[np.float64]

TOLERANCE = 1e-5
"""Quadrature error that is let pass in any posterior probability that a rule looks at."""

Level = tuple[float, float]
Data = tuple[NDArray[np.int64], NDArray[np.int64]]
Weigh = Callable[[Data, Array], Array]
"""From the data and prior times likelihood, (samples, nodes), to posterior weights that sum to 1."""


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
    return agreeing(levels, lambda level: _posterior(question, *at(level, counts), data, row))


def largest(before: Array, after: Array) -> float:
    """Return the largest difference; NaN where a number is missing."""
    return float(np.abs(before - after).max())


def agreeing(
    levels: Sequence[Level], answers: Callable[[Level], Array], difference: Callable[[Array, Array], float] = largest
) -> tuple[Level, float]:
    """Return the first level whose answers agree with the next one's within TOLERANCE, and their difference.

    A difference that is NaN is no agreement.

    Raises ValueError where none does.
    """
    before = answers(levels[0])
    for level, finer in itertools.pairwise(levels):
        after = answers(finer)
        error = difference(before, after)
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
    tail_of, tail = tails_of(tables, question.kinds, judged)
    likelihood = [tables.likelihood(kind) for kind in question.kinds]
    weight = weigh(data, tables.prior * np.prod([rows[row[:, k]] for k, rows in enumerate(likelihood)], axis=0))
    of_basket = [
        [*(tail[tail_of[bound, k]] for bound in range(len(judged))), tables.moments(kind)[0]]
        for k, kind in enumerate(question.kinds)
    ]
    return np.stack(
        [[(weight * rows[row[:, k]]).sum(axis=1) for rows in found] for k, found in enumerate(of_basket)], axis=2
    )


def normalised(data: Data, product: Array) -> Array:  # noqa: ARG001 (as any Weigh)
    return np.asarray(product / product.sum(axis=1, keepdims=True))


def remembered(question: Any, search: Callable[[], tuple[Level, float]]) -> tuple[Level, float]:
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


def tails_wanted(kinds: Sequence[Kind], bounds: Array) -> tuple[NDArray[np.int64], list[tuple[Kind, float]]]:
    """Return which tail belongs to each bound and basket, and the tails, each once. bounds: logits."""
    keys = [[(kind, float(bound)) for kind, bound in zip(kinds, row, strict=True)] for row in bounds]
    known = list(dict.fromkeys(key for row in keys for key in row))
    return np.array([[known.index(key) for key in row] for row in keys]), known


def tails_of(tables: Tables, kinds: Sequence[Kind], bounds: Array) -> tuple[NDArray[np.int64], Array]:
    """Return which table belongs to each bound and basket, and the tables (tables, rows, nodes). bounds: logits."""
    tail_of, known = tails_wanted(kinds, bounds)
    by_kind = {kind: [bound for other, bound in known if other == kind] for kind, _ in known}
    found = {
        (kind, bound): table
        for kind, wanted in by_kind.items()
        for bound, table in zip(wanted, tables.tails(kind, wanted), strict=True)
    }
    return tail_of, np.stack([found[key] for key in known])
