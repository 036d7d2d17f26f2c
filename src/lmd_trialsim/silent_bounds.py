"""Designs that are valid and will often decide nothing: bounds on counts where too few patients remain evaluable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.lowering import Setting, drop_out_hazard
from lmd_trialsim.patients.course import curve_in

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario, Truth

OFTEN = 0.005


def silent_bounds(scenario: Scenario) -> Iterator[str]:
    """Yield a line for each design whose bound on the last count is often silent, for want of evaluable patients."""
    for name, spec in scenario.designs.items():
        if isinstance(spec, Basket | Platform):
            continue
        setting = Setting.of(scenario, name)
        if setting.design.succeeds_by_counts:
            shares = {truth: probability_of_too_few(setting, truth) for truth in scenario.truths}
            often = [f"{truth} ({share:.2g})" for truth, share in shares.items() if share > OFTEN]
            if often:
                yield (
                    f"designs.{name}: its last bound is on the responses of {setting.planned[-1]} evaluable patients, "
                    f"and is silent when fewer remain of {setting.max_patients}: probability under {', '.join(often)}. "
                    "Raise max_enrolled (max_patients of a general design), or count who is lost as a failure."
                )


def probability_of_too_few(setting: Setting, truth_name: str) -> float:
    """Return the binomial probability that fewer than the planned patients are evaluable, if all come that may.

    Who is missing keeps a place among the planned; who is not evaluable is replaced. Of a trial that stops early
    nothing is known: it is the probability given that it goes on to its end.
    """
    from scipy.stats import binom

    if setting.lossless(setting.scenario.truths[truth_name]):
        return 0.0
    missing, not_evaluable = _lost(setting, setting.scenario.truths[truth_name])
    placed, planned = 1.0 - not_evaluable, setting.planned[-1]
    enough = float(binom(setting.max_patients, placed).sf(planned - 1))
    return 1.0 - enough * (1.0 - missing / placed) ** planned


def _lost(setting: Setting, truth: Truth) -> tuple[float, float]:
    """Return the probabilities to be missing and not evaluable; of death and drop-out the first to come decides."""
    endpoint: Any = setting.scenario.endpoints[setting.design.endpoint]
    hazard = 0.0 if truth.drop_out is None else drop_out_hazard(truth.drop_out)
    months = np.linspace(0.0, setting.delay, 1001)
    alive = np.zeros_like(months)
    for stratum, share in zip(setting.strata, setting.shares, strict=True):
        dies = truth.death and endpoint.kind == "binary"
        curve = curve_in(truth.death, setting.arms[-1], stratum, setting.scenario.control) if dies else None
        alive += share * np.array([1.0 if curve is None else curve.survival(month) for month in months])
    leaves = float(np.trapezoid(alive * hazard * np.exp(-hazard * months), months))
    dies_first = 1.0 - float(alive[-1]) * math.exp(-hazard * setting.delay) - leaves
    lost = {"failure": 0.0, "missing": 0.0, "not_evaluable": 0.0}
    lost[endpoint.drop_out_before_assessment] += leaves
    lost[getattr(endpoint, "death_before_assessment", "failure")] += dies_first
    return lost["missing"], lost["not_evaluable"]
