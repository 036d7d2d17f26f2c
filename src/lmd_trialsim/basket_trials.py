"""Basket designs in a run: what is played of them, and what is told of the sums."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from lmd_trialsim.cell_characteristics import CellFacts, of_cells
from lmd_trialsim.characteristics import Characteristic
from lmd_trialsim.designs.asking import VERDICTS
from lmd_trialsim.engine import cell_outcomes as column
from lmd_trialsim.engine.backends import Job
from lmd_trialsim.engine.cell_plan import CellPlan
from lmd_trialsim.engine.cell_tally import CellTally
from lmd_trialsim.lowering_baskets import BasketSetting, lower_baskets, null_cells

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

MOST_LOOKS_LOGGED = 2000


def basket_job(scenario: Scenario, design: str, truth: str, replicates: int) -> Job:
    """Return the job of playing a basket design under one truth."""
    setting = BasketSetting.of(scenario, design)
    plan, room = lower_baskets(scenario, design, truth)
    cells = len(setting.places)
    logged = column.LOG_HEAD + cells * (column.LOG_TAILS + plan.limits.bounds)
    null = null_cells(setting, truth)
    tally = functools.partial(
        CellTally.of,
        looks=plan.limits.looks,
        most_patients=setting.in_all,
        values=setting.estimand(truth),
        null=np.array(null if null is not None else [False] * cells),
    )
    return Job(
        plan,
        room,
        (column.HEAD + cells * column.OF_CELL, 1 + cells * column.NUMBERS_OF_CELL),
        (min(plan.limits.looks * cells, MOST_LOOKS_LOGGED), logged),
        tally,
        replicates,
    )


def basket_characteristics(
    scenario: Scenario, design: str, truth: str, tally: CellTally, plan: CellPlan
) -> list[Characteristic]:
    """Return the operating characteristics of a basket design, played by this plan under one truth."""
    setting = BasketSetting.of(scenario, design)
    facts = CellFacts(
        tuple(setting.baskets),
        null_cells(setting, truth),
        tuple(sorted({VERDICTS["stop_for", rule.stop_for] for rule in setting.design.rules})),
        setting.design.max_months is not None,
        any(place.spec.closes_if is not None for place in setting.places),
        setting.design.pooling is not None,
        setting.measure.borrowed,
    )
    return [*of_cells(tally, facts), *quadrature_error(plan)]


def quadrature_error(plan: CellPlan) -> list[Characteristic]:
    """Return the largest difference of a posterior probability from a finer rule's, where there is quadrature."""
    error = getattr(plan.model, "error", None)
    return [] if error is None else [Characteristic("quadrature_error", None, error, 0.0, error, error)]
