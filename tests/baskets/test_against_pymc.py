"""Hierarchical models against PyMC, sampled by nutpie: a hundred random data sets each, empty baskets among them.

Needs the extra `check` (pip install -e '.[dev,check]'). A tolerance is five standard errors of the sampled number, from
the effective sample size of the very indicator or rate, and not of the answer that is on trial.
"""

import numpy as np
import pytest
from basket_counts import frame, posteriors, random_counts

from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec

pm = pytest.importorskip("pymc")
nutpie = pytest.importorskip("nutpie")
az = pytest.importorskip("arviz")

pytestmark = pytest.mark.slow

NAMES, MOST, BOUND = ["a", "b", "c", "d"], [20, 14, 25, 9], 0.25
DATA_SETS, CHAINS, DRAWS, SIGMAS = 100, 4, 1000, 5.0
MEAN, SD, SCALE = -1.2, 1.5, 0.8


def hierarchical():
    """Return the model of Berry et al. (2013) by its non-centred parameters, and ours."""
    spec = HierarchicalSpec.model_validate(
        {"kind": "hierarchical", "mean": {"mean": MEAN, "sd": SD}, "sd": {"kind": "half_normal", "scale": SCALE}}
    )
    with pm.Model() as model:
        n, x = data()
        mu, tau = pm.Normal("mu", MEAN, SD), pm.HalfNormal("tau", SCALE)
        logits = mu + tau * pm.Normal("z", shape=len(NAMES))
        pm.Binomial("responses", n=n, logit_p=logits, observed=x)
        pm.Deterministic("rate", pm.math.invlogit(logits))
    return spec, model


def exchangeable_or_not():
    """Return EXNEX (Neuenschwander et al. 2016) with who is exchangeable summed out, and ours."""
    weight, other = 0.6, (-0.8, 1.2)
    spec = Exnex.model_validate(
        {
            "kind": "exnex",
            "exchangeable": [
                {"weight": weight, "mean": {"mean": MEAN, "sd": SD}, "sd": {"kind": "half_normal", "scale": SCALE}}
            ],
            "non_exchangeable": {"weight": 1 - weight, "mean": other[0], "sd": other[1]},
        }
    )
    with pm.Model() as model:
        n, x = data()
        mu, tau = pm.Normal("mu", MEAN, SD), pm.HalfNormal("tau", SCALE)
        likelihood = pm.Binomial.dist
        both = pm.math.stack(
            [mu + tau * pm.Normal("z", shape=len(NAMES)), other[0] + other[1] * pm.Normal("own", shape=len(NAMES))]
        )
        given = pm.math.stack(
            [np.log(part) + pm.logp(likelihood(n=n, logit_p=both[k]), x) for k, part in enumerate((weight, 1 - weight))]
        )
        pm.Potential("responses", pm.math.logsumexp(given, axis=0).sum())
        pm.Deterministic("share", pm.math.exp(given - pm.math.logsumexp(given, axis=0, keepdims=True)))
        pm.Deterministic("rate", pm.math.invlogit(both))
    return spec, model


def calibrated():
    """Return the model of Chu and Yuan (2018), whose tau is a function of the data, and ours."""
    spec = CalibratedHierarchicalSpec.model_validate(
        {"kind": "calibrated_hierarchical", "mean": {"mean": MEAN, "sd": SD}, "a": -1.0, "b": 1.2}
    )
    with pm.Model() as model:
        n, x = data()
        tau = pm.Data("tau", 1.0)
        logits = pm.Normal("mu", MEAN, SD) + tau * pm.Normal("z", shape=len(NAMES))
        pm.Binomial("responses", n=n, logit_p=logits, observed=x)
        pm.Deterministic("rate", pm.math.invlogit(logits))
    return spec, model


def data():
    return pm.Data("n", np.array(MOST)), pm.Data("x", np.ones(len(MOST), int))


def tau_of(n, x):
    """Return sqrt(exp(a + b log T)), T Pearson's statistic over the baskets with patients."""
    there, pooled = n > 0, x.sum() / max(n.sum(), 1)
    expected = np.stack([n * pooled, n * (1.0 - pooled)])[:, there]
    observed = np.stack([x, n - x])[:, there]
    ratio = np.divide((observed - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
    statistic = ratio.sum()
    return np.exp(0.5 * (-1.0 + 1.2 * np.log(statistic))) if statistic > 0 else 0.0


def sampled(compiled, values, seed):
    """Return the draws of the rates and of the shares, (chains, draws, ...)."""
    trace = nutpie.sample(
        compiled.with_data(**values), draws=DRAWS, tune=1000, chains=CHAINS, cores=1, seed=seed, progress_bar=False,
        target_accept=0.95,
    )  # fmt: skip
    posterior = trace.posterior
    rate = np.asarray(posterior["rate"])
    return rate, np.asarray(posterior["share"]) if "share" in posterior else None


def assert_near(draws, answer, what):
    """Insist on five standard errors of the mean of the draws, (chains, draws)."""
    effective = float(az.ess(draws)) if draws.std() > 0 else draws.size / 10
    # Draws that (nearly) all agree have seen less of the spread than there is: that of one in `effective` is added.
    error = np.sqrt((draws.var() + 1.0 / effective) / effective)
    assert abs(draws.mean() - answer) < SIGMAS * error, (
        f"{what}: {answer:.5f}, sampled {draws.mean():.5f} ± {error:.5f}"
    )


@pytest.mark.parametrize("models", [hierarchical, exchangeable_or_not, calibrated])
def test_posteriors_of_a_hundred_data_sets(models):
    spec, model = models()
    seed = int(np.random.default_rng().integers(2**31))
    counts = random_counts(np.random.default_rng(seed), MOST, DATA_SETS)
    tails, moments = posteriors(spec.model(frame(NAMES, MOST, [[BOUND] * len(MOST)])), counts)
    compiled = nutpie.compile_pymc_model(model, backend="numba")
    for i, of_set in enumerate(counts):
        n, x = of_set.T
        values = {"n": n, "x": x} | ({"tau": tau_of(n, x)} if models is calibrated else {})
        rate, share = sampled(compiled, values, seed + i)
        for basket, name in enumerate(NAMES):
            what = f"{models.__name__}, {seed=}, data set {i}, {of_set.tolist()}, basket {name}"
            if share is None:
                of_basket = rate[..., basket]
                assert_near((of_basket > BOUND).astype(float), tails[i, 0, basket], what)
            else:
                of_basket = (share * rate)[..., basket].sum(axis=2)
                assert_near((share * (rate > BOUND))[..., basket].sum(axis=2), tails[i, 0, basket], what)
            assert_near(of_basket, moments[i, 0, basket], f"{what}, mean")
