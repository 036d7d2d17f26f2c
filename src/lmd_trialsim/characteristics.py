"""Operating characteristics: each an estimate with its Monte Carlo standard error and a 95 % interval.

Errors: sqrt(p (1 - p) / R) of a proportion, s / sqrt(R) of a mean (Morris, White and Crowther 2019, Stat Med 38:2074,
table 6); the delta method for the root mean square error. Intervals of proportions are exact (Clopper and Pearson
1934), so that 0 of R has an upper limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from lmd_trialsim.engine.tally import BINS_A_MONTH, Integers, Moments, Tally

Z = 1.959963984540054
VERDICTS = {1: "success", 2: "futility", 3: "harm"}
QUANTILES = (0.1, 0.5, 0.9)
NOT_PROPORTIONS = ("quadrature_error", "expected_", "effective_", "mean_estimate", "bias", "root_mean_square_error")


class Characteristic(NamedTuple):
    """One number of how a design behaved. `cell` names arm or stratum where the number belongs to one."""

    name: str
    cell: str | None
    estimate: float
    mcse: float
    low: float
    high: float

    def record(self) -> dict[str, str | float | None]:
        """Return what JSON says of it; a number that does not exist is null, for NaN never travels."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in self._asdict().items()
        }


class Facts(NamedTuple):
    """What must be known of a design under a truth to speak of its tally."""

    arms: tuple[str, ...]
    null: bool | None  # whether success is a type I error; None where the design does not say
    verdicts: tuple[int, ...]  # the verdicts that its rules can reach
    non_binding: bool
    closes_accrual: tuple[int, ...]  # 0 for efficacy, 1 for futility: verdicts that may close the accrual
    may_close: bool  # whether the trial may close as it stands
    has_events: bool
    tried_later: tuple[int, ...]  # early verdicts that complete follow-up can contradict


def is_proportion(name: str) -> bool:
    """Return whether a characteristic of this name is a proportion of trials."""
    return not name.startswith(NOT_PROPORTIONS) and "_quantile_" not in name


def proportion(name: str, hits: int, of: int, cell: str | None = None) -> Characteristic:
    """Return hits / of with its error and exact interval."""
    if of == 0:
        return Characteristic(name, cell, math.nan, math.nan, math.nan, math.nan)
    p = hits / of
    low = float(betaincinv(hits, of - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 0.975)) if hits < of else 1.0
    return Characteristic(name, cell, p, math.sqrt(p * (1.0 - p) / of), low, high)


def mean(name: str, moments: Moments, cell: str | None = None) -> Characteristic:
    """Return the mean with its error and normal interval."""
    if moments.count == 0:
        return Characteristic(name, cell, math.nan, math.nan, math.nan, math.nan)
    error = math.sqrt(moments.variance / moments.count)
    return Characteristic(name, cell, moments.mean, error, moments.mean - Z * error, moments.mean + Z * error)


def root_mean_square(name: str, moments: Moments, cell: str | None = None) -> Characteristic:
    """Return the root mean square with its delta-method error."""
    if moments.count == 0:
        return Characteristic(name, cell, math.nan, math.nan, math.nan, math.nan)
    root = math.sqrt(moments.mean_square)
    error = math.sqrt(moments.variance_of_squares / moments.count) / (2.0 * root) if root > 0.0 else 0.0
    return Characteristic(name, cell, root, error, root - Z * error, root + Z * error)


def quantile(name: str, histogram: Integers, p: float, bins_a_unit: int) -> Characteristic:
    """Return a quantile of what a histogram counts; its interval from the binomial error of p (order statistics)."""
    total = int(histogram.sum())
    cumulative = np.cumsum(histogram)

    def at(share: float) -> float:
        return float(np.searchsorted(cumulative, min(max(share, 0.0), 1.0) * total)) / bins_a_unit

    half = Z * math.sqrt(p * (1.0 - p) / total)
    low, high = at(p - half), at(p + half)
    return Characteristic(name, None, at(p), (high - low) / (2.0 * Z), low, high)


def _sum(moments: tuple[Moments, ...]) -> Moments:
    total = moments[0]
    for other in moments[1:]:
        total = total + other
    return total


def of(tally: Tally, facts: Facts) -> list[Characteristic]:
    """Return the operating characteristics of a tally.

    Every trial stands in every denominator, but for bias, error and coverage, which are of the trials with an estimate.
    """
    return [*_verdicts(tally, facts), *_sizes(tally, facts), *_estimates(tally, facts)]


def _verdicts(tally: Tally, facts: Facts) -> Iterator[Characteristic]:
    replicates, totals = tally.replicates, tally.verdicts.sum(axis=1)
    yield proportion("probability_of_success", int(totals[1]), replicates)
    if facts.null is not None:
        yield proportion("type_i_error" if facts.null else "power", int(totals[1]), replicates)
    if facts.non_binding:
        yield proportion("success_ignoring_non_binding_rules", tally.success_ignoring, replicates)
    for verdict in (2, 3):
        if verdict in facts.verdicts:
            yield proportion(f"probability_of_{VERDICTS[verdict]}", int(totals[verdict]), replicates)
    yield proportion("probability_inconclusive", int(totals[0]), replicates)
    yield proportion("not_analysable", tally.not_analysable, replicates)
    if facts.may_close:
        yield proportion("closed_as_it_stood", tally.closed, replicates)
    for k, word in enumerate(("efficacy", "futility")):
        if k in facts.closes_accrual:
            yield proportion(f"accrual_stopped_for_{word}", int(tally.accrual_closed[k]), replicates)
    looks = tally.verdicts.shape[1]
    for look in range(looks):
        yield proportion(f"stopped_at_look_{look + 1}", int(tally.verdicts[:, look].sum()), replicates)
    for verdict, word in VERDICTS.items():
        if verdict in facts.verdicts:
            for look in range(looks):
                yield proportion(f"{word}_at_look_{look + 1}", int(tally.verdicts[verdict, look]), replicates)
    for verdict in facts.tried_later:
        yield proportion(f"early_{VERDICTS[verdict]}_contradicted", int(tally.contradicted[verdict]), replicates)


def _sizes(tally: Tally, facts: Facts) -> Iterator[Characteristic]:
    yield from sizes(tally.patients)
    for arm, moments in zip(facts.arms, tally.arms, strict=True):
        yield mean("expected_patients", moments, arm)
    yield mean("expected_evaluable_patients", tally.evaluable)
    if facts.has_events:
        yield mean("expected_events", tally.events)
    yield from lengths(tally.duration, tally.months)


def sizes(patients: Integers) -> Iterator[Characteristic]:
    """Yield mean and quantiles of the patients of a trial, of their histogram."""
    yield mean("expected_patients", of_histogram(patients))
    for p in QUANTILES:
        yield quantile(f"patients_quantile_{round(100 * p)}", patients, p, 1)


def lengths(duration: Moments, months: Integers) -> Iterator[Characteristic]:
    """Yield mean and quantiles of the months of a trial, of their sums and histogram."""
    yield mean("expected_months", duration)
    for p in QUANTILES:
        yield quantile(f"months_quantile_{round(100 * p)}", months, p, BINS_A_MONTH)


def of_histogram(histogram: Integers) -> Moments:
    """Return the sums of the whole numbers that a histogram counts."""
    numbers = np.arange(len(histogram), dtype=object)
    counts = histogram.astype(object)
    unit = 2**30
    return Moments(
        int(histogram.sum()),
        int((numbers * counts).sum()) * unit,
        int((numbers**2 * counts).sum()) * unit,
        int((numbers**4 * counts).sum()) * unit,
    )


def _estimates(tally: Tally, facts: Facts) -> Iterator[Characteristic]:
    estimates, errors = _sum(tally.estimates), _sum(tally.errors)
    yield proportion("not_estimable", tally.replicates - estimates.count, tally.replicates)
    yield mean("mean_estimate", estimates)
    if errors.count == 0:
        return
    yield mean("bias", errors)
    yield root_mean_square("root_mean_square_error", errors)
    yield proportion("coverage", int(tally.covered.sum()), int(tally.intervals.sum()))
    for verdict, word in VERDICTS.items():
        if verdict in facts.verdicts and tally.errors[verdict].count:
            yield mean(f"bias_given_{word}", tally.errors[verdict])
            yield proportion(f"coverage_given_{word}", int(tally.covered[verdict]), int(tally.intervals[verdict]))
