"""Questions about response rates. Each is asked of counts (treatment n, x; control n, x); a single arm has no control.

The tables are built once a scenario in NumPy; kernels look them up or sum a short product of two rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.beta_mixture import Array
from lmd_trialsim.kernel.jit import Seam, kernel
from lmd_trialsim.kernel.seams import answer, estimate


@Seam
def answer_counts(question, desk, n_treatment, x_treatment, n_control, x_control):  # type: ignore[no-untyped-def]
    """Return the answer for these counts; NaN if it can't be told. The desk is there to work on, not to be read."""


@kernel
def counts_by_arm(desk):
    """Return (n, x) of the treatment and (n, x) of the control, summed over strata; a single arm is the treatment."""
    arms, strata = desk.cells.shape
    treatment = arms - 1
    n_treatment, x_treatment, n_control, x_control = 0, 0, 0, 0
    for stratum in range(strata):
        n_treatment += desk.cells[treatment, stratum].patients
        x_treatment += desk.cells[treatment, stratum].responses
        if treatment:
            n_control += desk.cells[0, stratum].patients
            x_control += desk.cells[0, stratum].responses
    return n_treatment, x_treatment, n_control, x_control


class RateTable(NamedTuple):
    """A number for each (n, x) of one arm; NaN where it does not apply."""

    values: np.ndarray  # (largest n + 1, largest n + 1)
    of_control: int


@answer_counts.case
def look_up_rate(question: RateTable, desk, n_treatment, x_treatment, n_control, x_control):
    """Look up the arm's own table."""
    if question.of_control:
        return question.values[n_control, x_control]
    return question.values[n_treatment, x_treatment]


class RowIndex(NamedTuple):
    """Where the rows (n, x), x = 0..n, of one arm begin; -1 for an n that has none."""

    start: np.ndarray  # (largest n + 1,)


class PosteriorContrast(NamedTuple):
    """P(treatment rate > g(control rate)) for independent beta mixtures, as a sum over quadrature nodes.

    = sum_i mass_i(treatment) * F_control(g^-1(p_i)) + P(treatment rate beyond every control rate).
    """

    treatment: RowIndex
    control: RowIndex
    mass: np.ndarray  # (treatment rows, nodes)
    beyond: np.ndarray  # (treatment rows,)
    below: np.ndarray  # (control rows, nodes)


@answer_counts.case
def posterior_contrast(question: PosteriorContrast, desk, n_treatment, x_treatment, n_control, x_control):
    """Eight running sums: they vectorise and give the same bits everywhere."""
    row_t = question.treatment.start[n_treatment] + x_treatment
    row_c = question.control.start[n_control] + x_control
    mass = question.mass[row_t]
    below = question.below[row_c]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for i in range(0, mass.shape[0], 8):
        s0 += mass[i] * below[i]
        s1 += mass[i + 1] * below[i + 1]
        s2 += mass[i + 2] * below[i + 2]
        s3 += mass[i + 3] * below[i + 3]
        s4 += mass[i + 4] * below[i + 4]
        s5 += mass[i + 5] * below[i + 5]
        s6 += mass[i + 6] * below[i + 6]
        s7 += mass[i + 7] * below[i + 7]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + question.beyond[row_t]


class ZProportions(NamedTuple):
    """The normal test of a difference of proportions, positive where treatment is better."""

    margin: float
    pooled: int
    direction: float  # +1 where a higher rate is better, -1 where a lower one is


@answer_counts.case
def z_of_proportions(question: ZProportions, desk, n_treatment, x_treatment, n_control, x_control):
    """(p_T - p_C - margin) / standard error; 0 where all or none responded in both arms and no margin is asked."""
    if n_treatment == 0 or n_control == 0:
        return math.nan
    p_t = x_treatment / n_treatment
    p_c = x_control / n_control
    if question.pooled:
        p = (x_treatment + x_control) / (n_treatment + n_control)
        variance = p * (1.0 - p) * (1.0 / n_treatment + 1.0 / n_control)
    else:
        variance = p_t * (1.0 - p_t) / n_treatment + p_c * (1.0 - p_c) / n_control
    gain = question.direction * (p_t - p_c - question.margin)
    if variance <= 0.0:
        return 0.0 if gain == 0.0 else math.copysign(math.inf, gain)
    return gain / math.sqrt(variance)


class FisherExact(NamedTuple):
    """The one-sided p-value of Fisher's exact test that treatment is no better."""

    log_factorial: np.ndarray  # (largest total + 1,)
    direction: float


@answer_counts.case
def fisher_exact(question: FisherExact, desk, n_treatment, x_treatment, n_control, x_control):
    """P(X >= x_T | margins), X hypergeometric; of failures where a lower rate is better (Fisher 1935)."""
    if n_treatment == 0 or n_control == 0:
        return math.nan
    if question.direction < 0.0:
        x_treatment = n_treatment - x_treatment
        x_control = n_control - x_control
    f = question.log_factorial
    total = n_treatment + n_control
    responses = x_treatment + x_control
    constant = f[n_treatment] + f[n_control] + f[responses] + f[total - responses] - f[total]
    p = 0.0
    for x in range(x_treatment, min(n_treatment, responses) + 1):
        y = responses - x
        p += math.exp(constant - f[x] - f[n_treatment - x] - f[y] - f[n_control - y])
    return min(p, 1.0)


class PlannedCount(NamedTuple):
    """The number of responses, where just the planned number of patients has been evaluated."""

    planned: np.ndarray  # (looks,)


@answer.case
def planned_count(question: PlannedCount, stream, desk, look):
    """Boundaries on counts were computed for the planned numbers and are silent at any other."""
    arms, strata = desk.cells.shape
    n, x = 0, 0
    for stratum in range(strata):
        n += desk.cells[arms - 1, stratum].patients
        x += desk.cells[arms - 1, stratum].responses
    return float(x) if n == question.planned[look] else math.nan


class TotalResponses(NamedTuple):
    """The number of responses, where just `planned` patients have been evaluated."""

    planned: int


@answer_counts.case
def total_responses(question: TotalResponses, desk, n_treatment, x_treatment, n_control, x_control):
    """The same of counts in imagination."""
    return float(x_treatment) if n_treatment == question.planned else math.nan


class NoAnswer(NamedTuple):
    """What is asked of numbers of patients that cannot occur."""

    end: int


@answer_counts.case
def no_answer(question: NoAnswer, desk, n_treatment, x_treatment, n_control, x_control):
    """It cannot be told."""
    return math.nan


class CountQuestion(NamedTuple):
    """A question asked of the counts on the desk."""

    question: Any


@answer.case
def answer_from_counts(question: CountQuestion, stream, desk, look):
    """Hand the counts over."""
    n_treatment, x_treatment, n_control, x_control = counts_by_arm(desk)
    return answer_counts(question.question, desk, n_treatment, x_treatment, n_control, x_control)


class PairTable(NamedTuple):
    """A count question answered beforehand for the numbers of patients that the looks can meet."""

    offset: np.ndarray  # (largest n of treatment + 1, largest n of control + 1); -1 where it was not answered
    values: np.ndarray
    otherwise: Any


@answer_counts.case
def look_up_pair(question: PairTable, desk, n_treatment, x_treatment, n_control, x_control):
    """Look it up where it is tabulated."""
    offset = question.offset[n_treatment, n_control]
    if offset < 0:
        return answer_counts(question.otherwise, desk, n_treatment, x_treatment, n_control, x_control)
    return question.values[offset + x_treatment * (n_control + 1) + x_control]


class RateEstimate(NamedTuple):
    """Estimate and limits of a single arm's rate, tabulated by row (n, x)."""

    rows: RowIndex
    middle: np.ndarray  # (rows,)
    low: np.ndarray
    high: np.ndarray


@estimate.case
def estimate_rate(estimator: RateEstimate, desk):
    """Look the three numbers up."""
    n, x, _, _ = counts_by_arm(desk)
    row = estimator.rows.start[n] + x
    return estimator.middle[row], estimator.low[row], estimator.high[row]


DIFFERENCE, RATIO, ODDS_RATIO = 0, 1, 2


class ContrastEstimate(NamedTuple):
    """Estimate and limits of a difference, or of the logarithm of a ratio, from those of the two arms.

    Limits by the method of variance estimates recovery (Zou and Donner 2008, Stat Med 27:1693, equations 8 and 9).
    """

    treatment: RateEstimate
    control: RateEstimate
    scale: int


@kernel
def _on_scale(rate, scale):
    if scale == RATIO:
        return math.log(rate)
    return math.log(rate / (1.0 - rate)) if scale == ODDS_RATIO else rate


@estimate.case
def estimate_contrast(estimator: ContrastEstimate, desk):
    """Treatment less control, on the scale; NaN where a logarithm does not exist."""
    n_t, x_t, n_c, x_c = counts_by_arm(desk)
    scale = estimator.scale
    row_t = estimator.treatment.rows.start[n_t] + x_t
    row_c = estimator.control.rows.start[n_c] + x_c
    middle_t = _on_scale(estimator.treatment.middle[row_t], scale)
    middle_c = _on_scale(estimator.control.middle[row_c], scale)
    middle = middle_t - middle_c
    if not math.isfinite(middle):
        return math.nan, math.nan, math.nan
    down_t = middle_t - _on_scale(estimator.treatment.low[row_t], scale)
    up_t = _on_scale(estimator.treatment.high[row_t], scale) - middle_t
    down_c = middle_c - _on_scale(estimator.control.low[row_c], scale)
    up_c = _on_scale(estimator.control.high[row_c], scale) - middle_c
    return middle, middle - math.hypot(down_t, up_c), middle + math.hypot(up_t, down_c)


def row_index(numbers: Iterable[int], largest: int) -> tuple[RowIndex, Array, Array]:
    """Return the index of the rows (n, x) for each n of `numbers`, and n and x of each row."""
    start = np.full(largest + 1, -1, np.int64)
    n_of: list[Array] = []
    x_of: list[Array] = []
    for n in sorted(set(numbers)):
        start[n] = sum(map(len, x_of))
        x_of.append(np.arange(n + 1.0))
        n_of.append(np.full(n + 1, float(n)))
    return RowIndex(start), np.concatenate(n_of), np.concatenate(x_of)
