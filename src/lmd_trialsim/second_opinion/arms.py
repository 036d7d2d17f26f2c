"""Arms with priors of their own, in PyMC: rates of a binary endpoint, hazards of exponential times.

Arms are numbered as the design has them, the control first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.second_opinion.sampling import Draws, Twin, Weighted

Array = NDArray[np.float64]
Parts = Sequence[tuple[float, float, float]]
"""A prior: weight and the two parameters of each of its components."""


def mixed(name: str, parts: Parts, family: Any) -> Any:
    """Return a variable of one distribution of the family, or of a mixture of some. family: pm.Beta and the like."""
    import pymc as pm

    if len(parts) == 1:
        return family(name, *parts[0][1:])
    weights = np.array([part[0] for part in parts])
    return pm.Mixture(name, w=weights / weights.sum(), comp_dists=[family.dist(*part[1:]) for part in parts])


def beta_binomial(priors: Sequence[Parts]) -> Twin:
    """Return responses of patients of each arm, the rates beta or mixtures of such. priors: (arms,).

    Data: patients, responses, (arms,).
    """

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            patients = pm.Data("patients", np.full(len(priors), 5))
            responses = pm.Data("responses", np.full(len(priors), 2))
            for arm, parts in enumerate(priors):
                rate = mixed(f"rate_{arm}", parts, pm.Beta)
                pm.Binomial(f"seen_{arm}", n=patients[arm], p=rate, observed=responses[arm])
        return model

    return Twin("beta_binomial", build, _of_rates)


def _of_rates(draws: Draws, quantity: str, arm: int, month: float) -> Weighted:
    del month
    if quantity == "rate":
        return Weighted.of(draws[f"rate_{arm}"])
    control, treated = draws["rate_0"], draws["rate_1"]
    if quantity == "difference":
        return Weighted.of(treated - control)
    if quantity == "ratio":
        return Weighted.of(treated / control)
    assert quantity == "odds_ratio", quantity
    return Weighted.of(treated / (1.0 - treated) * (1.0 - control) / control)


def gamma_exponential(priors: Sequence[Parts]) -> Twin:
    """Return exponential times of each arm, the hazards a month gamma or mixtures of such. priors: (arms,).

    Data: events, months, (arms,).
    """

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            events, months = pm.Data("events", np.full(len(priors), 3.0)), pm.Data("months", np.full(len(priors), 9.0))
            for arm, parts in enumerate(priors):
                hazard = mixed(f"hazard_{arm}", parts, pm.Gamma)
                pm.Potential(f"times_{arm}", events[arm] * pm.math.log(hazard) - hazard * months[arm])
        return model

    return Twin("gamma_exponential", build, _of_hazards)


def _of_hazards(draws: Draws, quantity: str, arm: int, month: float) -> Weighted:
    if quantity in ("hazard_ratio", "log_hazard_ratio"):
        log_ratio = np.log(draws["hazard_1"]) - np.log(draws["hazard_0"])
        return Weighted.of(log_ratio if quantity == "log_hazard_ratio" else np.exp(log_ratio))
    hazard = draws[f"hazard_{arm}"]
    if quantity == "log_hazard":
        return Weighted.of(np.log(hazard))
    if quantity == "median_months":
        return Weighted.of(math.log(2.0) / hazard)
    if quantity == "survival":
        return Weighted.of(np.exp(-hazard * month))
    assert quantity == "hazard_per_month", quantity
    return Weighted.of(hazard)
