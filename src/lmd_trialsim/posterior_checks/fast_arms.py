"""What the analysis of a platform design says of data that are handed to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.engine.arm_plan import TAILS
from lmd_trialsim.kernel.desk import OPEN
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.seams import estimate_of_arm, tail_of_arm, weigh_arms
from lmd_trialsim.platform_replay import Known
from lmd_trialsim.platform_trials import platform_job
from lmd_trialsim.scenario import Scenario

Array = NDArray[np.float64]


@door
def _ask(analysis, desk, first, tails, estimates):  # type: ignore[no-untyped-def]
    weigh_arms(analysis, desk)
    for arm in range(first, tails.shape[1]):
        for bound in range(tails.shape[0]):
            tails[bound, arm] = tail_of_arm(analysis, desk, arm, bound)
        estimates[arm], _ = estimate_of_arm(analysis, desk, arm)


class FastArms:
    """The analysis of a platform design with all its arms open."""

    def __init__(self, scenario: Scenario, design: str, truth: str, *, compares: bool) -> None:
        self._job = platform_job(scenario, design, truth, 1)
        self._compares = compares
        self._question = self._job.plan.rules.conditions["question"]

    def bound_of(self, rule: int, condition: int) -> int:
        """Return the number of the bound that a condition of a rule, both from 0, is about."""
        return int(self._question[int(self._job.plan.rules.rules[rule]["first"]) + condition]) - TAILS

    def answers(self, own: list[Known], controls: list[Known], kind: str) -> tuple[Array, Array]:
        """Return the tails on the better side, (bounds, arms), and the estimates, (arms,), of samples by arm."""
        desk: Any = self._job.room.desk()
        desk.arms.status, desk.state.control = OPEN, 0 if self._compares else -1
        desk.arms.effect = desk.arms.error = np.nan
        known_by = {"time_to_event": ("events", "months"), "continuous": ("responses", "total")}  # else, no months
        names = ("patients", *known_by.get(kind, ("responses", "months")))
        for before, samples in (("", own), ("control_", controls)):
            for name, column in zip(names, zip(*samples, strict=True), strict=True):
                desk.arms[before + name] = column
        tails = np.full((max(int(self._question.max()) - TAILS + 1, 0), len(own)), np.nan)
        estimates = np.full(len(own), np.nan)
        _ask(self._job.plan.analysis, desk, int(self._compares), tails, estimates)
        return tails, estimates
