"""Borrowing by which baskets are alike: multi-source exchangeability models, and averaging over partitions.

m(S) is the marginal likelihood of the counts of the baskets in S taken together, under one beta prior; e the prior
probability that two baskets exchange. Each model is a way to weigh the sets S with basket i, whose posterior given S
is the prior updated with all counts of S:

* local, each basket in turn the primary source and the others supplementary (Kaizer, Koopmeiners and Hobbs 2018,
  Biostatistics 19:169): weight_i(S) ~ e^(|S|-1) (1-e)^(K-|S|) m_i(S) prod over j not in S of m_j(j).
* matrices, all symmetric 0/1 matrices at once (Hobbs and Landin 2018, Stat Med 37:3557; Kane et al. 2020,
  arXiv:1908.00618): a matrix has the marginal likelihood prod over rows i of m_i(S_i) prod over j not in S_i of m_j(j),
  S_i being the row's ones, and the prior e^(ones) (1-e)^(zeros) over pairs; weight_i(S) is the probability of the
  matrices whose row i is S. Matrices need not be transitive, and each count is met K times.
* partitions: blocks of baskets with one rate each; marginal likelihood prod of m(block). Prior exp(D * strength) with
  D the number of blocks (Psioda et al. 2021, Biostatistics 22:19), or that of the matrices, of those that are
  transitive. Only baskets with patients are partitioned; an empty one is set to them when its own rate is asked.

In the first two, row i meets the prior of basket i, and baskets may differ in it; a block has one rate and one prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from scipy.special import xlog1py, xlogy

from lmd_trialsim.analyses.beta_mixture import Array, BetaMixture
from lmd_trialsim.analyses.set_mixtures import SetMixture, count_tables, set_of, weigh_sets, work_room
from lmd_trialsim.kernel.jit import kernel

MOST_BASKETS = {"local": 16, "matrices": 8, "partitions": 10}
NEAREST_ONE = 1.0 - 1e-6  # beyond it only 1 itself: products of (1 - e) would underflow


class LocalExchangeability(NamedTuple):
    """Weights of the sets with each basket, one basket after the other."""

    log_prior: np.ndarray  # (2^(K-1),) by the mask of the others


class MatrixExchangeability(NamedTuple):
    """Weights of the rows of all symmetric matrices.

    The sum over matrices is a chain of K steps: step t multiplies with the terms of row t and sums over its pairs with
    earlier baskets. Between the steps stands a layer of numbers by the open pairs, t bits of each basket not yet met.
    """

    log_prior: np.ndarray  # (2^(K-1),) of a row by the mask of the others: half of each pair's
    widen: np.ndarray  # bits of the baskets that remain open, moved to their places in the next layer
    place: np.ndarray  # the new bits of row t, at theirs
    widen_at: np.ndarray  # (K,) where those of step t begin
    place_at: np.ndarray  # (K,) the same
    layer_at: np.ndarray  # (K + 1,) where the layers stand, from the first one on


class PartitionAveraging(NamedTuple):
    """Weights of the blocks of all partitions, the prior of a partition being a product over its blocks."""

    log_prior: np.ndarray  # (K + 1, K + 1) of a block, by baskets that are partitioned and baskets of the block
    size: np.ndarray  # (2^K,) baskets of a set


@kernel
def _row_terms(tables, log_prior, desk, basket, first):
    """Write prior * Bayes factor against no exchange of each set with `basket` to scratch[first:], the largest 1."""
    scratch = desk.scratch
    lone = work_room(desk.cells.shape[1])
    evidence = tables.evidence[tables.prior_of[basket]]
    most = -math.inf
    for others in range(log_prior.shape[0]):
        together = set_of(basket, others)
        term = log_prior[others] + evidence[int(scratch[together])] - scratch[lone + together]
        scratch[first + others] = term
        most = max(most, term)
    for i in range(first, first + log_prior.shape[0]):
        scratch[i] = math.exp(scratch[i] - most)


@kernel
def _normalise(scratch, first, count):
    total = 0.0
    for i in range(first, first + count):
        total += scratch[i]
    for i in range(first, first + count):
        scratch[i] /= total


@weigh_sets.case
def weigh_locally(exchange: LocalExchangeability, tables, desk):
    """One row after the other."""
    half = exchange.log_prior.shape[0]
    for basket in range(desk.cells.shape[1]):
        _row_terms(tables, exchange.log_prior, desk, basket, (2 + basket) * half)
        _normalise(desk.scratch, (2 + basket) * half, half)


@kernel
def _step_forward(exchange, scratch, baskets, step, terms, layers):
    """Absorb row `step`: its terms times the layer before, summed over its pairs with earlier baskets."""
    earlier = 1 << step
    before = layers + exchange.layer_at[step]
    after = layers + exchange.layer_at[step + 1]
    for rest in range(1 << (step * (baskets - step - 1))):
        widened = after + exchange.widen[exchange.widen_at[step] + rest]
        for later in range(1 << (baskets - step - 1)):
            total = 0.0
            for i in range(earlier):
                total += scratch[before + rest * earlier + i] * scratch[terms + later * earlier + i]
            scratch[widened + exchange.place[exchange.place_at[step] + later]] = total


@kernel
def _step_backward(exchange, scratch, baskets, step, terms, layers, behind, ahead, weights):
    """From the sums over all later rows, (behind), make those that include row `step`, (ahead), and its weights."""
    earlier = 1 << step
    half = 1 << (baskets - 1)
    before = layers + exchange.layer_at[step]
    for i in range(half):
        scratch[weights + i] = 0.0
    for rest in range(1 << (step * (baskets - step - 1))):
        widened = behind + exchange.widen[exchange.widen_at[step] + rest]
        for i in range(earlier):
            scratch[ahead + rest * earlier + i] = 0.0
        for later in range(1 << (baskets - step - 1)):
            beyond = scratch[widened + exchange.place[exchange.place_at[step] + later]]
            for i in range(earlier):
                scratch[ahead + rest * earlier + i] += beyond * scratch[terms + later * earlier + i]
                scratch[weights + later * earlier + i] += beyond * scratch[before + rest * earlier + i]
    for i in range(half):
        scratch[weights + i] *= scratch[terms + i]
    _normalise(scratch, weights, half)


@weigh_sets.case
def weigh_matrices(exchange: MatrixExchangeability, tables, desk):
    """Sum over all matrices forwards, and back for the weights of every row: exact, without walking the matrices."""
    scratch = desk.scratch
    baskets = desk.cells.shape[1]
    half = exchange.log_prior.shape[0]
    terms = work_room(baskets) + 2 * half
    layers = terms + baskets * half
    last = layers + exchange.layer_at[baskets]
    room = exchange.layer_at[baskets // 2 + 1] - exchange.layer_at[baskets // 2]  # of the largest layer
    for basket in range(baskets):
        _row_terms(tables, exchange.log_prior, desk, basket, terms + basket * half)
    scratch[layers] = scratch[last] = 1.0
    for step in range(baskets - 1):
        _step_forward(exchange, scratch, baskets, step, terms + step * half, layers)
    for back in range(baskets):
        step = baskets - 1 - back
        behind, ahead = last + back % 2 * room, last + (1 - back % 2) * room
        _step_backward(exchange, scratch, baskets, step, terms + step * half, layers, behind, ahead, (2 + step) * half)


@kernel
def _sum_partitions(exchange, tables, desk, everyone, blocks, sums):
    """Write a factor for each block within `everyone`, and the sum over the partitions of each subset, to scratch.

    sums[S] = sum over blocks B with the first basket of S of factor[B] * sums[S without B]. Factors are scaled by
    exp(c * baskets), which all partitions share.
    """
    scratch = desk.scratch
    log_prior = exchange.log_prior[exchange.size[everyone]]
    lone = work_room(desk.cells.shape[1])
    most = -math.inf
    block = -everyone & everyone
    while block:
        term = log_prior[exchange.size[block]] + tables.evidence[0, int(scratch[block])] - scratch[lone + block]
        scratch[blocks + block] = term
        most = max(most, term / exchange.size[block])
        block = (block - everyone) & everyone
    scratch[sums] = 1.0
    subset = -everyone & everyone
    while subset:
        scratch[blocks + subset] = math.exp(scratch[blocks + subset] - most * exchange.size[subset])
        first = subset & -subset
        rest = subset ^ first
        part = rest
        total = scratch[blocks + subset]
        while part:
            part = (part - 1) & rest
            total += scratch[blocks + (first | part)] * scratch[sums + (rest ^ part)]
        scratch[sums + subset] = total
        subset = (subset - everyone) & everyone


@weigh_sets.case
def weigh_partitions(exchange: PartitionAveraging, tables, desk):
    """The weight of a block is its factor times the sum over the partitions of all other baskets."""
    scratch = desk.scratch
    baskets = desk.cells.shape[1]
    half = 1 << (baskets - 1)
    blocks = work_room(baskets) + 2 * half
    sums = blocks + 2 * half
    treated, summed = 0, 0
    for basket in range(baskets):
        treated |= int(desk.cells[0, basket].patients > 0) << basket
    for basket in range(baskets):
        everyone = treated | (1 << basket)
        if everyone != summed:
            _sum_partitions(exchange, tables, desk, everyone, blocks, sums)
            summed = everyone
        for others in range(half):
            block = set_of(basket, others)
            weight = 0.0
            if block & ~everyone == 0:
                weight = scratch[blocks + block] * scratch[sums + (everyone ^ block)] / scratch[sums + everyone]
            scratch[(2 + basket) * half + others] = weight


def models_of(models: str, baskets: int) -> int:
    """Return how many models are summed over: sets with a basket, matrices, or partitions (Bell numbers)."""
    if models != "partitions":
        return 1 << (baskets - 1 if models == "local" else baskets * (baskets - 1) // 2)
    row = [1]
    for _ in range(baskets - 1):
        row = list(accumulate([row[-1], *row]))
    return row[-1]


def _bits(baskets: int) -> Array:
    return np.array([mask.bit_count() for mask in range(1 << baskets)])


def _checked(models: str, baskets: int) -> int:
    if baskets > (most := MOST_BASKETS[models]):
        count = models_of(models, baskets)
        raise ValueError(f"{baskets} baskets have {count:,} models ({models}); up to {most} baskets are summed exactly")
    return baskets


def _log_pairs(pairs: Array, not_pairs: Array, exchangeability: float) -> Array:
    """Return the log probability that so many pairs exchange and so many do not."""
    if not (0.0 <= exchangeability <= NEAREST_ONE or exchangeability == 1.0):
        raise ValueError(f"exchangeability {exchangeability}; allowed: 0 to {NEAREST_ONE}, or 1")
    return np.asarray(xlogy(pairs, exchangeability) + xlog1py(not_pairs, -exchangeability))


def local_exchangeability(
    priors: Sequence[BetaMixture], numbers: Sequence[int], bounds: Array, exchangeability: float
) -> tuple[SetMixture, int]:
    """Return the model and its scratch; priors, numbers: one a basket, the most patients; bounds: (bounds, baskets)."""
    k = _checked("local", len(numbers))
    ones = _bits(k - 1)
    exchange = LocalExchangeability(_log_pairs(ones, k - 1 - ones, exchangeability))
    return SetMixture(count_tables(priors, sum(numbers), bounds), exchange), (k + 6) << (k - 1)


def matrix_exchangeability(
    priors: Sequence[BetaMixture], numbers: Sequence[int], bounds: Array, exchangeability: float
) -> tuple[SetMixture, int]:
    """Return the model and its scratch; priors, numbers: one a basket, the most patients; bounds: (bounds, baskets)."""
    k = _checked("matrices", len(numbers))
    ones = _bits(k - 1)
    layers = [1 << t * (k - t) for t in range(k + 1)]
    widen = [[_spread(rest, t, t + 1) for rest in range(1 << t * (k - t - 1))] for t in range(k)]
    place = [[_spread(later, 1, t + 1) << t for later in range(1 << (k - t - 1))] for t in range(k)]
    exchange = MatrixExchangeability(
        0.5 * _log_pairs(ones, k - 1 - ones, exchangeability),
        np.concatenate(widen),
        np.concatenate(place),
        np.cumsum([0, *map(len, widen)])[:k],
        np.cumsum([0, *map(len, place)])[:k],
        np.cumsum([0, *layers])[: k + 1],
    )
    scratch = ((2 * k + 6) << (k - 1)) + sum(layers) + 2 * max(layers)
    return SetMixture(count_tables(priors, sum(numbers), bounds), exchange), scratch


def _spread(bits: int, width: int, apart: int) -> int:
    """Return `bits`, taken in groups of `width`, with each group at a multiple of `apart`."""
    groups = bits.bit_length() // max(width, 1) + 1
    return sum((bits >> width * i & (1 << width) - 1) << apart * i for i in range(groups))


def exchangeable_blocks(baskets: int, exchangeability: float) -> Array:
    """Return the log prior of a block, (baskets + 1, baskets + 1) by partitioned baskets and its size, from pairs."""
    among, size = np.arange(baskets + 1.0)[:, None], np.arange(baskets + 1.0)
    leaving = 0.5 * size * np.maximum(among - size, 0.0)  # half of the pairs: the other blocks count the other half
    return _log_pairs(0.5 * size * (size - 1.0), leaving, exchangeability)


def psioda_blocks(baskets: int, strength: float) -> Array:
    """Return the same for prior(partition) ~ exp(strength * blocks)."""
    return np.full((baskets + 1, baskets + 1), float(strength))


def partition_averaging(
    priors: Sequence[BetaMixture], numbers: Sequence[int], bounds: Array, log_prior: Array
) -> tuple[SetMixture, int]:
    """Return the model and its scratch; all priors must be the same, log_prior is as `exchangeable_blocks` has it."""
    k = _checked("partitions", len(numbers))
    tables = count_tables(priors, sum(numbers), bounds)
    if len(tables.evidence) > 1:
        raise ValueError("baskets of one block have one rate and so one prior: partitions need the same prior for all")
    return SetMixture(tables, PartitionAveraging(log_prior, _bits(k))), (k + 8) << (k - 1)
