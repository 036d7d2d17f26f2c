"""What the baskets of hierarchical models of effects are known by: what kernels read, and samples of data.

The samples serve the search for an accuracy that suffices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, log_expit

from lmd_trialsim.analyses.cell_likelihoods import ExponentialTimes, TwoHazards, TwoRates

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Columns = dict[str, Array]
"""Of the cells of a desk, each (samples, arms, baskets)."""
LOG_2 = math.log(2.0)


class EffectData(Protocol):
    """The data of baskets whose effect has a hierarchical model."""

    @property
    def information(self) -> float:
        """Of a patient on the effect, at most."""

    @property
    def reach(self) -> float:
        """How far from what a design asks about its data may lead, on the scale of the effect."""

    def lowered(self, eta: Array, patients: int) -> Any:
        """Return what kernels read. patients: the most of a basket."""

    def sampled(self, draw: np.random.Generator, effect: Array, patients: Array) -> Columns:
        """Return data of baskets of these effects and patients, both (samples, baskets)."""

    def bounds_effect(self, data: Columns) -> Mask:
        """Return whether very large and very small effects are both unlikely, (samples, baskets)."""


def _times(draw: np.random.Generator, median: Array, patients: Array) -> tuple[Array, Array]:
    """Return events and patient-months of patients who were followed for one part or another of their median."""
    dead = -np.expm1(-LOG_2 * draw.choice([0.2, 0.7, 1.5, 4.0], (len(median), 1)))
    events = draw.binomial(patients.astype(int), np.broadcast_to(dead, patients.shape)).astype(float)
    events[::10, 0] = 0.0  # nobody has died in one of them
    scatter = draw.gamma(np.maximum(patients, 1.0)) / np.maximum(patients, 1.0)
    months = median / LOG_2 * patients * dead * scatter
    return events, np.where(events > 0.0, np.maximum(months, 1e-3), months)


def _followed(*arms: tuple[Array, Array]) -> Columns:
    """Return the events and patient-months of the arms as columns."""
    events, months = zip(*arms, strict=True)
    return {"events": np.stack(events, axis=1), "months": np.stack(months, axis=1)}


class _Followed:
    def bounds_effect(self, data: Columns) -> Mask:
        return np.asarray((data["events"] > 0.0).all(axis=1))


@dataclass(frozen=True)
class OfTimes(_Followed):
    """One arm; the effect is the log of the median."""

    information: float = 1.0
    reach: float = 2.5

    def lowered(self, eta: Array, patients: int) -> Any:  # noqa: ARG002 (as any data)
        return ExponentialTimes(0)

    def sampled(self, draw: np.random.Generator, effect: Array, patients: Array) -> Columns:
        return _followed(_times(draw, np.exp(effect), patients))


@dataclass(frozen=True)
class OfTwoHazards(_Followed):
    """Two arms; the effect is the log hazard ratio. events, months: the gamma prior of the control's hazard."""

    events: float
    months: float
    information: float = 0.25
    reach: float = 3.0

    def lowered(self, eta: Array, patients: int) -> Any:  # noqa: ARG002 (as any data)
        return TwoHazards(self.events, self.months)

    def sampled(self, draw: np.random.Generator, effect: Array, patients: Array) -> Columns:
        median = self.months / self.events * LOG_2 * np.exp(draw.normal(0.0, 0.5, effect.shape))
        of_control, of_treated = np.floor(patients / 2.0), np.ceil(patients / 2.0)
        return _followed(_times(draw, median, of_control), _times(draw, median * np.exp(-effect), of_treated))


@dataclass(frozen=True)
class OfTwoRates:
    """Two arms; the effect is the log odds ratio. alpha, beta: the beta prior of the control's rate."""

    alpha: float
    beta: float
    information: float = 0.0625
    reach: float = 3.5

    def _logits(self, patients: int) -> Array:
        """Return the points of the trapezoid rule: two thirds of the least standard error of a logit apart."""
        step = min(0.4, 4.0 / 3.0 / math.sqrt(max(patients, 1)))
        edge = 36.0 / min(self.alpha, self.beta, 2.0)
        half = math.ceil(edge / step)
        return np.linspace(-half * step, half * step, 2 * half + 1)

    def lowered(self, eta: Array, patients: int) -> Any:
        logit = self._logits(patients)
        success, failure = log_expit(logit), log_expit(-logit)
        prior = self.alpha * success + self.beta * failure - betaln(self.alpha, self.beta)
        treated = logit[:, None] + eta
        return TwoRates(
            prior + math.log(logit[1] - logit[0]), success, failure, log_expit(treated), log_expit(-treated)
        )

    def sampled(self, draw: np.random.Generator, effect: Array, patients: Array) -> Columns:
        logit = draw.normal(math.log(self.alpha / self.beta), 0.7, effect.shape)
        n_c, n_t = np.floor(patients / 2.0), np.ceil(patients / 2.0)
        x_c, x_t = (
            draw.binomial(n.astype(int), 1.0 / (1.0 + np.exp(-rate))).astype(float)
            for n, rate in ((n_c, logit), (n_t, logit + effect))
        )
        x_t[::10, 0] = n_t[::10, 0]  # all respond in one of them
        return {"patients": np.stack([n_c, n_t], axis=1), "responses": np.stack([x_c, x_t], axis=1)}

    def bounds_effect(self, data: Columns) -> Mask:
        mixed = (data["responses"] > 0.0) & (data["responses"] < data["patients"])
        return np.asarray(mixed.all(axis=1))
