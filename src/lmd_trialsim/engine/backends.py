"""Who plays the chunks: one thread, or several with the GIL released. The sums do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine.compiling import compile_all
from lmd_trialsim.engine.outcomes import LOOK_ANSWERS, NO_LOG, Outcomes, empty_outcomes
from lmd_trialsim.engine.plan import TrialPlan
from lmd_trialsim.engine.tally import Tally
from lmd_trialsim.engine.trial import play_chunk
from lmd_trialsim.kernel.desk import Desk, new_desk

LEAST_IN_A_CHUNK, MOST_IN_A_CHUNK = 64, 16_384
"""Enough that Python costs little; few enough that memory stays flat."""


def chunk_size(replicates: int) -> int:
    """Return the replicates in a chunk: some 64 chunks of a run, so that all threads have work."""
    return max(LEAST_IN_A_CHUNK, min(MOST_IN_A_CHUNK, replicates // 64))


class Job(NamedTuple):
    """One design under one truth."""

    plan: TrialPlan
    arms: int
    strata: int
    effect: float  # the true effect, NaN where there is not one
    replicates: int


def desk_for(plan: TrialPlan, arms: int, strata: int) -> Desk:
    """Return a desk with room for the plan's trials."""
    return new_desk(plan.limits.max_patients, arms, strata, plan.rules.needed.shape[0] + 8)


def play(job: Job, seed: int, start: int, stop: int) -> Outcomes:
    """Return the outcomes of replicates [start, stop)."""
    outcomes = empty_outcomes(stop - start, job.arms)
    desk = desk_for(job.plan, job.arms, job.strata)
    play_chunk(job.plan, desk, seed, start, stop, *outcomes, NO_LOG)
    return outcomes


def play_logged(job: Job, seed: int, replicate: int) -> tuple[Outcomes, NDArray[np.float64], Desk]:
    """Return the outcome of one replicate, the log of its looks (engine.outcomes), and the desk after it."""
    outcomes = empty_outcomes(1, job.arms)
    desk = desk_for(job.plan, job.arms, job.strata)
    questions = job.plan.rules.needed.shape[0]
    log = np.full((2 * job.plan.limits.looks + 2, LOOK_ANSWERS + questions), np.nan)
    desk.answers[:] = np.nan
    play_chunk(job.plan, desk, seed, replicate, replicate + 1, *outcomes, log)
    return outcomes, log[~np.isnan(log[:, 0])], desk


def _chunks(jobs: Sequence[Job], chunk: int | None) -> Iterator[tuple[int, int, int]]:
    for number, job in enumerate(jobs):
        size = chunk or chunk_size(job.replicates)
        for start in range(0, job.replicates, size):
            yield number, start, min(start + size, job.replicates)


def run_jobs(
    jobs: Sequence[Job],
    seed: int,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
    chunk: int | None = None,
) -> list[Tally]:
    """Play all jobs and return the tally of each.

    seed: of all random numbers. threads: how many play at once. progress: told the replicates that have been played.
    chunk: replicates in a chunk, where it is to be another number than `chunk_size`; no sum depends on it.
    """
    compile_all([job.plan for job in jobs], threads)
    totals: list[Tally | None] = [None] * len(jobs)
    stop = threading.Event()

    def one(number: int, start: int, end: int) -> tuple[int, Tally]:
        job = jobs[number]
        limits = job.plan.limits
        if stop.is_set():
            raise KeyboardInterrupt
        return number, Tally.of(play(job, seed, start, end), limits.looks, limits.max_patients, job.effect)

    with ThreadPoolExecutor(threads) as pool:
        chunks = _chunks(jobs, chunk)
        waiting: set[Future[tuple[int, Tally]]] = set()
        try:
            while True:
                # A few chunks ahead and no more: memory stays flat however many replicates there are.
                while len(waiting) < 2 * threads and (item := next(chunks, None)) is not None:
                    waiting.add(pool.submit(one, *item))
                if not waiting:
                    break
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    number, tally = future.result()
                    before = totals[number]
                    totals[number] = tally if before is None else before + tally
                    progress(tally.replicates)
        except BaseException:
            stop.set()
            raise
    return [total for total in totals if total is not None]
