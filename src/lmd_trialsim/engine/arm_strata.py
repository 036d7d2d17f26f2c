"""Strata of arms that close while the arm goes on elsewhere: adaptive enrichment.

At a look the patients known are put in order by stratum, and each stratum is a desk of its own, whose arms hold what is
known of the stratum: so analyses of arms, asked of it, speak of the stratum. Then the arms are observed on the patients
of the strata that are left to them.
"""

from __future__ import annotations

import math

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_plan import ClosingStrata
from lmd_trialsim.engine.arm_trial import answers_of_arm, end_arm, log_answers, log_known, log_place, look_of
from lmd_trialsim.engine.cell_plan import verdict_on_cell
from lmd_trialsim.kernel.by_reference import replaced
from lmd_trialsim.kernel.desk import ADMITS, ENDED, LAST, SHUT, SHUTS
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import OpenThroughout, forget_arms, runs
from lmd_trialsim.kernel.rules import GO_ON
from lmd_trialsim.kernel.seams import (
    beyond_effect,
    beyond_truth,
    end_with_strata,
    known_at,
    observe_arms,
    observe_strata,
    open_strata,
    open_to,
    rank_arms,
    release_strata,
    weigh_arms,
    weigh_population,
    write_strata,
)


@kernel
def view_of(desk, patients, arms):
    """Return the desk with other patients and arms."""
    return replaced(replaced(desk, "patients", patients), "arms", arms)


@kernel
def sort_by_stratum(plan, desk, upto):
    """Write the first `upto` patients to desk.sorted, by stratum; count them, and set what takes part, by_stratum."""
    strata, arms = desk.by_stratum.shape
    place = 0
    for stratum in range(strata):
        for number in range(arms):
            cell = desk.by_stratum[stratum, number]
            belongs = number == desk.state[0].control or desk.cells[number, stratum].open == ADMITS
            cell.status = desk.arms[number].status if belongs else ENDED
            cell.enrolled = 0
        for patient in range(upto):
            person = desk.patients[patient]
            if person.stratum == stratum:
                desk.sorted[place] = person
                desk.by_stratum[stratum, person.arm].enrolled += 1
                place += 1


@kernel
def stratum_of_desk(desk, stratum, start):
    """Return (the desk of a stratum, its patients), whose patients begin at `start`."""
    count = 0
    for number in range(desk.by_stratum.shape[1]):
        count += desk.by_stratum[stratum, number].enrolled
    return view_of(desk, desk.sorted[start : start + count], desk.by_stratum[stratum]), count


@observe_strata.case
def observe_and_judge_strata(strata: ClosingStrata, plan, desk, row, month):
    """Observe each stratum, ask the rules of strata, and then observe the arms."""
    state = desk.state[0]
    upto = state.enrolled if state.exhausted else known_at(plan.schedule, desk)
    state.month = month
    sort_by_stratum(plan, desk, upto)
    start = 0
    for stratum in range(desk.by_stratum.shape[0]):
        view, count = stratum_of_desk(desk, stratum, start)
        forget_arms(view)
        observe_arms(plan.randomising.endpoint, view, month, count)
        start += count
    start = 0
    for stratum in range(desk.by_stratum.shape[0]):
        view, count = stratum_of_desk(desk, stratum, start)
        state.known = count
        judge_stratum(strata, plan, desk, view, stratum, row, month)
        start += count
    _mark_last(desk)
    observe_left(strata, plan, desk, month, upto)


@kernel
def judge_stratum(strata, plan, desk, view, stratum, row, month):
    """Ask the rules of strata of the arms that are due and open to the stratum."""
    desk.state[0].stratum = stratum
    weigh_arms(strata.analysis, view)
    if strata.ranks:
        rank_arms(strata.analysis, view)
    arms, all_strata = desk.cells.shape
    for number in range(arms):
        arm, cell, known = desk.arms[number], desk.cells[number, stratum], view.arms[number]
        place = arms + number * all_strata + stratum
        if row.shape[0]:
            log_known(row[0], log_place(desk, place), known)
        if not arm.due or cell.open != ADMITS:
            continue
        answers_of_arm(strata.limits, strata.analysis, view, number, row.shape[0] > 0)
        own = look_of(plan, desk, arm, month)
        verdict = verdict_on_cell(strata.rules, desk.answers, own, number, known.patients)
        if row.shape[0]:
            log_answers(desk, row[0], place, own, verdict)
        if verdict != GO_ON:
            cell.open, cell.verdict, cell.look = SHUTS, verdict, own


@kernel
def has_stratum(desk, number):
    """Return whether some stratum is left to the arm."""
    for stratum in range(desk.cells.shape[1]):
        if desk.cells[number, stratum].open == ADMITS:
            return True
    return False


@kernel
def _mark_last(desk):
    """Mark the strata that have just been closed of the arms to which none is left: these arms end on them."""
    for number in range(desk.arms.shape[0]):
        if number != desk.state[0].control and not has_stratum(desk, number):
            for stratum in range(desk.cells.shape[1]):
                if desk.cells[number, stratum].open == SHUTS:
                    desk.cells[number, stratum].open = LAST


@kernel
def is_left(cell):
    """Return whether the stratum is among those that the arm takes, or that it ended on."""
    return cell.open == ADMITS or cell.open == LAST


@kernel
def is_left_out(strata, cell):
    """Return whether the stratum has been closed to the arm, and its patients are left out.

    Not where the arm was never open to it: whether its control patients count is a question of `controls`.
    """
    return not strata.counted and cell.verdict != GO_ON and cell.open != LAST


@kernel
def observe_left(strata, plan, desk, month, upto):
    """Write what is known of the arms and their controls, of the strata that have not been closed to each arm."""
    count = 0
    for patient in range(upto):
        person = desk.patients[patient]
        if is_left_out(strata, desk.cells[person.arm, person.stratum]):  # none is closed to the control
            continue
        matches = person.matches
        for number in range(desk.arms.shape[0]):
            if is_left_out(strata, desk.cells[number, person.stratum]):
                matches &= ~(1 << number)
        desk.sorted[count] = person
        desk.sorted[count].matches = matches
        count += 1
    forget_arms(desk)
    observe_arms(plan.randomising.endpoint, view_of(desk, desk.sorted, desk.arms), month, count)


@weigh_population.case
def weigh_all(strata: OpenThroughout, analysis, desk):
    """All."""
    weigh_arms(analysis, desk)


@weigh_population.case
def weigh_left(strata: ClosingStrata, analysis, desk):
    """Those whom `observe_left` has put together."""
    weigh_arms(analysis, view_of(desk, desk.sorted, desk.arms))


@end_with_strata.case
def end_none_with_strata(strata: OpenThroughout, plan, desk, row, month, integers, numbers):
    """There is none."""


@end_with_strata.case
def end_arms_without_strata(strata: ClosingStrata, plan, desk, row, month, integers, numbers):
    """Those whose last strata have just been closed, with the gravest of their verdicts."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if not (arm.due and runs(arm)) or has_stratum(desk, number):
            continue
        verdict = GO_ON
        for stratum in range(desk.cells.shape[1]):
            cell = desk.cells[number, stratum]
            verdict = max(verdict, cell.verdict) if cell.open == LAST else verdict
        end_arm(plan, desk, number, look_of(plan, desk, arm, month), verdict, integers, numbers)
        arm.due = 0
        if row.shape[0]:
            row[0, log_place(desk, number) + column.LOG_VERDICT] = verdict


@open_strata.case
def open_strata_that_close(strata: ClosingStrata, desk):
    """Those that the design says, and that patients come of."""
    for number in range(desk.cells.shape[0]):
        for stratum in range(desk.cells.shape[1]):
            cell = desk.cells[number, stratum]
            cell.open = ADMITS if strata.takes[number, stratum] else SHUT
            cell.verdict = GO_ON
            cell.look = -1


@open_to.case
def open_to_until_closed(strata: ClosingStrata, desk, number, stratum):
    """Until the decision to close the stratum is out."""
    return int(desk.cells[number, stratum].open != SHUT)


@release_strata.case
def release_no_strata(strata: OpenThroughout, desk):
    """There is none."""


@release_strata.case
def release_strata_that_close(strata: ClosingStrata, desk):
    """They take no more patients."""
    for number in range(desk.cells.shape[0]):
        for stratum in range(desk.cells.shape[1]):
            if desk.cells[number, stratum].open == SHUTS:
                desk.cells[number, stratum].open = SHUT


@beyond_truth.case
def beyond_truth_in_all(strata: OpenThroughout, analysis, desk, arm, beyond):
    """It is that in all."""
    return beyond


@beyond_truth.case
def beyond_truth_in_left(strata: ClosingStrata, analysis, desk, arm, beyond):
    """The average by the shares of the strata that are left, or the one number they have in common."""
    total, weight, last = 0.0, 0.0, math.nan
    closed, alike = False, True
    for stratum in range(desk.cells.shape[1]):
        if is_left(desk.cells[arm, stratum]):
            effect = strata.effect[arm, stratum]
            alike = alike and (weight == 0.0 or effect == last)
            total += strata.weight[stratum] * effect
            weight += strata.weight[stratum]
            last = effect
        elif strata.takes[arm, stratum]:
            closed = True
    if not closed:
        return beyond
    truth = total / weight if strata.averages else last
    if math.isnan(truth) or not (alike or strata.averages):
        return math.nan
    return beyond_effect(analysis, desk, arm, truth)


@write_strata.case
def write_no_strata(strata: OpenThroughout, desk, integers):
    """There is nothing to be told."""


@write_strata.case
def write_strata_that_close(strata: ClosingStrata, desk, integers):
    """Verdict and look of those that have been closed, and the patients of all."""
    arms, all_strata = desk.cells.shape
    first = column.HEAD + arms * column.OF_ARM
    for number in range(arms):
        for stratum in range(all_strata):
            at = first + (number * all_strata + stratum) * column.OF_STRATUM
            cell = desk.cells[number, stratum]
            integers[at + column.CLOSED_BY] = cell.verdict
            integers[at + column.CLOSED_AT] = cell.look
            integers[at + column.TAKEN] = 0
            integers[at + column.LEFT] = 1 if is_left(cell) else 0
    for patient in range(desk.state[0].enrolled):
        person = desk.patients[patient]
        at = first + (person.arm * all_strata + person.stratum) * column.OF_STRATUM
        integers[at + column.TAKEN] += 1
