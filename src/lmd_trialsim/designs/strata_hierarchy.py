"""Borrowing between the strata of an arm as a person writes it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from lmd_trialsim.analyses.bordered_newton import Levels
from lmd_trialsim.analyses.laplace import scratch_for
from lmd_trialsim.analyses.regression_cells import ByPatients, Exponential, Gaussian, Layout, Logistic
from lmd_trialsim.analyses.strata_hierarchy import StrataHierarchy
from lmd_trialsim.designs.arm_frame import ArmFrame, Memory
from lmd_trialsim.designs.arm_regression import LEAST_STEP, NODES, NormalPrior, Positive
from lmd_trialsim.designs.scale_priors import SdPrior, rule_of
from lmd_trialsim.evidence.quantities import Spec


class StrataHierarchical(Spec):
    """The effects of an arm in its strata are normal about one mean effect."""

    kind: Literal["hierarchical"]
    level: NormalPrior = Field(description="prior of the control's logit, log hazard a month, or mean in each stratum")
    mean: NormalPrior = Field(description="prior of an arm's mean effect: log odds ratio, log hazard ratio, difference")
    spread: SdPrior = Field(description="prior of the standard deviation of the effects in the strata about it")
    sd: Positive | None = Field(None, description="of a continuous endpoint: the known standard deviation")

    def _likelihood(self, frame: ArmFrame) -> Any:
        if frame.endpoint == "time_to_event":
            return Exponential(np.zeros(1))
        if frame.endpoint == "continuous":
            assert self.sd is not None
            return Gaussian(self.sd**-2.0)
        return Logistic()

    def model(self, frame: ArmFrame) -> tuple[StrataHierarchy, Memory]:
        """Return what kernels read, and what the desk must hold."""
        strata = frame.strata
        spreads, shares = rule_of(self.spread, NODES)
        layout = Layout(
            ByPatients(1),
            strata,
            0,
            0,
            strata + 1,
            np.array([self.mean.sd**-2.0, *(0.0 for _ in range(strata))]),
            np.array([self.mean.mean, *(0.0 for _ in range(strata))]),
            2 * strata,
        )
        bounds = np.array([bound for _, bound in frame.bounds] or [1.0])
        room = scratch_for(layout, len(spreads))
        model = StrataHierarchy(
            self._likelihood(frame),
            layout,
            Levels(0, self.level.mean, self.level.sd**-2.0, strata),
            np.maximum(spreads, LEAST_STEP * (self.sd or 1.0)) ** -2.0,
            np.log(shares / shares.sum()),
            -1.0 if frame.endpoint == "time_to_event" or frame.lower else 1.0,
            bounds if frame.endpoint == "continuous" else np.log(bounds),
            room,
        )
        return model, Memory(len(frame.arms) * room)
