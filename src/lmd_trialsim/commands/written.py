"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
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
    others = [name for name in (SCENARIO, TABLE, RESULTS) if (path / name).exists()]
    if others and not _is_of_a_run(path) and not (others == [SCENARIO] and scenario.samefile(path / SCENARIO)):
        raise Refusal(
            f"--out: {folder} holds {others[0]}, which is not of a run. Name another folder, or move the file."
        )
    return path


def _is_of_a_run(folder: Path) -> bool:
    """Return whether the files in the folder are those of an earlier run, which a new one may replace."""
    try:
        held = json.loads((folder / RESULTS).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and {"scenario", "digest", "version", "results"} <= held.keys()


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into the folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{folder} cannot be made: {error.strerror}.") from None
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
