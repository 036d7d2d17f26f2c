"""Borrowing between the strata of an arm as a person writes it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lmd_trialsim.analyses.bordered_newton import Levels
from lmd_trialsim.analyses.laplace import scratch_for
from lmd_trialsim.analyses.regression_cells import ByPatients, Layout
from lmd_trialsim.analyses.strata_hierarchy import StrataHierarchy
from lmd_trialsim.designs.arm_frame import ArmFrame, Memory
from lmd_trialsim.designs.arm_priors import MeanPrior
from lmd_trialsim.designs.arm_regression import Known, Positive, nodes_of
from lmd_trialsim.designs.scale_priors import SdPrior
from lmd_trialsim.evidence.quantities import Spec


class StrataHierarchical(Spec):
    """The effects of an arm in its strata are normal about one mean effect."""

    kind: Literal["hierarchical"]
    level: MeanPrior = Field(description="prior of the control's logit, log hazard a month, or mean in each stratum")
    mean: MeanPrior = Field(description="prior of an arm's mean effect: log odds ratio, log hazard ratio, difference")
    spread: SdPrior = Field(description="prior of the standard deviation of the effects in the strata about it")
    sd: Positive | None = Field(None, description="of a continuous endpoint: the known standard deviation")

    def model(self, frame: ArmFrame) -> tuple[StrataHierarchy, Memory]:
        """Return what kernels read, and what the desk must hold."""
        strata = frame.strata
        known, nodes = Known.of(frame, self.sd, []), nodes_of(self.spread, self.sd)
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
        room = scratch_for(layout, len(nodes[0]))
        model = StrataHierarchy(
            known.likelihood,
            layout,
            Levels(0, self.level.mean, self.level.sd**-2.0, strata),
            *nodes,
            known.sign,
            known.bound,
            room,
        )
        return model, Memory(len(frame.arms) * room)
