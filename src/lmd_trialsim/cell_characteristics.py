"""Operating characteristics of trials that are judged cell by cell: of each cell, and of all together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lmd_trialsim.characteristics import VERDICTS, Characteristic, lengths, mean, proportion, root_mean_square, sizes
from lmd_trialsim.engine.cell_tally import CellTally


class CellFacts(NamedTuple):
    """What must be known of a design under a truth to speak of its tally."""

    cells: tuple[str, ...]
    null: tuple[bool, ...] | None  # whether success is a type I error, by cell; None where the design does not say
    verdicts: tuple[int, ...]  # the verdicts that its rules can reach
    may_close: bool  # whether the trial may close as it stands
    may_go_unjudged: bool  # whether a cell may be closed without a verdict
    may_pool: bool  # whether the cells may be judged as one
    borrowed: str | None  # the characteristic that tells what was borrowed


def of_cells(tally: CellTally, facts: CellFacts) -> list[Characteristic]:
    """Return the operating characteristics of a tally."""
    found = [*_of_trial(tally, facts)]
    for number, cell in enumerate(facts.cells):
        found += _of_cell(tally, facts, number, cell)
    return found


def _of_trial(tally: CellTally, facts: CellFacts) -> Iterator[Characteristic]:
    replicates = tally.replicates
    yield proportion("probability_of_success", tally.succeeded, replicates)
    if facts.null is not None:
        if any(facts.null):
            yield proportion("family_wise_error", tally.any_false, replicates)
        if not all(facts.null):
            yield proportion("disjunctive_power", tally.any_true, replicates)
        yield proportion("all_decisions_correct", tally.all_correct, replicates)
        yield mean("expected_correct_decisions", tally.correct)
        yield mean("expected_true_successes", tally.true_successes)
        yield mean("expected_false_successes", tally.false_successes)
        yield mean("false_discovery_proportion", tally.false_share)
    if facts.may_close:
        yield proportion("closed_as_it_stood", tally.closed, replicates)
    if facts.may_pool:
        yield proportion("probability_of_pooling", tally.pooled, replicates)
    yield from sizes(tally.patients)
    yield from lengths(tally.duration, tally.months)


def _of_cell(tally: CellTally, facts: CellFacts, number: int, cell: str) -> Iterator[Characteristic]:
    replicates, verdicts = tally.replicates, tally.verdicts[number]
    totals, looks = verdicts.sum(axis=1), verdicts.shape[1]
    yield proportion("probability_of_success", int(totals[1]), replicates, cell)
    if facts.null is not None:
        yield proportion("type_i_error" if facts.null[number] else "power", int(totals[1]), replicates, cell)
    for verdict in (2, 3):
        if verdict in facts.verdicts:
            yield proportion(f"probability_of_{VERDICTS[verdict]}", int(totals[verdict]), replicates, cell)
    yield proportion("probability_inconclusive", int(totals[0]), replicates, cell)
    if facts.may_go_unjudged:
        yield proportion("never_judged", int(tally.never_judged[number]), replicates, cell)
    for look in range(looks):
        yield proportion(f"stopped_at_look_{look + 1}", int(verdicts[:, look].sum()), replicates, cell)
    for verdict, word in VERDICTS.items():
        if verdict in facts.verdicts and looks > 1:
            for look in range(looks):
                yield proportion(f"{word}_at_look_{look + 1}", int(verdicts[verdict, look]), replicates, cell)
    yield mean("expected_patients", tally.taken[number], cell)
    yield mean("expected_evaluable_patients", tally.evaluable[number], cell)
    yield mean("mean_estimate", tally.estimates[number], cell)
    yield mean("bias", tally.errors[number], cell)
    yield root_mean_square("root_mean_square_error", tally.errors[number], cell)
    yield proportion("coverage", int(tally.covered[number]), int(tally.intervals[number]), cell)
    if facts.borrowed is not None:
        yield mean(facts.borrowed, tally.borrowed[number], cell)
