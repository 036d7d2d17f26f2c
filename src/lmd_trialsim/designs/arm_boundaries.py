"""Boundaries of several arms against one control, with the error of any false rejection held (Dunnett 1955).

With equal stages the scores of arms and control are independent Brownian motions B_k(t) and W(t), t the part of the
patients, W with variance t / r where the control has r patients to one of an arm:
Z_k(t) = (B_k(t) - W(t)) / sqrt(t (1 + 1 / r)). Given the control's path the arms are independent and alike, so the
probability that none of K rejects is the mean over the control's paths of that of one arm to the power K
(Magirr, Jaki and Whitehead 2012, equation 3). The arm's is a recursion from look to look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lmd_trialsim.designs.boundaries import obrien_fleming, pocock, root

Array = NDArray[np.float64]

SHAPES = ("obrien_fleming", "pocock", "triangular")
INNER = 32  # nodes of the arm's score between its boundaries
OUTER = {1: 64, 2: 40, 3: 16}  # nodes of each step of the control's path
POINTS = 2**12  # paths of the control where there are more looks: a Sobol sequence, errors of some 1e-4
EDGE = 8.0


def shape_of(name: str, fraction: Array, lower: Sequence[float] | None) -> tuple[Array, Array]:
    """Return upper and lower boundary, (looks,), but for a factor of the upper one; lower is as given, or none.

    fraction: (looks,) information at each look over that of the last. triangular: Whitehead's, with its own lower
    boundary (Whitehead 1997, section 4.4, in the form of Magirr et al. 2012, section 3).
    """
    if name == "triangular":
        upper = (1.0 + fraction) / np.sqrt(fraction)
        return upper / upper[-1], (3.0 * fraction - 1.0) / np.sqrt(fraction) / upper[-1]
    upper = obrien_fleming(fraction) if name == "obrien_fleming" else pocock(fraction)
    below = np.full(len(fraction), -math.inf)
    if lower is not None:
        below[: len(lower)] = lower
    return upper / upper[-1], below


def _paths(fraction: Array, ratio: float) -> tuple[Array, Array]:
    """Return paths of the control, (paths, looks), and their weights, (paths,)."""
    looks = len(fraction)
    step = np.sqrt(np.diff(fraction, prepend=0.0) / ratio)
    if looks in OUTER:
        node, weight = np.polynomial.hermite_e.hermegauss(OUTER[looks])
        grid = np.stack(np.meshgrid(*([node] * looks), indexing="ij"), axis=-1).reshape(-1, looks)
        weights = np.prod(np.stack(np.meshgrid(*([weight] * looks), indexing="ij"), axis=-1), axis=-1).ravel()
        return np.cumsum(grid * step, axis=1), weights / weights.sum()
    from scipy.stats import qmc  # here, as it takes as long to import as all the rest of the program

    points = qmc.Sobol(looks, scramble=True, seed=1).random(POINTS)
    return np.cumsum(ndtri(points) * step, axis=1), np.full(POINTS, 1.0 / POINTS)


def _never_rejects(path: Array, upper: Array, lower: Array, fraction: Array, ratio: float) -> Array:
    """Return the probability, (paths,), that an arm without effect never rejects, given the control's path."""
    scale = np.sqrt(fraction * (1.0 + 1.0 / ratio))
    top, bottom = path + upper * scale, path + lower * scale
    spread = np.sqrt(np.diff(fraction, prepend=0.0))
    node, weight = np.polynomial.legendre.leggauss(INNER)
    total = np.zeros(len(path))
    score, density = np.zeros((len(path), 1)), np.ones((len(path), 1))
    last = len(fraction) - 1
    for look in range(len(fraction)):
        high, low = top[:, look, None], bottom[:, look, None]
        if look == last:
            return np.asarray(total + (density * ndtr((high - score) / spread[look])).sum(axis=1))
        total += (density * ndtr((low - score) / spread[look])).sum(axis=1)
        reach = EDGE * math.sqrt(fraction[look])
        a = np.clip(low, -reach, reach)
        b = np.maximum(np.clip(high, -reach, reach), a)
        following = 0.5 * (a + b) + 0.5 * (b - a) * node
        z = (following[:, :, None] - score[:, None, :]) / spread[look]
        kernel = np.exp(-0.5 * z * z) / (spread[look] * math.sqrt(2.0 * math.pi))
        density = 0.5 * (b - a) * weight * (kernel * density[:, None, :]).sum(axis=2)
        score = following
    raise AssertionError("a trial has a last look")


def any_rejection(upper: Array, lower: Array, fraction: Array, arms: int, ratio: float = 1.0) -> float:
    """Return the probability that some arm rejects where none has an effect.

    upper, lower: (looks,) on the z scale, an arm that falls below `lower` is dropped; fraction: (looks,) information
    over that of the last look; arms: how many beside the control; ratio: patients of the control to one of an arm.
    """
    total = 0.0
    path, weight = _paths(fraction, ratio)
    for start in range(0, len(path), 4096):
        rows = slice(start, start + 4096)
        never = _never_rejects(path[rows], upper, lower, fraction, ratio)
        total += float(weight[rows] @ np.clip(never, 0.0, 1.0) ** arms)
    return 1.0 - total


@lru_cache(maxsize=64)
def boundary(
    shape: str, alpha: float, fraction: tuple[float, ...], arms: int, ratio: float, lower: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return upper and lower boundary at which some arm is rejected falsely with probability alpha, each (looks,).

    shape: of SHAPES. lower: at interim looks, where an arm that falls below is dropped; None where it is not.
    ValueError where alpha cannot be had.
    """
    part = np.array(fraction)
    one, below = shape_of(shape, part, lower)

    def at(factor: float) -> tuple[Array, Array]:
        bottom = factor * below if shape == "triangular" else below.copy()
        bottom[-1] = factor * one[-1]
        return factor * one, np.minimum(bottom, factor * one)

    def excess(factor: float) -> float:
        return any_rejection(*at(factor), part, arms, ratio) - alpha

    if excess(0.01) < 0.0:
        raise ValueError(f"no boundary has an error of {alpha:g}: arms are dropped before they can reject")
    upper, bottom = at(root(excess, 0.01, 10.0))
    return tuple(upper.tolist()), tuple(bottom.tolist())
