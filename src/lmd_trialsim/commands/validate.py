"""`lmd-trialsim validate`: every mistake at once."""

from __future__ import annotations

import click

from lmd_trialsim.commands.given import Refusal, opened


@click.command("validate", short_help="Every mistake in a scenario, each in one line.")
@click.argument("files", metavar="FILE|NAME...", nargs=-1, required=True)
def command(files: tuple[str, ...]) -> None:
    """\b
    lmd-trialsim validate trial.yaml
    trial.yaml:23:5: designs.simon.alfa: unknown key. Did you mean alpha?

    Read each FILE, or scenario of the catalogue called NAME, and print every mistake in it: where, what, and the way
    out. Status 2 if there is one. Of a scenario without mistakes say what is in it, and which numbers of its
    population and truths tell no origin (cite: or assumption:), and which designs have bounds on counts that will often
    be silent.
    """
    from lmd_trialsim.report import page
    from lmd_trialsim.silent_bounds import silent_bounds

    refused = []
    for file in files:
        try:
            path, scenario = opened(file)
        except Refusal as refusal:
            refused.append(refusal.message)
            continue
        numbers = list(scenario.numbers())
        bare = [place for place, number in numbers if not number.cite and number.assumption is None]
        cited = sum(bool(number.cite) for _, number in numbers)
        click.echo(
            f"{path}: valid. {page.count(len(scenario.designs), 'design')}, "
            f"{page.count(len(scenario.truths), 'truth')}; "
            f"{page.count(len(numbers), 'number')}: {cited} cited, {len(numbers) - cited - len(bare)} assumed, "
            f"{len(bare)} without origin."
        )
        for place in bare:
            click.echo(f"  {place}: no origin. Add cite: ROW or assumption: a sentence.")
        for remark in silent_bounds(scenario):
            click.echo(f"  {remark}")
    if refused:
        raise Refusal("\n".join(refused))
