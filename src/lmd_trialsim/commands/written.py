"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from lmd_trialsim.commands.given import Refusal

RESULTS = "results.json"
TABLE = "results.csv"
SCENARIO = "scenario.yaml"


def prepared(folder: str, scenario: Path) -> Path:
    """Return the folder; refuse now, not after the run, if nothing can be written there or something would be lost.

    A folder that does not exist is made on writing, so that a run that is broken off leaves none behind.
    """
    path = Path(folder)
    if not folder.strip() or (path.is_symlink() and not path.exists()):
        raise Refusal(f"--out: {folder!r} names no folder that is there or can be made. Name another.")
    try:
        there = next(above for above in (path, *path.absolute().parents) if above.exists())
        probe = there / f".{secrets.token_hex(8)}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()
    except NotADirectoryError:
        raise Refusal(f"--out: {folder} is a file, or below one, not a folder. Name another.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Refusal(f"--out: nothing can be written to {folder}: {why}.") from None
    for name in _foreign(path, scenario):
        raise Refusal(f"--out: {folder} holds {name}, which is not of a run. Name another folder, or move the file.")
    return path


def _foreign(folder: Path, scenario: Path) -> Iterator[str]:
    """Yield the files that would be lost: those that are not of an earlier run, nor the very scenario that is run."""
    if (folder / RESULTS).exists() and _digest(folder / RESULTS) is None:
        yield RESULTS
    if (folder / TABLE).exists() and not _is_table(folder / TABLE):
        yield TABLE
    kept = folder / SCENARIO
    if kept.exists() and not kept.samefile(scenario) and not _is_of(kept, _digest(folder / RESULTS)):
        yield SCENARIO


def _digest(results: Path) -> str | None:
    """Return the digest of the scenario whose results these are, if they are any."""
    try:
        held = json.loads(results.read_bytes())
        return str(held["digest"]) if {"scenario", "version", "results"} <= held.keys() else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _is_table(table: Path) -> bool:
    from lmd_trialsim.report.machine import COLUMNS

    try:
        with table.open(encoding="utf-8") as stream:
            return stream.readline().strip().split(",") == list(COLUMNS)
    except (OSError, ValueError):
        return False


def _is_of(kept: Path, digest: str | None) -> bool:
    """Return whether a scenario file is the one that a run has left there, unchanged in all that matters."""
    from lmd_trialsim.scenario import Scenario

    try:
        return digest is not None and Scenario.load(kept).digest() == digest
    except (OSError, ValueError, RecursionError):
        return False


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into the folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"--out: {folder} cannot be made: {error.strerror}. Name another.") from None
    for name, content in files.items():
        write_whole(folder / name, content)


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, see it to the disk, and only then give it the name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise Refusal(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
