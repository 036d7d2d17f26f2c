"""Hierarchical models of baskets as a person writes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import logit

from lmd_trialsim.analyses.hierarchical_tables import EXCHANGEABLE, Kind, Mixture, Normal
from lmd_trialsim.designs.analyses import BetaPrior, GammaPrior
from lmd_trialsim.designs.effect_building import built_on_grid
from lmd_trialsim.designs.effect_data import EffectData, OfTimes, OfTwoHazards, OfTwoRates
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical_building import built, built_calibrated, built_of_several
from lmd_trialsim.designs.measures import HAZARD_RATIO, ODDS_RATIO, RATE, Measure, Value
from lmd_trialsim.designs.scale_priors import NormalLogit, SdPrior
from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At

Array = NDArray[np.float64]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Exchangeable(Spec):
    """Baskets whose logits (logs of medians) are N(mu, tau^2)."""

    weight: Weight = Field(description="probability that a basket is of this kind")
    mean: NormalLogit = Field(description="normal prior of mu")
    sd: SdPrior = Field(description="prior of tau")


class NonExchangeable(NormalLogit):
    """A basket on its own: a normal prior of its logit."""

    weight: Weight = Field(description="probability that a basket is on its own")


Offset = Literal["null_rate", "target_rate", "null_median", "target_median"] | Value | None
OFFSET = (
    "the logit is counted from that of this rate: null_rate, target_rate, or a number; from 0 where not said; "
    "of times, the log of the median from that of null_median, target_median, or so many months"
)


def offsets_of(offset: Any, frame: Frame) -> Array:
    """Return what is added to each basket's logit, or log of the median, (baskets,)."""
    if offset is None:
        return np.zeros(len(frame.baskets))
    named = {frame.measure.null: frame.null, frame.measure.target: frame.target}.get(str(offset))
    values = np.full(len(frame.baskets), float(offset)) if named is None else named
    return np.asarray(logit(values) if frame.measure is RATE else np.log(values))


class _OfEffects(Spec):
    control_rate: BetaPrior | None = Field(
        None, description="randomised baskets, binary endpoints: prior of the control's rate in each basket"
    )
    control_hazard: GammaPrior | None = Field(
        None, description="randomised baskets, times to an event: prior of the control's hazard in each basket"
    )

    def data(self, measure: Measure) -> EffectData:
        """Return what baskets are known by."""
        if measure is ODDS_RATIO:
            assert self.control_rate is not None
            return OfTwoRates(self.control_rate.alpha, self.control_rate.beta)
        if measure is HAZARD_RATIO:
            assert self.control_hazard is not None
            return OfTwoHazards(self.control_hazard.events, self.control_hazard.months)
        return OfTimes()


class HierarchicalSpec(_OfEffects):
    """The Bayesian hierarchical model: logit of the rate (log of the median) - offset ~ N(mu, tau^2)."""

    kind: Literal["hierarchical"]
    mean: NormalLogit = Field(description="normal prior of mu")
    sd: SdPrior = Field(description="prior of tau, the standard deviation between baskets on the logit scale")
    offset: Offset = Field(None, description=OFFSET)

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and the room that it works in."""
        kinds = [Kind(offset, EXCHANGEABLE) for offset in offsets_of(self.offset, frame).tolist()]
        if frame.measure is not RATE:
            return built_on_grid(frame, self.mean, self.sd, kinds, self.data(frame.measure))
        return built(frame, self.mean, self.sd, kinds)


class Exnex(_OfEffects):
    """Exchangeable with others, or on its own (Neuenschwander et al. 2016)."""

    kind: Literal["exnex"]
    exchangeable: Annotated[list[Exchangeable], Field(min_length=1, max_length=3)] = Field(
        description="one component or more, each with a weight"
    )
    non_exchangeable: NonExchangeable = Field(description="a basket's own prior, and its weight")
    own: dict[str, NormalLogit] = Field(
        default_factory=dict, description="by basket: own priors that differ from non_exchangeable's"
    )
    offset: Offset = Field(None, description=OFFSET)

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Exnex:
        total = sum(part.weight for part in self.exchangeable) + self.non_exchangeable.weight
        if abs(total - 1.0) > 1e-6:
            way_out = "Raise or lower one: those of exchangeable and that of non_exchangeable."
            raise At(("kind",), "the weights must sum to 1", got=f"{total:g}", way_out=way_out)
        return self

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and the room that it works in."""
        present = [part for part in self.exchangeable if part.weight > 0.0] or self.exchangeable[:1]
        own = [self.own.get(basket, self.non_exchangeable) for basket in frame.baskets]
        weight = present[0].weight if len(present) == 1 else 1.0
        kinds = [
            Kind(offset, Mixture(weight, Normal(prior.mean, prior.sd)))
            for offset, prior in zip(offsets_of(self.offset, frame).tolist(), own, strict=True)
        ]
        if frame.measure is not RATE:
            return built_on_grid(frame, present[0].mean, present[0].sd, kinds, self.data(frame.measure))
        if len(present) > 1:
            return built_of_several(frame, present, kinds)
        return built(frame, present[0].mean, present[0].sd, kinds)


class CalibratedHierarchicalSpec(Spec):
    """The calibrated hierarchical model: tau^2 = exp(a + b log T), T the homogeneity statistic (Chu and Yuan 2018)."""

    kind: Literal["calibrated_hierarchical"]
    mean: NormalLogit = Field(description="normal prior of mu")
    a: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)] = Field(description="in tau^2 = exp(a + b log T)")
    b: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] = Field(description="in the same; above 0")
    offset: Offset = Field(None, description=OFFSET)

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and the room that it works in."""
        return built_calibrated(frame, self.mean, (self.a, self.b), offsets_of(self.offset, frame))
