"""Bayesian regression of all arms together: effects of arms beside those of strata, follow-up and the time of entry.

The linear predictor (a logit, log hazard or mean) is level at the time of entry + stratum + interval + arm. Levels of
neighbouring times may follow a random walk (the time machine of Saville et al. 2022); its standard deviation is summed
over. Posterior probabilities are those of `laplace`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.analyses.bordered_newton import Levels
from lmd_trialsim.analyses.laplace import beyond_bound, moments_of, places_of, weigh_nodes
from lmd_trialsim.analyses.regression_cells import Layout, gather_cells
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    better_than_control,
    estimate_of_arm,
    moments_of_arm,
    tail_of_arm,
    unit_information,
    weigh_arms,
)


class Regression(NamedTuple):
    """The model, and the bounds that are asked about. Effects are on the scale of the linear predictor."""

    likelihood: Any
    layout: Layout
    levels: Levels
    walk: np.ndarray  # (nodes,) 1 / variance of a step
    weight: np.ndarray  # (nodes,) log prior probability of that
    sign: float  # 1 where the larger effect is the better one, else -1
    bound: np.ndarray  # (bounds,) effects
    truth: np.ndarray  # (arms,) true effects


@weigh_arms.case
def weigh_regression(model: Regression, desk):
    """Find the modes, and write mean and standard deviation of each effect by Laplace's approximation."""
    scratch = desk.scratch
    sizes, cells, x, _, _, _, _ = places_of(model.layout)
    count, buckets = gather_cells(model.likelihood, model.layout, desk, scratch[:sizes], scratch[cells:x])
    scratch[sizes] = count
    scratch[sizes + 1] = buckets
    wanted = 0
    for arm in range(1, model.layout.arms):
        wanted |= int(takes_part(desk, arm)) << arm
    weigh_nodes(model, scratch, wanted)
    for arm in range(1, model.layout.arms):
        mean, variance = moments_of(model, scratch, arm) if wanted >> arm & 1 else (0.0, 0.0)
        desk.arms[arm].effect = mean
        desk.arms[arm].error = math.sqrt(variance)


@kernel
def _better_than(model, desk, arm, bound):
    """Return P(the arm is better than the control by more than the bound)."""
    beyond = beyond_bound(model, desk.scratch, arm, bound)
    return beyond if model.sign > 0.0 else 1.0 - beyond


@tail_of_arm.case
def tail_of_effect(model: Regression, desk, arm, bound):
    """By the density at the bound."""
    return _better_than(model, desk, arm, model.bound[bound])


@better_than_control.case
def better_effect_than_control(model: Regression, desk, arm):
    """By the density at 0."""
    return _better_than(model, desk, arm, 0.0)


@moments_of_arm.case
def moments_of_effect(model: Regression, desk, arm):
    """By Laplace's approximation."""
    of = desk.arms[arm]
    return of.effect, of.error * of.error, unit_information(model.likelihood, of)


@estimate_of_arm.case
def estimate_of_effect(model: Regression, desk, arm):
    """The effect at the joint mode, on average over the nodes."""
    truth = model.truth[arm]
    return desk.arms[arm].effect, math.nan if math.isnan(truth) else 1.0 - beyond_bound(model, desk.scratch, arm, truth)
