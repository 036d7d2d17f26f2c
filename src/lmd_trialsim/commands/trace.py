"""`lmd-trialsim trace`: one trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmd_trialsim.commands.given import REPLICATE, REPLICATES, SEED, Refusal, chosen, opened, the_file

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

KINDS = ("success", "futility", "false-positive", "near-miss")
NONE_FOUND = 1


@click.command("trace", short_help="One trial, patient by patient and look by look.")
@the_file
@click.option("--replicate", type=REPLICATE, metavar="N", help="The number of the trial, from 0.")
@click.option("--design", metavar="NAME", help="The design; the first if not said.")
@click.option("--truth", metavar="NAME", help="The truth; the first if not said.")
@click.option("--seed", type=SEED, metavar="N", help="The seed; the scenario's if not said.")
@click.option("--example", "kind", type=click.Choice(KINDS), help="Look for a trial of this kind, from --replicate on.")
@click.option(
    "--among", type=REPLICATES, default="20000", show_default=True, metavar="N", help="Trials to look at for --example."
)
def command(
    *,
    file: str,
    replicate: int | None,
    design: str | None,
    truth: str | None,
    seed: int | None,
    kind: str | None,
    among: int,
) -> None:
    """\b
    lmd-trialsim trace trial.yaml --replicate 8123 --design simon --truth null
    lmd-trialsim trace trial.yaml --example near-miss
    Look 1 of 2, month 7.31: 14 enrolled, 10 evaluable
      pembrolizumab: 2 of 10 event-free
      rule 1: responses = 2, needs <= 1: 1 too high
      ...

    Play one trial of a run again, the very same one, and print its patients, what each look knew, each rule's answer
    against its threshold, and the ending. A false-positive is a success under a null truth; a near-miss falls short of
    efficacy by 0.01 of a probability, 0.1 of z, or one response; in a basket trial, of some basket, on a platform, of
    some arm. Status 1 if no such trial is found.
    """
    path, scenario = opened(file)
    del path
    designs, truths = chosen(scenario, [design] if design else [], [truth] if truth else [])
    if replicate is None and kind is None:
        raise click.UsageError("say which trial: --replicate N, or --example KIND to look for one.", _context())
    name = designs[0]
    under = truths[0]
    if kind == "false-positive":
        under = _null_truth(scenario, name, truths)
    seed = scenario.run.seed if seed is None else seed
    from lmd_trialsim.commands.run import culprit

    try:
        if kind is not None:
            start = replicate or 0
            replicate = _found(scenario, name, under, seed, kind=kind, among=range(start, start + among))
            if replicate is None:
                click.echo(
                    f"No {kind} of {name} under {under} among {among:,} trials from number {start} on.", err=True
                )
                _context().exit(NONE_FOUND)
            click.echo(f"Replicate {replicate} is the first {kind} of {name} under {under}, from number {start} on.\n")
        assert replicate is not None
        _print(scenario, name, under, seed, replicate)
    except (ValueError, MemoryError) as error:
        raise Refusal(culprit(scenario, [(name, under)], error)) from error


def _context() -> click.Context:
    return click.get_current_context()


def _null_truth(scenario: Scenario, design: str, truths: list[str]) -> str:
    """Return the first of the truths under which success, of a basket or arm at least, is a type I error."""
    from lmd_trialsim.effects import any_null

    for truth in truths:
        if any_null(scenario, design, truth):
            return truth
    raise Refusal(f"None of {', '.join(truths)} is a null truth of {design}: there can be no false positive.")


def _found(scenario: Scenario, design: str, truth: str, seed: int, *, kind: str, among: range) -> int | None:
    """Return the first trial of the kind, if there is one."""
    from lmd_trialsim.designs.basket import Basket
    from lmd_trialsim.designs.platform import Platform

    if isinstance(scenario.designs[design], Basket):
        from lmd_trialsim.basket_replay import find_baskets

        return find_baskets(scenario, design, truth, seed, kind, among)
    if isinstance(scenario.designs[design], Platform):
        from lmd_trialsim.platform_replay import find_platform

        return find_platform(scenario, design, truth, seed, kind, among)
    from lmd_trialsim.kernel.rules import EFFICACY, FUTILITY
    from lmd_trialsim.lowering import Setting
    from lmd_trialsim.replay import find_near_miss, find_verdict
    from lmd_trialsim.simulation import job_of

    job = job_of(scenario, design, truth, 1)
    if kind == "near-miss":
        return find_near_miss(Setting.of(scenario, design), job, seed, among)
    return find_verdict(job, seed, FUTILITY if kind == "futility" else EFFICACY, among)


def _print(scenario: Scenario, design: str, truth: str, seed: int, replicate: int) -> None:
    from lmd_trialsim.designs.basket import Basket
    from lmd_trialsim.designs.platform import Platform
    from lmd_trialsim.report import page

    if isinstance(scenario.designs[design], Basket):
        from lmd_trialsim.basket_replay import replay_baskets
        from lmd_trialsim.report import basket_trial

        page.show(*basket_trial.parts(replay_baskets(scenario, design, truth, seed, replicate), design))
        return
    if isinstance(scenario.designs[design], Platform):
        from lmd_trialsim.platform_replay import replay_platform
        from lmd_trialsim.report import platform_trial

        page.show(*platform_trial.parts(replay_platform(scenario, design, truth, seed, replicate), design))
        return
    from lmd_trialsim.effects import scale_of
    from lmd_trialsim.replay import replay
    from lmd_trialsim.report import trial

    page.show(*trial.parts(replay(scenario, design, truth, seed, replicate), design, scale_of(scenario, design)))
