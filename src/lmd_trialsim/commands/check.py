"""`lmd-trialsim check`: the posteriors that rules look at, beside those of PyMC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmd_trialsim.commands.given import (
    SEED,
    THREADS,
    Refusal,
    chosen,
    opened,
    the_designs,
    the_file,
    the_format,
    the_truths,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lmd_trialsim.scenario import Scenario

DIFFERS = 1
HARD_ONES = 8  # of a design, about


@click.command("check", short_help="The posteriors that rules look at, beside PyMC's.")
@the_file
@the_designs
@the_truths
@click.option(
    "--data-sets", type=whole(1, 10_000), default="20", show_default=True, metavar="N",
    help="Data sets at looks of simulated trials, for each design; hard ones are added.",
)  # fmt: skip
@click.option(
    "--calibration", is_flag=True,
    help="Simulation-based calibration of the fast posteriors instead: no PyMC is needed.",
)  # fmt: skip
@click.option(
    "--ranks", type=whole(1_000, 1_000_000), default="10000", show_default=True, metavar="N",
    help="Ranks of each number, with --calibration.",
)  # fmt: skip
@click.option("--seed", type=SEED, metavar="N", help="The seed; the scenario's if not said.")
@click.option("--threads", type=THREADS, metavar="N", help="Chains at work at a time; the draws do not depend on it.")
@the_format
@click.option(
    "--out", "out", metavar="DIR", help="Also write check.json, check.csv, check.svg and scenario.yaml there."
)
def command(
    *,
    file: str,
    designs: tuple[str, ...],
    truths: tuple[str, ...],
    data_sets: int,
    calibration: bool,
    ranks: int,
    seed: int | None,
    threads: int | None,
    form: str,
    out: str | None,
) -> None:
    """\b
    lmd-trialsim check trial.yaml --design bayesian --data-sets 50
                                       largest  largest  z of
                         compared   difference        z  mean  verdict
    P(hazard ratio < 1)        56  0.021 ± 0.008     2.6   0.4  agrees
    0 of 50 decisions would have been otherwise
    ...

    Write the model of each Bayesian design of FILE a second time, in PyMC; sample it for data at looks of simulated
    trials and for hard data (nobody responds, everybody does, one patient, an empty arm), and compare every probability
    that a rule looks at, and the estimate and its limits. A fit whose chains have not mixed is not trusted, and told.
    Status 0 where all agree, 1 where a number differs or a fit is not trusted, 2 where nothing can be compared.
    """
    from lmd_trialsim.second_opinion.sampling import NotInstalledError, versions

    path, scenario = opened(file)
    designs_, truths_ = chosen(scenario, designs, truths)
    seed = scenario.run.seed if seed is None else seed
    folder = _prepared(out, path) if out is not None else None
    if calibration:
        _calibrate(scenario, path, designs_, truths_[0], ranks=ranks, seed=seed, form=form, folder=folder)
        return
    try:
        programs = versions()
    except NotInstalledError as missing:
        raise Refusal(f"check {missing}") from None
    from lmd_trialsim.commands.progress import watched
    from lmd_trialsim.posterior_checks.checking import check
    from lmd_trialsim.report import check_plots, checked, page
    from lmd_trialsim.simulation import available_threads

    try:
        with watched(len(designs_) * (data_sets + HARD_ONES)) as told:
            found = check(
                scenario, designs_, truths_, data_sets=data_sets, seed=seed, cores=threads or available_threads(),
                told=told,
            )  # fmt: skip
    except (ValueError, MemoryError) as failed:
        raise Refusal(f"{path} cannot be checked. {failed}") from None
    if not found.designs:
        raise Refusal("\n".join(f"{one.design}: {one.why}, so there is nothing to compare." for one in found.without))
    document = checked.to_json(scenario, found, seed, programs)
    table = checked.to_csv(scenario, found, seed, programs)
    if folder is not None:
        _write(folder, path, document, table, lambda: check_plots.of_check(found))
    if form == "table":
        page.show(*checked.parts(scenario, found, seed, programs))
    else:
        page.say(document if form == "json" else table)
    if not found.agrees:
        click.get_current_context().exit(DIFFERS)


def _calibrate(
    scenario: Scenario, path: Path, designs: Sequence[str], truth: str, *, ranks: int, seed: int, form: str,
    folder: Path | None,
) -> None:  # fmt: skip
    """Rank parameters drawn from the priors by the fast posteriors."""
    from lmd_trialsim.commands.progress import watched
    from lmd_trialsim.posterior_checks.calibrating import calibrated
    from lmd_trialsim.report import check_plots, page, ranked

    try:
        with watched(len(designs)) as told:
            found = calibrated(scenario, designs, truth, ranks=ranks, seed=seed, told=told)
    except (ValueError, MemoryError) as failed:
        raise Refusal(f"{path} cannot be calibrated. {failed}") from None
    if not found.numbers:
        raise Refusal("\n".join(f"{one.design}: {one.why}, so there is nothing to rank." for one in found.without))
    document, table = ranked.to_json(scenario, found, seed, ranks), ranked.to_csv(scenario, found, seed, ranks)
    if folder is not None:
        _write(folder, path, document, table, lambda: check_plots.of_calibration(found))
    if form == "table":
        page.show(*ranked.parts(scenario, found, seed, ranks))
    else:
        page.say(document if form == "json" else table)
    if not found.agrees:
        click.get_current_context().exit(DIFFERS)


CHECK, CHECK_TABLE, FIGURE = "check.json", "check.csv", "check.svg"


def _prepared(folder: str, path: Path) -> Path:
    """Return the folder that the files go to, or refuse before anything is sampled."""
    from lmd_trialsim.commands.written import prepared

    return prepared(folder, path)


def _write(folder: Path, path: Path, document: str, table: str, figure: Callable[[], bytes]) -> None:
    from lmd_trialsim.commands.written import SCENARIO, write_all

    files = {CHECK: document.encode(), CHECK_TABLE: table.encode(), SCENARIO: path.read_bytes()}
    try:
        files[FIGURE] = figure()
    except ImportError:
        click.echo(f"{FIGURE} needs matplotlib: pip install 'lmd-trialsim[check]'", err=True)
    write_all(folder, files)
