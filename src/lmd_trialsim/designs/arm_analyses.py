"""Analyses of several arms as a person writes them, and what kernels read of them."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.analyses.arm_hazards import MOST_NODES, ArmHazards
from lmd_trialsim.analyses.arm_means import ArmMeans
from lmd_trialsim.analyses.arm_mixed_hazards import MixedHazards
from lmd_trialsim.analyses.arm_mixed_means import MixedMeans
from lmd_trialsim.analyses.arm_mixed_rates import MixedRates
from lmd_trialsim.analyses.arm_periods import PeriodRegression
from lmd_trialsim.analyses.arm_rates import ArmRates
from lmd_trialsim.analyses.arm_tests import (
    ABSOLUTE,
    AGAINST_CONTROL,
    DifferenceOfMeans,
    DifferenceOfProportions,
    LogRankOfArms,
)
from lmd_trialsim.designs.analyses import RatePrior
from lmd_trialsim.designs.arm_frame import ArmFrame, Memory
from lmd_trialsim.designs.arm_priors import (
    Asked,
    Component,
    HazardPrior,
    ValuePrior,
    check_priors,
    columns_of,
    gamma_mixtures,
    normal_mixtures,
    single,
)
from lmd_trialsim.designs.arm_rates import rates_model
from lmd_trialsim.designs.arm_regression import ArmRegression
from lmd_trialsim.designs.conjugates import Hazards, Means, Rates
from lmd_trialsim.designs.external_controls import ExternalResponses, ExternalTimes, ExternalValues, priors_with
from lmd_trialsim.evidence.quantities import Spec


class ArmBetaBinomial(Spec):
    """Independent beta priors, or mixtures of them, on the response rates of the arms."""

    kind: Literal["beta_binomial"]
    prior: RatePrior | None = Field(None, description="of every arm: {alpha, beta}, or a list of {weight, alpha, beta}")
    priors: dict[str, RatePrior] = Field(default_factory=dict, description="by arm, where they differ")

    external_controls: ExternalResponses | None = Field(None, description="control patients from elsewhere")

    @model_validator(mode="after")
    def _proper(self) -> ArmBetaBinomial:
        check_priors(self, "{alpha: 1, beta: 1}")
        return self

    def model(self, frame: ArmFrame) -> tuple[ArmRates | MixedRates, Memory]:
        """Return what kernels read, and what the desk must hold."""
        priors = priors_with(self, Rates(), frame.arms)
        if frame.lower:
            priors = [tuple(Component(c.weight, c.two, c.one) for c in prior) for prior in priors]
        model, *needs = rates_model(priors, frame)
        return model, Memory(*needs)


class ArmGammaExponential(Spec):
    """Exponential times to an event, with independent gamma priors, or mixtures of them, on the hazards of the arms."""

    kind: Literal["gamma_exponential"]
    prior: HazardPrior | None = Field(
        None, description="of every arm: {events, months}, or a list of {weight, events, months}"
    )
    priors: dict[str, HazardPrior] = Field(default_factory=dict, description="by arm, where they differ")

    external_controls: ExternalTimes | None = Field(None, description="control patients from elsewhere")

    @model_validator(mode="after")
    def _proper(self) -> ArmGammaExponential:
        check_priors(self, "{events: 0.5, months: 1}")
        return self

    def model(self, frame: ArmFrame) -> tuple[ArmHazards | MixedHazards, Memory]:
        """Return what kernels read, and what the desk must hold."""
        priors = priors_with(self, Hazards(), frame.arms)
        kinds = [ABSOLUTE if quantity == "median" else AGAINST_CONTROL for quantity, _ in frame.bounds]
        bounds = [math.log(2.0) / bound if quantity == "median" else bound for quantity, bound in frame.bounds]
        asked = Asked(int(frame.control), np.array(kinds or [0]), np.array(bounds or [1.0]), frame.effects)
        columns = columns_of(priors)
        grids = (2 * len(priors) + 1) * MOST_NODES
        if single(priors, frame.borrows):
            return ArmHazards(columns.one, columns.two, *asked), Memory(grids)
        grids += MOST_NODES  # a component at work
        return MixedHazards(gamma_mixtures(columns, grids), frame.borrows, *asked), Memory(grids + columns.room)


class ArmNormal(Spec):
    """Normal values of known standard deviation, with independent normal priors, or mixtures, on the arms' means."""

    kind: Literal["normal"]
    sd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(description="known standard deviation")
    prior: ValuePrior | None = Field(None, description="of every arm: {mean, sd}, or a list of {weight, mean, sd}")
    priors: dict[str, ValuePrior] = Field(default_factory=dict, description="by arm, where they differ")

    external_controls: ExternalValues | None = Field(None, description="control patients from elsewhere")

    @model_validator(mode="after")
    def _proper(self) -> ArmNormal:
        check_priors(self, "{mean: 0, sd: 10}")
        return self

    def model(self, frame: ArmFrame) -> tuple[ArmMeans | MixedMeans, Memory]:
        """Return what kernels read, and what the desk must hold."""
        priors = priors_with(self, Means(), frame.arms)
        kinds = [ABSOLUTE if quantity == "mean" else AGAINST_CONTROL for quantity, _ in frame.bounds]
        bounds = [bound for _, bound in frame.bounds]
        asked = Asked(int(frame.control), np.array(kinds or [0]), np.array(bounds or [0.0]), frame.effects)
        columns, information, sign = columns_of(priors), self.sd**-2.0, -1.0 if frame.lower else 1.0
        if single(priors, frame.borrows):
            return ArmMeans(columns.one, columns.two, information, sign, *asked, frame.within), Memory()
        prior = normal_mixtures(columns, 0, information)
        return MixedMeans(prior, frame.borrows, sign, *asked, frame.within), Memory(columns.room)


class ArmLogRank(Spec):
    """The log-rank test of each arm against its control patients."""

    kind: Literal["log_rank"]

    def model(self, frame: ArmFrame) -> tuple[LogRankOfArms, Memory]:
        """Return what kernels read, and what the desk must hold."""
        bounds = [math.log(bound) for _, bound in frame.bounds]
        return LogRankOfArms(-1.0, np.array(bounds or [0.0]), frame.effects), Memory()


class ArmDifferenceOfMeans(Spec):
    """Student's test of each arm against its control patients, or the normal test."""

    kind: Literal["difference_of_means"]
    sd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="standard deviation where it is known; estimated from both groups where not said"
    )

    def model(self, frame: ArmFrame) -> tuple[DifferenceOfMeans, Memory]:
        """Return what kernels read, and what the desk must hold."""
        bounds = np.array([bound for _, bound in frame.bounds] or [0.0])
        return DifferenceOfMeans(self.sd or 0.0, -1.0 if frame.lower else 1.0, bounds, frame.effects), Memory()


class ArmDifferenceOfProportions(Spec):
    """The normal test of each arm's rate against that of its control patients."""

    kind: Literal["difference_of_proportions"]

    def model(self, frame: ArmFrame) -> tuple[DifferenceOfProportions, Memory]:
        """Return what kernels read, and what the desk must hold."""
        bounds = np.array([bound for _, bound in frame.bounds] or [0.0])
        return DifferenceOfProportions(-1.0 if frame.lower else 1.0, bounds, frame.effects), Memory()


class ArmPeriodRegression(Spec):
    """Least squares on arm and period: controls of all times count, adjusted for the time."""

    kind: Literal["period_regression"]

    def model(self, frame: ArmFrame) -> tuple[PeriodRegression, Memory]:
        """Return what kernels read, and what the desk must hold."""
        arms = len(frame.arms)
        periods = 2 * arms + 1  # one begins with each arm that comes or goes
        bounds = np.array([bound for _, bound in frame.bounds] or [0.0])
        model = PeriodRegression(periods, -1.0 if frame.lower else 1.0, bounds, frame.effects)
        return model, Memory(2 * arms * periods + arms * arms + 2 * arms)


TESTS = (ArmLogRank, ArmDifferenceOfMeans, ArmDifferenceOfProportions, ArmPeriodRegression)
"""Analyses with a statistic: an effect of each arm and its standard error, and no joint distribution of the arms."""

ArmAnalysis = Annotated[
    ArmBetaBinomial
    | ArmGammaExponential
    | ArmNormal
    | ArmLogRank
    | ArmDifferenceOfMeans
    | ArmDifferenceOfProportions
    | ArmPeriodRegression
    | ArmRegression,
    Field(discriminator="kind"),
]
