"""The tables of hierarchical models, at the first level of accuracy that suffices."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from lmd_trialsim.analyses import hierarchical_tables as tables
from lmd_trialsim.analyses.calibrated_hierarchical import NEIGHBOURS, CalibratedHierarchical
from lmd_trialsim.analyses.hierarchical import Hierarchical
from lmd_trialsim.analyses.hierarchical_rules import Rule
from lmd_trialsim.analyses.hierarchical_tables import Counts, Mixture, Normal
from lmd_trialsim.analyses.several_exchangeable import SeveralExchangeable, scratch_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.scale_priors import NormalLogit, rule_of

Array = NDArray[np.float64]

TOLERANCE = 1e-5
"""Quadrature error that is let pass in any posterior probability that a rule looks at."""

LEVELS = ((10, 1.0), (12, 1.1), (15, 1.3), (20, 1.6), (28, 2.2))
"""Nodes of tau, and fineness of the panels of mu: each is tried until the next one agrees."""


class Component(Protocol):
    """An exchangeable component."""

    weight: float
    mean: NormalLogit
    sd: Any


class _Builder:
    """Tables at one level of accuracy; baskets that are alike share theirs."""

    def __init__(
        self, frame: Frame, mean: NormalLogit, scales: Rule, mixtures: list[Mixture], offsets: Array, fineness: float
    ) -> None:
        numbers = np.array(frame.numbers, float)
        self.grid = tables.panels_of(Normal(mean.mean, mean.sd), scales, offsets, numbers, fineness)
        self.prior = np.concatenate([part.prior for part in self.grid])
        self.kinds = list(zip(offsets.tolist(), mixtures, strict=True))
        self.distinct = list(dict.fromkeys(self.kinds))

    def likelihood(self, counts: Counts) -> Array:
        """Return (kinds of baskets, rows, nodes)."""
        return np.stack([tables.likelihoods(counts, offset, mix, self.grid) for offset, mix in self.distinct])

    def powers(self, counts: Counts, likelihood: Array, power: int) -> Array:
        """Return the mean of rate^power given each node, (kinds of baskets, rows, nodes)."""
        return np.stack(
            [
                tables.powers(counts, offset, mix, self.grid, likelihood[i], power)
                for i, (offset, mix) in enumerate(self.distinct)
            ]
        )

    def _keys(self, bounds: Array) -> list[list[tuple[int, float]]]:
        return [
            [(self.distinct.index(kind), float(b)) for kind, b in zip(self.kinds, row, strict=True)] for row in bounds
        ]

    def tail_keys(self, bounds: Array) -> list[tuple[int, float]]:
        """Return kind of basket and bound of each table of tails."""
        return list(dict.fromkeys(key for row in self._keys(bounds) for key in row))

    def tails(self, counts: Counts, likelihood: Array, bounds: Array) -> tuple[NDArray[np.int64], Array]:
        """Return which table belongs to each bound and basket, and the tables (tables, rows, nodes)."""
        keys, known = self._keys(bounds), self.tail_keys(bounds)
        values = np.stack(
            [
                tables.tails(counts, *self.distinct[kind], self.grid, likelihood[kind], float(logit(b)))
                for kind, b in known
            ]
        )
        return np.array([[known.index(key) for key in row] for row in keys]), values

    def whole(self, frame: Frame, error: float) -> Hierarchical:
        """Return all tables as kernels read them."""
        counts, start = rows_of(frame.occurring)
        likelihood = self.likelihood(counts)
        mean, square = (self.powers(counts, likelihood, power) for power in (1, 2))
        tail_of, tail = self.tails(counts, likelihood, frame.bounds)
        which = np.array([self.distinct.index(kind) for kind in self.kinds])
        return Hierarchical(self.prior, start, which, likelihood, mean, square, tail_of, tail, error)


def built(
    frame: Frame, mean: NormalLogit, sd: Any, mixtures: list[Mixture], offsets: Array
) -> tuple[Hierarchical, int]:
    """Return the tables at the first level that agrees with the next within TOLERANCE; ValueError if none does."""

    def builder(level: tuple[int, float]) -> _Builder:
        return _Builder(frame, mean, rule_of(sd, level[0]), mixtures, offsets, level[1])

    level, error = _Question(frame, builder).answer(mean, sd, mixtures, offsets.tolist())
    model = builder(level).whole(frame, error)
    return model, len(model.prior) + 8


def rows_of(numbers: list[int]) -> tuple[Counts, NDArray[np.int64]]:
    """Return the rows (n, x), x = 0..n, of each n, and where those of an n begin, -1 for others."""
    start = np.full(max(numbers) + 1, -1, np.int64)
    n, x, begin = [], [], 0
    for number in sorted(set(numbers)):
        start[number] = begin
        n.append(np.full(number + 1, float(number)))
        x.append(np.arange(number + 1.0))
        begin += number + 1
    return Counts(np.concatenate(n), np.concatenate(x)), start


SAMPLES = 60


@functools.cache
def _level_of(question: str, ask: _Question) -> tuple[tuple[int, float], float]:
    """Return what `_good_enough` finds. question: all that it depends on, so that every truth of a design asks once."""
    del question
    return _good_enough(ask.frame, ask.builder)


class _Question:
    """What a level is sought for; any two are alike to the cache, which looks at the words beside it."""

    def __init__(self, frame: Frame, builder: Callable[[tuple[int, float]], _Builder]) -> None:
        self.frame, self.builder = frame, builder

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question)

    def answer(self, *about: object) -> tuple[tuple[int, float], float]:
        """Return the level and its error; `about`: the priors, in words."""
        frame = self.frame
        asked = frame.bounds[: max(frame.judged, 1)].tolist()
        return _level_of(repr((frame.numbers, frame.occurring, frame.null.tolist(), asked, *about)), self)


def _good_enough(frame: Frame, builder: Callable[[tuple[int, float]], _Builder]) -> tuple[tuple[int, float], float]:
    """Return the first level whose posterior probabilities agree with the next one's at sampled data, and the error."""
    data = sampled_data(frame)
    before = _posterior(frame, builder(LEVELS[0]), data, _normalised)
    for level, finer in itertools.pairwise(LEVELS):
        after = _posterior(frame, builder(finer), data, _normalised)
        error = float(np.nanmax(np.abs(before - after)))
        if error <= TOLERANCE:
            return level, error
        before = after
    raise ValueError(f"the quadrature of this prior does not come within {TOLERANCE:g} of itself on a finer grid")


def sampled_data(frame: Frame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n, x), each (SAMPLES, baskets): data of like and of unlike rates, and extremes."""
    draw = np.random.Generator(np.random.Philox(20_260_101))
    occurring = np.array(sorted(set(frame.occurring)))
    n = np.stack([occurring[draw.integers(0, len(occurring), SAMPLES)] for _ in frame.baskets], axis=1)
    n = np.minimum(n, np.array(frame.numbers))
    n[: SAMPLES // 2] = np.array(frame.numbers)
    spread = draw.choice([0.0, 0.5, 1.5], (SAMPLES, 1))
    centre = np.nan_to_num(logit(frame.null), nan=-1.0) + draw.normal(0.5, 1.0, (SAMPLES, 1))
    rate = expit(centre + spread * draw.normal(size=n.shape))
    x = draw.binomial(n, rate)
    x[0], x[1] = 0, n[1]
    x[2] = np.where(np.arange(n.shape[1]) == 0, n[2], 0)
    return n, x


Data = tuple[NDArray[np.int64], NDArray[np.int64]]
Weigh = Callable[[Data, Array], Array]
"""From the data and prior times likelihood, (samples, nodes), to posterior weights that sum to 1."""


def _posterior(frame: Frame, found: _Builder, data: Data, weigh: Weigh) -> Array:
    """Return the posterior tails of sampled data, (bounds that rules look at, samples, baskets)."""
    n, x = data
    judged = max(frame.judged, 1)  # of rules that look at no probability: the one beyond the true rate
    pairs, row = np.unique(np.stack([n.ravel(), x.ravel()]), axis=1, return_inverse=True)
    row = row.reshape(n.shape)
    counts = Counts(pairs[0].astype(float), pairs[1].astype(float))
    likelihood = found.likelihood(counts)
    tail_of, tail = found.tails(counts, likelihood, frame.bounds[:judged])
    kind = [found.distinct.index(k) for k in found.kinds]
    baskets = range(n.shape[1])
    weight = weigh(data, found.prior * np.prod([likelihood[kind[k], row[:, k]] for k in baskets], axis=0))
    return np.stack(
        [
            np.stack([(weight * tail[tail_of[b, k], row[:, k]]).sum(axis=1) for k in baskets], axis=1)
            for b in range(judged)
        ]
    )


def _normalised(data: Data, product: Array) -> Array:  # noqa: ARG001 (as any Weigh)
    return np.asarray(product / product.sum(axis=1, keepdims=True))


# ---- several components ---------------------------------------------------------------------------------------------


def built_of_several(
    frame: Frame, parts: Sequence[Component], own: list[Normal], offsets: Array
) -> tuple[SeveralExchangeable, int]:
    """Return the tables of several exchangeable components, and the room that the model works in."""
    counts, start = rows_of(frame.occurring)
    found: list[_Builder] = []
    errors: list[float] = []
    for part in parts:
        alone = [Mixture(1.0, prior) for prior in own]  # the own priors tell baskets apart that are not alike

        def builder(level: tuple[int, float], part: Component = part, alone: list[Mixture] = alone) -> _Builder:
            return _Builder(frame, part.mean, rule_of(part.sd, level[0]), alone, offsets, level[1])

        level, error = _Question(frame, builder).answer(part.mean, part.sd, alone, offsets.tolist())
        found.append(builder(level))
        errors.append(error)
    nodes = max(len(one.prior) for one in found)
    first = found[0]
    likelihood = [one.likelihood(counts) for one in found]
    tails = [one.tails(counts, rows, frame.bounds) for one, rows in zip(found, likelihood, strict=True)]

    def padded(tables: list[Array]) -> Array:
        return np.stack([np.pad(t, [(0, 0)] * (t.ndim - 1) + [(0, nodes - t.shape[-1])]) for t in tables])

    def powers(power: int) -> Array:
        return padded([one.powers(counts, rows, power) for one, rows in zip(found, likelihood, strict=True)])

    solo = [tables.alone(counts, offset, mix.own) for offset, mix in first.distinct]
    tail_keys = first.tail_keys(frame.bounds)
    model = SeveralExchangeable(
        np.array([*(part.weight for part in parts), 1.0 - sum(part.weight for part in parts)]),
        padded([one.prior for one in found]),
        start,
        np.array([first.distinct.index(kind) for kind in first.kinds]),
        padded(likelihood),
        powers(1),
        powers(2),
        tails[0][0],
        padded([tail for _, tail in tails]),
        np.stack([one.likelihood for one in solo]),
        np.stack([one.mean for one in solo]),
        np.stack([one.square for one in solo]),
        np.stack([tables.tail_alone(counts, *first.distinct[k], float(logit(b))) for k, b in tail_keys]),
        max(errors),
    )
    return model, scratch_of(len(parts), len(frame.baskets), nodes)


# ---- calibrated: tau by the data -------------------------------------------------------------------------------------

LEAST_TAU, MOST_TAU = 1e-3, 50.0
"""Below, the baskets are pooled; beyond, independent: to five digits either way."""

CALIBRATED_LEVELS = ((0.3, 1.0), (0.22, 1.3), (0.16, 1.7), (0.11, 2.2))
"""Step of log tau, and fineness of the panels of mu."""


def built_calibrated(
    frame: Frame, mean: NormalLogit, calibration: tuple[float, float], offsets: Array
) -> tuple[CalibratedHierarchical, int]:
    """Return the tables of a calibrated model at the first level that agrees with the next within TOLERANCE."""
    alike = [tables.EXCHANGEABLE] * len(frame.baskets)
    data = sampled_data(frame)

    def builder(level: tuple[float, float]) -> _Builder:
        return _Builder(frame, mean, Rule(taus(level[0]), np.ones(len(taus(level[0])))), alike, offsets, level[1])

    def posterior(level: tuple[float, float]) -> Array:
        found = builder(level)
        return _posterior(frame, found, data, functools.partial(_between_tau, found, calibration))

    before = posterior(CALIBRATED_LEVELS[0])
    for level, finer in itertools.pairwise(CALIBRATED_LEVELS):
        after = posterior(finer)
        error = float(np.nanmax(np.abs(before - after)))
        if error <= TOLERANCE:
            found = builder(level)
            model = found.whole(frame, error)
            first = np.cumsum([0, *(len(part.mu) for part in found.grid)])
            return CalibratedHierarchical(model, first, np.log(taus(level[0])), *calibration, error), len(
                model.prior
            ) + 8
        before = after
    raise ValueError(f"the quadrature of this model does not come within {TOLERANCE:g} of itself on a finer grid")


def taus(step: float) -> Array:
    """Return tau from LEAST_TAU to MOST_TAU, evenly spaced in their logarithms."""
    count = math.ceil(math.log(MOST_TAU / LEAST_TAU) / step) + 1
    return np.geomspace(LEAST_TAU, MOST_TAU, count)


def _between_tau(found: _Builder, calibration: tuple[float, float], data: Data, product: Array) -> Array:
    """Return weights that interpolate the posteriors at the neighbouring tau (Lagrange)."""
    n, x = data
    log_tau = np.log([part.tau for part in found.grid])
    first = np.cumsum([0, *(len(part.mu) for part in found.grid)])
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
