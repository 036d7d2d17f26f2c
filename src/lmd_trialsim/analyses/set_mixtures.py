"""Posteriors of baskets' response rates as mixtures over the sets of baskets whose counts are taken together.

Priors are betas or mixtures of betas and counts are whole numbers, so all that is asked of a set is tabulated by its
(patients, responses) once a scenario; a look only weighs the sets. Each basket on its own and all baskets as one are
the two ends; what lies between stands in `partitions`.

A set of K baskets is a mask of bits; the sets with basket i are numbered by the mask of the others. scratch holds the
table row of each of the 2^K sets, then the weights of the 2^(K-1) sets with each basket in turn, then room for work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaln, logsumexp

from lmd_trialsim.analyses.beta_mixture import Array, BetaMixture
from lmd_trialsim.analyses.binary import row_index
from lmd_trialsim.kernel.jit import Seam, kernel
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh

ENTRIES = 20_000_000  # numbers in all tables of a model: 160 MB, ten seconds


class CountTables(NamedTuple):
    """What n patients with x responses say, in row n (n + 1) / 2 + x."""

    evidence: np.ndarray  # (priors, rows) log marginal likelihood
    mean: np.ndarray  # (priors, rows) of the rate
    square: np.ndarray  # (priors, rows) mean of the squared rate
    tails: np.ndarray  # (questions, rows) P(rate > bound)
    prior_of: np.ndarray  # (baskets,)
    tail_of: np.ndarray  # (bounds, baskets)


def count_tables(priors: Sequence[BetaMixture], largest: int, bounds: Array) -> CountTables:
    """Return the tables for up to `largest` patients; priors: one a basket, bounds: (bounds, baskets)."""
    keys = [tuple(map(tuple, prior)) for prior in priors]
    distinct = list(dict.fromkeys(keys))
    prior_of = np.array([distinct.index(key) for key in keys])
    asked = {(p, b): None for row in bounds.tolist() for p, b in zip(prior_of.tolist(), row, strict=True)}
    entries = (largest + 1) * (largest + 2) // 2 * (3 * len(distinct) + len(asked))
    if entries > ENTRIES:
        what = f"{largest} patients together, {len(distinct)} priors and {len(asked)} tails of them"
        raise ValueError(f"tables of {entries:,} numbers ({what}); at most {ENTRIES:,} are built: fewer patients fit")
    _, n, x = row_index(range(largest + 1), largest)
    mixtures = [BetaMixture(*map(np.array, key)) for key in distinct]
    after = [mixture.given(n, x) for mixture in mixtures]
    evidence = [
        logsumexp(np.log(m.weight) + betaln(a.alpha, a.beta) - betaln(m.alpha, m.beta), axis=1)
        for m, a in zip(mixtures, after, strict=True)
    ]
    total = [a.alpha + a.beta for a in after]
    square = [
        (a.weight * a.alpha * (a.alpha + 1.0) / (t * (t + 1.0))).sum(axis=1) for a, t in zip(after, total, strict=True)
    ]
    tails = [1.0 - after[p].cdf(np.array([b]))[:, 0] for p, b in asked] or [np.zeros(len(n))]
    number = {question: i for i, question in enumerate(asked)}
    tail_of = [[number[p, b] for p, b in zip(prior_of.tolist(), row, strict=True)] for row in bounds.tolist()]
    return CountTables(
        np.array(evidence),
        np.array([a.mean() for a in after]),
        np.array(square),
        np.array(tails),
        prior_of,
        np.array(tail_of, np.int64).reshape(bounds.shape),
    )


@kernel
def row_of(n, x):
    """Return the row of x responses in n patients."""
    return n * (n + 1) // 2 + x


class Independent(NamedTuple):
    """Each basket on its own."""

    tables: CountTables


class Pooled(NamedTuple):
    """All baskets as one."""

    tables: CountTables


def independent(priors: Sequence[BetaMixture], numbers: Sequence[int], bounds: Array) -> tuple[Independent, int]:
    """Return the model and its scratch; priors, numbers: one a basket, the most patients; bounds: (bounds, baskets)."""
    return Independent(count_tables(priors, max(numbers), bounds)), 1


def pooled(priors: Sequence[BetaMixture], numbers: Sequence[int], bounds: Array) -> tuple[Pooled, int]:
    """Return the model and its scratch; each basket's own prior meets the counts of all."""
    return Pooled(count_tables(priors, sum(numbers), bounds)), 1


@weigh.case
def weigh_nothing(model: Independent, desk):
    """Nothing is shared."""


@weigh.case
def weigh_total(model: Pooled, desk):
    """Write the row of all patients together."""
    n, x = 0, 0
    for basket in range(desk.cells.shape[1]):
        n += desk.cells[0, basket].patients
        x += desk.cells[0, basket].responses
    desk.scratch[0] = row_of(n, x)


@posterior_tail.case
def independent_tail(model: Independent, desk, cell, bound):
    """Look it up."""
    row = row_of(desk.cells[0, cell].patients, desk.cells[0, cell].responses)
    return model.tables.tails[model.tables.tail_of[bound, cell], row]


@posterior_tail.case
def pooled_tail(model: Pooled, desk, cell, bound):
    """Look it up."""
    return model.tables.tails[model.tables.tail_of[bound, cell], int(desk.scratch[0])]


@posterior_moments.case
def independent_moments(model: Independent, desk, cell):
    """Look them up."""
    prior = model.tables.prior_of[cell]
    row = row_of(desk.cells[0, cell].patients, desk.cells[0, cell].responses)
    return model.tables.mean[prior, row], model.tables.square[prior, row]


@posterior_moments.case
def pooled_moments(model: Pooled, desk, cell):
    """Look them up."""
    prior = model.tables.prior_of[cell]
    return model.tables.mean[prior, int(desk.scratch[0])], model.tables.square[prior, int(desk.scratch[0])]


class SetMixture(NamedTuple):
    """The posterior of basket i = sum over sets S with i of weight_i(S) * posterior given the counts of S together."""

    tables: CountTables
    exchange: Any  # where the weights come from


@Seam
def weigh_sets(exchange, tables, desk):  # type: ignore[no-untyped-def]
    """Write the weights of the sets with each basket; the rows of the sets have been written."""


@kernel
def set_of(basket, others):
    """Return the set of `basket` and `others`, a mask that leaves the basket's own bit out."""
    return (others >> basket << (basket + 1)) | (1 << basket) | (others & ((1 << basket) - 1))


@kernel
def work_room(baskets):
    """Return where the work begins on the scratch: with the sums over each set of what its baskets say one by one."""
    return (1 << baskets) + baskets * (1 << (baskets - 1))


@weigh.case
def weigh_mixture(model: SetMixture, desk):
    """Write the rows of all sets and the sums over each set of its baskets' own evidence, then the weights."""
    scratch = desk.scratch
    baskets = desk.cells.shape[1]
    lone = work_room(baskets)
    responses = lone + (1 << baskets)
    scratch[0] = scratch[lone] = scratch[responses] = 0.0
    for basket in range(baskets):
        n = desk.cells[0, basket].patients
        x = desk.cells[0, basket].responses
        alone = model.tables.evidence[model.tables.prior_of[basket], row_of(n, x)]
        bit = 1 << basket
        for rest in range(bit):
            scratch[bit + rest] = scratch[rest] + n
            scratch[responses + bit + rest] = scratch[responses + rest] + x
            scratch[lone + bit + rest] = scratch[lone + rest] + alone
    for members in range(1 << baskets):
        scratch[members] = row_of(int(scratch[members]), int(scratch[responses + members]))
    weigh_sets(model.exchange, model.tables, desk)


@kernel
def _mixed(values, desk, cell):
    """Return the mixture of values, (rows,), over the sets with `cell`."""
    half = 1 << (desk.cells.shape[1] - 1)
    weights = 2 * half + cell * half
    total = 0.0
    for others in range(half):
        total += desk.scratch[weights + others] * values[int(desk.scratch[set_of(cell, others)])]
    return total


@posterior_tail.case
def mixture_tail(model: SetMixture, desk, cell, bound):
    """Mix the tails."""
    return _mixed(model.tables.tails[model.tables.tail_of[bound, cell]], desk, cell)


@posterior_moments.case
def mixture_moments(model: SetMixture, desk, cell):
    """Mix the moments."""
    prior = model.tables.prior_of[cell]
    return _mixed(model.tables.mean[prior], desk, cell), _mixed(model.tables.square[prior], desk, cell)
