"""`lmd-trialsim calibrate`: the cut-off that keeps the type I error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lmd_trialsim.commands.given import REPLICATES, SEED, THREADS, Refusal, chosen, opened, the_file, the_truths, whole

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario


@click.command("calibrate", short_help="The smallest cut-off that keeps the type I error.")
@the_file
@click.option("--design", metavar="NAME", help="The design; the first if not said.")
@click.option(
    "--at-most", type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True), default=0.05, show_default=True,
    metavar="P", help="The type I error to keep.",
)  # fmt: skip
@click.option(
    "--error", type=click.Choice(["family-wise", "each"]), default="family-wise", show_default=True,
    help="Of basket designs: of any basket, or of each.",
)  # fmt: skip
@the_truths
@click.option(
    "--rule", "rules", type=whole(1, 50), multiple=True, metavar="N", help="The rule whose cut-off; repeatable."
)
@click.option(
    "--digits", type=whole(1, 6), default="4", show_default=True, metavar="N", help="Decimals of the cut-off."
)
@click.option("--simulate", "playing", is_flag=True, help="Play trials even where outcomes can be enumerated.")
@click.option(
    "--replicates", type=REPLICATES, metavar="N", help="Trials for each cut-off and truth, where they are played."
)
@click.option("--seed", type=SEED, metavar="N", help="The seed; fresh trials have the next one.")
@click.option("--threads", type=THREADS, metavar="N", help="Threads at work; the results do not depend on it.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="What to print.")
def command(
    *,
    file: str,
    design: str | None,
    at_most: float,
    error: str,
    truths: tuple[str, ...],
    rules: tuple[int, ...],
    digits: int,
    playing: bool,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
    form: str,
) -> None:
    """\b
    lmd-trialsim calibrate trial.yaml --design bayesian --at-most 0.05
    bayesian: cut-off 0.9774
    ...
    error under  at 0.9773  at 0.9774
    null            0.0552     0.0485
    ...

    Find the smallest number that the posterior probability in the design's rules for efficacy must exceed, so that the
    type I error is kept under every null truth of FILE. Exact where outcomes can be enumerated; elsewhere trials are
    played, the same ones for all cut-offs, a cut-off is accepted on the upper 95 % limit of its error, and then meets
    fresh trials. Status 1 if these do not confirm it, 2 if no cut-off will do.
    """
    from lmd_trialsim.calibration import CannotBeMetError, calibrate, evaluations
    from lmd_trialsim.commands.progress import watched
    from lmd_trialsim.report import calibrated, page

    if math.isnan(at_most):
        raise Refusal("--at-most: nan is no probability. Say one between 0 and 1.")
    _, scenario = opened(file)
    designs, truths_ = chosen(scenario, [design] if design else [], truths)
    _refuse_idle_options(scenario, designs[0], truths_, playing=playing)
    try:
        with watched(evaluations(len(truths_), digits)) as progress:
            found = calibrate(
                scenario, designs[0], at_most=at_most, rules=[rule - 1 for rule in rules], each=error == "each",
                truths=truths_, digits=digits, playing=playing, replicates=replicates, seed=seed, threads=threads,
                told=lambda: progress(1),
            )  # fmt: skip
    except CannotBeMetError as failed:
        raise Refusal(
            f"{designs[0]}: {failed}. Allow more, or take more --digits, --replicates or patients, or stricter rules."
        ) from None
    except (ValueError, MemoryError) as failed:
        raise Refusal(f"{designs[0]} cannot be calibrated. {failed}") from None
    if form == "json":
        page.say(calibrated.to_json(scenario, found))
    else:
        page.show(*calibrated.parts(scenario, found))
    if not found.confirmed:
        click.get_current_context().exit(1)


def _refuse_idle_options(scenario: Scenario, design: str, truths: Sequence[str], *, playing: bool) -> None:
    """Refuse options that would change nothing."""
    from lmd_trialsim.calibration import can_be_listed
    from lmd_trialsim.designs.basket import Basket
    from lmd_trialsim.designs.platform import Platform

    context = click.get_current_context()
    given = {
        name for name in ("error", "replicates", "seed")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }  # fmt: skip
    complaints = []
    if "error" in given and not isinstance(scenario.designs[design], Basket | Platform):
        complaints.append(
            f"--error: is of basket and platform designs, and {design} has one type I error. Leave it out."
        )
    if not playing and given & {"replicates", "seed"} and can_be_listed(scenario, design, truths):
        complaints += [
            f"--{name}: no trials are played, as the outcomes of {design} can be enumerated. Leave it out, "
            "or add --simulate."
            for name in ("replicates", "seed")
            if name in given
        ]
    if complaints:
        raise Refusal("\n".join(complaints))
