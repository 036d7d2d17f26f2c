"""The loop of a trial that is judged arm by arm: enrol until a look is due, observe, analyse, decide, adapt.

The verbs are those of `engine.trial`. What differs is that arms enter, fill and leave beside a control that they share,
and that the shares in which patients are allocated may follow what is known.
"""

from __future__ import annotations

import math

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_plan import BEST, COUNTED, ESTIMATE, PREDICTIVE, STATISTIC, TAILS, ArmPlan
from lmd_trialsim.engine.arm_waiting import pass_time
from lmd_trialsim.engine.cell_plan import verdict_on_cell
from lmd_trialsim.kernel.desk import CLOSING, ENDED, FULL, WAITING
from lmd_trialsim.kernel.enrolment import A_MOMENT
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import (
    CONTROLS_TESTED,
    OpenThroughout,
    forget_arms,
    open_trial,
    runs,
    share_controls,
    somebody_comes,
    test_and_pool,
)
from lmd_trialsim.kernel.rules import EFFICACY, FUTILITY, GO_ON
from lmd_trialsim.kernel.screening import CLOSED
from lmd_trialsim.kernel.seams import (
    all_alike,
    beyond_truth,
    end_with_strata,
    estimate_of_arm,
    known_at,
    mark_due,
    moments_of_arm,
    observe_arms,
    observe_strata,
    play_trial,
    rank_arms,
    release_strata,
    statistic_of_arm,
    tail_of_arm,
    weigh_population,
    write_strata,
)
from lmd_trialsim.kernel.special import normal_cdf


@observe_strata.case
def observe_all(strata: OpenThroughout, plan, desk, row, month):
    """Write what is known of the arms and their controls."""
    state = desk.state[0]
    upto = state.enrolled if state.exhausted else known_at(plan.schedule, desk)
    state.month = month
    if plan.randomising.controls == CONTROLS_TESTED:
        forget_arms(desk)  # the last look may have pooled
    observe_arms(plan.randomising.endpoint, desk, month, upto)
    if plan.randomising.controls == CONTROLS_TESTED:
        test_and_pool(plan.randomising.endpoint, desk, plan.randomising.pool_below)


@kernel
def answers_of_arm(limits, analysis, desk, number, logged):
    """Write what rules look at, and the estimate where it is logged."""
    arm = desk.arms[number]
    desk.answers[BEST] = arm.best
    desk.answers[COUNTED] = arm.events + arm.responses
    desk.answers[STATISTIC] = statistic_of_arm(analysis, desk, number)
    if limits.estimates or logged:
        desk.answers[ESTIMATE] = estimate_of_arm(analysis, desk, number)[0]
    if limits.next_size > 0.0:
        desk.answers[PREDICTIVE] = predictive_of_next(limits, analysis, desk, number)
    for bound in range(limits.bounds):
        desk.answers[TAILS + bound] = tail_of_arm(analysis, desk, number, bound)


@kernel
def predictive_of_next(limits, analysis, desk, number):
    """Return the probability that the z of the confirmatory trial is beyond its bound, all taken as normal.

    The effect is m with variance v, and the new trial knows it by variance s: its estimate is normal about m with
    variance v + s, and must be beyond next_z * sqrt(s) (Spiegelhalter et al. 2004, section 6.6.3).
    """
    mean, variance, unit = moments_of_arm(analysis, desk, number)
    own = unit / limits.next_size
    benefit = limits.direction * mean
    return normal_cdf((benefit - limits.next_z * math.sqrt(own)) / math.sqrt(variance + own))


@kernel
def is_last(plan, desk, arm, month):
    """Return whether the look is the arm's last: it is full and all its patients are assessed, or the trial is over."""
    if desk.state[0].exhausted:
        return True
    upto = known_at(plan.schedule, desk)
    seen = upto > 0 and desk.patients[upto - 1].arrival >= arm.last
    return arm.status == FULL and seen and month >= arm.last + plan.limits.delay - A_MOMENT


@kernel
def look_of(plan, desk, arm, month):
    """Return the number of the look that the arm is judged at."""
    return plan.limits.looks - 1 if is_last(plan, desk, arm, month) else min(arm.look, plan.limits.looks - 1) - 1


@kernel
def record_arm(plan, desk, number, look, verdict, integers, numbers):
    """Write the verdict on an arm, and what is estimated of its effect."""
    arm = desk.arms[number]
    at = column.HEAD + number * column.OF_ARM
    integers[at + column.VERDICT] = verdict
    integers[at + column.LOOK] = look
    integers[at + column.EVALUABLE] = arm.patients
    integers[at + column.CONTROLS] = arm.control_patients
    integers[at + column.COUNTED] = arm.events + arm.responses
    estimate, beyond = estimate_of_arm(plan.analysis, desk, number)
    beyond = beyond_truth(plan.randomising.strata, plan.analysis, desk, number, beyond)
    integers[at + column.COVERED] = -1 if math.isnan(beyond) else (1 if 0.025 <= beyond <= 0.975 else 0)
    at = 1 + number * column.NUMBERS_OF_ARM
    numbers[at + column.ESTIMATE] = estimate
    numbers[at + column.DECIDED] = desk.state[0].month + plan.limits.months_to_decide - arm.opened
    arm.verdict = verdict


@kernel
def end_arm(plan, desk, number, look, verdict, integers, numbers):
    """Write how an arm ends, and let it end with the decision."""
    record_arm(plan, desk, number, look, verdict, integers, numbers)
    desk.arms[number].status = CLOSING


@kernel
def judge_arms(plan, desk, log, look, month, integers, numbers):
    """Judge the arms that are due; return how many succeed."""
    limits = plan.limits
    successes = 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if not arm.due:
            continue
        answers_of_arm(limits, plan.analysis, desk, number, look < log.shape[0])
        own = look_of(plan, desk, arm, month)
        verdict = verdict_on_cell(plan.rules, desk.answers, own, number, arm.patients)
        if look < log.shape[0]:
            log_answers(desk, log[look], number, own, verdict)
        if verdict == EFFICACY and limits.replaces:
            record_arm(plan, desk, number, own, verdict, integers, numbers)
            successes += 1
        elif verdict != GO_ON:
            end_arm(plan, desk, number, own, verdict, integers, numbers)
            successes += 1 if verdict == EFFICACY else 0
    return successes


@kernel
def count_looks(desk):
    """Count the look of the arms that are due."""
    for number in range(desk.arms.shape[0]):
        desk.arms[number].look += desk.arms[number].due
        desk.arms[number].verdict = GO_ON


@kernel
def replace_control(plan, desk, look, integers, numbers):
    """Make the arm that is likeliest to be best, of those that have just succeeded, the control; drop the old one."""
    state = desk.state[0]
    winner = -1
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        beats = winner < 0 or arm.best > desk.arms[winner].best
        if number != state.control and runs(arm) and arm.verdict == EFFICACY and beats:
            winner = number
    for number in range(desk.arms.shape[0]):  # the others must show it against the new control
        if number != winner and runs(desk.arms[number]) and desk.arms[number].verdict == EFFICACY:
            integers[column.HEAD + number * column.OF_ARM + column.VERDICT] = GO_ON
            desk.arms[number].verdict = GO_ON
    end_arm(plan, desk, state.control, min(look, plan.limits.looks - 1), FUTILITY, integers, numbers)
    desk.arms[winner].due = 0
    state.control = winner
    share_controls(desk)


@kernel
def log_place(desk, number):
    """Return where the columns of an arm begin in a row of the log; those of strata of arms follow the last arm's."""
    return column.LOG_HEAD + number * (column.LOG_ANSWERS + desk.answers.shape[0])


@kernel
def log_answers(desk, row, number, own, verdict):
    """Write what rules looked at, and what came of it."""
    at = log_place(desk, number)
    row[at + column.LOG_LOOK] = own
    row[at + column.LOG_VERDICT] = verdict
    for answer in range(desk.answers.shape[0]):
        row[at + column.LOG_ANSWERS + answer] = desk.answers[answer]


@kernel
def log_known(row, at, arm):
    """Write what is known of an arm, or of a stratum of it, and of the patients it is compared with."""
    row[at + column.LOG_PATIENTS] = arm.patients
    row[at + column.LOG_COUNTED] = arm.events + arm.responses
    row[at + column.LOG_EXPOSURE] = arm.months if arm.months > 0.0 else arm.total
    row[at + column.LOG_CONTROLS] = arm.control_patients
    row[at + column.LOG_CONTROLS_COUNTED] = arm.control_events + arm.control_responses
    row[at + column.LOG_CONTROLS_EXPOSURE] = arm.control_months if arm.control_months > 0.0 else arm.control_total


@kernel
def _log_look(desk, row, month):
    """Write what was known of the arms at a look, before they are judged."""
    row[column.LOG_MONTH] = month
    row[column.LOG_ENROLLED] = desk.state[0].enrolled
    row[column.LOG_CONTROL] = desk.state[0].control
    row[column.LOG_ALIKE] = math.nan
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        at = log_place(desk, number)
        row[at + column.LOG_STATUS] = arm.status
        row[at + column.LOG_LOOK] = -1
        row[at + column.LOG_VERDICT] = GO_ON
        log_known(row, at, arm)
        row[at + column.LOG_SHARE] = arm.share


@kernel
def count_running(desk):
    """Return how many arms run, the control aside."""
    running = 0
    for number in range(desk.arms.shape[0]):
        running += 1 if number != desk.state[0].control and runs(desk.arms[number]) else 0
    return running


@kernel
def look_had(plan, desk, arm):
    """Return the number of the look that the arm has just had, or had before; -1 where it had none."""
    if arm.due and is_last(plan, desk, arm, desk.state[0].month):
        return plan.limits.looks - 1
    return min(arm.look, plan.limits.looks) - 1


@kernel
def keep_the_best(plan, desk, look, integers, numbers):
    """Close all but so many arms, those with the largest estimates."""
    most = plan.keep[min(look, plan.keep.shape[0] - 1)]
    while count_running(desk) > most:
        worst = -1
        least = math.inf
        for number in range(desk.arms.shape[0]):
            if number != desk.state[0].control and runs(desk.arms[number]):
                benefit = plan.limits.direction * estimate_of_arm(plan.analysis, desk, number)[0]
                benefit = 0.0 if math.isnan(benefit) else benefit  # a test that knows nothing yet
                if worst < 0 or benefit < least:
                    worst, least = number, benefit
        end_arm(plan, desk, worst, look_had(plan, desk, desk.arms[worst]), FUTILITY, integers, numbers)


@kernel
def end_all(plan, desk, verdict, integers, numbers):
    """Close the arms that still run, all with this verdict."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if number != desk.state[0].control and runs(arm):
            end_arm(plan, desk, number, max(look_had(plan, desk, arm), 0), verdict, integers, numbers)


@kernel
def end_last(plan, desk, month, integers, numbers):
    """Close the arms whose last look this was, without a verdict."""
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if arm.due and runs(arm) and is_last(plan, desk, arm, month):
            end_arm(plan, desk, number, plan.limits.looks - 1, GO_ON, integers, numbers)


@kernel
def release(plan, desk):
    """Close the arms that have been judged, and strata of arms, now that the decision is out."""
    release_strata(plan.randomising.strata, desk)
    for number in range(desk.arms.shape[0]):
        if desk.arms[number].status == CLOSING:
            desk.arms[number].status = ENDED
    desk.state[0].stale = 1


@kernel
def may_come(plan, desk):
    """Return whether arms are still to come, and patients for them."""
    state = desk.state[0]
    return state.waiting > 0 and not state.exhausted and state.enrolled < plan.randomising.in_all


@kernel
def any_left(desk):
    """Return whether an arm runs, or may enter."""
    return desk.state[0].waiting > 0 or count_running(desk) > 0


@kernel
def open_rows(desk, integers, numbers):
    """Write that no arm has entered or been judged."""
    numbers[column.MONTHS] = 0.0
    integers[column.SUCCEEDED] = 0
    integers[column.ENDED_AS] = 0
    for number in range(desk.arms.shape[0]):
        at = column.HEAD + number * column.OF_ARM
        for place in range(column.OF_ARM):
            integers[at + place] = 0
        integers[at + column.LOOK] = -1
        integers[at + column.COVERED] = -1
        at = 1 + number * column.NUMBERS_OF_ARM
        for place in range(column.NUMBERS_OF_ARM):
            numbers[at + place] = math.nan


@kernel
def close_rows(plan, desk, month, integers, numbers):
    """Write what is known of the whole trial at its end."""
    state = desk.state[0]
    integers[column.ENROLLED] = state.enrolled
    integers[column.ARRIVED] = state.arrived
    integers[column.CLOSED_EARLY] = 1 if state.exhausted == 2 else 0
    numbers[column.MONTHS] = month
    best = -math.inf
    integers[column.SELECTED] = state.control
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        at = column.HEAD + number * column.OF_ARM
        integers[at + column.PATIENTS] = arm.enrolled
        integers[at + column.ENTERED] = 0 if arm.status == WAITING else 1
        of = 1 + number * column.NUMBERS_OF_ARM
        numbers[of + column.QUEUED] = math.nan if arm.status == WAITING else arm.opened - arm.queued
        if number == state.control and not plan.limits.replaces:
            integers[at + column.EVALUABLE] = arm.patients
            integers[at + column.COUNTED] = arm.events + arm.responses
        elif not plan.limits.replaces and integers[at + column.VERDICT] == EFFICACY:
            benefit = plan.limits.direction * numbers[of + column.ESTIMATE]
            if benefit > best:
                best = benefit
                integers[column.SELECTED] = number


@kernel
def judge(plan, desk, log, look, month, integers, numbers):
    """Analyse and decide; return whether the trial is over."""
    limits, strata = plan.limits, plan.randomising.strata
    successes = 0
    again = True  # against a new control everything is looked at once more
    while again:
        weigh_population(strata, plan.analysis, desk)
        if limits.ranks:
            rank_arms(plan.analysis, desk)
        if look < log.shape[0] and not successes:
            _log_look(desk, log[look], month)
        end_with_strata(strata, plan, desk, log[look : look + 1], month, integers, numbers)
        found = judge_arms(plan, desk, log, look, month, integers, numbers)
        successes += found
        again = limits.replaces and found > 0
        if again:
            replace_control(plan, desk, look, integers, numbers)
    if not desk.state[0].exhausted:
        keep_the_best(plan, desk, look, integers, numbers)
    integers[column.SUCCEEDED] += successes
    return is_over(plan, desk, log, look, month, successes, integers, numbers)


@kernel
def is_over(plan, desk, log, look, month, successes, integers, numbers):
    """Close the arms that nothing is left to be learnt of; return whether the trial is over."""
    limits = plan.limits
    running = count_running(desk)
    if limits.last_wins and running == 1 and not may_come(plan, desk) and not successes:
        integers[column.SUCCEEDED] += 1
        integers[column.ENDED_AS] = column.AS_ONE_LEFT
        end_all(plan, desk, EFFICACY, integers, numbers)
    if limits.replaces and running == 0 and not may_come(plan, desk):
        integers[column.ENDED_AS] = column.AS_ONE_LEFT
    if successes and limits.ends_with_success:
        end_all(plan, desk, GO_ON, integers, numbers)
        return True
    if limits.alike_above < math.inf and count_running(desk) > 1:
        alike = all_alike(plan.analysis, desk)
        if look < log.shape[0]:
            log[look, column.LOG_ALIKE] = alike
        if alike > limits.alike_above:
            integers[column.ENDED_AS] = column.AS_ALIKE
            end_all(plan, desk, GO_ON, integers, numbers)
            return True
    end_last(plan, desk, month, integers, numbers)
    return desk.state[0].exhausted > 0 or not any_left(desk)


@play_trial.case
def play_arms(plan: ArmPlan, stream, desk, integers, numbers, log):
    """Play one replicate and write its row; what was known at each look is written to `log` as far as that has rows."""
    state = desk.state[0]
    open_trial(plan.randomising, stream, desk)
    open_rows(desk, integers, numbers)
    look = 0
    over = False
    deciding = False  # A look has been taken, and its decision is not out yet.
    while True:
        awaited = -1 if deciding else look
        month = pass_time(plan.schedule, plan.randomising, plan.limits.delay, stream, desk, awaited, state.decided)
        if deciding:
            deciding = False
            release(plan, desk)
            if over:
                break
            look += 1
            state.due = math.inf
            continue
        comes = somebody_comes(plan.randomising, stream, desk)
        if not count_running(desk) and (state.exhausted or not comes):
            # There is nothing to look at: the arms that were waited for can't enter any more.
            state.exhausted = CLOSED if comes else 1
            state.decided = month if comes else state.decided
            break
        mark_due(plan.schedule, desk, month)
        count_looks(desk)
        observe_strata(plan.randomising.strata, plan, desk, log[look : look + 1], month)
        over = judge(plan, desk, log, look, month, integers, numbers)
        state.decided = month + plan.limits.months_to_decide
        deciding = True
    close_rows(plan, desk, state.decided, integers, numbers)
    write_strata(plan.randomising.strata, desk, integers)
