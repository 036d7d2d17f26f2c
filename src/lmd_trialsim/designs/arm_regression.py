"""The regression of all arms as a person writes it: effects of arms, strata, follow-up and the time of entry."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lmd_trialsim.analyses.arm_regression import Regression
from lmd_trialsim.analyses.bordered_newton import Levels
from lmd_trialsim.analyses.laplace import scratch_for
from lmd_trialsim.analyses.regression_cells import (
    ByMonths,
    ByPatients,
    ByPeriod,
    Exponential,
    Gaussian,
    Layout,
    Logistic,
)
from lmd_trialsim.designs.arm_frame import ArmFrame, Memory
from lmd_trialsim.designs.arm_priors import MeanPrior
from lmd_trialsim.designs.scale_priors import SdPrior, rule_of
from lmd_trialsim.evidence.quantities import PlainPositiveMonths, Spec
from lmd_trialsim.reading import At

NODES = 12
"""Of the standard deviation of the random walk."""

LEAST_STEP = 1e-4
"""A walk of smaller steps stands still, by logits, log hazards or standard deviations: digits would be lost."""

MOST_BUCKETS = 120

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class NormalSpread(Spec):
    """Independent normal priors about 0."""

    sd: Positive = Field(description="of each; on the scale of the linear predictor")


class RandomWalk(Spec):
    """Levels that follow each other: differences of neighbours, or of differences, are normal."""

    sd: SdPrior = Field(description="prior of the standard deviation of a step")
    order: Literal[1, 2] = Field(1, description="2: of the change of the step, the first step apart")


class TimeOfEntry(Spec):
    """A level for each time of entry."""

    each: Literal["period"] | None = Field(None, description="a level for as long as the same arms are open")
    months: PlainPositiveMonths | None = Field(None, description="instead, one for so many months each")
    patients: Annotated[int, Field(ge=1)] | None = Field(None, description="instead, one for so many patients each")
    walk: RandomWalk | None = Field(None, description="levels follow each other; each by itself where not said")

    @model_validator(mode="after")
    def _one_unit(self) -> TimeOfEntry:
        said = 3 - [self.each, self.months, self.patients].count(None)
        if said != 1:
            way_out = "Keep one." if said else "Add each: period."
            raise At((), "says one of each: period, months and patients.", way_out=way_out, key=True)
        return self

    def count(self, patients: int, months: float | None) -> int:
        """Return how many times of entry there are with so many patients, in a trial that closes at so many months.

        Of periods, or where the trial has no end, 1.
        """
        if self.patients is not None:
            return -(-patients // self.patients)
        return 1 if self.months is None or months is None else math.floor(months / self.months) + 1

    def lowered(self, frame: ArmFrame) -> tuple[Any, int]:
        """Return what kernels read, and how many times of entry there are at most."""
        count = self.count(frame.most, frame.months)
        if self.patients is not None:
            return ByPatients(self.patients), count
        if self.months is not None:
            return ByMonths(self.months), count
        return ByPeriod(), 2 * len(frame.arms) + 1  # one begins with each arm that comes or goes


class FollowUp(Spec):
    """A hazard that changes with the months of follow-up."""

    from_months: Annotated[list[PlainPositiveMonths], Field(min_length=1, max_length=20)] = Field(
        description="months after entry at which the hazard changes"
    )
    sd: Positive = Field(description="of the effect of each interval on the log hazard; normal, about 0")

    @model_validator(mode="after")
    def _increase(self) -> FollowUp:
        for i in range(1, len(self.from_months)):
            if self.from_months[i] <= self.from_months[i - 1]:
                text = "months must increase"
                raise At(("from_months", i), text, got=f"{self.from_months[i]:g}", way_out="Raise it.")
        return self


class Known(NamedTuple):
    """What the endpoint tells a regression."""

    likelihood: Any
    sign: float  # 1 where the larger effect is the better one, else -1
    bound: NDArray[np.float64]  # (bounds,) on the scale of effects

    @classmethod
    def of(cls, frame: ArmFrame, sd: float | None, from_months: list[float]) -> Known:
        """Return it for a known standard deviation, or a hazard that changes at these months of follow-up."""
        bound = np.array([bound for _, bound in frame.bounds] or [1.0])
        if frame.endpoint == "continuous":
            assert sd is not None
            return cls(Gaussian(sd**-2.0), -1.0 if frame.lower else 1.0, bound)
        if frame.endpoint == "time_to_event":
            return cls(Exponential(np.array([0.0, *from_months])), -1.0, np.log(bound))
        return cls(Logistic(), -1.0 if frame.lower else 1.0, np.log(bound))


def nodes_of(prior: Any, sd: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precisions and log prior probabilities, (nodes,), of a standard deviation with a prior; of 1 without.

    sd: of the values of a continuous endpoint.
    """
    if prior is None:
        return np.ones(1), np.zeros(1)
    nodes, shares = rule_of(prior, NODES)
    return np.maximum(nodes, LEAST_STEP * (sd or 1.0)) ** -2.0, np.log(shares / shares.sum())


class ArmRegression(Spec):
    """Bayesian logistic, normal or exponential regression on arm, stratum, follow-up and time of entry."""

    kind: Literal["regression"]
    level: MeanPrior = Field(description="prior of the control's logit, log hazard a month, or mean")
    prior: MeanPrior | None = Field(None, description="of the effect of every arm")
    priors: dict[str, MeanPrior] = Field(default_factory=dict, description="by arm, where they differ")
    strata: NormalSpread | None = Field(None, description="effects of the strata")
    time: TimeOfEntry | None = Field(None, description="a level for each time of entry; one for all where not said")
    hazard: FollowUp | None = Field(None, description="of times to an event: a hazard that changes with the follow-up")
    sd: Positive | None = Field(None, description="of a continuous endpoint: the known standard deviation")

    @model_validator(mode="after")
    def _proper(self) -> ArmRegression:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior of the effects. Add prior: {mean: 0, sd: 1}.")
        return self

    def _layout(self, frame: ArmFrame) -> Layout:
        time, buckets = (ByPatients(frame.most), 1) if self.time is None else self.time.lowered(frame)
        strata = frame.strata if self.strata is not None else 0
        intervals = 1 + len(self.hazard.from_months) if self.hazard is not None else 0
        effects = [p for p in (self.priors.get(arm) or self.prior for arm in frame.arms[1:]) if p is not None]
        sds = [self.strata.sd] * strata if self.strata is not None else []
        sds += [self.hazard.sd] * intervals if self.hazard is not None else []
        return Layout(
            time,
            buckets,
            strata,
            intervals,
            len(frame.arms),
            np.array([*sds, *(p.sd for p in effects)]) ** -2.0,
            np.array([*(0.0 for _ in sds), *(p.mean for p in effects)]),
            len(frame.arms) * max(strata, 1) * max(intervals, 1) * buckets,
        )

    def model(self, frame: ArmFrame) -> tuple[Regression, Memory]:
        """Return what kernels read, and what the desk must hold."""
        walk = self.time.walk if self.time is not None else None
        known = Known.of(frame, self.sd, self.hazard.from_months if self.hazard is not None else [])
        model = Regression(
            known.likelihood,
            self._layout(frame),
            Levels(0 if walk is None else walk.order, self.level.mean, self.level.sd**-2.0, 0),
            *nodes_of(walk.sd if walk is not None else None, self.sd),
            known.sign,
            known.bound,
            frame.effects,
        )
        return model, Memory(scratch_for(model.layout, len(model.walk)))
