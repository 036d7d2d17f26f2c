"""Predictive probability of success of a trial with a binary endpoint, summed over all futures.

Source: Lee and Liu (2008), Clin Trials 5:93, for a single arm; the two-arm form sums over both arms' beta-binomials.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.binary import answer_counts, counts_by_arm
from lmd_trialsim.kernel.jit import Seam, kernel
from lmd_trialsim.kernel.rules import EFFICACY, Rules, decide, verdict_of
from lmd_trialsim.kernel.seams import answer


class NoCounts(NamedTuple):
    """The end of the list."""

    end: int


class CountQuestions(NamedTuple):
    """Count questions of the final look."""

    first: Any
    rest: Any


@Seam
def answer_all_counts(questions, desk, n_t, x_t, n_c, x_c, index):  # type: ignore[no-untyped-def]
    """Write the answers to desk.replies[index:]."""


@answer_all_counts.case
def no_counts(questions: NoCounts, desk, n_t, x_t, n_c, x_c, index):
    """All have been answered."""


@answer_all_counts.case
def first_counts(questions: CountQuestions, desk, n_t, x_t, n_c, x_c, index):
    """Answer the first, then the rest."""
    desk.replies[index] = answer_counts(questions.first, desk, n_t, x_t, n_c, x_c)
    answer_all_counts(questions.rest, desk, n_t, x_t, n_c, x_c, index + 1)


class BetaPrior(NamedTuple):
    """A mixture of betas, (components,) each, with log_weight - betaln(alpha, beta) in `offset`."""

    alpha: np.ndarray
    beta: np.ndarray
    offset: np.ndarray


class PredictiveOfCounts(NamedTuple):
    """P(the final look concludes efficacy | counts) when the trial goes on to its planned numbers."""

    questions: Any  # CountQuestions of the final look
    rules: Rules
    final: int  # the number of the final look
    planned_treatment: int
    planned_control: int
    treatment: BetaPrior
    control: BetaPrior
    success: np.ndarray  # (planned_treatment + 1, planned_control + 1) 1 where the final look concludes efficacy


@kernel
def _beta_binomial(prior, n, x, future, out):
    """Write P(y of `future` respond | x of n did) to out[:future + 1] (recursion in y from each mixture component)."""
    for y in range(future + 1):
        out[y] = 0.0
    most = -math.inf
    for k in range(prior.alpha.shape[0]):
        a, b = prior.alpha[k] + x, prior.beta[k] + n - x
        most = max(most, prior.offset[k] + math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))
    total = 0.0
    for k in range(prior.alpha.shape[0]):
        a, b = prior.alpha[k] + x, prior.beta[k] + n - x
        weight = math.exp(prior.offset[k] + math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) - most)
        total += weight
        log_p = math.lgamma(b + future) + math.lgamma(a + b) - math.lgamma(a + b + future) - math.lgamma(b)
        for y in range(future + 1):
            out[y] += weight * math.exp(log_p)
            if y < future:
                log_p += math.log((future - y) * (a + y) / ((y + 1.0) * (b + future - y - 1.0)))
    for y in range(future + 1):
        out[y] /= total


@kernel
def concludes_efficacy(question, desk, n_t, x_t, n_c, x_c):
    """Return whether the final look would conclude efficacy from these counts."""
    answer_all_counts(question.questions, desk, n_t, x_t, n_c, x_c, 0)
    rule = decide(question.rules, desk.replies, question.final, n_t + n_c, False)
    return verdict_of(question.rules, rule) == EFFICACY


@kernel
def predict(question, desk, n_t, x_t, n_c, x_c, final_t, final_c):
    """Sum the probabilities of all futures that end in success at final_t and final_c evaluable patients."""
    chance_t, chance_c = desk.work[0], desk.work[1]
    more_t, more_c = max(final_t - n_t, 0), max(final_c - n_c, 0)
    _beta_binomial(question.treatment, n_t, x_t, more_t, chance_t)
    _beta_binomial(question.control, n_c, x_c, more_c, chance_c)
    planned = n_t + more_t == question.planned_treatment and n_c + more_c == question.planned_control
    total = 0.0
    for y_c in range(more_c + 1):
        wins = 0.0
        for y_t in range(more_t + 1):
            if planned:
                success = question.success[x_t + y_t, x_c + y_c] > 0
            else:
                success = concludes_efficacy(question, desk, n_t + more_t, x_t + y_t, n_c + more_c, x_c + y_c)
            if success:
                wins += chance_t[y_t]
        total += wins * chance_c[y_c]
    return min(total, 1.0)


@answer_counts.case
def predictive_of_counts(question: PredictiveOfCounts, desk, n_treatment, x_treatment, n_control, x_control):
    """The trial goes on to its planned total; an arm that is beyond its own share gets no more, the other one less."""
    total = question.planned_treatment + question.planned_control
    final_t = min(max(question.planned_treatment, n_treatment), max(total - n_control, n_treatment))
    final_c = max(total - final_t, n_control)
    return predict(question, desk, n_treatment, x_treatment, n_control, x_control, final_t, final_c)


class PredictiveAtPresent(NamedTuple):
    """The same, when accrual ends now and the patients enrolled are followed to their assessment."""

    predictive: PredictiveOfCounts


@answer.case
def predictive_at_present(question: PredictiveAtPresent, stream, desk, look):
    """What is still unknown: the patients enrolled whose assessment is to come."""
    n_t, x_t, n_c, x_c = counts_by_arm(desk)
    arms = desk.cells.shape[0]
    pending_t = 0
    pending_c = 0
    for patient in range(desk.state[0].known, desk.state[0].enrolled):
        of_treatment = desk.patients[patient].arm == arms - 1
        pending_t += 1 if of_treatment else 0
        pending_c += 0 if of_treatment else 1
    return predict(question.predictive, desk, n_t, x_t, n_c, x_c, n_t + pending_t, n_c + pending_c)
