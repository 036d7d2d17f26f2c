"""The door for counts that are not drawn but walked through: what the rules say of each state of the cells."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine.backends import Room
from lmd_trialsim.engine.cell_memory import MEAN, SQUARE, TAILS
from lmd_trialsim.engine.cell_plan import CellPlan, verdict_on_cell
from lmd_trialsim.engine.cell_trial import answer_of_cell, asked_look, asked_patients
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.seams import borrowed as borrowed_of
from lmd_trialsim.kernel.seams import consult, gather

AT_A_TIME = 50_000

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]


class Judged(NamedTuple):
    """What is said of the open cells of each state; each (states, cells)."""

    verdict: Integers  # kernel.rules
    mean: Reals  # posterior mean of the rate
    borrowed: Reals  # effective sample size beyond the cell's own patients
    covered: Integers  # 1 where the 95 % credible interval holds the true rate
    pooled: Integers  # (states,) as in kernel.desk


@door
def _judge(plan, desk, look, path, first, stop, n, x, still_open, verdict, mean, borrowed, covered, pooled):  # type: ignore[no-untyped-def]
    for state in range(first, stop):
        for cell in range(n.shape[1]):
            desk.cells[0, cell].patients = n[state, cell]
            desk.cells[0, cell].responses = x[state, cell]
            desk.cells[0, cell].open = desk.cells[0, cell].due = still_open[state, cell]
        desk.state[0].pooled = path
        said = desk.memory[consult(plan.data, plan.model, desk, plan.limits.bounds + 1)]
        gather(plan.pooling, desk, look)
        pooled[state] = desk.state[0].pooled
        row = asked_look(plan, desk, look)
        for cell in range(n.shape[1]):
            if still_open[state, cell]:
                answer_of_cell(plan, desk, said, cell)
                own = desk.cells[0, cell].said
                verdict[state, cell] = verdict_on_cell(plan.rules, desk.answers, row, cell, asked_patients(desk, cell))
                mean[state, cell] = said[own + MEAN]
                borrowed[state, cell] = borrowed_of(plan.data, said[own + MEAN], said[own + SQUARE], desk, cell)
                beyond = said[own + TAILS + plan.limits.bounds]
                covered[state, cell] = 1 if 0.025 <= beyond <= 0.975 else 0


def judge_states(
    plan: CellPlan, room: Room, look: int, n: Integers, x: Integers, still_open: Integers, threads: int, path: int = 0
) -> Judged:
    """Return what the rules say at a look of each state. n, x, still_open: (states, cells); path: pooled, as before."""
    shape = n.shape
    whole, real = np.zeros((2, *shape), np.int64), np.full((2, *shape), np.nan)
    judged = Judged(whole[0], real[0], real[1], whole[1], np.zeros(shape[0], np.int64))
    counts = [np.ascontiguousarray(array, np.int64) for array in (n, x, still_open)]

    def part(first: int) -> None:
        stop = min(first + AT_A_TIME, len(n))
        _judge(plan, room.desk(), look, path, first, stop, *counts, *judged)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, range(0, len(n), AT_A_TIME)))
    return judged
