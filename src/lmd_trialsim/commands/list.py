"""`lmd-trialsim list`: the catalogue."""

from __future__ import annotations

import click

from lmd_trialsim import catalogue


@click.command("list", short_help="The scenarios that are included.")
def command() -> None:
    """\b
    lmd-trialsim list
    lmd-trialsim run proton_csi

    List the scenarios that come with the package: name and title, truths, designs. Each runs by its name.
    """
    from lmd_trialsim.reading import ScenarioError, read_yaml, render
    from lmd_trialsim.report import page

    parts = []
    for name, path in catalogue.entries().items():
        try:
            data = read_yaml(path).data
        except ScenarioError as error:
            click.echo(render(error), err=True)
            continue
        parts += [page.heading(name), page.inset(str(data.get("title", "")))]
        for section in ("truths", "designs"):
            inside = data.get(section)
            names = ", ".join(inside) if isinstance(inside, dict) else ""
            parts.append(page.inset(f"{section}: {names}"))
        parts.append(page.prose(""))
    if parts:
        page.show(*parts[:-1])
    else:
        click.echo("The catalogue is empty.", err=True)
