"""Five baskets of 20: the borrowing models at one look and at three, beside one kernel that looks verdicts up.

The limit knows its design by heart: it draws the same patients, and reads what is concluded of all baskets from a table
of all 21^5 data that the one look may find. It estimates nothing and can play nothing else.
"""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import numpy as np

from benchmarks.measuring import THREADS, Figure, Limit, job, trials_a_second
from lmd_trialsim.engine.backends import Job
from lmd_trialsim.engine.cell_states import judge_states
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.rules import EFFICACY

BASKETS, MOST, REPLICATES = "abcde", 20, 1_000_000
MEAN = {"mean": -1.4, "sd": 2}
SCALE = {"kind": "half_normal", "scale": 1}
ANALYSES: dict[str, dict[str, Any]] = {
    "hierarchical": {"kind": "hierarchical", "mean": MEAN, "sd": SCALE},
    "exnex": {
        "kind": "exnex",
        "exchangeable": [{"weight": 0.5, "mean": MEAN, "sd": SCALE}],
        "non_exchangeable": {"weight": 0.5, **MEAN},
    },
    "local_exchangeability": {
        "kind": "multi_source_exchangeability",
        "models": "local",
        "exchangeability": 0.5,
        "prior": {"alpha": 0.5, "beta": 0.5},
    },
    "jensen_shannon": {
        "kind": "power_prior",
        "weights": {"kind": "jensen_shannon", "epsilon": 2, "tau": 0.5},
        "prior": {"alpha": 1, "beta": 1},
    },
    "all_matrices": {
        "kind": "multi_source_exchangeability",
        "models": "matrices",
        "exchangeability": 0.5,
        "prior": {"alpha": 0.5, "beta": 0.5},
    },
}
GOALS = {name: (100_000 if name == "all_matrices" else 400_000, 100_000) for name in ANALYSES}
"""Trials a second at one look and at three."""

ABOVE_NULL = {"probability_that": "rate", "above": "null_rate", "exceeds": 0.9}
BELOW_MIDPOINT = {"probability_that": "rate", "above": "midpoint", "is_below": 0.05}


def scenario(analysis: dict[str, Any], looks: list[int]) -> dict[str, Any]:
    """Return five baskets, two of them active; interim looks at these numbers of patients in each."""
    rules: list[dict[str, Any]] = [{"stop_for": "efficacy", "at": "final", "when": ABOVE_NULL}]
    design: dict[str, Any] = {
        "kind": "basket",
        "endpoint": "response",
        "null_rate": 0.2,
        "target_rate": 0.4,
        "max_patients": MOST,
        "analysis": analysis,
        "rules": rules,
    }
    if looks:
        design |= {"looks": {"in_each": looks}, "accrual_at_looks": "pauses"}
        rules.insert(0, {"stop_for": "futility", "at": "interim", "when": BELOW_MIDPOINT})
    rates = {name: {"rate": 0.4 if name in "ab" else 0.2} for name in BASKETS}
    return {
        "schema": 1,
        "title": "Five baskets",
        "population": {"accrual": {"patients_per_month": 4}, "strata": dict.fromkeys(BASKETS, 0.2)},
        "endpoints": {"response": {"kind": "binary"}},
        "arms": {"drug": {}},
        "truths": {"two_active": {"response": {"drug": {"by_stratum": rates}}}},
        "designs": {"basket": design},
    }


def verdicts_of_all_data(played: Job) -> np.ndarray:
    """Return the successful baskets, as bits, of all responses at the one look, (MOST + 1,) * 5."""
    ordered = np.array(list(itertools.combinations_with_replacement(range(MOST + 1), len(BASKETS))))
    n, still_open = np.full_like(ordered, MOST), np.ones_like(ordered)
    judged = judge_states(played.plan, played.room, 0, n, ordered, still_open, THREADS)
    table = np.zeros((MOST + 1,) * len(BASKETS), np.uint8)
    for order in itertools.permutations(range(len(BASKETS))):
        bits = ((judged.verdict == EFFICACY) << np.argsort(np.argsort(order))).sum(axis=1)
        at = np.empty_like(ordered)
        at[:, np.argsort(np.argsort(order))] = ordered
        table[tuple(at.T)] = bits
    return table.ravel()


@door
def _play(table, seed, start, stop, placed, responses, outcomes):  # type: ignore[no-untyped-def]
    """The same patients: five baskets of equal shares, two of them active, until the last one is full."""
    for replicate in range(start, stop):
        stream = Stream(seed, replicate)
        placed[:] = 0
        responses[:] = 0
        full, group, months = 0, 0, 0.0
        while full < 5:
            s = random.eight_uniforms(stream, group, random.STRATUM, 0)
            r = random.eight_uniforms(stream, group, random.RESPONSE, 0)
            g = random.eight_uniforms(stream, group, random.ARRIVAL, 0)
            wait = 1.0
            for i in range(8):
                wait *= g[i]
                basket = int(s[i] * 5.0)
                if placed[basket] < 20:
                    placed[basket] += 1
                    responses[basket] += int(r[i] < (0.4 if basket < 2 else 0.2))
                    full += 1 if placed[basket] == 20 else 0
                    if full == 5:
                        break
            months -= math.log(wait) / 4.0
            group += 1
        place = 0
        for basket in range(5):
            place = place * 21 + responses[basket]
        row = outcomes[replicate - start]
        row[0], row[1] = table[place], months


def limit_of(played: Job) -> Limit:
    """Return the kernel that knows the one-look design of the job by heart."""
    table = verdicts_of_all_data(played)

    def limit(seed: int, start: int, stop: int) -> None:
        outcomes, counts = np.zeros((16_384, 2)), np.zeros((2, 5), np.int64)
        for first in range(start, stop, 16_384):
            _play(table, seed, first, min(first + 16_384, stop), *counts, outcomes)

    return limit


def measure() -> list[Figure]:
    """Return, of each model, the seconds that its tables take, and the rates at one look and at three."""
    figures = []
    for name, analysis in ANALYSES.items():
        one, three = scenario(analysis, []), scenario(analysis, [7, 14])
        start = time.perf_counter()
        played = job(three, 1)
        figures.append(Figure(f"baskets_{name}_tables", "s", time.perf_counter() - start, 3.0, None))
        played = job(one, 1)
        figures.append(trials_a_second(f"baskets_{name}_one_look", one, REPLICATES, GOALS[name][0], limit_of(played)))
        figures.append(trials_a_second(f"baskets_{name}_three_looks", three, REPLICATES // 2, GOALS[name][1], None))
    return figures
