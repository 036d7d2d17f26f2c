"""The plan of a trial that is judged arm by arm: arms that enter, are judged and leave, beside a shared control."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.engine.cell_plan import CellRules
from lmd_trialsim.kernel.randomising import Randomising

# The answers that rules look at; the posterior probabilities of bounds follow.
BEST, ESTIMATE, COUNTED, STATISTIC, PREDICTIVE = 0, 1, 2, 3, 4
TAILS = 5


class ArmLimits(NamedTuple):
    """What bounds the trial, and when it ends."""

    looks: int  # that an arm can have; the last one is that of a full arm whose patients have been assessed
    delay: float  # months from entry to assessment, or of the follow-up that an arm's last look waits for
    months_to_decide: float
    bounds: int  # posterior probabilities that rules may ask for
    ranks: int  # 1 where some rule looks at the probability to be best, or better
    estimates: int  # 1 where some rule looks at the estimate
    ends_with_success: int  # 1 where the first success ends the trial
    last_wins: int  # 1 where an arm that is left alone, without a control, is a success
    replaces: int  # 1 where an arm that succeeds becomes the control, and the old one is dropped
    next_size: float  # patients, or events, of the confirmatory trial; 0 where rules do not ask of it
    next_z: float  # its z must be beyond this
    direction: float  # 1 where a larger effect is the better one, -1 where a smaller one is
    alike_above: float  # the trial ends where all arms are alike with a probability above this; inf where it does not


class ClosingStrata(NamedTuple):
    """Strata of arms that close while the arm goes on elsewhere. No patient of a stratum with a share of 0 comes."""

    takes: np.ndarray  # (arms, strata) 1 where the arm is open to the stratum at first, and patients of it come
    rules: CellRules  # asked of every stratum of every arm that is due; cells are arms
    analysis: Any  # asked of them; one that borrows between strata finds what is known of all on desk.by_stratum
    limits: ArmLimits  # what is asked of it
    ranks: int  # 1 where some of these rules looks at the probability to be best
    counted: int  # 1 where an arm is judged by the patients of strata that have closed too
    weight: np.ndarray  # (strata,) shares of the strata
    effect: np.ndarray  # (arms, strata) true effects
    averages: int  # 1 where the true effect in several strata is their average; else the one they have in common


class ArmPlan(NamedTuple):
    """One design under one truth. The parts' types choose the compiled code."""

    randomising: Randomising
    schedule: Any
    analysis: Any
    rules: CellRules  # asked of every arm that is due; cells are arms
    keep: np.ndarray  # (looks,) arms that go on after a look at most, the best ones
    limits: ArmLimits
