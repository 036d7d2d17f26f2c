"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from lmd_trialsim.commands.given import Refusal


def prepared(folder: str) -> Path:
    """Return the folder, made where it is missing; refuse now, not after the run, if nothing can be written there."""
    path = Path(folder)
    probe = path / f".{secrets.token_hex(8)}.tmp"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except FileExistsError:
        raise Refusal(f"--out: {folder} is a file, not a folder. Name another.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Refusal(f"--out: nothing can be written to {folder}: {why}.") from None
    return path


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
