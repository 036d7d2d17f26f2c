"""How far a run has come: on stderr, where a person is watching, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _nothing(played: int) -> None:
    """Nobody watches."""


@contextmanager
def watched(replicates: int) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told of replicates that have been played."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("preparing", total=replicates)

        def told(played: int) -> None:
            bar.update(task, advance=played, description="playing")

        yield told
