"""The plan of a trial that is judged cell by cell: baskets that open, fill, are judged and close, each for itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.rules import GO_ON
from lmd_trialsim.kernel.screening import Screening


class CellRules(NamedTuple):
    """Rules in order, asked of every open cell that is due. A condition holds where sign * (answer - threshold) > 0."""

    rules: np.ndarray  # (rules,) of kernel.rules.RULE
    conditions: np.ndarray  # (conditions,) of kernel.rules.CONDITION; the answers as in `answer_of_cell`
    threshold: np.ndarray  # (conditions, looks, cells); NaN where the rule is silent. Looks at a pool follow the others


class CellLimits(NamedTuple):
    """What bounds the trial."""

    looks: int
    delay: float  # months from entry to assessment
    months_to_decide: float
    bounds: int  # posterior tails that rules may ask for; one more follows, beyond the true rate
    predicts: int  # 1 where some rule looks at the predictive probability
    succeeds_with: int  # the trial is a success with so many successful cells


class CellPlan(NamedTuple):
    """One design under one truth. The parts' types choose the compiled code."""

    screening: Screening
    schedule: Any
    model: Any
    data: Any  # what kind of data the cells have: counts (cell_memory.Likeness) or others (cell_anew.Anew)
    rules: CellRules
    alone: (
        np.ndarray
    )  # (cells, most + 1) 1 where so many responses of a full cell succeed at the final look by themselves
    limits: CellLimits
    pooling: Any  # whether cells are tested, and judged as one (analyses.pooled_tests)


@kernel
def verdict_on_cell(rules, answers, look, cell, patients):
    """Return the verdict of the first rule that speaks, GO_ON where none does."""
    for number in range(rules.rules.shape[0]):
        rule = rules.rules[number]
        speaks = patients >= rule.from_patients
        for condition in range(rule.first, rule.end):
            distance = answers[rules.conditions[condition].question] - rules.threshold[condition, look, cell]
            speaks = speaks and rules.conditions[condition].sign * distance > 0.0
        if speaks:
            return rule.verdict
    return GO_ON
