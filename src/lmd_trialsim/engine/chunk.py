"""The one door into compiled code: a chunk of replicates of one plan. The plan's type chooses the loop."""

from __future__ import annotations

from lmd_trialsim.engine import arm_strata, arm_trial, cell_trial, trial  # noqa: F401 (the loops register themselves)
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.seams import play_trial


@door
def play_chunk(plan, desk, seed, start, stop, integers, numbers, log):
    """Play replicates [start, stop); row r - start holds replicate r. `log` is of the last one; (0, 0) keeps none."""
    for replicate in range(start, stop):
        row = replicate - start
        play_trial(plan, Stream(seed, replicate), desk, integers[row], numbers[row], log)
