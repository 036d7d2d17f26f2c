"""Predictive probability of success of a trial with event times, by imputing what is still to come.

Source: Broglio, Connor and Berry (2014), J Biopharm Stat 24:685: hazards are drawn from their gamma posterior, event
times of patients in follow-up and of patients still to be enrolled from those hazards, and the final analysis is run.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.gamma_exponential import GammaPrior, events_of, months_of
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.rules import EFFICACY, Rules, decide, verdict_of
from lmd_trialsim.kernel.seams import answer, answer_all
from lmd_trialsim.kernel.sorting import kth_smallest
from lmd_trialsim.kernel.special import gamma_quantile


class Ending(NamedTuple):
    """When the final look of an imagined trial takes place."""

    follow_up: float  # months after the last patient; -1 where it is set by events
    events: int  # events at the final look; 0 where it is set by follow-up
    closes: float  # no later than this month: that of a final look by the calendar, and the closing of the trial
    followed: float  # each patient is followed for so long at most
    patients: int  # enrolled in all, when the accrual goes on to the maximum


class PredictiveOfTimes(NamedTuple):
    """P(the final look concludes efficacy | data), by so many imputations."""

    questions: Any  # of the final look
    rules: Rules
    prior: GammaPrior
    ending: Ending
    order: np.ndarray  # arms of the patients to come, in turn
    at_present: int  # 1: the accrual ends now; 0: it goes on to the maximum
    imputations: int


@kernel
def _hazard(prior, desk, stream, arm, draw):
    u = random.uniform(stream, arm, random.IMPUTED_HAZARD, draw)
    return gamma_quantile(prior.events[arm] + events_of(desk, arm), u) / (prior.months[arm] + months_of(desk, arm))


@kernel
def _impute(question, stream, desk, enrolled, patients, gap, draw):
    """Write the imagined event times, from entry, of everybody to desk.work[5]; return the final look's month."""
    hazard_c = _hazard(question.prior, desk, stream, 0, draw)
    hazard_t = _hazard(question.prior, desk, stream, 1, draw)
    event = desk.work[5]
    due = desk.work[0]
    expected = 0
    for patient in range(patients):
        person = desk.patients[patient]
        u = random.uniform(stream, patient, random.IMPUTED_TIME, draw)
        if patient >= enrolled:
            person.arm = question.order[patient % question.order.shape[0]]
            person.stratum = desk.patients[(patient - enrolled) % enrolled].stratum
            person.arrival = desk.state[0].month + gap * (patient - enrolled + 1)
            person.follow = 0.0
            person.status = 0
            person.censor = question.ending.followed
        event[patient] = person.follow
        if not person.status:
            event[patient] -= math.log(u) / (hazard_t if person.arm == 1 else hazard_c)
            if person.follow >= person.censor:  # Follow-up has ended: nothing more will be seen of this patient.
                event[patient] = math.inf
        if event[patient] <= question.ending.followed:
            due[expected] = person.arrival + event[patient]
            expected += 1
    return max(
        _final_look(question.ending, desk, due, expected, desk.patients[patients - 1].arrival), desk.state[0].month
    )


@kernel
def _final_look(ending, desk, due, expected, last):
    """Return the month of the imagined final look, of `expected` events that will be seen, and the last entry."""
    limit = last + ending.follow_up if ending.follow_up >= 0.0 else math.inf
    if ending.events == 0:
        return min(limit, ending.closes)
    if expected >= ending.events:
        month = kth_smallest(due, expected, ending.events - 1)
    elif math.isinf(limit):  # All events that can occur have been seen, and everybody has entered.
        month = max(last, kth_smallest(due, expected, expected - 1)) if expected > 0 else last
    else:
        month = limit
    return min(month, limit, ending.closes)


@answer.case
def predictive_of_times(question: PredictiveOfTimes, stream, desk, look):
    """The desk is put back as it was found: follow-up is kept aside, the rest is drawn or counted anew."""
    state = desk.state[0]
    enrolled = state.enrolled
    if enrolled == 0:
        return math.nan
    patients = enrolled if question.at_present else max(min(question.ending.patients, state.cap), enrolled)
    gap = state.month / enrolled
    kept_events = state.events
    for patient in range(patients):
        person = desk.patients[patient]
        person.kept_follow = person.follow if patient < enrolled else 0.0
        person.kept_status = person.status if patient < enrolled else 0
        person.kept_arm = person.arm
        person.kept_arrival = person.arrival
        person.kept_censor = person.censor
        person.kept_stratum = person.stratum
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].kept_events = desk.cells[arm, stratum].events
            desk.cells[arm, stratum].kept_months = desk.cells[arm, stratum].months
    wins = 0
    for imputation in range(question.imputations):
        month = _impute(question, stream, desk, enrolled, patients, gap, look * question.imputations + imputation)
        for arm in range(arms):
            for stratum in range(strata):
                desk.cells[arm, stratum].events = 0
                desk.cells[arm, stratum].months = 0.0
        state.enrolled = enrolled
        while state.enrolled < patients and desk.patients[state.enrolled].arrival <= month:
            state.enrolled += 1
        _complete(question.ending, desk, enrolled, month)
        answer_all(question.questions, question.rules.needed, stream, desk, desk.replies, 0, 0)
        rule = decide(question.rules, desk.replies, 0, state.enrolled, False)
        wins += 1 if verdict_of(question.rules, rule) == EFFICACY else 0
        _put_back(desk, patients, enrolled, kept_events)
    return wins / question.imputations


@kernel
def _complete(ending, desk, enrolled, month):
    """Write follow-up and status at the imagined final look of everybody enrolled by then, and the cells' sums."""
    state = desk.state[0]
    state.events = 0
    for patient in range(state.enrolled):
        person = desk.patients[patient]
        if patient >= enrolled or person.kept_follow < person.censor:
            event = desk.work[5, patient]
            person.status = 1 if event <= ending.followed and person.arrival + event <= month else 0
            limit = max(min(ending.followed, month - person.arrival), person.kept_follow)
            person.follow = event if person.status else limit
        cell = desk.cells[person.arm, person.stratum]
        cell.events += person.status
        cell.months += person.follow
        state.events += person.status


@kernel
def _put_back(desk, patients, enrolled, events):
    """Restore what `predictive_of_times` kept aside."""
    state = desk.state[0]
    state.enrolled = enrolled
    state.events = events
    for patient in range(patients):
        person = desk.patients[patient]
        person.follow = person.kept_follow
        person.status = person.kept_status
        person.arm = person.kept_arm
        person.arrival = person.kept_arrival
        person.censor = person.kept_censor
        person.stratum = person.kept_stratum
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].events = desk.cells[arm, stratum].kept_events
            desk.cells[arm, stratum].months = desk.cells[arm, stratum].kept_months
