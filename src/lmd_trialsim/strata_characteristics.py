"""Operating characteristics of trials in which strata of arms may close: what is selected, and of each stratum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.arm_characteristics import ArmFacts, of_one, of_trial
from lmd_trialsim.characteristics import Characteristic, mean, proportion
from lmd_trialsim.engine.strata_tally import StrataTally


class StrataFacts(NamedTuple):
    """What must be known of the strata of the arms, beside what is of the arms. Arrays are (arms, strata)."""

    names: tuple[str, ...]
    null: NDArray[np.bool_]  # whether the arm is no better than the control in the stratum
    comes: NDArray[np.bool_]  # whether the arm takes patients of it at first


def of_strata(tally: StrataTally, facts: ArmFacts, strata: StrataFacts) -> list[Characteristic]:
    """Return the operating characteristics of a tally: those of each arm, and behind them those of its strata."""
    found = [*of_trial(tally, facts), *_of_selections(tally)]
    for number, arm in enumerate(facts.arms):
        found += of_one(tally, facts, number)
        for stratum, name in enumerate(strata.names):
            if strata.comes[number, stratum]:
                found += _of_stratum(tally, facts, strata, (number, stratum), f"{arm}/{name}")
    return found


def _of_selections(tally: StrataTally) -> Iterator[Characteristic]:
    yield mean("expected_true_selections", tally.true_selections)
    yield mean("expected_false_selections", tally.false_selections)
    yield proportion("any_false_selection", tally.any_false_selection, tally.replicates)
    yield proportion("exact_selection", tally.exact_selection, tally.replicates)


def _of_stratum(
    tally: StrataTally, facts: ArmFacts, strata: StrataFacts, at: tuple[int, int], cell: str
) -> Iterator[Characteristic]:
    replicates = tally.replicates
    if not (facts.control and at[0] == 0):
        selections, closed_at = int(tally.selections[at]), tally.closed_at[at]
        yield proportion("probability_of_success", selections, replicates, cell)
        yield proportion("type_i_error" if strata.null[at] else "power", selections, replicates, cell)
        yield proportion("probability_of_closing", int(closed_at.sum()), replicates, cell)
        for look, closed in enumerate(closed_at.tolist(), 1):
            yield proportion(f"closed_at_look_{look}", closed, replicates, cell)
    yield mean("expected_patients", tally.by_stratum[at[0] * len(strata.names) + at[1]], cell)
