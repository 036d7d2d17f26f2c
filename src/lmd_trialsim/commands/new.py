"""`lmd-trialsim new`: a scaffold."""

from __future__ import annotations

import click

from lmd_trialsim.commands.given import Refusal


@click.command("new", short_help="A small scenario with comments, to begin with.")
@click.argument("file", required=False)
def command(file: str | None) -> None:
    """\b
    lmd-trialsim new trial.yaml
    lmd-trialsim run trial.yaml

    Write a small scenario with comments to FILE; print it if no FILE is named. What exists is never overwritten.
    """
    from importlib import resources

    scaffold = (resources.files("lmd_trialsim.commands") / "scaffold.yaml").read_text(encoding="utf-8")
    if file is None:
        click.echo(scaffold, nl=False)
        return
    try:
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(scaffold)
    except FileExistsError:
        raise Refusal(f"{file} exists and is not overwritten. Name another file.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Refusal(f"{file} cannot be written: {why}.") from None
    click.echo(f"{file} is written. Next: lmd-trialsim run {file}")
