"""The questions that the trial loop asks. The type of the plan chooses who answers; the loop knows no case."""

from __future__ import annotations

import math

from lmd_trialsim.kernel.jit import Seam


@Seam
def play_trial(plan, stream, desk, integers, numbers, log):  # type: ignore[no-untyped-def]
    """Play one replicate and write its row; what was known at its looks is written to `log` as far as that has rows."""


@Seam
def advance_clock(accrual, stream, desk, upto):  # type: ignore[no-untyped-def]
    """Make the arrival clock known for patients [0, upto)."""


@Seam
def arrival_month(accrual, desk, patient):  # type: ignore[no-untyped-def]
    """Return the month at which `patient` is enrolled; inf if never. The clock must have been advanced past it."""


@Seam
def draw_strata(strata, stream, desk, start, stop):  # type: ignore[no-untyped-def]
    """Write the strata of patients [start, stop) to the desk."""


@Seam
def allocate(allocation, stream, desk, start, stop):  # type: ignore[no-untyped-def]
    """Write the arms of patients [start, stop) to the desk."""


@Seam
def draw_course(endpoint, accrual, stream, desk, start, stop):  # type: ignore[no-untyped-def]
    """Draw what happens to patients [start, stop) under their arms."""


@Seam
def observe(endpoint, accrual, desk, month):  # type: ignore[no-untyped-def]
    """Write to the desk what is known at `month` of the enrolled patients; inf asks for complete follow-up."""


@Seam
def await_look(schedule, plan, stream, desk, look):  # type: ignore[no-untyped-def]
    """Enrol until look number `look` is due and return its month; state.exhausted says that it must be the last."""


@Seam
def answer(question, stream, desk, look):  # type: ignore[no-untyped-def]
    """Return the number that a rule looks at, from what was observed; NaN if it can't be told."""


@Seam
def answer_all(questions, needed, stream, desk, answers, look, index):  # type: ignore[no-untyped-def]
    """Write the answer to each question that a rule needs at this look to answers[index:]."""


@Seam
def estimate(estimator, desk):  # type: ignore[no-untyped-def]
    """Return (estimate, lower limit, upper limit) of the effect from what was observed; NaN if it can't be told."""


@Seam
def write_arrivals(accrual, stream, desk, group):  # type: ignore[no-untyped-def]
    """Write the months at which patients 8 * group, ..., 8 * group + 7 come to desk.coming[0]; inf if they don't."""


@Seam
def outcome_of(endpoint, stream, patient, arm, stratum, chance):  # type: ignore[no-untyped-def]
    """Return the outcome (kernel.desk) of a binary endpoint; `chance` is the uniform that decides a response."""


@Seam
def limit_places(schedule, plan, desk, look):  # type: ignore[no-untyped-def]
    """Where accrual pauses, say how many places are filled until look number `look`, the next one, has been decided."""


@Seam
def lacks_patients(schedule, plan, desk, look):  # type: ignore[no-untyped-def]
    """Return whether patients who come could bring the look about, or forward."""


@Seam
def may_settle(schedule, plan, desk, look, cell):  # type: ignore[no-untyped-def]
    """Return whether a patient whom `cell` has just taken may have ended what `lacks_patients` tells."""


@Seam
def month_due(schedule, plan, desk, look, lack):  # type: ignore[no-untyped-def]
    """Return the month of the look as things stand; inf while it is not settled. state.exhausted: it is the last."""


@Seam
def mark_judged(schedule, plan, desk, look, month):  # type: ignore[no-untyped-def]
    """Mark the cells that are judged at the look, and which of their looks it is."""


@Seam
def admit(endpoint, stream, desk, patient, arrival, stratum, chance):  # type: ignore[no-untyped-def]
    """Write what becomes of a patient, who came as number `arrival` and has just been taken; `chance`: his uniform."""


@Seam
def shifted(endpoint, chance, shift):  # type: ignore[no-untyped-def]
    """Return the uniform in place of `chance` where patients are shifted by so much, and what is added to values."""


@Seam
def observe_cells(endpoint, delay, desk, month):  # type: ignore[no-untyped-def]
    """Write to the cells what is known of the patients taken by `month`; looks count them `delay` after entry."""


@Seam
def consult(data, model, desk, bounds):  # type: ignore[no-untyped-def]
    """Return the entry of desk.memory with what the model says; write to cell.said where each cell's part begins."""


@Seam
def counted(data, desk, cell):  # type: ignore[no-untyped-def]
    """Return the number of responses, or of events, in the cell."""


@Seam
def borrowed(data, mean, square, desk, cell):  # type: ignore[no-untyped-def]
    """Return what the posterior, by its mean and mean square, knows beyond the cell's own patients, or events."""


@Seam
def gather(pooling, desk, look):  # type: ignore[no-untyped-def]
    """Count the cells that are due together and, where the look settles it, settle whether they are judged as one."""


@Seam
def note_tests(pooling, desk, cell, answers):  # type: ignore[no-untyped-def]
    """Write what tests say of the cell, or of the pool that it belongs to; `answers` is where the counts stand."""


@Seam
def weigh(model, desk):  # type: ignore[no-untyped-def]
    """Prepare on desk.scratch what the posteriors of all cells share, from the counts of the cells."""


@Seam
def posterior_tail(model, desk, cell, bound):  # type: ignore[no-untyped-def]
    """Return P(rate of `cell` > its bound number `bound` | counts of all cells); `weigh` has been called."""


@Seam
def posterior_moments(model, desk, cell):  # type: ignore[no-untyped-def]
    """Return the posterior means of the rate of `cell` and of its square; `weigh` has been called."""


@Seam
def write_log_likelihood(data, desk, cell, eta, offset, found):  # type: ignore[no-untyped-def]
    """Write the log likelihood of what was seen of `cell` where its effect is eta + offset to found, as long as eta."""


@Seam
def draw_arm(allocation, desk, chance, stratum, eligible):  # type: ignore[no-untyped-def]
    """Return the arm that the uniform `chance` draws. eligible: the arms open to the patient, as bits, not 0."""


@Seam
def share_out(allocation, plan, desk):  # type: ignore[no-untyped-def]
    """Write the shares of the open arms, from what was known at the last look."""


@Seam
def note_early(allocation, stream, desk, patient, arrival, stratum, chance):  # type: ignore[no-untyped-def]
    """Draw the early endpoint that shares follow, where there is one, of a patient who has just been taken."""


@Seam
def write_shares(source, rule, plan, desk):  # type: ignore[no-untyped-def]
    """Write the raw shares of the open arms by what is known of the endpoint that shares follow."""


@Seam
def raw_shares(rule, analysis, desk, information):  # type: ignore[no-untyped-def]
    """Write the shares of the open arms before floors and caps. information: 0 to 1, the part of the patients taken."""


@Seam
def open_strata(strata, desk):  # type: ignore[no-untyped-def]
    """Open the strata of all arms, where they may close."""


@Seam
def open_to(strata, desk, arm, stratum):  # type: ignore[no-untyped-def]
    """Return 1 where the arm, as long as it is open, takes patients of the stratum, else 0."""


@Seam
def observe_strata(strata, plan, desk, row, month):  # type: ignore[no-untyped-def]
    """Write to the arms what is known at `month`; where strata may close, ask which do, and tell `row` of the log."""


@Seam
def weigh_population(strata, analysis, desk):  # type: ignore[no-untyped-def]
    """As weigh_arms, of the patients that the arms are judged by."""


@Seam
def end_with_strata(strata, plan, desk, row, month, integers, numbers):  # type: ignore[no-untyped-def]
    """End the arms that have no stratum left."""


@Seam
def release_strata(strata, desk):  # type: ignore[no-untyped-def]
    """Close the strata that have been judged, now that the decision is out."""


@Seam
def beyond_truth(strata, analysis, desk, arm, beyond):  # type: ignore[no-untyped-def]
    """Return P(effect > the true one in the strata that are left to the arm); `beyond`: in all of its strata."""


@Seam
def write_strata(strata, desk, integers):  # type: ignore[no-untyped-def]
    """Write what is known of the strata of the arms at the end of the trial."""


@Seam
def observe_arms(endpoint, desk, month, upto):  # type: ignore[no-untyped-def]
    """Write to the arms what is known at `month` of the first `upto` patients taken, and of their controls."""


@Seam
def times_differ(endpoint, arm, control):  # type: ignore[no-untyped-def]
    """Return the z of the difference between the control patients that the arm is compared with and all others.

    0 where either are too few to tell.
    """


@Seam
def settle(schedule, desk, look):  # type: ignore[no-untyped-def]
    """Return the month at which look number `look` is due, as far as the patients taken tell; else inf."""


@Seam
def mark_due(schedule, desk, month):  # type: ignore[no-untyped-def]
    """Mark the arms that are judged at the look of this month."""


@Seam
def known_at(schedule, desk):  # type: ignore[no-untyped-def]
    """Return of how many patients taken, the first ones, something can be known at a look that is not the last."""


@Seam
def weigh_arms(analysis, desk):  # type: ignore[no-untyped-def]
    """Prepare on desk.scratch the posteriors of the arms that run, and of their controls."""


@Seam
def fill_row(analysis, desk, row, number, patients, responses):  # type: ignore[no-untyped-def]
    """Write density and distribution function of an arm's rate, at the nodes of the analysis, given these counts."""


@Seam
def tail_of_arm(analysis, desk, arm, bound):  # type: ignore[no-untyped-def]
    """Return the posterior probability of bound number `bound` for the arm; `weigh_arms` has been called."""


@Seam
def beyond_effect(analysis, desk, arm, effect):  # type: ignore[no-untyped-def]
    """Return the probability that the arm's effect lies beyond `effect`, any number; `weigh_arms` has been called."""


@Seam
def rank_arms(analysis, desk):  # type: ignore[no-untyped-def]
    """Write to arms.best the probability that each is the best of those that take part; 0 for the others."""


@rank_arms.otherwise
def no_ranks(analysis, desk):  # type: ignore[no-untyped-def]
    """Checks of designs see to it that they are not asked for."""


@Seam
def better_than_control(analysis, desk, arm):  # type: ignore[no-untyped-def]
    """Return the probability that the arm, which takes part, is better than what it is compared with."""


@Seam
def statistic_of_arm(analysis, desk, arm):  # type: ignore[no-untyped-def]
    """Return the test statistic of the arm, positive where it is better than its controls; NaN where there is none."""


@statistic_of_arm.otherwise
def no_statistic(analysis, desk, arm):  # type: ignore[no-untyped-def]
    """Posteriors have none."""
    return math.nan


@Seam
def moments_of_arm(analysis, desk, arm):  # type: ignore[no-untyped-def]
    """Return mean and variance of the arm's effect, and the variance that a new trial of size 1 would know it by.

    Size: patients of both arms together, or events. `weigh_arms` has been called.
    """


@Seam
def all_alike(analysis, desk):  # type: ignore[no-untyped-def]
    """Return the probability that all arms that run are within the margin of equivalence of each other."""


@all_alike.otherwise
def never_alike(analysis, desk):  # type: ignore[no-untyped-def]
    """Checks of designs see to it that it is not asked."""
    return math.nan


@Seam
def estimate_of_arm(analysis, desk, arm):  # type: ignore[no-untyped-def]
    """Return (estimate of the effect of the arm, probability that it lies beyond the true one)."""


@Seam
def time_of_entry(time, desk, patient):  # type: ignore[no-untyped-def]
    """Return in which stretch of time the patient entered, from 0."""


@Seam
def sort_into_cells(likelihood, layout, desk, table):  # type: ignore[no-untyped-def]
    """Add what is known of each patient to the two numbers of his cells."""


@Seam
def cell_terms(likelihood, amount, total, eta):  # type: ignore[no-untyped-def]
    """Return (log likelihood, its slope, minus its curvature) of a cell in its linear predictor."""


@Seam
def bends(likelihood):  # type: ignore[no-untyped-def]
    """Return whether the curvature of the log likelihood changes with the linear predictor: else all is normal."""


@Seam
def unit_information(likelihood, arm):  # type: ignore[no-untyped-def]
    """Return the variance by which a new trial of size 1 would know the effect, from the counts of arm and control."""


@Seam
def samples_of_stratum(likelihood, arm):  # type: ignore[no-untyped-def]
    """Return the two numbers of a cell of the control patients that the arm is compared with, and those of its own."""
