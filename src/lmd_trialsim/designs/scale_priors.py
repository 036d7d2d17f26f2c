"""Priors of the hyperparameters of hierarchical models: a normal mean, and standard deviations of several kinds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import gammaincc, gammainccinv, ndtri, stdtrit

from lmd_trialsim.analyses.hierarchical_rules import Rule, scale_rule
from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At

Array = NDArray[np.float64]
Finite = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Tiny = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class NormalLogit(Spec):
    """A normal prior on the scale of the model: logits of rates, logs of medians in months, or logs of ratios."""

    mean: Finite = Field(description="on the scale of logits; of times, of the log of the median in months")
    sd: Positive = Field(description="on the scale of logits; of times, of the log of the median in months")


class HalfNormal(Spec):
    """tau = |N(0, scale^2)|."""

    kind: Literal["half_normal"]
    scale: Positive = Field(description="standard deviation of the normal that is folded")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(-self.scale * ndtri((1.0 - share) / 2.0))


class HalfT(Spec):
    """tau = scale * |t|, with so many degrees of freedom; 1 is half-Cauchy."""

    kind: Literal["half_t"]
    scale: Positive = Field(description="of the t that is folded")
    degrees_of_freedom: Positive = Field(description="1 is half-Cauchy")

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(-self.scale * stdtrit(self.degrees_of_freedom, (1.0 - share) / 2.0))


class InverseGammaVariance(Spec):
    """tau^2 ~ inverse gamma, kept between limits if wanted."""

    kind: Literal["inverse_gamma_variance"]
    shape: Tiny = Field(description="of the gamma of 1 / tau^2")
    rate: Tiny = Field(description="of the gamma of 1 / tau^2")
    least: Annotated[float, Field(ge=0)] = Field(0.0, description="tau^2 is no smaller")
    most: Tiny | None = Field(None, description="tau^2 is no larger")

    @model_validator(mode="after")
    def _in_order(self) -> InverseGammaVariance:
        if self.most is not None and self.most <= self.least:
            raise At(("most",), f"does not exceed least, {self.least:g}", got=f"{self.most:g}", way_out="Raise it.")
        return self

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        low = float(gammaincc(self.shape, self.rate / self.least)) if self.least else 0.0
        high = float(gammaincc(self.shape, self.rate / self.most)) if self.most else 1.0
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt(self.rate / gammainccinv(self.shape, low + (high - low) * share)))


class UniformSd(Spec):
    """tau ~ uniform."""

    kind: Literal["uniform"]
    low: Annotated[float, Field(ge=0, le=1000)] = Field(0.0, description="least tau")
    high: Positive = Field(description="largest tau")

    @model_validator(mode="after")
    def _in_order(self) -> UniformSd:
        if self.high <= self.low:
            raise At(("high",), f"does not exceed low, {self.low:g}", got=f"{self.high:g}", way_out="Raise it.")
        return self

    def quantile(self, share: Array) -> Array:
        """Return tau at cumulative probability `share`."""
        return np.asarray(self.low + (self.high - self.low) * share)


class FixedSd(Spec):
    """tau is known."""

    kind: Literal["fixed"]
    value: Annotated[float, Field(ge=0, le=1000)] = Field(description="tau; 0 pools the baskets")


SdPrior = Annotated[HalfNormal | HalfT | InverseGammaVariance | UniformSd | FixedSd, Field(discriminator="kind")]


def rule_of(prior: Any, order: int) -> Rule:
    """Return nodes and weights of tau."""
    if isinstance(prior, FixedSd):
        return Rule(np.array([prior.value]), np.ones(1))
    return scale_rule(prior.quantile, order)
