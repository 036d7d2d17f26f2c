"""The hierarchical basket design by PyMC and nutpie, one fit a trial, as it is played elsewhere: how much slower.

Needs the extra `check`; without it there is nothing to measure. A fit has two chains of 1,000 draws after 500, side by
side on the threads that the program's own trials have: standard errors of a posterior probability of about 0.01, where
the program is within 1e-5.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.baskets import ANALYSES, BASKETS, MEAN, MOST, REPLICATES, SCALE, scenario
from benchmarks.measuring import THREADS, Figure, trials_a_second

FITS = 200
GOAL = 100_000.0


def fits_a_second() -> float:
    """Return the trials of one look that are analysed in a second, drawing the data not counted."""
    import nutpie
    import pymc as pm

    with pm.Model() as model:
        responses = pm.Data("x", np.full(len(BASKETS), 5))
        mu = pm.Normal("mu", MEAN["mean"], MEAN["sd"])
        tau = pm.HalfNormal("tau", float(SCALE["scale"]))
        logits = mu + tau * pm.Normal("z", shape=len(BASKETS))
        pm.Binomial("responses", n=MOST, logit_p=logits, observed=responses)
    compiled = nutpie.compile_pymc_model(model, backend="numba")
    draw = np.random.default_rng(1)
    data = draw.binomial(MOST, [0.4, 0.4, 0.2, 0.2, 0.2], (FITS + 1, len(BASKETS)))

    def fit(x: np.ndarray, seed: int) -> None:
        nutpie.sample(
            compiled.with_data(x=x), draws=1000, tune=500, chains=THREADS, cores=THREADS, seed=seed, progress_bar=False
        )

    fit(data[-1], 1)
    start = time.perf_counter()
    for number in range(FITS):
        fit(data[number], number)
    return FITS / (time.perf_counter() - start)


def measure() -> list[Figure]:
    """Return how many times more trials are played in a second than data sets are sampled."""
    try:
        sampled = fits_a_second()
    except ImportError:
        return []
    played = trials_a_second("", scenario(ANALYSES["hierarchical"], []), REPLICATES, 400_000, None).value
    return [Figure("hierarchical_one_look_over_nutpie", "times", played / sampled, GOAL, None)]
