"""Hierarchical models of baskets as a person writes them, and the tables that they lower to."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import expit, gammaincc, gammainccinv, logit, ndtri, stdtrit

from lmd_trialsim.analyses import hierarchical_tables as tables
from lmd_trialsim.analyses.hierarchical import Hierarchical
from lmd_trialsim.analyses.hierarchical_rules import Rule, scale_rule
from lmd_trialsim.analyses.hierarchical_tables import Counts, Mixture, Normal
from lmd_trialsim.analyses.several_exchangeable import SeveralExchangeable, scratch_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.evidence.quantities import PlainOpenProbability, Spec
from lmd_trialsim.reading import At

Array = NDArray[np.float64]
Finite = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Tiny = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

TOLERANCE = 1e-5
"""Quadrature error that is let pass in any posterior probability that a rule looks at."""

LEVELS = ((10, 1.0), (12, 1.1), (15, 1.3), (20, 1.6), (28, 2.2))
"""Nodes of tau, and fineness of the panels of mu: each is tried until the next one agrees."""


class NormalLogit(Spec):
    """A normal prior on the logit scale."""

    mean: Finite = Field(description="on the logit scale")
    sd: Positive = Field(description="on the logit scale")


class HalfNormal(Spec):
    """tau = |N(0, scale^2)|."""

    kind: Literal["half_normal"]
    scale: Positive = Field(description="standard deviation of the normal that is folded")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(-self.scale * ndtri((1.0 - share) / 2.0))


class HalfT(Spec):
    """tau = scale * |t|, with so many degrees of freedom; 1 is half-Cauchy."""

    kind: Literal["half_t"]
    scale: Positive = Field(description="of the t that is folded")
    degrees_of_freedom: Positive = Field(description="1 is half-Cauchy")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(-self.scale * stdtrit(self.degrees_of_freedom, (1.0 - share) / 2.0))


class InverseGammaVariance(Spec):
    """tau^2 ~ inverse gamma, kept between limits if wanted."""

    kind: Literal["inverse_gamma_variance"]
    shape: Tiny = Field(description="of the gamma of 1 / tau^2")
    rate: Tiny = Field(description="of the gamma of 1 / tau^2")
    least: Annotated[float, Field(ge=0)] = Field(0.0, description="tau^2 is no smaller")
    most: Tiny | None = Field(None, description="tau^2 is no larger")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        low = float(gammaincc(self.shape, self.rate / self.least)) if self.least else 0.0
        high = float(gammaincc(self.shape, self.rate / self.most)) if self.most else 1.0
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt(self.rate / gammainccinv(self.shape, low + (high - low) * share)))


class UniformSd(Spec):
    """tau ~ uniform."""

    kind: Literal["uniform"]
    low: Annotated[float, Field(ge=0, le=1000)] = Field(0.0, description="least tau")
    high: Positive = Field(description="largest tau")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(self.low + (self.high - self.low) * share)


class FixedSd(Spec):
    """tau is known."""

    kind: Literal["fixed"]
    value: Annotated[float, Field(ge=0, le=1000)] = Field(description="tau; 0 pools the baskets")


SdPrior = Annotated[HalfNormal | HalfT | InverseGammaVariance | UniformSd | FixedSd, Field(discriminator="kind")]


def rule_of(prior: Any, order: int) -> Rule:
    """Return nodes and weights of tau."""
    if isinstance(prior, FixedSd):
        return Rule(np.array([prior.value]), np.ones(1))
    return scale_rule(prior.quantile, order)


class Exchangeable(Spec):
    """Baskets whose logits are N(mu, tau^2)."""

    weight: Weight = Field(description="probability that a basket is of this kind")
    mean: NormalLogit = Field(description="normal prior of mu")
    sd: SdPrior = Field(description="prior of tau")


class NonExchangeable(NormalLogit):
    """A basket on its own: a normal prior of its logit."""

    weight: Weight = Field(description="probability that a basket is on its own")


Offset = Literal["null_rate", "target_rate"] | PlainOpenProbability | None
OFFSET = "the logit is counted from that of this rate: null_rate, target_rate, or a number; from 0 where not said"


def offsets_of(offset: Any, frame: Frame) -> Array:
    """Return what is added to each basket's logit, (baskets,)."""
    if offset is None:
        return np.zeros(len(frame.baskets))
    rates = {"null_rate": frame.null, "target_rate": frame.target}.get(str(offset))
    return np.asarray(logit(np.full(len(frame.baskets), float(offset)) if rates is None else rates))


class HierarchicalSpec(Spec):
    """The Bayesian hierarchical model: logit rate - offset ~ N(mu, tau^2)."""

    kind: Literal["hierarchical"]
    mean: NormalLogit = Field(description="normal prior of mu")
    sd: SdPrior = Field(description="prior of tau, the standard deviation between baskets on the logit scale")
    offset: Offset = Field(None, description=OFFSET)

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and the room that it works in."""
        alike = [Mixture(1.0, Normal(0.0, 1.0))] * len(frame.baskets)
        return built(frame, self.mean, self.sd, alike, offsets_of(self.offset, frame))


class Exnex(Spec):
    """Exchangeable with others, or on its own (Neuenschwander et al. 2016)."""

    kind: Literal["exnex"]
    exchangeable: Annotated[list[Exchangeable], Field(min_length=1, max_length=3)] = Field(
        description="one component or more, each with a weight"
    )
    non_exchangeable: NonExchangeable = Field(description="a basket's own prior, and its weight")
    own: dict[str, NormalLogit] = Field(
        default_factory=dict, description="by basket: own priors that differ from non_exchangeable's"
    )
    offset: Offset = Field(None, description=OFFSET)

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Exnex:
        total = sum(part.weight for part in self.exchangeable) + self.non_exchangeable.weight
        if abs(total - 1.0) > 1e-6:
            way_out = "Raise or lower one: those of exchangeable and that of non_exchangeable."
            raise At(("kind",), "the weights must sum to 1", got=f"{total:g}", way_out=way_out)
        return self

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and the room that it works in."""
        present = [part for part in self.exchangeable if part.weight > 0.0] or self.exchangeable[:1]
        own = [self.own.get(basket, self.non_exchangeable) for basket in frame.baskets]
        offsets = offsets_of(self.offset, frame)
        if len(present) > 1:
            return built_of_several(frame, present, [Normal(prior.mean, prior.sd) for prior in own], offsets)
        mixtures = [Mixture(present[0].weight, Normal(prior.mean, prior.sd)) for prior in own]
        return built(frame, present[0].mean, present[0].sd, mixtures, offsets)


# ---- the tables -----------------------------------------------------------------------------------------------------


class _Builder:
    """Tables at one level of accuracy; baskets that are alike share theirs."""

    def __init__(
        self, frame: Frame, mean: NormalLogit, sd: Any, mixtures: list[Mixture], offsets: Array,
        level: tuple[int, float],
    ) -> None:  # fmt: skip
        order, fineness = level
        numbers = np.array(frame.numbers, float)
        self.grid = tables.panels_of(Normal(mean.mean, mean.sd), rule_of(sd, order), offsets, numbers, fineness)
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


def built(
    frame: Frame, mean: NormalLogit, sd: Any, mixtures: list[Mixture], offsets: Array
) -> tuple[Hierarchical, int]:
    """Return the tables at the first level that agrees with the next within TOLERANCE; ValueError if none does."""

    def builder(level: tuple[int, float]) -> _Builder:
        return _Builder(frame, mean, sd, mixtures, offsets, level)

    level = _good_enough(frame, builder)
    found = builder(level)
    counts, start = rows_of(frame.occurring)
    likelihood = found.likelihood(counts)
    moments = [found.powers(counts, likelihood, power) for power in (1, 2)]
    tail_of, tail = found.tails(counts, likelihood, frame.bounds)
    which = np.array([found.distinct.index(kind) for kind in found.kinds])
    model = Hierarchical(found.prior, start, which, likelihood, moments[0], moments[1], tail_of, tail)
    return model, len(found.prior) + 8


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


def _good_enough(frame: Frame, builder: Callable[[tuple[int, float]], _Builder]) -> tuple[int, float]:
    """Return the first level whose posterior probabilities agree with those of the next at sampled data."""
    data = sampled_data(frame)
    before = _posterior(frame, builder(LEVELS[0]), data)
    for level, finer in itertools.pairwise(LEVELS):
        after = _posterior(frame, builder(finer), data)
        if float(np.nanmax(np.abs(before - after))) <= TOLERANCE:
            return level
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


def _posterior(frame: Frame, found: _Builder, data: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Array:
    """Return the posterior tails of sampled data, (bounds that rules look at, samples, baskets)."""
    n, x = data
    judged = max(frame.judged, 1)  # of rules that look at no probability: the one beyond the true rate
    pairs, row = np.unique(np.stack([n.ravel(), x.ravel()]), axis=1, return_inverse=True)
    row = row.reshape(n.shape)
    counts = Counts(pairs[0].astype(float), pairs[1].astype(float))
    likelihood = found.likelihood(counts)
    tail_of, tail = found.tails(counts, likelihood, frame.bounds[:judged])
    kind = [found.distinct.index(k) for k in found.kinds]
    weight = found.prior * np.prod([likelihood[kind[k], row[:, k]] for k in range(n.shape[1])], axis=0)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.stack(
        [
            np.stack([(weight * tail[tail_of[b, k], row[:, k]]).sum(axis=1) for k in range(n.shape[1])], axis=1)
            for b in range(judged)
        ]
    )


def built_of_several(
    frame: Frame, parts: list[Exchangeable], own: list[Normal], offsets: Array
) -> tuple[SeveralExchangeable, int]:
    """Return the tables of several exchangeable components, and the room that the model works in."""
    counts, start = rows_of(frame.occurring)
    found = []
    for part in parts:
        alone = [Mixture(1.0, prior) for prior in own]  # the own priors tell baskets apart that are not alike

        def builder(level: tuple[int, float], part: Exchangeable = part, alone: list[Mixture] = alone) -> _Builder:
            return _Builder(frame, part.mean, part.sd, alone, offsets, level)

        found.append(builder(_good_enough(frame, builder)))
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
    )
    return model, scratch_of(len(parts), len(frame.baskets), nodes)
