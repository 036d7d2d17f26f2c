"""`lmd-trialsim active`: basket designs by the number of active baskets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lmd_trialsim.commands.given import (
    REPLICATES,
    SEED,
    THREADS,
    Refusal,
    chosen,
    opened,
    the_designs,
    the_file,
    the_folder,
    the_format,
)

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario
    from lmd_trialsim.simulation import Results


@click.command("active", short_help="Basket designs by the number of active baskets.")
@the_file
@the_designs
@click.option("--truth", metavar="NAME", help="All but the endpoint is like this truth; the first if not said.")
@click.option("--all-subsets", "every", is_flag=True, help="Average over all ways to choose the active baskets.")
@click.option("--exact", "enumerating", is_flag=True, help="Enumerate outcomes, where that is possible.")
@click.option("--replicates", type=REPLICATES, metavar="N", help="Trials for each design and choice of baskets.")
@click.option("--seed", type=SEED, metavar="N", help="The seed of all random numbers.")
@click.option("--threads", type=THREADS, metavar="N", help="Threads at work; the results do not depend on it.")
@the_format
@the_folder
def command(
    *,
    file: str,
    designs: tuple[str, ...],
    truth: str | None,
    every: bool,
    enumerating: bool,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
    form: str,
    out: str | None,
) -> None:
    """\b
    lmd-trialsim active trial.yaml --design pooled --design separate
    Power, averaged over the active baskets
    active baskets                  1                  2
    pooled          ▒ 0.5312 ± 0.0016  ▓ 0.7210 ± 0.0012
    ...

    Play each basket design of FILE with 0, 1, ... active baskets: these have the design's target, the others its null
    value. Tells the power averaged over the active baskets, the type I error averaged over the others, the family-wise
    error, and how often the trial is a success. The first baskets in the order of the strata are the active ones, or,
    with --all-subsets, the numbers are averaged over all ways to choose them.
    """
    from lmd_trialsim.commands.written import RESULTS, SCENARIO, TABLE, prepared, write_all
    from lmd_trialsim.report import active, machine, page

    path, scenario = opened(file)
    names, truths = chosen(scenario, designs, [truth] if truth else [])
    names = _basket_designs(scenario, names, named=bool(designs), every=every)
    folder = prepared(out, path) if out is not None else None
    results: list[Results] = []
    not_exact: list[tuple[str, str, str]] = []
    for name in names:
        found, why = _of_design(
            scenario, name, truths[0], every=every, enumerating=enumerating, replicates=replicates, seed=seed,
            threads=threads,
        )  # fmt: skip
        results, not_exact = _with(results, found), [*not_exact, *why]
    first, *others = results
    document = machine.to_json(first, others[0] if others else None, not_exact)
    if folder is not None:
        table = machine.to_csv(*results).encode()
        write_all(folder, {RESULTS: document.encode(), TABLE: table, SCENARIO: path.read_bytes()})
    if form == "json":
        page.say(document)
    elif form == "csv":
        page.say(machine.to_csv(*results))
    else:
        page.show(*active.parts(results, width=page.width(), every=every))
        for name, _, why_not in not_exact:
            click.echo(f"Not exact: {name}: {why_not}", err=True)


def _basket_designs(scenario: Scenario, names: Sequence[str], *, named: bool, every: bool) -> list[str]:
    """Return the basket designs; refuse those that the number of active baskets means nothing for."""
    from lmd_trialsim.active_baskets import MOST_IN_SUBSETS, lacking
    from lmd_trialsim.designs.basket import Basket
    from lmd_trialsim.lowering_baskets import BasketSetting

    baskets = [name for name in names if isinstance(scenario.designs[name], Basket)]
    complaints = [f"--design: {name} has no baskets. Leave it out." for name in names if named and name not in baskets]
    complaints += [why for name in baskets if (why := lacking(scenario, name)) is not None]
    for name in baskets:
        count = len(BasketSetting.of(scenario, name).places)
        if every and count > MOST_IN_SUBSETS:
            complaints.append(
                f"--all-subsets: {name} has {count} baskets, {2**count} subsets; up to {MOST_IN_SUBSETS} baskets are "
                "averaged over. Leave it out."
            )
    if not baskets and not complaints:
        complaints = ["The scenario has no basket design."]
    if complaints:
        raise Refusal("\n".join(complaints))
    return baskets


def _of_design(
    scenario: Scenario,
    name: str,
    like: str,
    *,
    every: bool,
    enumerating: bool,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
) -> tuple[Results, list[tuple[str, str, str]]]:
    """Return the results of a design, and why they are not exact where they were to be."""
    from lmd_trialsim.active_baskets import by_number, subsets_of, with_active
    from lmd_trialsim.commands.run import enumerated, played
    from lmd_trialsim.lowering_baskets import BasketSetting

    subsets = subsets_of(len(BasketSetting.of(scenario, name).places), every=every)
    there = with_active(scenario, name, like, [one for several in subsets for one in several])
    truths = list(there.truths)
    exact, reasons = enumerated(there, [name], truths) if enumerating else (None, [])
    found = exact if exact is not None and not reasons else None
    if found is None:
        found = played(there, [name], truths, replicates=replicates, seed=seed, threads=threads)
    rows = tuple(by_number(scenario, name, found, subsets))
    return replace(found, digest=scenario.digest(), rows=rows), reasons[:1]


def _with(results: Sequence[Results], found: Results) -> list[Results]:
    """Return the results with those of another design, beside others that were found in the same way."""
    alike = [one for one in results if one.method == found.method]
    if not alike:
        return sorted([*results, found], key=lambda one: one.method != "monte_carlo")
    joined = replace(alike[0], rows=(*alike[0].rows, *found.rows))
    return [joined if one is alike[0] else one for one in results]
