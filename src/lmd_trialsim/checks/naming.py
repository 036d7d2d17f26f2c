"""Names that are not known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from lmd_trialsim.reading import At
from lmd_trialsim.reading.mistakes import listing, quoted, suggestion

Place: TypeAlias = tuple[str | int, ...]


def unknown(place: Place, name: str, known: Iterable[str], what: str, key: bool = False) -> At:
    """Return the complaint about a name that is not among the known ones, with the likeliest one."""
    names = list(known)
    near = suggestion(name, names)
    way_out = f"Did you mean {near}?" if near else ""
    return At(place, f"unknown {what}", got=quoted(name), allowed=listing(names), way_out=way_out, key=key)
