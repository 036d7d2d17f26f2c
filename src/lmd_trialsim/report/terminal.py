"""The table of operating characteristics, for people: a block a design, a column a truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lmd_trialsim import __version__
from lmd_trialsim.characteristics import Characteristic
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.effects import scale_of, true_effect
from lmd_trialsim.lowering_baskets import BasketSetting
from lmd_trialsim.lowering_platforms import PlatformSetting
from lmd_trialsim.report import page
from lmd_trialsim.report.digits import ROUNDING, alone, with_error
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import Results, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

TRUTHS_IN_A_BLOCK = 3
WIDEST_HEADER = 16  # a longer name of a truth is folded where room is short
GAP = 2

MAIN = {
    "type_i_error": "success (type I error)",
    "power": "success (power)",
    "probability_of_success": "success",
    "success_ignoring_non_binding_rules": "success, rules overruled",
    "probability_of_futility": "futility",
    "probability_of_harm": "harm",
    "closed_as_it_stood": "closed as it stood",
    "not_analysable": "not analysable",
    "expected_patients": "expected patients",
    "patients_quantile_50": "patients, median",
    "patients_quantile_90": "patients, 90% quantile",
    "expected_months": "expected months",
    "bias": "bias",
    "root_mean_square_error": "root mean square error",
    "coverage": "coverage, 95% interval",
    "not_estimable": "no estimate",
    "early_success_contradicted": "early success undone",
    "early_futility_contradicted": "early futility undone",
}
"""What the table shows when not all is asked for, in its order and words."""

OF_BASKETS = {
    "probability_of_success": "success (go)",
    "family_wise_error": "family-wise error",
    "disjunctive_power": "any true success",
    "all_decisions_correct": "all decisions correct",
    "expected_correct_decisions": "correct decisions",
    "false_discovery_proportion": "false among successes",
    "probability_of_pooling": "judged as one",
    "closed_as_it_stood": "closed as it stood",
    "expected_patients": "expected patients",
    "patients_quantile_90": "patients, 90% quantile",
    "expected_months": "expected months",
}
OF_A_BASKET = {
    "type_i_error": "success (type I error)",
    "power": "success (power)",
    "probability_of_futility": "futility",
    "never_judged": "never judged",
    "expected_patients": "patients",
    "bias": "bias",
    "root_mean_square_error": "root mean square error",
    "coverage": "coverage, 95% interval",
    "effective_borrowed_patients": "borrowed patients",
    "effective_borrowed_events": "borrowed events",
}
"""The same of a basket design: of the trial, and of each basket."""

OF_PLATFORMS = {
    "probability_of_success": "any success",
    "family_wise_error": "family-wise error",
    "disjunctive_power": "any true success",
    "conjunctive_power": "all true successes",
    "best_arm_selected": "best arm selected",
    "exact_selection": "just the right strata",
    "any_false_selection": "any stratum falsely",
    "expected_true_selections": "strata selected rightly",
    "expected_false_selections": "strata selected falsely",
    "stopped_as_alike": "stopped as alike",
    "patients_on_inferior_arms": "patients on inferior arms",
    "imbalance_the_wrong_way": "imbalance the wrong way",
    "closed_as_it_stood": "closed as it stood",
    "expected_patients": "expected patients",
    "patients_quantile_90": "patients, 90% quantile",
    "expected_months": "expected months",
}
OF_AN_ARM = {
    "type_i_error": "success (type I error)",
    "power": "success (power)",
    "probability_of_closing": "closed",
    "probability_of_futility": "futility",
    "probability_of_harm": "harm",
    "entered": "entered",
    "expected_months_in_queue": "months in the queue",
    "never_judged": "never judged",
    "expected_patients": "patients",
    "expected_control_patients": "controls it is compared with",
    "expected_months_to_decision": "months to its decision",
    "bias": "bias",
    "root_mean_square_error": "root mean square error",
    "coverage": "coverage, 95% interval",
}
"""The same of a platform design: of the trial, and of each arm, or stratum of an arm."""

ONLY_IF_IT_HAPPENS = ("never_judged", "closed_as_it_stood", "not_analysable", "not_estimable")
OF_ESTIMATES = ("bias", "root_mean_square_error", "coverage")

Key = tuple[str, str | None]


class Line(NamedTuple):
    """A line of a block: a characteristic, its words, and its value in each column."""

    key: Key
    label: str
    values: tuple[Characteristic | None, ...]


class Column(NamedTuple):
    """A truth, played or exact."""

    truth: str
    exact: bool
    row: Row


class Notes:
    """Footnotes, numbered as they come up."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """Return the mark of the note."""
        if text not in self.texts:
            self.texts.append(text)
        return f"n/a [{self.texts.index(text) + 1}]"


def parts(
    scenario: Scenario,
    results: Results,
    *,
    width: int,
    full: bool = False,
    exact: Results | None = None,
    not_exact: Sequence[tuple[str, str, str]] = (),
) -> Iterator[RenderableType]:
    """Yield the head, a block or more for each design, and the notes.

    width: columns that there are. exact: numbers to stand beside those of `results`; not_exact: (design, truth, why).
    """
    yield page.heading(results.scenario)
    yield page.prose(_origin(results))
    notes = Notes()
    doubts = False
    for design in dict.fromkeys(row.design for row in results.rows):
        columns = list(_columns(results, exact, design))
        lines = list(_all_lines(columns) if full else _lines_of(scenario, design, columns))
        cells = [
            [
                _cell(scenario, design, line.key, one, column, notes=notes)
                for one, column in zip(line.values, columns, strict=True)
            ]
            for line in lines
        ]
        doubts |= any("±" in cell for row in cells for cell in row)
        yield page.heading(f"\n{design}")
        scale = _scale_of_cells(scenario, design)
        if scale:
            yield page.prose(f"Bias and root mean square error are of the {scale}.")
        for number, chosen in enumerate(_blocks([line.label for line in lines], columns, cells, width)):
            if number:
                yield page.prose("")
            both = any(column.exact for column in columns)
            header = [_header(columns[i], both) for i in chosen]
            rows = [
                [line.label, *(row[i] for i in chosen)]
                for line, row in zip(lines, cells, strict=True)
                if any(row[i] for i in chosen)
            ]
            yield page.grid(["", *header], rows)
    yield page.prose("")
    if doubts:
        yield page.prose("±: Monte Carlo standard error, which shrinks as replicates are added.")
    for number, text in enumerate(notes.texts):
        yield page.prose(f"[{number + 1}] {text}")
    for text in reasons(not_exact, len({row.truth for row in results.rows})):
        yield page.prose(f"Not exact: {text}")


def reasons(not_exact: Sequence[tuple[str, str, str]], asked: int) -> Iterator[str]:
    """Yield a sentence for each design and reason; the truths are named where they are not all that were asked for."""
    by_design: dict[tuple[str, str], list[str]] = {}
    for design, truth, why in not_exact:
        by_design.setdefault((design, why), []).append(truth)
    for (design, why), truths in by_design.items():
        under = f" under {', '.join(truths)}" if len(truths) < asked else ""
        yield f"{design}{under}: {why.rstrip('.')}."


def _origin(results: Results) -> str:
    how = "exact" if results.method == "exact" else f"seed {results.seed}, {results.replicates:,} replicates of each"
    return f"scenario {results.digest}, {how}, version {__version__}"


def _columns(results: Results, exact: Results | None, design: str) -> Iterator[Column]:
    known: Mapping[Key, Row] = {(row.design, row.truth): row for row in exact.rows} if exact else {}
    for row in results.rows:
        if row.design == design:
            yield Column(row.truth, False, row)
            if (design, row.truth) in known:
                yield Column(row.truth, True, known[design, row.truth])


def _header(column: Column, both: bool) -> str:
    if not both:
        return column.truth
    return f"{column.truth}\n{'exact' if column.exact else 'simulated'}"


def _line(key: Key, label: str, columns: Sequence[Column]) -> Line:
    return Line(key, label, tuple(column.row.get(*key) for column in columns))


def _lines_of(scenario: Scenario, design: str, columns: Sequence[Column]) -> Iterator[Line]:
    if isinstance(scenario.designs[design], Basket):
        return _cell_lines(columns, OF_BASKETS, OF_A_BASKET)
    if isinstance(scenario.designs[design], Platform):
        return _cell_lines(columns, OF_PLATFORMS, OF_AN_ARM)
    return _main_lines(columns, scale_of(scenario, design))


def _scale_of_cells(scenario: Scenario, design: str) -> str:
    """Return what the estimates of baskets or arms are of, where that is not plain; else nothing."""
    if isinstance(scenario.designs[design], Platform):
        return PlatformSetting.of(scenario, design).scale
    if not isinstance(scenario.designs[design], Basket):
        return ""
    measure = BasketSetting.of(scenario, design).measure
    return f"log of the {measure.spoken}" if measure.logarithmic else ""


def _cell_lines(columns: Sequence[Column], of_trial: Mapping[str, str], of_cell: Mapping[str, str]) -> Iterator[Line]:
    """Yield the lines of the trial, then those of each basket or arm."""
    cells = dict.fromkeys(one.cell for column in columns for one in column.row.characteristics if one.cell)
    for cell in (None, *cells):
        for name, words in (of_cell if cell else of_trial).items():
            line = _line((name, cell), f"{cell}: {words}" if cell else words, columns)
            present = [one for one in line.values if one is not None]
            if present and (name not in ONLY_IF_IT_HAPPENS or any(one.estimate > ROUNDING for one in present)):
                yield line


def _main_lines(columns: Sequence[Column], scale: str) -> Iterator[Line]:
    for name, label in MAIN.items():
        words = f"bias, {scale}" if name == "bias" else label
        line = _line((name, None), words, columns)
        present = [one for one in line.values if one is not None]
        if name == "probability_of_success":
            # Where success has a name of its own, it stands above under that name.
            named = [c.row.get("type_i_error") or c.row.get("power") for c in columns]
            line = line._replace(
                values=tuple(one if name is None else None for one, name in zip(line.values, named, strict=True))
            )
            if not any(line.values):
                continue
        if name in ONLY_IF_IT_HAPPENS and not any(one.estimate > ROUNDING for one in present):
            continue
        if present or name in OF_ESTIMATES:
            yield line


def _all_lines(columns: Sequence[Column]) -> Iterator[Line]:
    keys: list[Key] = []
    for column in columns:
        place = 0
        for one in column.row.characteristics:  # What other columns lack comes after what precedes it in its own.
            key = (one.name, one.cell)
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key) + 1
    for key in keys:
        yield _line(key, f"{key[0]} {key[1]}" if key[1] else key[0], columns)


def _cell(
    scenario: Scenario, design: str, key: Key, one: Characteristic | None, column: Column, *, notes: Notes
) -> str:
    if one is None and (key[0] not in OF_ESTIMATES or column.exact):
        return ""
    text = "" if one is None else alone(one) if column.exact else with_error(one)
    return text or notes.mark(_why(scenario, design, column.truth, key, column.row))


def _why(scenario: Scenario, design: str, truth: str, key: Key, row: Row) -> str:
    """Return why there is no such number."""
    name, cell = key
    missing = row.get("not_estimable")
    if missing is not None and missing.estimate >= 1.0:
        return "No trial gave an estimate."
    if isinstance(scenario.designs[design], Basket):
        setting = BasketSetting.of(scenario, design)
        if name in OF_ESTIMATES and cell and math.isnan(setting.estimand(truth)[setting.baskets.index(cell)]):
            return f"There is no single true {setting.measure.spoken} under this truth."
        return "No trial is counted here."
    if isinstance(scenario.designs[design], Platform):
        arms = PlatformSetting.of(scenario, design)
        if name in OF_ESTIMATES and cell and math.isnan(arms.estimand(truth)[arms.arms.index(cell)]):
            return f"There is no single true {arms.scale} under this truth."
        return "No trial is counted here."
    if name in OF_ESTIMATES and math.isnan(true_effect(scenario, design, truth)):
        return f"There is no single true effect ({scale_of(scenario, design)}) under this truth."
    if name.startswith("coverage"):
        return "No trial gave an interval."
    return "No trial is counted here."


def _blocks(
    labels: Sequence[str], columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int
) -> Iterator[list[int]]:
    """Yield the columns of each block: as many truths as there is room for, three at most."""
    room = width - max(map(len, labels), default=0)
    block: list[int] = []
    used = 0
    for truth in dict.fromkeys(column.truth for column in columns):
        own = [i for i, column in enumerate(columns) if column.truth == truth]
        wide = [max(min(len(columns[i].truth), WIDEST_HEADER), 9, *(len(row[i]) for row in cells)) for i in own]
        needed = sum(wide) + GAP * len(own)
        truths = {columns[i].truth for i in block}
        if block and (used + needed > room or len(truths) == TRUTHS_IN_A_BLOCK):
            yield block
            block, used = [], 0
        block = [*block, *own]
        used += needed
    if block:
        yield block
