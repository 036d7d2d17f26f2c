"""Whole checks with PyMC: every model that has a twin, sampled, meets the numbers that the program is fast at.

Needs the extra `check` (pip install -e '.[dev,check]'). No tolerance is set here: what is checked is that the check
itself finds nothing at its five standard errors, and that it finds a posterior that is wrong.
"""

import numpy as np
import pytest

from lmd_trialsim.catalogue import find
from lmd_trialsim.posterior_checks.checking import check
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario

pytest.importorskip("pymc", reason="PyMC is not installed: pip install 'lmd-trialsim[check]'")
pytest.importorskip("nutpie", reason="nutpie is not installed: pip install 'lmd-trialsim[check]'")

pytestmark = pytest.mark.slow

DATA_SETS = 12
DESIGNS = [
    ("liposomal_cytarabine_response", ["bayesian_blocks", "borrowing"]),  # two rates; a mixture prior
    ("intrathecal_pemetrexed_response", None),  # one rate
    ("proton_csi", ["bayesian", "sceptical_cox"]),
    ("her3_dxd_baskets", ["hierarchical", "separate"]),
    ("intrathecal_pemetrexed_baskets", ["pooled"]),
    ("tdxd_baskets", ["exnex"]),
    ("neuenschwander_2016", None),  # several components
    ("her3_dxd_survival_baskets", None),  # medians
    ("proton_csi_baskets", None),  # hazard ratios
    ("lmd_platform", ["one_by_one"]),  # hazards of arms that enter later
    ("late_arms_under_drift", ["concurrent"]),  # rates of such
]


def loaded(name):
    return Scenario.load(find(name))


@pytest.mark.parametrize(("name", "designs"), DESIGNS)
def test_fast_posteriors_meet_pymc(name, designs):
    scenario = loaded(name)
    seed = int(np.random.default_rng().integers(2**31))
    found = check(
        scenario, designs or list(scenario.designs), list(scenario.truths), data_sets=DATA_SETS, seed=seed, cores=2
    )
    assert found.designs
    for one in found.designs:
        failed = [fit for fit in one.fits if fit.why_not]
        assert len(failed) <= 1, (seed, one.design, failed)  # of hard data sets one may not mix
        for summary in one.summaries:
            assert summary.verdict != "differs", (seed, one.design, summary)
        assert not any(flip.beyond_error for flip in one.flips), (seed, one.design, one.flips)


def test_a_model_with_another_prior_differs():
    scenario = loaded("liposomal_cytarabine_response")
    spec = scenario.designs["bayesian_blocks"]
    prior = spec.analysis.prior.model_copy(update={"alpha": 4.0})
    other = scenario.with_design("bayesian_blocks", spec.model_copy(update={
        "analysis": spec.analysis.model_copy(update={"prior": prior})}))  # fmt: skip
    from lmd_trialsim.posterior_checks.checking import checked, subject_of
    from lmd_trialsim.second_opinion.sampling import Sampler

    right, _ = subject_of(scenario, "bayesian_blocks", ["null", "published"], DATA_SETS, 1)
    wrong, _ = subject_of(other, "bayesian_blocks", ["null", "published"], DATA_SETS, 1)
    mixed = right._replace(twins=wrong.twins)
    assert not checked(mixed, 1, lambda twin: Sampler(twin, 2)).agrees


def values_that_fall():
    """Return a platform of a continuous endpoint of which less is better, one arm's prior a mixture."""

    def course(mean):
        return {name: {"value": value, "assumption": "for the test"} for name, value in (("mean", mean), ("sd", 2.0))}

    document = {
        "schema": 1,
        "title": "Values that fall",
        "population": {"accrual": {"sites": 5, "patients_per_site_month": 1}},
        "endpoints": {"cells": {"kind": "continuous", "better": "lower"}},
        "arms": {"control": {"control": True}, "one": {}, "two": {}},
        "truths": {"mixed": {"cells": {"control": course(3.0), "one": course(2.0), "two": course(3.5)}}},
        "designs": {
            "normal": {
                "kind": "platform",
                "endpoint": "cells",
                "max_patients": 60,
                "looks": {"patients": [20, 40]},
                "analysis": {
                    "kind": "normal",
                    "sd": 2.0,
                    "prior": {"mean": 2.5, "sd": 2.0},
                    "priors": {"two": [{"weight": 0.5, "mean": 1.0, "sd": 1.0}, {"weight": 0.5, "mean": 4.0, "sd": 2}]},
                },
                "rules": [
                    {"stop_for": "efficacy", "when": {"probability_that": "difference", "below": 0, "exceeds": 0.99}},
                    {"stop_for": "futility", "when": {"probability_that": "mean", "above": 2.5, "exceeds": 0.95}},
                ],
            }
        },
    }
    return Scenario.of(Document(document, "values"))


def test_normal_arms_meet_pymc():
    scenario = values_that_fall()
    seed = int(np.random.default_rng().integers(2**31))
    found = check(scenario, ["normal"], ["mixed"], data_sets=DATA_SETS, seed=seed, cores=2)
    (one,) = found.designs
    assert {summary.number for summary in one.summaries} == {
        "P(difference < 0)", "P(mean > 2.5)", "difference, mean",
    }  # fmt: skip
    assert one.agrees, (seed, one.summaries)
