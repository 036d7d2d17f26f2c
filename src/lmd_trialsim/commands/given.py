"""What the user gave: files, names and numbers, checked before anything is begun."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from lmd_trialsim import catalogue

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


class Refusal(click.ClickException):
    """A mistake of the user's, or several: one line each on stderr, status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines as they are."""
        click.echo(self.message, file=file, err=file is None)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within these limits, also written 100_000 or 1e5."""

    def number(value: str | int) -> int:
        try:
            given = Decimal(str(value).strip())
        except InvalidOperation:
            given = Decimal("NaN")
        # The size is asked for before int(), which would write out every digit of 1e999999.
        if not given.is_finite() or given.adjusted() > 30 or given != given.to_integral_value():
            raise click.BadParameter(f"{value!r} is no whole number from {low:,} to {high:,}.")
        if not low <= given <= high:
            raise click.BadParameter(f"{value!r} is not between {low:,} and {high:,}.")
        return int(given)

    return number


REPLICATES = whole(1, 10_000_000_000)
REPLICATE = whole(0, 9_999_999_999)
SEED = whole(0, 2**63 - 1)
THREADS = whole(1, 1024)

the_file = click.argument("file", metavar="FILE|NAME")
the_format = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="What to print."
)
the_designs = click.option("--design", "designs", multiple=True, metavar="NAME", help="Only this design; repeatable.")
the_truths = click.option("--truth", "truths", multiple=True, metavar="NAME", help="Only this truth; repeatable.")
the_folder = click.option(
    "--out", "out", metavar="DIR", help="Also write results.json, results.csv and scenario.yaml there."
)
the_detail = click.option("--full", is_flag=True, help="All characteristics, by the names that they have in JSON.")


def opened(name: str) -> tuple[Path, Scenario]:
    """Return the file that `name` means and the scenario in it; every mistake in it is one line."""
    try:
        path = catalogue.find(name)
    except ValueError as error:
        raise Refusal(str(error)) from None
    from lmd_trialsim.reading import ScenarioError, render
    from lmd_trialsim.scenario import Scenario

    try:
        return path, Scenario.load(path)
    except ScenarioError as error:
        raise Refusal(render(error)) from None


def chosen(scenario: Scenario, designs: Sequence[str], truths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the designs and truths asked for, each once; all of them where none is named."""
    complaints = [*_unknown("design", designs, scenario.designs), *_unknown("truth", truths, scenario.truths)]
    if complaints:
        raise Refusal("\n".join(complaints))
    return list(dict.fromkeys(designs or scenario.designs)), list(dict.fromkeys(truths or scenario.truths))


def _unknown(what: str, given: Iterable[str], known: Iterable[str]) -> Iterable[str]:
    names = list(known)
    for name in dict.fromkeys(given):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            guess = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."
            yield f"--{what}: the scenario has no {what} {name!r}. {guess}"
