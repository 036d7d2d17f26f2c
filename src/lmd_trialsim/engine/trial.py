"""The loop of a trial that is judged as a whole: enrol until a look is due, observe, analyse, decide; each a seam."""

from __future__ import annotations

import math

from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.plan import TrialPlan
from lmd_trialsim.kernel.enrolment import A_MOMENT, count_enrolled
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.rules import CLOSE_FOR_EFFICACY, EFFICACY, FUTILITY, GO_ON, decide, verdict_of
from lmd_trialsim.kernel.seams import answer_all, arrival_month, await_look, estimate, observe, play_trial

FIVE_YEARS = 60.0
"""Months after an early verdict at which its follow-up counts as complete."""


@kernel
def open_trial(desk, max_patients):
    """Clear what the replicate before has left."""
    state = desk.state[0]
    state.ready = 0
    state.clocked = 0
    state.enrolled = 0
    state.events = 0
    state.exhausted = 0
    state.cap = max_patients
    desk.clock[0] = 0.0
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].places = 0
    forget(desk)


@kernel
def forget(desk):
    """Drop the counts of a binary endpoint, so that the next look counts anew."""
    state = desk.state[0]
    state.known = 0
    state.placed = 0
    state.evaluable = 0
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].patients = 0
            desk.cells[arm, stratum].responses = 0


@kernel
def close_by(plan, stream, desk, month):
    """Set the enrolled patients to those who have arrived by `month`, the month at which the trial closes."""
    state = desk.state[0]
    state.exhausted = 1
    while state.enrolled > 0 and arrival_month(plan.accrual, desk, state.enrolled - 1) > month + A_MOMENT:
        state.enrolled -= 1
    if not plan.pauses:
        state.enrolled = count_enrolled(plan, stream, desk, month)


@kernel
def pause(plan, desk, month, decided):
    """Put off all arrivals to come by the months from the last patient of a look to its decision."""
    enrolled = desk.state[0].enrolled
    since = arrival_month(plan.accrual, desk, enrolled - 1) if enrolled > 0 else month
    for patient in range(enrolled, desk.patients.shape[0]):
        desk.patients[patient].put_off += decided - since


@kernel
def look_at(plan, stream, desk, look, month, overruled):
    """Observe what is known by `month`, analyse it as look number `look`, and return the rule that speaks, or -1."""
    desk.state[0].month = month
    observe(plan.enrolment.endpoint, plan.enrolment.accrual, desk, month)
    answer_all(plan.questions, plan.rules.needed, stream, desk, desk.answers, look, 0)
    return decide(plan.rules, desk.answers, look, desk.state[0].evaluable, overruled)


@kernel
def analysable(rules, answers, look):
    """Return 0 where an answer that a rule needs could not be told."""
    questions, _ = rules.needed.shape
    for question in range(questions):
        if rules.needed[question, look] and math.isnan(answers[question]):
            return 0
    return 1


@kernel
def write_look(desk, row, look, month, rule, review):
    """Write what was known at a look, and the answers."""
    state = desk.state[0]
    row[column.LOOK_NUMBER] = look
    row[column.LOOK_MONTH] = month
    row[column.LOOK_ENROLLED] = state.enrolled
    row[column.LOOK_EVALUABLE] = state.evaluable
    row[column.LOOK_EVENTS] = state.events
    row[column.LOOK_RULE] = rule
    row[column.LOOK_REVIEW] = 1.0 if review else 0.0
    for question in range(row.shape[0] - column.LOOK_ANSWERS):
        row[column.LOOK_ANSWERS + question] = desk.answers[question]


@kernel
def count_arms(desk, patients, integers):
    """Write the patients of each arm among the first so many."""
    for arm in range(integers.shape[0] - column.ARMS):
        integers[column.ARMS + arm] = 0
    for patient in range(patients):
        integers[column.ARMS + desk.patients[patient].arm] += 1


@kernel
def record(plan, stream, desk, integers, numbers, look, rule, final, decided):
    """Write how the trial ends at this look; patients who come until the decision are enrolled too."""
    state = desk.state[0]
    verdict = verdict_of(plan.rules, rule)
    integers[column.VERDICT] = verdict if verdict < CLOSE_FOR_EFFICACY else GO_ON
    integers[column.LOOK] = look
    integers[column.RULE] = rule
    integers[column.EVALUABLE] = state.evaluable
    integers[column.EVENTS] = state.events
    integers[column.ANALYSABLE] = 1 if rule >= 0 else analysable(plan.rules, desk.answers, look)
    numbers[column.MONTHS] = decided
    middle, low, high = estimate(plan.estimator, desk)
    numbers[column.ESTIMATE], numbers[column.LOW], numbers[column.HIGH] = middle, low, high
    if not final and not plan.enrolment.pauses:
        state.enrolled = count_enrolled(plan.enrolment, stream, desk, decided)
    integers[column.PATIENTS] = state.enrolled
    count_arms(desk, state.enrolled, integers)


@kernel
def ends_in_review(plan, desk, integers, verdict):
    """Write whether complete follow-up contradicts the early verdict; return whether the trial is over with it.

    Where the rule does not bind, the trial is played on from its look, to see whether efficacy would be concluded.
    """
    early = integers[column.VERDICT]
    integers[column.CONTRADICTED] = 1 if (verdict == EFFICACY) != (early == EFFICACY) else 0
    forget(desk)
    if early == FUTILITY and not plan.rules.rules[integers[column.RULE]].binding:
        return False
    integers[column.SUCCESS_IGNORING] = 1 if early == EFFICACY else 0
    return True


@play_trial.case
def play_whole(plan: TrialPlan, stream, desk, integers, numbers, log):
    """Play a trial that is judged as a whole."""
    limits = plan.limits
    state = desk.state[0]
    open_trial(desk, limits.max_patients)
    if plan.enrolment.pauses:
        for patient in range(desk.patients.shape[0]):
            desk.patients[patient].put_off = 0.0
    integers[column.CLOSED : column.ACCRUAL_CLOSED + 1] = 0
    last = limits.looks - 1
    look, written, enrolled, month = 0, 0, 0, 0.0
    recorded = False
    review = False  # The look at hand is the complete follow-up of a verdict already recorded.
    while True:
        if not review:
            # No look comes before the one that led to it: followed up since the last entry, the final one might.
            month = max(month, await_look(plan.schedule, plan.enrolment, stream, desk, look))
            if month > limits.max_months:
                month = limits.max_months
                close_by(plan.enrolment, stream, desk, month)
                integers[column.CLOSED] = integers[column.CLOSED] if recorded else 1
            if state.exhausted:
                look = last
        rule = look_at(plan, stream, desk, look, month, recorded and not review)
        verdict = verdict_of(plan.rules, rule)
        if written < log.shape[0]:
            write_look(desk, log[written], look, month, rule, review)
            written += 1
        if review:
            if ends_in_review(plan, desk, integers, verdict):
                return
            review = False
            state.enrolled = enrolled
            state.exhausted = 0
            look = integers[column.LOOK]  # once more, as if the rule had not been there
            month -= FIVE_YEARS
            continue
        final = look == last
        decided = month + limits.months_to_decide
        if verdict >= CLOSE_FOR_EFFICACY and not final:
            integers[column.ACCRUAL_CLOSED] = integers[column.ACCRUAL_CLOSED] if recorded else verdict
            state.cap = count_enrolled(plan.enrolment, stream, desk, decided)
            look = last
            continue
        if final or verdict != GO_ON:
            review = not recorded and not final and verdict in (EFFICACY, FUTILITY)
            if not recorded:
                enrolled = state.enrolled
                record(plan, stream, desk, integers, numbers, look, rule, final, decided)
                recorded = True
            if not review:
                integers[column.SUCCESS_IGNORING] = 1 if verdict == EFFICACY else 0
                return
            look = last
            month += FIVE_YEARS
            continue
        if plan.enrolment.pauses:
            pause(plan.enrolment, desk, month, decided)
        look += 1
