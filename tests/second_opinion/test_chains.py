"""Diagnostics of chains, on chains whose mixing is known; and gates."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from lmd_trialsim.second_opinion import diagnostics
from lmd_trialsim.second_opinion.sampling import Gates, gates_of

CHAINS, DRAWS = 4, 2000


def autoregressive(draw, rho, chains=CHAINS, draws=DRAWS):
    """Return stationary chains of x_t = rho x_(t-1) + noise, of standard deviation 1."""
    noise = draw.standard_normal((chains, draws)) * math.sqrt(1.0 - rho**2)
    noise[:, 0] = draw.standard_normal(chains)
    return lfilter([1.0], [1.0, -rho], noise, axis=1)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_effective_sizes_are_those_of_autoregressive_chains(rho):
    draw = np.random.default_rng()
    found = diagnostics.effective(np.stack([autoregressive(draw, rho) for _ in range(200)]))
    exact = CHAINS * DRAWS * (1.0 - rho) / (1.0 + rho)
    # Geyer's sum is a little short: noise makes it stop early or late. A tenth is far beyond the error of 200 means.
    assert found.mean() == pytest.approx(exact, rel=0.1)


def test_errors_of_means_and_quantiles_are_those_of_many_chains():
    draw = np.random.default_rng()
    told = []
    for _ in range(400):
        chains = autoregressive(draw, 0.6)
        told.append([*diagnostics.mean_and_error(chains), *diagnostics.quantile_and_error(chains, 0.025)])
    mean, mean_error, low, low_error = np.array(told).T
    relative = 5.0 / math.sqrt(2 * 400)  # five standard errors of a standard deviation of 400
    assert mean.std() == pytest.approx(np.sqrt((mean_error**2).mean()), rel=relative + 0.05)
    assert low.std() == pytest.approx(np.sqrt((low_error**2).mean()), rel=relative + 0.1)


def test_probabilities_near_0_have_an_error():
    draws = np.zeros((CHAINS, DRAWS))
    mean, error = diagnostics.probability_and_error(draws, 0.0)
    assert mean == 0.0
    assert error > 1.0 / draws.size
    # A number on trial is judged by the spread that it would have itself.
    draws[0, :3] = 1.0
    _, by_the_answer = diagnostics.probability_and_error(draws, 0.01)
    assert by_the_answer >= math.sqrt(0.01 * 0.99 / draws.size)


def test_chains_that_have_not_mixed_are_not_trusted():
    draw = np.random.default_rng()
    mixed = autoregressive(draw, 0.3)
    assert gates_of({"good": mixed}, 0).complaints() == []
    apart = mixed + np.array([0.0, 0.0, 0.0, 2.0])[:, None]
    wider = mixed * np.array([1.0, 1.0, 1.0, 4.0])[:, None]
    for bad in (apart, wider):
        (complaint, *_) = gates_of({"good": mixed, "bad": np.stack([mixed, bad], axis=2)}, 0).complaints()
        assert complaint.startswith("R-hat 1.")
    assert gates_of({"known": np.ones((4, 100))}, 0).complaints() == []


def test_gates_say_what_is_wrong():
    assert Gates(1.08, 1000.0, 399.0, 2).complaints() == [
        "R-hat 1.08", "tail effective sample size 399", "2 divergences",
    ]  # fmt: skip
    assert Gates(math.nan, 1000.0, 1000.0, 0).complaints() == ["R-hat nan"]


@pytest.mark.slow
def test_diagnostics_are_those_of_arviz():
    az = pytest.importorskip("arviz", reason="ArviZ is not installed: pip install 'lmd-trialsim[check]'")
    draw = np.random.default_rng()
    for rho in (0.0, 0.5, 0.9):
        chains = autoregressive(draw, rho)
        assert diagnostics.r_hat(chains) == pytest.approx(float(az.rhat(chains)), abs=1e-3)
        for method, ours in (("bulk", diagnostics.bulk), ("tail", diagnostics.tail), ("mean", diagnostics.effective)):
            assert ours(chains) == pytest.approx(float(az.ess(chains, method=method)), rel=0.05)
