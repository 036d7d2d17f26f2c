"""Basket designs by the number of active baskets, for people: maps of characteristics, darker where they are more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmd_trialsim import __version__
from lmd_trialsim.report import page
from lmd_trialsim.report.digits import with_error
from lmd_trialsim.simulation import Results, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

MAPS = {
    "average_power": "Power, averaged over the active baskets",
    "average_type_i_error": "Type I error, averaged over the others",
    "family_wise_error": "Family-wise error: any success of the others",
    "probability_of_success": "Go: the trial is a success",
}
SHADES = " ░▒▓█"
WIDEST_NUMBER = len("░ 0.12345 ± 0.00012") + 2  # with its gap


def parts(results: Sequence[Results], *, width: int, every: bool) -> Iterator[RenderableType]:
    """Yield the page. results: played, exact, or both; every: whether all subsets of baskets were averaged."""
    first = results[0]
    yield page.heading(first.scenario)
    for one in results:
        how = "exact" if one.seed is None else f"seed {one.seed}, {one.replicates:,} replicates of each"
        yield page.prose(f"scenario {one.digest}, {how}, version {__version__}")
    rows = {(row.design, row.truth): row for one in results for row in one.rows}
    designs = list(dict.fromkeys(design for design, _ in rows))
    truths = sorted({truth for _, truth in rows}, key=lambda truth: int(truth.removeprefix("active_")))
    room = max(width - max(len(design) for design in [*designs, "active baskets"]) - 2, WIDEST_NUMBER)
    at_once = room // WIDEST_NUMBER
    for name, words in MAPS.items():
        shown = [truth for truth in truths if any(_cell(rows, d, truth, name) for d in designs)]
        yield page.heading(f"\n{words}")
        for start in range(0, len(shown), at_once):
            columns = shown[start : start + at_once]
            yield page.grid(
                ["active baskets", *(truth.removeprefix("active_") for truth in columns)],
                [[d, *(_cell(rows, d, truth, name) for truth in columns)] for d in designs],
            )
    which = (
        "averaged over all ways to choose them; as all have the same patients, errors are upper bounds"
        if every
        else "the first ones in the order of the strata"
    )
    yield page.prose(f"\nActive baskets have their target, the others their null value. Which are active: {which}.")
    if any(one.seed is not None for one in results):
        yield page.prose("±: Monte Carlo standard error, which shrinks as replicates are added.")


def _cell(rows: dict[tuple[str, str], Row], design: str, truth: str, name: str) -> str:
    row = rows.get((design, truth))
    one = row.get(name) if row is not None else None
    if one is None:
        return ""
    shade = SHADES[min(int(one.estimate * len(SHADES)), len(SHADES) - 1)]
    return f"{shade} {with_error(one)}"
