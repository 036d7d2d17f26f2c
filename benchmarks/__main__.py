"""`python -m benchmarks [--only NAME] [--json]`, from the repository's root."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from benchmarks import (
    baskets,
    effects,
    markov_chains,
    platforms,
    second_opinion,
    starting,
    two_arm_binary,
    two_arm_survival,
)
from benchmarks.measuring import Figure

SUITES: dict[str, Callable[[], list[Figure]]] = {
    "two_arm_binary": two_arm_binary.measure,
    "two_arm_survival": two_arm_survival.measure,
    "baskets": baskets.measure,
    "effects": effects.measure,
    "platforms": platforms.measure,
    "markov_chains": markov_chains.measure,
    "second_opinion": second_opinion.measure,
    "starting": starting.measure,
    "memory": starting.measure_memory,
}


@click.command()
@click.option("--only", type=click.Choice(list(SUITES)), help="measure one suite only")
@click.option("--json", "as_json", is_flag=True, help="print a list of records instead of a table")
def main(only: str | None, as_json: bool) -> None:
    """Measure the program against its goals; `ratio` says how many times slower it is than a specialised kernel."""
    figures = [figure for name, measure in SUITES.items() if only in (None, name) for figure in measure()]
    if as_json:
        records = [figure._asdict() | {"ratio_to_limit": figure.ratio_to_limit} for figure in figures]
        click.echo(json.dumps(records, indent=1))
        return
    for figure in figures:
        limit = "" if figure.limit is None else f"  limit {figure.limit:>12,.0f}  ratio {figure.ratio_to_limit:.2f}"
        value = f"{figure.value:>12,.0f}" if figure.value >= 1000 else f"{figure.value:>12.3g}"
        goal = f"{figure.goal:,.0f}" if figure.goal >= 1000 else f"{figure.goal:g}"
        click.echo(f"{figure.name:<48}{value} {figure.unit:<9} goal {goal:>9}{limit}")


if __name__ == "__main__":
    main()
