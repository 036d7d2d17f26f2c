"""Analyses of several arms as a person writes them, and what kernels read of them."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.analyses.arm_hazards import MOST_NODES, ArmHazards
from lmd_trialsim.analyses.arm_means import ArmMeans
from lmd_trialsim.analyses.arm_periods import PeriodRegression
from lmd_trialsim.analyses.arm_rates import MOST_REMEMBERED, ArmRates, nodes_for, table_of
from lmd_trialsim.analyses.arm_tests import (
    ABSOLUTE,
    AGAINST_CONTROL,
    DifferenceOfMeans,
    DifferenceOfProportions,
    LogRankOfArms,
)
from lmd_trialsim.designs.analyses import BetaPrior, GammaPrior
from lmd_trialsim.designs.arm_frame import ArmFrame, Memory
from lmd_trialsim.designs.arm_regression import ArmRegression
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

    def model(self, frame: ArmFrame) -> tuple[ArmRates, Memory]:
        """Return what kernels read, and what the desk must hold."""
        sign = -1.0 if frame.lower else 1.0
        priors = [self.priors.get(arm) or self.prior for arm in frame.arms]
        pairs = [(p.beta, p.alpha) if frame.lower else (p.alpha, p.beta) for p in priors if p is not None]
        shifts = [0.0]

        def section(difference: float) -> int:
            near = [i for i, known in enumerate(shifts) if abs(known - difference) < 1e-12]
            if not near:
                shifts.append(difference)
            return near[0] if near else len(shifts) - 1

        absolute = [quantity == "rate" for quantity, _ in frame.bounds]
        values = [
            (1.0 - bound if frame.lower else bound) if alone else sign * bound
            for alone, (_, bound) in zip(absolute, frame.bounds, strict=True)
        ]
        sections = [0 if alone else section(value) for alone, value in zip(absolute, values, strict=True)]
        of_truth = [
            section(sign * effect) if frame.control and number and math.isfinite(effect) else 0
            for number, effect in enumerate(frame.effects)
        ]
        within = section(frame.within) if frame.within else 0
        node, rest, weight = nodes_for(frame.most, min(min(pair) for pair in pairs), shifts)
        distinct = list(dict.fromkeys(pairs))
        tabulated, table = table_of(distinct, frame.most, node, rest, weight, np.array(shifts))
        size = table.shape[1]
        entries = 1
        if tabulated < frame.most:
            entries = 2 ** max(math.floor(math.log2(MOST_REMEMBERED / size)), math.ceil(math.log2(4 * len(pairs))))
        model = ArmRates(
            alpha=np.array([a for a, _ in pairs]),
            beta=np.array([b for _, b in pairs]),
            kind=np.array([distinct.index(pair) for pair in pairs]),
            lower=int(frame.lower),
            compares=int(frame.control),
            node=node,
            rest=rest,
            weight=weight,
            shift=np.array(shifts),
            bound_kind=np.array([ABSOLUTE if alone else AGAINST_CONTROL for alone in absolute] or [0]),
            bound=np.array(values or [0.0]),
            section=np.array(sections or [0]),
            truth=frame.effects,
            truth_section=np.array(of_truth),
            within=within,
            tabulated=tabulated,
            table=table,
        )
        return model, Memory(len(node), entries, size)


class ArmGammaExponential(Spec):
    """Exponential times to an event, with independent gamma priors on the hazards of the arms."""

    kind: Literal["gamma_exponential"]
    prior: GammaPrior | None = Field(None, description="of every arm: {events, months}")
    priors: dict[str, GammaPrior] = Field(default_factory=dict, description="by arm, where they differ")

    @model_validator(mode="after")
    def _proper(self) -> ArmGammaExponential:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {events: 0.5, months: 1}.")
        return self

    def model(self, frame: ArmFrame) -> tuple[ArmHazards, Memory]:
        """Return what kernels read, and what the desk must hold."""
        priors = [p for p in (self.priors.get(arm) or self.prior for arm in frame.arms) if p is not None]
        kinds = [ABSOLUTE if quantity == "median" else AGAINST_CONTROL for quantity, _ in frame.bounds]
        bounds = [math.log(2.0) / bound if quantity == "median" else bound for quantity, bound in frame.bounds]
        model = ArmHazards(
            events=np.array([p.events for p in priors]),
            months=np.array([p.months for p in priors]),
            compares=int(frame.control),
            bound_kind=np.array(kinds or [0]),
            bound=np.array(bounds or [1.0]),
            truth=frame.effects,
        )
        return model, Memory((2 * len(priors) + 1) * MOST_NODES)


class MeanPrior(Spec):
    """A normal prior of a mean."""

    mean: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] = Field(0.0, description="of the mean")
    sd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(description="of the mean")


class ArmLogRank(Spec):
    """The log-rank test of each arm against its control patients."""

    kind: Literal["log_rank"]

    def model(self, frame: ArmFrame) -> tuple[LogRankOfArms, Memory]:
        """Return what kernels read, and what the desk must hold."""
        bounds = [math.log(bound) for _, bound in frame.bounds]
        return LogRankOfArms(-1.0, np.array(bounds or [0.0]), frame.effects), Memory()


class ArmNormal(Spec):
    """Normal values of known standard deviation, with independent normal priors on the means of the arms."""

    kind: Literal["normal"]
    sd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(description="known standard deviation")
    prior: MeanPrior | None = Field(None, description="of every arm: {mean, sd}")
    priors: dict[str, MeanPrior] = Field(default_factory=dict, description="by arm, where they differ")

    @model_validator(mode="after")
    def _proper(self) -> ArmNormal:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {mean: 0, sd: 10}.")
        return self

    def model(self, frame: ArmFrame) -> tuple[ArmMeans, Memory]:
        """Return what kernels read, and what the desk must hold."""
        priors = [p for p in (self.priors.get(arm) or self.prior for arm in frame.arms) if p is not None]
        model = ArmMeans(
            mean=np.array([p.mean for p in priors]),
            precision=np.array([p.sd**-2.0 for p in priors]),
            information=self.sd**-2.0,
            sign=-1.0 if frame.lower else 1.0,
            compares=int(frame.control),
            bound_kind=np.array([ABSOLUTE if q == "mean" else AGAINST_CONTROL for q, _ in frame.bounds] or [0]),
            bound=np.array([bound for _, bound in frame.bounds] or [0.0]),
            truth=frame.effects,
            within=frame.within,
        )
        return model, Memory()


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
