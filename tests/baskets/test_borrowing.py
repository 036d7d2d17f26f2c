"""Mistakes in how borrowing is written, and those that show only with the baskets."""

import numpy as np
import pytest
from basket_counts import frame

from lmd_trialsim.analyses import partitions, similarity
from lmd_trialsim.analyses.beta_mixture import BetaMixture
from lmd_trialsim.designs import borrowing
from lmd_trialsim.reading import At

NAMES = [f"basket_{i}" for i in range(20)]
PRIOR = {"alpha": 1.0, "beta": 1.0}
MEM = {"kind": "multi_source_exchangeability", "models": "local", "exchangeability": 0.5, "prior": PRIOR}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": None}, "needs a prior"),
        ({"exchangeability": 0.9999999}, "too near to 1"),
        ({"exchangeability": 1.2}, "less than or equal to 1"),
        ({"models": "partitions", "priors": {"a": PRIOR}}, "one rate and so one prior"),
        ({"prior": [{"weight": 0.5, **PRIOR}]}, "must sum to 1"),
        ({"priors": {"a": [{"weight": 0.5, **PRIOR}]}}, "must sum to 1"),
        ({"models": "global"}, "'local', 'matrices' or 'partitions'"),
    ],
)
def test_mistakes_in_what_is_written(change, message):
    with pytest.raises(ValueError, match=message):
        borrowing.SourceExchangeability.model_validate(MEM | change)


@pytest.mark.parametrize(
    ("change", "baskets", "loc", "message"),
    [
        ({"models": "matrices"}, 9, ("models",), "of 9 baskets are too many"),
        ({"models": "partitions"}, 11, ("models",), "of 11 baskets are too many"),
        ({"models": "local"}, 17, ("models",), "of 17 baskets are too many"),
        ({"priors": {"basket": PRIOR}}, 2, ("priors", "basket"), "unknown basket"),
        ({"priors": {"basket_0": PRIOR}, "prior": None}, 2, ("priors",), "leaves out the basket basket_1"),
    ],
)
def test_mistakes_that_show_with_the_baskets(change, baskets, loc, message):
    spec = borrowing.SourceExchangeability.model_validate(MEM | change)
    with pytest.raises(At, match=message) as caught:
        spec.model(frame(NAMES[:baskets], [5] * baskets, [[0.2] * baskets]))
    assert caught.value.loc == loc
    if "models" in loc:
        assert caught.value.got == f"{partitions.models_of(spec.models, baskets):,} models"
        assert caught.value.way_out


def test_tables_that_would_be_too_large():
    spec = borrowing.Pooled.model_validate({"kind": "pooled", "prior": PRIOR})
    with pytest.raises(At, match=r"tables of .* numbers .*; at most 20,000,000 are built"):
        spec.model(frame(NAMES[:3], [2000, 2000, 2000], [[0.2] * 3]))


def test_builders_refuse_for_themselves():
    prior, bounds = BetaMixture.of((1.0, 1.0, 1.0)), np.full((1, 2), 0.2)
    with pytest.raises(ValueError, match="68,719,476,736 models"):
        partitions.matrix_exchangeability([prior] * 9, [5] * 9, np.full((1, 9), 0.2), 0.5)
    with pytest.raises(ValueError, match=r"allowed: 0 to 0\.999999, or 1"):
        partitions.local_exchangeability([prior] * 2, [5] * 2, bounds, 0.99999999)
    other = BetaMixture.of((1.0, 2.0, 1.0))
    with pytest.raises(ValueError, match="the same prior for all"):
        partitions.partition_averaging([prior, other], [5] * 2, bounds, partitions.psioda_blocks(2, 1.0))


JSD = {"kind": "jensen_shannon", "epsilon": 2.0, "tau": 0.5}
POWER = {"kind": "power_prior", "prior": PRIOR, "weights": JSD}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": None}, "needs a prior"),
        ({"weights": {"kind": "calibrated", "a": 2.0, "b": 0.0}}, "greater than 0"),
        ({"weights": {"kind": "fixed", "weight": 1.5}}, "less than or equal to 1"),
        ({"weights": JSD | {"epsilon": 0.0}}, "greater than 0"),
        ({"weights": JSD | {"tau": -0.1}}, "greater than or equal to 0"),
        ({"weights": JSD | {"logarithm": "decimal"}}, "'natural' or 'binary'"),
        ({"weights": {"kind": "kullback_leibler"}}, "does not match any of the expected tags"),
        ({"global_weight": {"kind": "differences", "epsilon": 1.0, "weight": 2.0}}, "less than or equal to 1"),
        ({"share_prior": True}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes_in_power_priors(change, message):
    with pytest.raises(ValueError, match=message):
        borrowing.PowerPrior.model_validate(POWER | change)


@pytest.mark.parametrize(
    ("change", "most", "message"),
    [
        ({}, 251, "a basket of 251 patients; weights are worked out for up to 250"),
        ({"prior": {"alpha": 1e6, "beta": 1e6}}, 40, "a weaker prior fits"),
        ({"priors": {"basket_7": PRIOR}}, 20, "unknown basket"),
    ],
)
def test_power_priors_that_cannot_be_tabulated(change, most, message):
    spec = borrowing.PowerPrior.model_validate(POWER | change)
    with pytest.raises(At, match=message):
        spec.model(frame(NAMES[:3], [most] * 3, [[0.2] * 3]))


def test_priors_are_shared_as_published_where_nothing_is_said():
    def sharing(**change):
        spec = borrowing.PowerPrior.model_validate(POWER | change)
        return spec.model(frame(NAMES[:2], [5, 5], [[0.2] * 2]))[0].sharing_of_prior

    assert sharing() == 1.0
    assert sharing(weights={"kind": "calibrated", "a": 1.0, "b": 1.0}) == 0.0
    assert sharing(shared_prior=False) == 0.0
    assert sharing(weights={"kind": "fixed", "weight": 0.5}, shared_prior=True) == 1.0


def test_many_outcomes_are_not_tabulated():
    outcomes, _ = similarity.outcomes_of([(1.0, 1.0)] * 2, [20, 60])
    assert isinstance(similarity.calibrated(outcomes, 1.0, 1.0), similarity.Calibrated)
    outcomes, _ = similarity.outcomes_of([(1.0, 1.0)] * 2, [20, 20])
    assert isinstance(similarity.calibrated(outcomes, 1.0, 1.0), similarity.Tabulated)
