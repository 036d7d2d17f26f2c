"""Arms of a platform in PyMC: each beside the control patients that it is compared with.

The arms' own parameters come first, then that of each arm's controls: no two arms are asked of together, so that it
does not matter which control patients they share.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmd_trialsim.designs.arm_analyses import ArmBetaBinomial, ArmGammaExponential, ArmNormal
from lmd_trialsim.second_opinion.arms import Parts, beta_binomial, gamma_exponential, mixed
from lmd_trialsim.second_opinion.sampling import Draws, Twin, Weighted
from lmd_trialsim.second_opinion.trials import priors_by_name

QUANTITIES = ("rate", "difference", "hazard_ratio", "median", "mean")
"""What a model here can be asked; P(best) is not among it."""


def twin_of_arms(analysis: Any, arms: Sequence[str]) -> Twin | None:
    """Return the model of the arms, the control first; None where there is none.

    Data, (2 arms,): of rates patients and responses, of times events and months, of values patients and total.
    """
    if getattr(analysis, "external_controls", None) is not None:
        return None
    match analysis:
        case ArmBetaBinomial() | ArmGammaExponential() | ArmNormal():
            own = priors_by_name(analysis, arms)
            priors = [*own, *([own[0]] * len(arms))]
        case _:
            return None
    if isinstance(analysis, ArmBetaBinomial):
        return Twin("beta_binomial", beta_binomial(priors).build, functools.partial(_asked, "rate", len(arms)))
    if isinstance(analysis, ArmGammaExponential):
        return Twin(
            "gamma_exponential", gamma_exponential(priors).build, functools.partial(_asked, "hazard", len(arms))
        )
    return Twin("normal", normal(priors, analysis.sd), functools.partial(_asked, "mean", len(arms)))


def normal(priors: Sequence[Parts], sd: float) -> Any:
    """Return what builds the model of normal values of known standard deviation. Data: patients, total, (priors,)."""

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            patients, total = (
                pm.Data("patients", np.full(len(priors), 5.0)),
                pm.Data("total", np.full(len(priors), 2.0)),
            )
            for arm, parts in enumerate(priors):
                mean = mixed(f"mean_{arm}", parts, pm.Normal)
                pm.Potential(f"seen_{arm}", (mean * total[arm] - 0.5 * patients[arm] * mean**2) / sd**2)
        return model

    return build


def _asked(of: str, arms: int, draws: Draws, quantity: str, arm: int, month: float) -> Weighted:
    del month
    own, controls = draws[f"{of}_{arm}"], draws[f"{of}_{arms + arm}"]
    if quantity in (of, "rate", "mean"):
        return Weighted.of(own)
    if quantity == "difference":
        return Weighted.of(own - controls)
    if quantity.endswith("median"):
        median = math.log(2.0) / own
        return Weighted.of(np.log(median) if quantity.startswith("log_") else median)
    assert quantity.endswith("hazard_ratio"), quantity
    ratio = own / controls
    return Weighted.of(np.log(ratio) if quantity.startswith("log_") else ratio)
