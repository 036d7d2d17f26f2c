"""`lmd-trialsim run`: designs x truths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
    the_detail,
    the_file,
    the_folder,
    the_format,
    the_truths,
)

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario
    from lmd_trialsim.simulation import Results

Pairs = Sequence[tuple[str, str]]


@click.command("run", short_help="Designs x truths: the table of operating characteristics.")
@the_file
@click.option("--replicates", type=REPLICATES, metavar="N", help="Trials for each design and truth; 1e6 is understood.")
@click.option("--seed", type=SEED, metavar="N", help="The seed of all random numbers.")
@click.option("--threads", type=THREADS, metavar="N", help="Threads at work; the results do not depend on it.")
@the_designs
@the_truths
@click.option(
    "--exact", "with_exact", is_flag=True, help="Exact numbers beside the simulated ones, where there are any."
)
@the_detail
@the_format
@the_folder
def command(
    *,
    file: str,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
    designs: tuple[str, ...],
    truths: tuple[str, ...],
    with_exact: bool,
    full: bool,
    form: str,
    out: str | None,
) -> None:
    """\b
    lmd-trialsim run trial.yaml --replicates 1e6 --out results
                              null        promising
    success (type I error)  0.0478 ± 0.0002
    success (power)                       0.8130 ± 0.0004
    ...

    Play FILE, or the scenario of the catalogue called NAME, and print how each design behaves under each truth. What
    is not said here is as the scenario says. The same scenario, seed and number of replicates give the same digits on
    any machine, with any number of threads.
    """
    from lmd_trialsim.commands.written import prepared

    path, scenario = opened(file)
    designs_, truths_ = chosen(scenario, designs, truths)
    folder = prepared(out, path) if out is not None else None
    results = played(scenario, designs_, truths_, replicates=replicates, seed=seed, threads=threads)
    exact, not_exact = enumerated(scenario, designs_, truths_) if with_exact else (None, [])
    deliver(scenario, path, results, exact, not_exact, form=form, full=full, folder=folder)


def played(
    scenario: Scenario,
    designs: Sequence[str],
    truths: Sequence[str],
    *,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
) -> Results:
    """Return the results, told of on stderr while they are made."""
    from lmd_trialsim.commands.progress import watched
    from lmd_trialsim.simulation import run

    pairs = [(design, truth) for design in designs for truth in truths]
    with watched((replicates or scenario.run.replicates) * len(pairs)) as progress:
        try:
            return run(
                scenario,
                replicates=replicates,
                seed=seed,
                threads=threads,
                designs=designs,
                truths=truths,
                progress=progress,
            )
        except (ValueError, MemoryError) as error:
            raise Refusal(culprit(scenario, pairs, error)) from error


def culprit(scenario: Scenario, pairs: Pairs, error: Exception) -> str:
    """Return in a line which design cannot be prepared under which truth."""
    for design, truth in pairs:
        try:
            scenario.plan(design, truth)
        except (ValueError, MemoryError) as found:
            return f"{design} under {truth} cannot be prepared: {in_a_line(found)}"
    return in_a_line(error)


def in_a_line(error: Exception) -> str:
    """Return what the error says."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"there is not enough memory. Lower max_patients, or take fewer looks. {text}".strip()
    return text or type(error).__name__


def enumerated(
    scenario: Scenario, designs: Sequence[str], truths: Sequence[str]
) -> tuple[Results | None, list[tuple[str, str, str]]]:
    """Return the exact results, None where there are none, and (design, truth, why not) of the others."""
    from dataclasses import replace

    from lmd_trialsim.basket_exact import TooManyStatesError
    from lmd_trialsim.reference.exact import exact, why_not

    found: Results | None = None
    not_exact = []
    for design in designs:
        possible = []
        for truth in truths:
            why = why_not(scenario, design, truth)
            if why is None:
                possible.append(truth)
            else:
                not_exact.append((design, truth, why))
        if not possible:
            continue
        try:
            results = exact(scenario, [design], possible)
        except TooManyStatesError as error:
            not_exact += [(design, truth, f"{error}.".capitalize()) for truth in possible]
            continue
        except (ValueError, MemoryError) as error:
            raise Refusal(culprit(scenario, [(design, truth) for truth in possible], error)) from error
        found = results if found is None else replace(found, rows=(*found.rows, *results.rows))
    return found, not_exact


def deliver(
    scenario: Scenario,
    path: Path,
    results: Results,
    exact: Results | None,
    not_exact: Sequence[tuple[str, str, str]],
    *,
    form: str,
    full: bool,
    folder: Path | None,
) -> None:
    """Write the files, where a folder is named, and print the results in the form that is asked for."""
    from lmd_trialsim.commands.written import RESULTS, SCENARIO, TABLE, write_all
    from lmd_trialsim.report import machine, page, terminal

    every = [results] if exact is None else [results, exact]
    document = machine.to_json(results, exact, not_exact)
    if folder is not None:
        table = machine.to_csv(*every).encode()
        write_all(folder, {RESULTS: document.encode(), TABLE: table, SCENARIO: path.read_bytes()})
    if form == "json":
        page.say(document)
    elif form == "csv":
        page.say(machine.to_csv(*every))
    else:
        width = page.width()
        page.show(*terminal.parts(scenario, results, width=width, full=full, exact=exact, not_exact=not_exact))
