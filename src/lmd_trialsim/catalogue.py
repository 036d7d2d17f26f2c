"""The catalogue: the scenarios that come with the package, found by name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder() -> Path | None:
    """Return the folder of the catalogue: the installed one, or `scenarios/` of the checkout that this runs from."""
    checkout = PACKAGE.parent.parent / "scenarios"
    if (PACKAGE / "catalogue").is_dir():
        return PACKAGE / "catalogue"
    return checkout if PACKAGE.parent.name == "src" and checkout.is_dir() else None


def entries() -> dict[str, Path]:
    """Return the files of the catalogue by name, in alphabetical order."""
    place = folder()
    return {path.stem: path for path in sorted(place.glob("*.yaml"))} if place else {}


def find(name: str) -> Path:
    """Return the file that `name` means: a path that exists, or else a scenario of the catalogue.

    ValueError, in one line, for a bare name that is neither. What looks like a path is returned as it is: whoever
    opens it says what is wrong with it.
    """
    path = Path(name)
    bare = path.name == name and path.suffix not in (".yaml", ".yml")
    if not bare or os.path.exists(name):
        return path
    known = entries()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, 1)
    guess = f"Did you mean {near[0]}?" if near else "`lmd-trialsim list` shows the catalogue."
    raise ValueError(f"'{name}' is neither a file nor a scenario of the catalogue. {guess}")
