"""The loop of a trial that is judged cell by cell: enrol until a look is due, observe, analyse, decide, close cells.

The verbs are those of `engine.trial`. What differs is that every cell opens, fills and ends for itself, and that whom
no cell takes is turned away: see docs/decisions/009.
"""

from __future__ import annotations

import math

from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.cell_memory import MEAN, SQUARE, TAILS
from lmd_trialsim.engine.cell_plan import CellPlan, verdict_on_cell
from lmd_trialsim.engine.cell_waiting import await_cells, come_until
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.rules import EFFICACY, GO_ON
from lmd_trialsim.kernel.screening import CLOSED, any_open, evaluable_in, open_cells
from lmd_trialsim.kernel.seams import borrowed, consult, counted, gather, note_tests, observe_cells, play_trial


@kernel
def predictive_of_cell(plan, desk, mean, square, cell):
    """Return the probability that the cell, once it is full, succeeds by itself.

    Responses to come are beta-binomial, with the beta distribution of the posterior's mean and mean square: that is the
    posterior itself where it is a beta distribution (Fujikawa et al. 2020, section 2.3).
    """
    seen = desk.cells[0, cell]
    left = plan.screening.most[cell] - seen.patients
    size = mean * (1.0 - mean) / (square - mean * mean) - 1.0
    alpha, beta = mean * size, (1.0 - mean) * size
    chance = 1.0  # of no response among those to come
    for patient in range(left):
        chance *= (beta + patient) / (alpha + beta + patient)
    total = 0.0
    for more in range(left + 1):
        total += chance * plan.alone[cell, seen.responses + more]
        chance *= (left - more) * (alpha + more) / ((more + 1.0) * (beta + left - more - 1.0))
    return total


@kernel
def answer_of_cell(plan, desk, said, cell):
    """Write what rules look at: tails beyond the bounds, mean, responses or events, predictive probability, tests."""
    bounds = plan.limits.bounds
    own = desk.cells[0, cell].said
    for bound in range(bounds):
        desk.answers[bound] = said[own + TAILS + bound]
    desk.answers[bounds] = said[own + MEAN]
    desk.answers[bounds + 1] = counted(plan.data, desk, cell)
    if plan.limits.predicts:
        desk.answers[bounds + 2] = predictive_of_cell(plan, desk, said[own + MEAN], said[own + SQUARE], cell)
    note_tests(plan.pooling, desk, cell, bounds + 1)


@kernel
def asked_patients(desk, cell):
    """Return the evaluable patients that rules are asked of: the cell's own, or those of the pool."""
    return desk.state[0].pool_patients if desk.state[0].pooled == 1 else evaluable_in(desk, cell)


@kernel
def asked_look(plan, desk, look):
    """Return the row of the thresholds at a look: those of a pool follow those of single cells."""
    return look + plan.limits.looks if desk.state[0].pooled == 1 else look


@kernel
def look_of_all(plan, desk):
    """Return the number of the look of the cells that are due, which is the same where cells are judged as one."""
    if desk.state[0].exhausted:
        return plan.limits.looks - 1
    look = 0
    for cell in range(desk.cells.shape[1]):
        if desk.cells[0, cell].open and desk.cells[0, cell].due:
            look = max(look, desk.cells[0, cell].look)
    return look


@kernel
def record_cell(plan, desk, said, cell, look, verdict, integers, numbers):
    """Write how a cell ends: its verdict, and what is estimated of its rate."""
    at = column.HEAD + cell * column.OF_CELL
    seen = desk.cells[0, cell]
    integers[at + column.VERDICT] = verdict
    integers[at + column.LOOK] = look
    integers[at + column.EVALUABLE] = evaluable_in(desk, cell)
    integers[at + column.COUNTED] = counted(plan.data, desk, cell)
    mean, square = said[seen.said + MEAN], said[seen.said + SQUARE]
    beyond = said[seen.said + TAILS + plan.limits.bounds]
    integers[at + column.COVERED] = -1 if math.isnan(beyond) else (1 if 0.025 <= beyond <= 0.975 else 0)
    at = 1 + cell * column.NUMBERS_OF_CELL
    numbers[at + column.ESTIMATE] = mean
    numbers[at + column.BORROWED] = borrowed(plan.data, mean, square, desk, cell)


@kernel
def judge_cells(plan, desk, integers, numbers):
    """Judge the cells that are due; return how many are still open."""
    said = desk.memory[consult(plan.data, plan.model, desk, plan.limits.bounds + 1)]
    last = plan.limits.looks - 1
    gather(plan.pooling, desk, look_of_all(plan, desk))
    still_open = 0
    for cell in range(desk.cells.shape[1]):
        state = desk.cells[0, cell]
        if state.open and state.due:
            number = last if desk.state[0].exhausted else state.look
            answer_of_cell(plan, desk, said, cell)
            asked = asked_look(plan, desk, number)
            verdict = verdict_on_cell(plan.rules, desk.answers, asked, cell, asked_patients(desk, cell))
            state.verdict = verdict
            if verdict != GO_ON or number == last:
                record_cell(plan, desk, said, cell, number, verdict, integers, numbers)
                state.open = 2
            state.look = number + 1
        still_open += 1 if state.open == 1 else 0
    return still_open


@kernel
def close_judged(desk):
    """Close the cells that have been judged, once the decision is out."""
    for cell in range(desk.cells.shape[1]):
        desk.cells[0, cell].open = 1 if desk.cells[0, cell].open == 1 else 0


@kernel
def open_rows(desk, integers, numbers):
    """Write that no cell has been judged."""
    numbers[0] = 0.0
    for cell in range(desk.cells.shape[1]):
        at = column.HEAD + cell * column.OF_CELL
        integers[at + column.VERDICT] = GO_ON
        integers[at + column.LOOK] = -1
        integers[at + column.COVERED] = -1
        at = 1 + cell * column.NUMBERS_OF_CELL
        numbers[at + column.ESTIMATE] = math.nan
        numbers[at + column.BORROWED] = math.nan


@kernel
def close_rows(plan, desk, month, integers, numbers):
    """Write what is known of the whole trial at its end."""
    wins = 0
    for cell in range(desk.cells.shape[1]):
        at = column.HEAD + cell * column.OF_CELL
        integers[at + column.PATIENTS] = desk.cells[0, cell].enrolled
        wins += 1 if integers[at + column.VERDICT] == EFFICACY else 0
    integers[column.ENROLLED] = desk.state[0].enrolled
    integers[column.SUCCEEDED] = 1 if wins >= plan.limits.succeeds_with else 0
    integers[column.POOLED] = 1 if desk.state[0].pooled == 1 else 0
    integers[column.CLOSED_EARLY] = 1 if desk.state[0].exhausted == CLOSED else 0
    numbers[column.MONTHS] = month


@kernel
def exposure_in(desk, cell):
    """Return the patient-months of a cell, in all arms."""
    months = 0.0
    for arm in range(desk.cells.shape[0]):
        months += desk.cells[arm, cell].months
    return months


@kernel
def _write_log(plan, desk, row, month, judged_before):
    """Write what was known at a look, and what was made of it. judged_before: (bits) cells that were closed before."""
    bounds = plan.limits.bounds
    said = desk.memory[consult(plan.data, plan.model, desk, bounds + 1)]
    row[column.LOG_MONTH] = month
    row[column.LOG_ENROLLED] = desk.state[0].enrolled
    row[column.LOG_POOLED] = desk.state[0].pooled
    row[column.LOG_HOMOGENEITY] = desk.state[0].homogeneity
    for cell in range(desk.cells.shape[1]):
        seen = desk.cells[0, cell]
        at = column.LOG_HEAD + cell * (column.LOG_TAILS + bounds)
        row[at + column.LOG_PATIENTS] = evaluable_in(desk, cell)
        row[at + column.LOG_COUNTED] = counted(plan.data, desk, cell)
        row[at + column.LOG_EXPOSURE] = exposure_in(desk, cell)
        row[at + column.LOG_OF_CONTROL] = seen.patients
        row[at + column.LOG_OF_CONTROL + 1] = seen.events + seen.responses
        row[at + column.LOG_OF_CONTROL + 2] = seen.months
        judged = seen.due and not judged_before >> cell & 1
        last = desk.state[0].exhausted
        row[at + column.LOG_LOOK] = (plan.limits.looks - 1 if last else seen.look - 1) if judged else -1
        row[at + column.LOG_VERDICT] = seen.verdict if judged else GO_ON
        answer_of_cell(plan, desk, said, cell)
        row[at + column.LOG_MEAN] = desk.answers[bounds]
        row[at + column.LOG_PREDICTIVE] = desk.answers[bounds + 2]
        row[at + column.LOG_ASKED] = asked_patients(desk, cell)
        row[at + column.LOG_ASKED + 1] = desk.answers[bounds + 1]
        row[at + column.LOG_TESTS] = desk.answers[bounds + 3]
        row[at + column.LOG_TESTS + 1] = desk.answers[bounds + 4]
        for bound in range(bounds):
            row[at + column.LOG_TAILS + bound] = desk.answers[bound]


@kernel
def _closed(desk):
    """Return the cells that take part no more, as bits."""
    bits = 0
    for cell in range(desk.cells.shape[1]):
        bits |= 0 if desk.cells[0, cell].open else 1 << cell
    return bits


@play_trial.case
def play_cells(plan: CellPlan, stream, desk, integers, numbers, log):
    """Play one replicate and write its row; what was known at each look is written to `log` as far as that has rows."""
    state = desk.state[0]
    open_cells(plan.screening, desk)
    open_rows(desk, integers, numbers)
    look = 0
    while True:
        month = await_cells(plan.schedule, plan.screening, stream, desk, look)
        if not any_open(desk):
            state.decided = month
            break
        observe_cells(plan.screening.endpoint, plan.limits.delay, desk, month)
        before = _closed(desk)
        still_open = judge_cells(plan, desk, integers, numbers)
        if look < log.shape[0]:
            _write_log(plan, desk, log[look], month, before)
        state.decided = month + plan.limits.months_to_decide
        if state.exhausted:
            break
        come_until(plan.screening, stream, desk, state.decided)
        if still_open == 0:
            break
        close_judged(desk)
        look += 1
    close_rows(plan, desk, state.decided, integers, numbers)
