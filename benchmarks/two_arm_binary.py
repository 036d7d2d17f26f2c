"""Two arms, binary endpoint, six looks to 120 patients, posterior probabilities: adaptr's two-arm example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.measuring import Figure, trials_a_second
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.special import beta_cdf

SCENARIO: dict[str, Any] = {
    "schema": 1,
    "title": "Two arms, binary, six looks",
    "population": {"accrual": {"patients_per_month": 3}},
    "endpoints": {"response": {"kind": "binary"}},
    "arms": {"control": {"control": True}, "treatment": {}},
    "truths": {"better": {"response": {"control": {"rate": 0.25}, "treatment": {"rate": 0.4}}}},
    "designs": {
        "bayesian": {
            "kind": "two_arm",
            "endpoint": "response",
            "allocation": {"block": 4},
            "max_patients": 120,
            "looks": {"patients": {"from": 20, "every": 20, "to": 120}},
            "analysis": {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}},
            "rules": [
                {"stop_for": "efficacy", "when": {"probability_that": "difference", "above": 0, "exceeds": 0.98}},
                {"stop_for": "harm", "when": {"probability_that": "difference", "above": 0, "is_below": 0.02}},
            ],
        }
    },
}


def _superiority(n: int) -> np.ndarray:
    """Return P(treatment > control | x, y of n each), (n + 1, n + 1), uniform priors, by the midpoint rule."""
    points = (np.arange(4000) + 0.5) / 4000
    x = np.arange(n + 1)
    log_density = x[:, None] * np.log(points) + (n - x[:, None]) * np.log1p(-points)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    density /= density.sum(axis=1, keepdims=True)
    below = np.cumsum(density, axis=1) - 0.5 * density
    return np.asarray(density @ below.T)


@door
def _play(tables, means, seed, start, stop, outcomes):  # type: ignore[no-untyped-def]
    """The same trials: blocks of four, a posterior by table, patients, months, estimate and limits of each."""
    for replicate in range(start, stop):
        stream = Stream(seed, replicate)
        x_t, x_c, months, verdict = 0, 0, 0.0, 0
        look = 0
        left_t, left = 0, 0
        for block in range(15):
            r = random.eight_uniforms(stream, block, random.RESPONSE, 0)
            a = random.eight_uniforms(stream, block, random.ALLOCATION, 0)
            g = random.eight_uniforms(stream, block, random.ARRIVAL, 0)
            wait = 1.0
            done = False
            for i in range(8):
                if left == 0:
                    left_t, left = 2, 4
                treated = int(a[i] * left < left_t)
                left_t -= treated
                left -= 1
                x_t += treated * int(r[i] < 0.4)
                x_c += (1 - treated) * int(r[i] < 0.25)
                wait *= g[i]
                patient = block * 8 + i + 1
                if patient % 20 == 0:
                    p = tables[look, x_t, x_c]
                    verdict = 1 if p > 0.98 else (3 if p < 0.02 else 0)
                    if verdict or look == 5:
                        done = True
                        break
                    look += 1
            months -= math.log(wait) / 3.0
            if done:
                break
        row = outcomes[replicate - start]
        n = 10 * (look + 1)
        t, c = means[n, x_t], means[n, x_c]
        row[0], row[1], row[2], row[3] = verdict, look, 2 * n, months
        row[4] = t[0] - c[0]
        row[5] = row[4] - math.hypot(t[0] - t[1], c[2] - c[0])
        row[6] = row[4] + math.hypot(t[2] - t[0], c[0] - c[1])


@door
def _fill(means):  # type: ignore[no-untyped-def]
    for n in range(means.shape[0]):
        for x in range(n + 1):
            mean = (x + 1.0) / (n + 2.0)
            spread = 1.96 * math.sqrt(mean * (1.0 - mean) / (n + 3.0))
            means[n, x, 0], means[n, x, 1], means[n, x, 2] = mean, mean - spread, mean + spread
            beta_cdf(1.0, 1.0, 0.5)


def measure() -> list[Figure]:
    """Return the figure."""
    tables = np.zeros((6, 61, 61))
    for look in range(6):
        n = 10 * (look + 1)
        tables[look, : n + 1, : n + 1] = _superiority(n)
    means = np.zeros((61, 61, 3))
    _fill(means)

    def limit(seed: int, start: int, stop: int) -> None:
        outcomes = np.zeros((16_384, 7))
        for first in range(start, stop, 16_384):
            _play(tables, means, seed, first, min(first + 16_384, stop), outcomes)

    return [trials_a_second("two_arm_binary_six_looks", SCENARIO, 1_000_000, 1_000_000, limit)]
