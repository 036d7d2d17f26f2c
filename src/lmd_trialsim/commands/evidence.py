"""`lmd-trialsim evidence`: the cited numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmd_trialsim.commands.given import Refusal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmd_trialsim.evidence import Claim, Row


@click.command("evidence", short_help="The numbers that scenarios cite, and where they are printed.")
@click.argument("names", metavar="[ROW]...", nargs=-1)
@click.option("--search", metavar="TEXT", help="Rows that hold every word of TEXT.")
@click.option(
    "--flag",
    "flags",
    multiple=True,
    type=click.Choice(["VERIFIED", "DERIVED", "RECALLED"], case_sensitive=False),
    help="Rows of this standing; repeatable.",
)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="What to print.")
def command(names: tuple[str, ...], search: str | None, flags: tuple[str, ...], form: str) -> None:
    """\b
    lmd-trialsim evidence S2
    lmd-trialsim evidence --search "proton median" --flag VERIFIED

    Print each ROW in full, or list the rows that are asked for; all of them where nothing is asked. VERIFIED numbers
    were read in the source, DERIVED ones are arithmetic on verified rows, RECALLED ones come from memory: no scenario
    may cite them.
    """
    import json

    from lmd_trialsim import evidence
    from lmd_trialsim.report import page

    unknown = []
    for name in names:
        try:
            evidence.row(name)
        except ValueError as error:
            unknown.append(str(error))
    if unknown:
        raise Refusal("\n".join(unknown))
    found = evidence.search(search or "")
    if names:
        found = [evidence.row(name) for name in dict.fromkeys(names) if evidence.row(name) in found]
    if flags:
        found = [row for row in found if row.flag in flags]
    if form == "json":
        page.say(json.dumps([row.model_dump(mode="json") for row in found], indent=1, ensure_ascii=False) + "\n")
    elif not found:
        click.echo("No row of the evidence answers to that.", err=True)
    elif names:
        page.show(*(part for row in found for part in _in_full(row)))
    else:
        rows = [(row.id, row.flag, str(len(row.claims)), row.population) for row in found]
        page.show(page.grid(["row", "standing", "numbers", "who, or what"], rows, left=4))


def _in_full(row: Row) -> list[RenderableType]:
    from lmd_trialsim.report import page

    parts = [page.heading(f"{row.id} ({row.flag}): {row.population}"), page.inset(f"source: {row.source}")]
    if row.fragment:
        parts.append(page.inset(f"words of the source: {row.fragment}"))
    parts.append(page.inset(row.note))
    if row.claims:
        parts.append(page.grid(["number", "arm", "value", "unit", "note"], list(map(_cells, row.claims)), left=5))
    return [*parts, page.prose("")]


def _cells(claim: Claim) -> tuple[str, ...]:
    limits = f"{_number(claim.low)} to {_number(claim.high)}"
    value = _number(claim.value) + (f" ({limits})" if claim.low is not None or claim.high is not None else "")
    return (claim.name, claim.arm, value, claim.unit, claim.note or "")


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"
