"""Gamma priors of the hazards of baskets as a person writes them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.analyses.gamma_cells import GammaCells
from lmd_trialsim.designs.analyses import GammaPrior
from lmd_trialsim.designs.borrowing import priors_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At


class GammaCellsSpec(Spec):
    """Exponential times with a gamma prior on the hazard of each basket, or on the one hazard of all."""

    kind: Literal["gamma_exponential"]
    prior: GammaPrior | None = Field(None, description="of every basket's hazard a month: {events, months}")
    priors: dict[str, GammaPrior] = Field(default_factory=dict, description="by basket, where they differ")
    pooled: bool = Field(False, description="one hazard for all baskets")

    @model_validator(mode="after")
    def _proper(self) -> GammaCellsSpec:
        if self.pooled and self.priors:
            what = "differ by basket, but pooled baskets have one hazard and so one prior"
            raise At(("priors",), what, way_out="Use prior:, or leave pooled out.", key=True)
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {events: 0.5, months: 1}.")
        return self

    def model(self, frame: Frame) -> tuple[Any, int]:
        """Return the model that kernels read, and its scratch."""
        priors = list(priors_of(frame.baskets, self.prior, self.priors))
        events, months = (np.array([getattr(prior, name) for prior in priors]) for name in ("events", "months"))
        return GammaCells(events, months, int(self.pooled), frame.bounds), 1
