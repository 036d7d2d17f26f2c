"""From a file to plain data that remembers where it stood."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from lmd_trialsim.reading.mistakes import Loc, Mistake, ScenarioError

LIMIT = 1_000_000  # bytes; a scenario is a few pages of text

Position = tuple[int, int]


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool) and the line and column, counted from 1, of each part."""

    data: dict[str, Any]
    file: str
    values: Mapping[Loc, Position] = field(default_factory=dict, repr=False)
    keys: Mapping[Loc, Position] = field(default_factory=dict, repr=False)
    origins: Mapping[Loc, Loc] = field(default_factory=dict, repr=False)

    def position(self, loc: Loc, *, key: bool = False) -> Position:
        """Return where the value at `loc` (or its key) stands; for what is not in the file, its nearest parent."""
        for length in range(len(loc), -1, -1):
            part = loc[:length]
            first, second = (self.keys, self.values) if key or length < len(loc) else (self.values, self.keys)
            if part in first:
                return first[part]
            if part in second:
                return second[part]
            if part in self.origins:
                return self.position(self.origins[part] + loc[length:], key=key)
        return (1, 1)

    def derived(self, data: dict[str, Any], origins: Mapping[Loc, Loc]) -> "Document":
        """Return other data with this file's positions; `origins` tells from where parts that moved were taken."""
        return replace(self, data=data, origins={**self.origins, **origins})


def read_yaml(path: str | Path) -> Document:
    """Return what the file says, or raise ScenarioError with everything that keeps it from being plain data."""
    from lmd_trialsim.reading.composing import compose  # ruamel.yaml is loaded when a file is read

    return compose(_text(_bytes(path), str(path)), str(path))


def _bytes(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read(LIMIT + 1)
    except FileNotFoundError:
        _refuse(path, "there is no such file", "Check the name and the folder.")
    except IsADirectoryError:
        _refuse(path, "this is a folder, not a file", "Name a YAML file in it.")
    except PermissionError:
        _refuse(path, "permission to read the file is denied", "Change its permissions, or copy it.")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        _refuse(path, f"the file cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > LIMIT:
        _refuse(path, f"the file is larger than {LIMIT:,} bytes", "Leave data out; a scenario is a few pages.")
    return content


def _text(content: bytes, file: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        _refuse(file, "the file is written in UTF-16", "Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offset counts from after a byte order mark, and so do editors' columns.
        line, column = end_of(error.object[: error.start].decode("utf-8"))
        got = f"the byte 0x{error.object[error.start]:02x}"
        raise ScenarioError(
            [Mistake(file, line, column, "this is not UTF-8 text", got, "", "Save it as UTF-8.")]
        ) from None


def end_of(text: str) -> Position:
    """Return the line and column of the character that follows `text`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _refuse(path: str | Path, what: str, way_out: str = "") -> NoReturn:
    raise ScenarioError([Mistake(str(path), 1, 1, what, way_out=way_out)]) from None
