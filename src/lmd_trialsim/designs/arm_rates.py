"""The model of response rates of arms: the grid of rates, the differences that are asked about, and the tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.arm_mixed_rates import MixedRates, mixed_table
from lmd_trialsim.analyses.arm_mixtures import PooledByPower
from lmd_trialsim.analyses.arm_rates import MOST_REMEMBERED, ArmRates, nodes_for, table_of
from lmd_trialsim.analyses.arm_tests import ABSOLUTE, AGAINST_CONTROL
from lmd_trialsim.analyses.beta_mixture import BetaMixture
from lmd_trialsim.designs.arm_priors import Component, beta_mixtures, columns_of, single

if TYPE_CHECKING:
    from lmd_trialsim.designs.arm_frame import ArmFrame

Array = NDArray[np.float64]

A_FEW = 10
"""Patients that a prior may be worth without more nodes."""


class _Sections:
    """What is asked of rates, and the differences at which distribution functions are wanted for that."""

    def __init__(self, frame: ArmFrame) -> None:
        self.shifts = [0.0]
        sign = -1.0 if frame.lower else 1.0
        alone = [quantity == "rate" for quantity, _ in frame.bounds]
        values = [
            (1.0 - bound if frame.lower else bound) if of_rate else sign * bound
            for of_rate, (_, bound) in zip(alone, frame.bounds, strict=True)
        ]
        sections = [0 if of_rate else self._of(value) for of_rate, value in zip(alone, values, strict=True)]
        of_truth = [
            self._of(sign * effect) if frame.control and number and math.isfinite(effect) else 0
            for number, effect in enumerate(frame.effects)
        ]
        within = self._of(frame.within) if frame.within else 0
        self.asked: dict[str, Any] = {
            "lower": int(frame.lower),
            "compares": int(frame.control),
            "bound_kind": np.array([ABSOLUTE if of_rate else AGAINST_CONTROL for of_rate in alone] or [0]),
            "bound": np.array(values or [0.0]),
            "section": np.array(sections or [0]),
            "truth": frame.effects,
            "truth_section": np.array(of_truth),
            "within": within,
            "shift": np.array(self.shifts),
        }

    def _of(self, difference: float) -> int:
        near = [i for i, known in enumerate(self.shifts) if abs(known - difference) < 1e-12]
        if not near:
            self.shifts.append(difference)
        return near[0] if near else len(self.shifts) - 1


def rates_model(priors: list[tuple[Component, ...]], frame: ArmFrame) -> tuple[ArmRates | MixedRates, int, int, int]:
    """Return what kernels read; how much scratch; entries of the memory, and their size.

    priors: by arm, of the rates of what is wanted.
    """
    sections = _Sections(frame)
    shift = np.array(sections.shifts)
    distinct = list(dict.fromkeys(priors))
    columns, one = columns_of(priors), single(priors, frame.borrows)
    # A prior that knows as much as many patients is as narrow as the posterior of them.
    most = frame.most + max(math.ceil((columns.one + columns.two).max()) - A_FEW, 0)
    grid = nodes_for(most, min(columns.one.min(), columns.two.min()), sections.shifts)
    if one:
        tabulated, table = table_of([prior[0][1:] for prior in distinct], frame.most, *grid, shift)
    else:
        tabulated, table = mixed_table([BetaMixture.of(*prior) for prior in distinct], frame.most, grid, shift)
    size, entries = table.shape[1], 1
    if tabulated < frame.most:
        entries = 2 ** max(math.floor(math.log2(MOST_REMEMBERED / size)), math.ceil(math.log2(4 * len(priors))))
    shared = sections.asked | {
        "kind": np.array([distinct.index(prior) for prior in priors]),
        **dict(zip(("node", "rest", "weight"), grid, strict=True)),
        "tabulated": tabulated,
        "table": table,
    }
    nodes = len(grid[0])
    if one:
        return ArmRates(alpha=columns.one, beta=columns.two, **shared), nodes, entries, size
    by_power = isinstance(frame.borrows, PooledByPower)
    at = nodes + size + (nodes * len(priors) if by_power else 0)
    prior = beta_mixtures(columns, at, lower=frame.lower)
    return MixedRates(prior=prior, borrows=frame.borrows, **shared), at + columns.room, entries, size
