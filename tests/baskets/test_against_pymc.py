"""Hierarchical models against PyMC, sampled by nutpie: a hundred random data sets each, empty baskets among them.

Those of effects (medians, hazard ratios, odds ratios) meet a few, as each is asked of more parameters.

Needs the extra `check` (pip install -e '.[dev,check]'). A tolerance is five standard errors of the sampled number, from
the effective sample size of the very indicator or rate, and not of the answer that is on trial.
"""

import numpy as np
import pytest
from basket_counts import frame, posteriors, random_counts
from effects_by_hand import of_kernels

from lmd_trialsim.designs.basket import BasketSpec, Place
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import HAZARD_RATIO, MEDIAN, ODDS_RATIO, RATE
from lmd_trialsim.second_opinion.baskets import tau_of_counts, twin_of_baskets
from lmd_trialsim.second_opinion.sampling import Sampler

MISSING = "is not installed: pip install 'lmd-trialsim[check]'"
pytest.importorskip("pymc", reason=f"PyMC {MISSING}")
pytest.importorskip("nutpie", reason=f"nutpie {MISSING}")
az = pytest.importorskip("arviz", reason=f"ArviZ {MISSING}")

pytestmark = pytest.mark.slow

NAMES, MOST, BOUND = ["a", "b", "c", "d"], [20, 14, 25, 9], 0.25
DATA_SETS, SIGMAS = 100, 5.0
MEAN = {"mean": -1.2, "sd": 1.5}
BETWEEN = {"kind": "half_normal", "scale": 0.8}
SPECS = [
    HierarchicalSpec.model_validate({"kind": "hierarchical", "mean": MEAN, "sd": BETWEEN}),
    Exnex.model_validate(
        {
            "kind": "exnex",
            "exchangeable": [{"weight": 0.6, "mean": MEAN, "sd": BETWEEN}],
            "non_exchangeable": {"weight": 0.4, "mean": -0.8, "sd": 1.2},
        }
    ),
    CalibratedHierarchicalSpec.model_validate({"kind": "calibrated_hierarchical", "mean": MEAN, "a": -1.0, "b": 1.2}),
]


def sampler_of(spec, names, measure):
    """Return the model of the baskets in PyMC, compiled."""
    unsaid = BasketSpec.model_validate({})
    return Sampler(twin_of_baskets(spec, [Place(name, None, None, 1, unsaid) for name in names], measure), 1)


def assert_near(draws, answer, what):
    """Insist on five standard errors of the mean of the draws, (chains, draws)."""
    effective = float(az.ess(draws)) if draws.std() > 0 else draws.size / 10
    # Draws that (nearly) all agree have seen less of the spread than there is: that of one in `effective` is added.
    error = np.sqrt((draws.var() + 1.0 / effective) / effective)
    assert abs(draws.mean() - answer) < SIGMAS * error, (
        f"{what}: {answer:.5f}, sampled {draws.mean():.5f} ± {error:.5f}"
    )


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_posteriors_of_a_hundred_data_sets(spec):
    seed = int(np.random.default_rng().integers(2**31))
    counts = random_counts(np.random.default_rng(seed), MOST, DATA_SETS)
    tails, moments = posteriors(spec.model(frame(NAMES, MOST, [[BOUND] * len(MOST)])), counts)
    sampler = sampler_of(spec, NAMES, RATE)
    for i, of_set in enumerate(counts):
        n, x = of_set.T
        fit = sampler.fit({"patients": n, "responses": x, **tau_of_counts(spec, n, x)}, seed + 2 * i)
        for basket, name in enumerate(NAMES):
            what = f"{spec.kind}, {seed=}, data set {i}, {of_set.tolist()}, basket {name}"
            rate = sampler.twin.quantity(fit.draws, "rate", basket, 0.0)
            assert_near(rate.above(BOUND), tails[i, 0, basket], what)
            assert_near(rate.mean(), moments[i, 0, basket], f"{what}, mean")


# ---- effects ---------------------------------------------------------------------------------------------------------

FEW, PATIENTS = 6, np.array([20, 14, 25])
OF_EFFECTS = {"kind": "hierarchical", "mean": {"mean": 0.3, "sd": 0.9}, "sd": {"kind": "half_normal", "scale": 0.6}}
EFFECT_BOUNDS = np.array([[1.0] * 3, [1.8, 1.5, 1.2]])
CONTROLS = {
    MEDIAN: {},
    HAZARD_RATIO: {"control_hazard": {"events": 1.5, "months": 4.0}},
    ODDS_RATIO: {"control_rate": {"alpha": 1.0, "beta": 2.0}},
}


def columns_of(draw, measure):
    """Return data of three baskets, one of them empty now and then, each (arms, baskets)."""
    patients = np.floor(PATIENTS * draw.choice([0.0, 0.5, 1.0, 1.0], 3)).astype(int)
    patients = patients[None] if measure is MEDIAN else np.stack([patients // 2, patients - patients // 2])
    seen = draw.binomial(patients, draw.uniform(0.1, 0.8, patients.shape))
    if measure is ODDS_RATIO:
        return {"patients": patients, "responses": seen}
    return {"events": seen.astype(float), "months": patients * draw.gamma(3.0, 1.0, patients.shape)}


@pytest.mark.parametrize("measure", CONTROLS, ids=lambda measure: measure.word)
def test_posteriors_of_effects(measure):
    spec = HierarchicalSpec.model_validate(OF_EFFECTS | CONTROLS[measure])
    seed = int(np.random.default_rng().integers(2**31))
    draw = np.random.default_rng(seed)
    unsaid = np.full(3, np.nan)
    names, numbers = NAMES[:3], PATIENTS.tolist()
    built = spec.model(Frame(names, numbers, [], unsaid, unsaid, EFFECT_BOUNDS, len(EFFECT_BOUNDS), measure))
    sampler = sampler_of(spec, names, measure)
    for i in range(FEW):
        columns = columns_of(draw, measure)
        tails, moments = of_kernels(*built, 1 if measure is MEDIAN else 2, columns)
        data = {name: values[0] if measure is MEDIAN else values for name, values in columns.items()}
        draws = sampler.fit(data, seed + 2 * i).draws
        for basket, name in enumerate(names):
            what = f"{measure.word}, {seed=}, data set {i}, {columns}, basket {name}"
            effect = sampler.twin.quantity(draws, f"log_{measure.word}", basket, 0.0)
            assert_near(effect.mean(), moments[basket, 0], f"{what}, mean")
            for bound, tail in zip(EFFECT_BOUNDS[:, basket], tails[:, basket], strict=True):
                assert_near(effect.above(np.log(bound)), tail, f"{what}, {bound=}")
