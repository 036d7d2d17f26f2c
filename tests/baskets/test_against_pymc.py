"""Hierarchical models against PyMC, sampled by nutpie: a hundred random data sets each, empty baskets among them.

Those of effects (medians, hazard ratios, odds ratios) meet a few, as each is asked of more parameters.

Needs the extra `check` (pip install -e '.[dev,check]'). A tolerance is five standard errors of the sampled number, from
the effective sample size of the very indicator or rate, and not of the answer that is on trial.
"""

import numpy as np
import pytest
from basket_counts import frame, posteriors, random_counts
from effects_by_hand import of_kernels

from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import HAZARD_RATIO, MEDIAN, ODDS_RATIO

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
    """Return the draws, (chains, draws, ...) by name."""
    trace = nutpie.sample(
        compiled.with_data(**values), draws=DRAWS, tune=1000, chains=CHAINS, cores=1, seed=seed, progress_bar=False,
        target_accept=0.95,
    )  # fmt: skip
    return trace.posterior


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
        draws = sampled(compiled, values, seed + i)
        rate, share = np.asarray(draws["rate"]), np.asarray(draws["share"]) if "share" in draws else None
        for basket, name in enumerate(NAMES):
            what = f"{models.__name__}, {seed=}, data set {i}, {of_set.tolist()}, basket {name}"
            if share is None:
                of_basket = rate[..., basket]
                assert_near((of_basket > BOUND).astype(float), tails[i, 0, basket], what)
            else:
                of_basket = (share * rate)[..., basket].sum(axis=2)
                assert_near((share * (rate > BOUND))[..., basket].sum(axis=2), tails[i, 0, basket], what)
            assert_near(of_basket, moments[i, 0, basket], f"{what}, mean")


# ---- effects ---------------------------------------------------------------------------------------------------------

FEW, PATIENTS = 6, np.array([20, 14, 25])
OF_EFFECTS = {"mean": {"mean": 0.3, "sd": 0.9}, "sd": {"kind": "half_normal", "scale": 0.6}}
EFFECT_BOUNDS = np.array([[1.0] * 3, [1.8, 1.5, 1.2]])


def effects():
    """Return mu + tau z of three baskets, in a model."""
    mu, tau = pm.Normal("mu", 0.3, 0.9), pm.HalfNormal("tau", 0.6)
    return pm.Deterministic("effect", mu + tau * pm.Normal("z", shape=3))


def log_poisson(events, months, log_hazard):
    return (events * log_hazard - months * pm.math.exp(log_hazard)).sum()


def medians():
    """Return events in patient-months of one arm, and ours: the effect is the log of the median."""
    spec = HierarchicalSpec.model_validate({"kind": "hierarchical", **OF_EFFECTS})
    with pm.Model() as model:
        events, months = pm.Data("events", np.ones((1, 3))), pm.Data("months", np.ones((1, 3)))
        pm.Potential("times", log_poisson(events[0], months[0], np.log(np.log(2.0)) - effects()))
    return spec, model, MEDIAN


def hazard_ratios():
    """Return events in patient-months of two arms, and ours: the control's hazard is not integrated out here."""
    spec = HierarchicalSpec.model_validate(
        {"kind": "hierarchical", "control_hazard": {"events": 1.5, "months": 4.0}, **OF_EFFECTS}
    )
    with pm.Model() as model:
        events, months = pm.Data("events", np.ones((2, 3))), pm.Data("months", np.ones((2, 3)))
        log_control = pm.math.log(pm.Gamma("control", alpha=1.5, beta=4.0, shape=3))
        pm.Potential("control_times", log_poisson(events[0], months[0], log_control))
        pm.Potential("treated_times", log_poisson(events[1], months[1], log_control + effects()))
    return spec, model, HAZARD_RATIO


def odds_ratios():
    """Return responses of two arms, and ours: the control's rate is not integrated out here."""
    spec = HierarchicalSpec.model_validate(
        {"kind": "hierarchical", "control_rate": {"alpha": 1.0, "beta": 2.0}, **OF_EFFECTS}
    )
    with pm.Model() as model:
        patients, responses = pm.Data("patients", np.ones((2, 3), int)), pm.Data("responses", np.ones((2, 3), int))
        rate = pm.Beta("control", alpha=1.0, beta=2.0, shape=3)
        pm.Binomial("of_control", n=patients[0], p=rate, observed=responses[0])
        pm.Binomial("of_treated", n=patients[1], logit_p=pm.math.logit(rate) + effects(), observed=responses[1])
    return spec, model, ODDS_RATIO


def columns_of(draw, measure):
    """Return data of three baskets, one of them empty now and then, each (arms, baskets)."""
    patients = np.floor(PATIENTS * draw.choice([0.0, 0.5, 1.0, 1.0], 3)).astype(int)
    patients = patients[None] if measure is MEDIAN else np.stack([patients // 2, patients - patients // 2])
    seen = draw.binomial(patients, draw.uniform(0.1, 0.8, patients.shape))
    if measure is ODDS_RATIO:
        return {"patients": patients, "responses": seen}
    return {"events": seen.astype(float), "months": patients * draw.gamma(3.0, 1.0, patients.shape)}


@pytest.mark.parametrize("models", [medians, hazard_ratios, odds_ratios])
def test_posteriors_of_effects(models):
    spec, model, measure = models()
    seed = int(np.random.default_rng().integers(2**31))
    draw = np.random.default_rng(seed)
    unsaid = np.full(3, np.nan)
    names, numbers = NAMES[:3], PATIENTS.tolist()
    built = spec.model(Frame(names, numbers, [], unsaid, unsaid, EFFECT_BOUNDS, len(EFFECT_BOUNDS), measure))
    compiled = nutpie.compile_pymc_model(model, backend="numba")
    for i in range(FEW):
        columns = columns_of(draw, measure)
        tails, moments = of_kernels(*built, 1 if measure is MEDIAN else 2, columns)
        effect = np.asarray(sampled(compiled, columns, seed + i)["effect"])
        for basket, name in enumerate(names):
            what = f"{models.__name__}, {seed=}, data set {i}, {columns}, basket {name}"
            assert_near(effect[..., basket], moments[basket, 0], f"{what}, mean")
            for bound, tail in zip(EFFECT_BOUNDS[:, basket], tails[:, basket], strict=True):
                assert_near((effect[..., basket] > np.log(bound)).astype(float), tail, f"{what}, {bound=}")
