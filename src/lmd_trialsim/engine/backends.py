"""Who plays the chunks: one thread, or several with the GIL released. The sums do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine.chunk import play_chunk
from lmd_trialsim.engine.compiling import compile_all
from lmd_trialsim.engine.outcomes import NO_LOG, Outcomes, empty_outcomes
from lmd_trialsim.kernel.desk import Desk, new_desk

LEAST_IN_A_CHUNK, MOST_IN_A_CHUNK = 64, 16_384
"""Enough that Python costs little; few enough that memory stays flat."""


def chunk_size(replicates: int) -> int:
    """Return the replicates in a chunk: some 64 chunks of a run, so that all threads have work."""
    return max(LEAST_IN_A_CHUNK, min(MOST_IN_A_CHUNK, replicates // 64))


class Room(NamedTuple):
    """What the desk of a trial must hold."""

    patients: int
    arms: int
    strata: int
    answers: int
    scratch: int = 1
    memory: tuple[int, int] = (1, 1)  # entries that a model's answers are remembered in, numbers of an entry
    early: int = 0  # patients with an early endpoint
    closing: int = 0  # 1 where strata of arms may close

    def desk(self) -> Desk:
        """Return a clean desk."""
        return new_desk(*self)


class Job(NamedTuple):
    """One design under one truth: what is played, and how it is added up."""

    plan: Any
    room: Room
    columns: tuple[int, int]  # of integers and of numbers that are kept of a trial
    log: tuple[int, int]  # rows and columns that hold all looks of a trial
    tally: Callable[[Outcomes], Any]  # what is added: has replicates and +
    replicates: int


def play(job: Job, seed: int, start: int, stop: int, desk: Desk | None = None) -> Outcomes:
    """Return the outcomes of replicates [start, stop), played on a clean desk if none of this job is handed over."""
    outcomes = empty_outcomes(stop - start, *job.columns)
    play_chunk(job.plan, desk or job.room.desk(), seed, start, stop, *outcomes, NO_LOG)
    return outcomes


class _OwnDesk(threading.local):
    """The desk of the job that a thread is at: what it remembers serves the next chunk too."""

    number = -1
    desk: Desk | None = None

    def of(self, number: int, job: Job) -> Desk:
        if self.desk is None or self.number != number:
            self.number, self.desk = number, job.room.desk()
        return self.desk


def play_logged(job: Job, seed: int, replicate: int) -> tuple[Outcomes, NDArray[np.float64], Desk]:
    """Return the outcome of one replicate, the log of its looks (engine.outcomes), and the desk after it."""
    outcomes = empty_outcomes(1, *job.columns)
    desk = job.room.desk()
    log = np.full(job.log, np.nan)
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
) -> list[Any]:
    """Play all jobs and return the tally of each.

    seed: of all random numbers. threads: how many play at once. progress: told the replicates that have been played.
    chunk: replicates in a chunk, where it is to be another number than `chunk_size`; no sum depends on it.
    """
    compile_all([job.plan for job in jobs], threads)
    totals: list[Any] = [None] * len(jobs)
    stop = threading.Event()
    own = _OwnDesk()

    def one(number: int, start: int, end: int) -> tuple[int, Any]:
        job = jobs[number]
        if stop.is_set():
            raise KeyboardInterrupt
        return number, job.tally(play(job, seed, start, end, own.of(number, job)))

    with ThreadPoolExecutor(threads) as pool:
        chunks = _chunks(jobs, chunk)
        waiting: set[Future[tuple[int, Any]]] = set()
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
