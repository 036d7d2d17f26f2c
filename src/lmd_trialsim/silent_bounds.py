"""Designs that are valid and will often decide nothing: bounds on counts where too few patients remain evaluable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.lowering import Setting, drop_out_hazard
from lmd_trialsim.patients.course import curve_in

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

OFTEN = 0.005


def silent_bounds(scenario: Scenario) -> Iterator[str]:
    """Yield a line for each design whose bound on the last count is often silent, for want of evaluable patients."""
    for name, spec in scenario.designs.items():
        if isinstance(spec, Basket):
            continue
        setting = Setting.of(scenario, name)
        if setting.design.succeeds_by_counts:
            shares = {truth: probability_of_too_few(setting, truth) for truth in scenario.truths}
            often = [f"{truth} ({share:.2g})" for truth, share in shares.items() if share > OFTEN]
            if often:
                yield (
                    f"designs.{name}: its last bound is on the responses of {_planned(setting)} evaluable patients, "
                    f"and is silent when fewer remain of {setting.max_patients}: probability under {', '.join(often)}. "
                    "Raise max_enrolled (max_patients of a general design), or count who is lost as a failure."
                )


def probability_of_too_few(setting: Setting, truth_name: str) -> float:
    """Return the binomial probability that fewer than the planned patients are evaluable, if all come that may.

    Of a trial that stops early nothing is known: it is the probability given that it goes on to its end.
    """
    from scipy.stats import binom

    truth = setting.scenario.truths[truth_name]
    if setting.lossless(truth):
        return 0.0
    endpoint: Any = setting.scenario.endpoints[setting.design.endpoint]
    stays, standing = 1.0, []
    if truth.drop_out is not None and endpoint.drop_out_before_assessment != "failure":
        stays *= math.exp(-drop_out_hazard(truth.drop_out) * setting.delay)
        standing.append(endpoint.drop_out_before_assessment)
    if truth.death and getattr(endpoint, "death_before_assessment", "failure") != "failure":
        arm, control = setting.arms[-1], setting.scenario.control
        alive = [curve_in(truth.death, arm, stratum, control).survival(setting.delay) for stratum in setting.strata]
        stays *= math.fsum(share * part for share, part in zip(setting.shares, alive, strict=True))
        standing.append(endpoint.death_before_assessment)
    planned = _planned(setting)
    # Who is missing keeps a place among the planned, and is not replaced.
    come = planned if "missing" in standing else setting.max_patients
    return float(binom(come, stays).cdf(planned - 1))


def _planned(setting: Setting) -> int:
    return int([*setting.design.looks.numbers(), setting.design.max_patients][setting.design.looks.count - 1])
