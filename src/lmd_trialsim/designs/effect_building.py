"""Hierarchical models of effects whose data are no rows of a table, at the first level of accuracy that suffices."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.effect_weights import Core, Grid, grid_of, normal_weights
from lmd_trialsim.analyses.hierarchical_rules import IN_A_PANEL
from lmd_trialsim.analyses.hierarchical_tables import Kind, Normal
from lmd_trialsim.analyses.on_grid import OnGrid, answer_on_grid, scratch_of_grid
from lmd_trialsim.designs.effect_data import Columns, EffectData
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical_levels import Level, agreeing, remembered
from lmd_trialsim.designs.scale_priors import FixedSd, NormalLogit, rule_of
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical

Array = NDArray[np.float64]

LEVELS: tuple[Level, ...] = ((9, 0.8), (13, 1.0), (17, 1.1), (24, 1.2), (34, 1.4), (48, 1.6))
"""Nodes of tau, and fineness of the panels: each is tried until the next one agrees."""

LEVELS_OF_ONE_TAU: tuple[Level, ...] = tuple((1, fineness) for fineness in (0.8, 1.2, 1.8, 2.7, 4.0, 6.0))
"""Where baskets are nearly pooled, and unlike, a basket counts for what is far out in the tail of its likelihood."""

SAMPLES = 150

OF_A_MEAN = 0.01
"""What a difference of posterior means, in standard deviations, counts beside one of probabilities: 0.001 passes."""

LEAST_SD = 1e-9
"""Of a posterior; the coarsest grids find less than none."""


class Question(NamedTuple):
    """All that the accuracy depends on."""

    numbers: tuple[int, ...]  # most patients of each basket
    bounds: tuple[tuple[float, ...], ...]  # of the effect, (bounds that rules look at, baskets)
    mean: NormalLogit
    sd: Any
    kinds: tuple[Kind, ...]  # of each basket
    data: Any  # an EffectData

    @property
    def offsets(self) -> Array:
        """The offset of each basket."""
        return np.array([kind.offset for kind in self.kinds])

    def core(self) -> Core:
        """Return where the data are informative."""
        asked = np.array(self.bounds) - self.offsets
        low, high = float(asked.min()) - self.data.reach, float(asked.max()) + self.data.reach
        each = self.data.information
        return Core(low, high, each * max(self.numbers), each * sum(self.numbers), len(self.numbers))

    def grid(self, level: Level, bounds: Sequence[float]) -> Grid:
        """Return the nodes and weights of a level."""
        order, fineness = level
        scales = rule_of(self.sd, int(order))
        own = [kind.mixture.own for kind in self.kinds if kind.mixture.exchangeable < 1.0]
        return grid_of(Normal(self.mean.mean, self.mean.sd), scales, self.core(), bounds, fineness, own)

    def steps(self, bounds: Array) -> list[float]:
        """Return the bounds of eta, each once."""
        return sorted(set(np.round(bounds - self.offsets, 12).ravel().tolist()))


def built_on_grid(
    frame: Frame, mean: NormalLogit, sd: Any, kinds: Sequence[Kind], data: EffectData
) -> tuple[OnGrid, int]:
    """Return the model of the effects, and the room that it works in; ValueError if no level suffices."""
    bounds = np.log(np.nan_to_num(frame.bounds, nan=1.0))  # where there is no true value, none is asked about
    judged = bounds[: max(frame.judged, 1)]
    question = Question(tuple(frame.numbers), tuple(map(tuple, judged.tolist())), mean, sd, tuple(kinds), data)
    level, error = remembered(question, functools.partial(_search, question))
    grid = question.grid(level, question.steps(bounds))
    model = _model(question, grid, bounds, error)
    return model, scratch_of_grid(model)


def _model(question: Question, grid: Grid, bounds: Array, error: float) -> OnGrid:
    """Return the grid with the ranges of its weights, and what the baskets have of their own."""
    panels = np.abs(grid.within).reshape(len(grid.prior), -1, IN_A_PANEL).max(axis=2) > 0.0
    first = IN_A_PANEL * panels.argmax(axis=1)
    stop = IN_A_PANEL * (panels.shape[1] - panels[:, ::-1].argmax(axis=1))
    own = [normal_weights(grid.edges, np.array([k.mixture.own.mean]), k.mixture.own.sd)[0] for k in question.kinds]
    share = np.array([kind.mixture.exchangeable for kind in question.kinds])
    beyond = IN_A_PANEL * np.searchsorted(grid.edges, bounds - question.offsets - 1e-9)
    return OnGrid(
        question.data.lowered(grid.eta, max(question.numbers)),
        grid.eta,
        grid.prior,
        grid.within,
        first,
        stop,
        np.array(own),
        share,
        question.offsets,
        beyond,
        error,
    )


def _search(question: Question) -> tuple[Level, float]:
    levels = LEVELS_OF_ONE_TAU if isinstance(question.sd, FixedSd) else LEVELS
    data = sampled_data(question)
    return agreeing(levels, lambda level: _answers(question, level, data), _difference)


def sampled_data(question: Question) -> Columns:
    """Return data: of like and of unlike baskets, early looks, and extremes."""
    draw = np.random.Generator(np.random.Philox(20_261_126))
    shape = (SAMPLES, len(question.numbers))
    asked = np.array(question.bounds)
    centre = draw.uniform(asked.min() - 0.7, asked.max() + 0.7, (SAMPLES, 1))
    effect = centre + draw.choice([0.0, 0.3, 1.0], (SAMPLES, 1)) * draw.normal(size=shape)
    patients = np.ceil(np.array(question.numbers) * draw.choice([0.0, 0.3, 0.6, 1.0, 1.0], shape))
    data: EffectData = question.data
    return data.sampled(draw, effect, patients)


def _answers(question: Question, level: Level, data: Columns) -> Array:
    """Return P(effect > bound), posterior means and standard deviations of the data, (bounds + 2, samples, baskets).

    The mean is NaN of data that a large effect explains as well as an endless one: a heavy prior leaves it none.
    """
    bounds = np.array(question.bounds)
    model = canonical(_model(question, question.grid(level, question.steps(bounds)), bounds, math.nan))
    samples, arms, baskets = next(iter(data.values())).shape
    desk = new_desk(1, arms, baskets, 1, scratch_of_grid(model))
    tails, moments = np.empty((len(bounds), baskets)), np.empty((2, baskets))
    found = np.empty((len(bounds) + 2, samples, baskets))
    for sample in range(samples):
        for name, column in data.items():
            desk.cells[name] = column[sample]
        answer_on_grid(model, desk, tails, moments)
        mean, square = moments
        found[:, sample] = *tails, mean, np.sqrt(np.maximum(square - mean * mean, LEAST_SD**2))
    if np.isnan(found).any():
        raise ValueError("the posterior under this prior is lost in rounding where baskets are very unlike")
    found[-2, ~question.data.bounds_effect(data)] = math.nan
    return found


def _difference(before: Array, after: Array) -> float:
    """Return the largest difference of two answers, of means as a share of that of probabilities."""
    tails, means = np.abs(before[:-2] - after[:-2]), np.abs(before[-2] - after[-2]) / after[-1]
    return max(float(tails.max()), OF_A_MEAN * float(np.nanmax(means, initial=0.0)))
