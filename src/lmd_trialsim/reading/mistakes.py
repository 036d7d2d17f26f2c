"""What a mistake in a file looks like: where, what, got, allowed, way out; always one line."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

Loc: TypeAlias = tuple[str | int, ...]
"""The keys and list indices (from 0) that lead to a value."""

CLIP = 60  # characters quoted from the user's file
LONGEST_PATH = 240
LONGEST = 600  # characters of a validator's own sentence
LISTED = 24  # names offered before "and N more"
SHOWN = 200  # mistakes printed before "and N more"


class Mistake(NamedTuple):
    """One mistake of the user; `what` begins with the path of the value, as in `designs.bayesian.looks: ...`."""

    file: str
    line: int
    column: int
    what: str
    got: str = ""
    allowed: str = ""
    way_out: str = ""

    def __str__(self) -> str:
        text = visible(self.what, LONGEST)
        if self.got:
            text += f" (got {visible(self.got, LONGEST)})"
        if self.allowed:
            text += f"; allowed: {visible(self.allowed, LONGEST)}"
        sentences = [_closed(text)]
        if self.way_out:
            sentences.append(_closed(visible(self.way_out, LONGEST)))
        return f"{visible(self.file, LONGEST)}:{self.line}:{self.column}: {' '.join(sentences)}"


class ScenarioError(ValueError):
    """All mistakes found in a file, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        ordered = sorted(dict.fromkeys(mistakes), key=lambda mistake: (mistake.line, mistake.column))
        self.mistakes: tuple[Mistake, ...] = tuple(ordered)
        super().__init__("\n".join(map(str, ordered)))

    def __reduce__(self) -> tuple[type["ScenarioError"], tuple[tuple[Mistake, ...]]]:
        return ScenarioError, (self.mistakes,)


class At(ValueError):  # noqa: N818
    """A validator's complaint about a place below the model or value that it validates."""

    def __init__(
        self, loc: Sequence[str | int], message: str, *, got: str = "", allowed: str = "", way_out: str = "",
        key: bool = False, misplaced: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.loc: Loc = tuple(loc)
        self.message = message
        self.got = got
        self.allowed = allowed
        self.way_out = way_out
        self.key = key
        self.misplaced = misplaced  # what stands there should not: where it is inherited, it can be taken away


class Several(ValueError):  # noqa: N818
    """Several complaints of one validator at once."""

    def __init__(self, complaints: Iterable[At]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(complaint.message for complaint in self.complaints))


def render(error: ScenarioError) -> str:
    """Return the mistakes one a line; of very many, the first 200 and how many are left."""
    lines = [str(mistake) for mistake in error.mistakes[:SHOWN]]
    left = len(error.mistakes) - len(lines)
    return "\n".join([*lines, f"... and {left} more."] if left else lines)


def visible(text: str, limit: int = CLIP) -> str:
    """Return `text` on one line: what a terminal would obey or hide is spelled out, what is long is cut."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def path_of(loc: Loc) -> str:
    """Return `designs.bayesian.rules.0`; a key that is not one plain word is quoted."""
    path = ".".join(name_of(part) for part in loc)
    return path if len(path) <= LONGEST_PATH else f"{path[: LONGEST_PATH // 2]}...{path[-LONGEST_PATH // 2 :]}"


def name_of(part: str | int) -> str:
    """Return a key as it is written in a path."""
    text = visible(str(part))
    return text if re.fullmatch(r"[\w<>/+-]+", text) else f"'{text}'"


def placed(loc: Loc, what: str) -> str:
    """Return `what`, preceded by the path it is about."""
    return f"{path_of(loc)}: {what}" if loc else what


def listing(names: Iterable[object]) -> str:
    """Return the names in a row, the first few of many."""
    row = [visible(str(name)) for name in names]
    left = len(row) - LISTED
    return ", ".join(row[:LISTED]) + (f" and {left} more" if left > 0 else "")


def quoted(value: Any) -> str:
    """Return a value as a person would recognize it from the file."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{visible(value)}'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case None:
            return "nothing"
        case _:
            return visible(str(value))


def suggestion(word: object, names: Iterable[object]) -> str:
    """Return the name that `word` was probably meant to be, or nothing."""
    if not isinstance(word, str) or len(word) > CLIP:
        return ""
    known = {_plain(str(name)): str(name) for name in names}
    close = difflib.get_close_matches(_plain(word), known, n=1)
    return known[close[0]] if close else ""


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else sentence + "."
