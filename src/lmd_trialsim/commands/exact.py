"""`lmd-trialsim exact`: the same table without Monte Carlo error, where the outcome space allows."""

from __future__ import annotations

import click

from lmd_trialsim.commands.given import (
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


@click.command("exact", short_help="The same table without Monte Carlo error, where that is possible.")
@the_file
@the_designs
@the_truths
@the_detail
@the_format
@the_folder
def command(
    *,
    file: str,
    designs: tuple[str, ...],
    truths: tuple[str, ...],
    full: bool,
    form: str,
    out: str | None,
) -> None:
    """\b
    lmd-trialsim exact trial.yaml --design simon
                              null  promising
    success (type I error)  0.0468
    success (power)                    0.8047
    ...

    Walk through every outcome that a trial can have, instead of playing trials. Binary endpoints with looks at fixed
    numbers of patients allow it; of the other designs a sentence on stderr says why not. Status 2 if none does.
    """
    from lmd_trialsim.commands.run import deliver, enumerated
    from lmd_trialsim.commands.written import prepared
    from lmd_trialsim.report.terminal import reasons

    path, scenario = opened(file)
    designs_, truths_ = chosen(scenario, designs, truths)
    folder = prepared(out, path) if out is not None else None
    results, not_exact = enumerated(scenario, designs_, truths_)
    sentences = "\n".join(reasons(not_exact, len(truths_)))
    if results is None:
        raise Refusal(sentences)
    if sentences:
        click.echo(sentences, err=True)
    deliver(scenario, path, results, None, not_exact if form == "json" else [], form=form, full=full, folder=folder)
