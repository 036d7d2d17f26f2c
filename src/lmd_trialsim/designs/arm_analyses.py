"""Analyses of several arms as a person writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lmd_trialsim.designs.analyses import BetaPrior
from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At


class ArmBetaBinomial(Spec):
    """Independent beta priors on the response rates of the arms."""

    kind: Literal["beta_binomial"]
    prior: BetaPrior | None = Field(None, description="of every arm: {alpha, beta}")
    priors: dict[str, BetaPrior] = Field(default_factory=dict, description="by arm, where they differ")

    @model_validator(mode="after")
    def _proper(self) -> ArmBetaBinomial:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {alpha: 1, beta: 1}.")
        return self

    def of_arm(self, arm: str) -> BetaPrior:
        """Return the prior of `arm`."""
        prior = self.priors.get(arm, self.prior)
        assert prior is not None
        return prior


ArmAnalysis = Annotated[ArmBetaBinomial, Field(discriminator="kind")]
