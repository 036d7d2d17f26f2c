"""A page of text: folded and in colour at a terminal; plain, and as wide as it needs to be, in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

UNFOLDED = 1_000_000  # columns: more than any line has
IN_ASCII = str.maketrans({"±": "+/-", "─": "-", "–": "-", "≥": ">=", "≤": "<=", "░": ".", "▒": ":", "▓": "*", "█": "#"})


def console() -> Console:
    """Return the console for stdout."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False, markup=False, emoji=False)
    return Console(width=UNFOLDED, color_system=None, force_terminal=False, highlight=False, markup=False, emoji=False)


def width() -> int:
    """Return the columns that there are."""
    return console().width


def show(*parts: RenderableType) -> None:
    """Print the parts, one below the other."""
    here = console()
    with here.capture() as captured:
        for part in parts:
            here.print(part)
    say("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def say(text: str) -> None:
    """Print text that is ready, in the letters that stdout knows."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(IN_ASCII).encode(encoding, "replace").decode(encoding)
    click.echo(text, nl=False)


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Table:
    """Return a table without lines; its first `left` columns are words, the others numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="left" if number < left else "right", overflow="fold", vertical="top")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def heading(text: str) -> RenderableType:
    """Return a heading."""
    from rich.text import Text

    return Text(text, style="bold")


def prose(text: str) -> RenderableType:
    """Return a paragraph, folded between words at a terminal."""
    from rich.text import Text

    return Text(text)


def inset(text: str) -> RenderableType:
    """Return a paragraph, two columns further in."""
    from rich.padding import Padding

    return Padding(prose(text), (0, 0, 0, 2), expand=False)


def count(number: int, thing: str) -> str:
    """Return `1 event` or `2 events`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
