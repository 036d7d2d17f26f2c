"""How a rate is measured: the program and its limit in turn, on the same threads, the best of several rounds each."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from lmd_trialsim import simulation
from lmd_trialsim.engine.backends import Job, run_jobs
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario

THREADS = 2
ROUNDS = 5

Limit = Callable[[int, int, int], Any]
"""Plays replicates [start, stop) under a seed: (seed, start, stop)."""


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    unit: str
    value: float
    goal: float
    limit: float | None

    @property
    def ratio_to_limit(self) -> float | None:
        """How many times slower than the limit; 1 is at it."""
        return None if self.limit is None else self.limit / self.value


def job(scenario: dict[str, Any], replicates: int) -> Job:
    """Return the job of the scenario's one design under its one truth."""
    read = Scenario.of(Document(scenario, "benchmark"))
    (design,), (truth,) = read.designs, read.truths
    return simulation.job_of(read, design, truth, replicates)


def _seconds(play: Callable[[], Any]) -> float:
    start = time.perf_counter()
    play()
    return time.perf_counter() - start


def trials_a_second(name: str, scenario: dict[str, Any], replicates: int, goal: float, limit: Limit | None) -> Figure:
    """Return the rate of the whole path, from plan to tally, beside that of the limit if there is one."""
    ours = job(scenario, replicates)
    half = replicates // THREADS

    def play_limit(limit: Limit) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda k: limit(1, k * half, (k + 1) * half), range(THREADS)))

    run_jobs([ours._replace(replicates=THREADS)], 1, THREADS)
    if limit is not None:
        limit(1, 0, 1)
    best, best_limit = float("inf"), float("inf")
    for _ in range(ROUNDS):
        best = min(best, _seconds(lambda: run_jobs([ours], 1, THREADS)))
        if limit is not None:
            best_limit = min(best_limit, _seconds(functools.partial(play_limit, limit)))
    return Figure(name, "trials/s", replicates / best, goal, None if limit is None else half * THREADS / best_limit)
