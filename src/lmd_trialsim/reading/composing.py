"""From YAML 1.2 text to a Document, refusing what a reader of the page could not see or would not expect.

Works on ruamel.yaml's events, before anything is composed: an alias is refused where it stands and never followed.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from lmd_trialsim.reading.document import Document, Position, end_of
from lmd_trialsim.reading.mistakes import Loc, Mistake, ScenarioError, placed, visible

DEEPEST = 40  # mappings and lists inside each other
MOST_VALUES = 100_000
MOST_MISTAKES = 1000  # reading stops there

INTEGER = re.compile(r"[-+]?(?:[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+)")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
NOTHING = re.compile("|~|null|Null|NULL")
TRUTH = re.compile("true|True|TRUE|false|False|FALSE")
NOT_TEXT = (INTEGER, FLOAT, ENDLESS, DATE, NOTHING, TRUTH)

# What YAML allows in a file, without the byte order mark, which is invisible.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# What an escape such as "\x1b" in a quoted text may bring in: control characters and half characters.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# ruamel's words for a problem, and ours with a way out; the first that matches speaks.
PROBLEMS = (
    ("directive|incompatible YAML", "directives are not read", "Take the line with % out."),
    (r"scanning an (?:anchor|alias)", "anchors and aliases are not read", "Write the value out, or use like:."),
    (r"\btag\b", "tags are not read", "Take the word with ! out."),
    (r"character '\\t'", "a tab stands where only spaces may stand", "Indent with spaces."),
    (r"character '(.)' that cannot start", "a value cannot begin with {0}", "Put the value in quotes."),
    (
        "mapping values are not allowed",
        "a colon followed by a space is not expected here",
        "Put text that holds ': ' in quotes, begin each key on a line of its own, and check the indentation.",
    ),
    ("sequence entries are not allowed", "a list with '- ' cannot begin here", "Begin it on the next line."),
    ("could not find expected ':'", "a key must be followed by a colon and a space", "Write 'key: value'."),
    ("expected <block end>", "this does not line up with the lines above", "Check the indentation and the brackets."),
    ("expected ',' or '(.)', but got", "{0} or a comma is expected here, in what {opened}", "Close the bracket."),
    ("expected the node content", "a value is expected here", "Write one, or take out the extra sign."),
    ("quoted scalar.*(?:end of stream|document separator)", "the quotation that {opened} is not closed", "Close it."),
    ("unknown escape character", "a backslash in double quotes begins an escape", "Double it, or use single quotes."),
)


def compose(text: str, file: str) -> Document:
    """Return the document in `text`, or raise ScenarioError with every mistake up to where reading had to stop."""
    composer = _Composer(file, UNPRINTABLE.sub("\ufffd", text))
    composer.note_unprintable(text)
    return composer.document()


class _Stop(Exception):  # noqa: N818
    """Enough is said; the rest of the file is not read."""


class _Composer:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
        self.mistakes: list[Mistake] = []
        self.values: dict[Loc, Position] = {}
        self.keys: dict[Loc, Position] = {}
        self.last: Position = (1, 1)
        self.count = 0

    def document(self) -> Document:
        data: Any = None
        try:
            data = self.stream()
        except _Stop:  # the mistake that stopped it is noted
            pass
        except MarkedYAMLError as error:
            self.note_syntax(error)
        except Exception as error:  # the parser lets some through, such as OverflowError at "\U99999999"
            self.note(self.last, "what follows is not YAML", got=visible(str(error)))
        if self.mistakes:
            raise ScenarioError(self.mistakes)
        return Document(data, self.file, self.values, self.keys)

    def stream(self) -> Any:
        data: Any = None
        first: Event | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if first:
                    self.stop(_start(event), "a second document begins here", "Keep one in a file.")
                if event.version:
                    line = max(1, _start(event)[0] - 1)
                    self.note((line, 1), "directives are not read", way_out="Take the line with % out.")
                first = next(self.events)
                data = None if _empty(first) else self.node(first, ())
        if first is None or _empty(first):
            self.note((1, 1), "the file is empty", way_out="Write 'key: value' lines.")
        elif not isinstance(first, MappingStartEvent):
            got = "a list" if isinstance(first, SequenceStartEvent) else "a single value"
            what = "the file must be a mapping of keys to values"
            self.note(_start(first), what, got, "Begin with a 'key: value' line.")
        return data

    def node(self, event: Event, loc: Loc) -> Any:
        """Return the value that begins with `event`, having read its events to the end."""
        here = self.values[loc] = self.last = _start(event)
        self.count += 1
        if self.count > MOST_VALUES:
            self.stop(here, f"the file holds more than {MOST_VALUES:,} values", "Leave data out.")
        if len(self.mistakes) >= MOST_MISTAKES:
            raise _Stop
        self.note_adornments(event, loc)
        if isinstance(event, AliasEvent):
            return None
        if isinstance(event, ScalarEvent):
            return self.scalar(event, loc)
        if len(loc) >= DEEPEST:
            self.stop(here, f"values are nested more than {DEEPEST} deep", "Check the brackets and the indentation.")
        return self.mapping(loc) if isinstance(event, MappingStartEvent) else self.sequence(loc)

    def sequence(self, loc: Loc) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            self.note_nothing(event, (*loc, len(items)))
            items.append(self.node(event, (*loc, len(items))))
        return items

    def mapping(self, loc: Loc) -> dict[str, Any]:
        items: dict[str, Any] = {}
        nothing: list[tuple[Event, Loc]] = []
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self.key(event, loc)
            below = (*loc, key)
            if key in items:
                line, column = self.keys[below]
                what = f"this key is written twice, first at line {line}, column {column}"
                self.note(_start(event), placed(below, what), way_out="Keep one of them.")
            self.keys.setdefault(below, _start(event))
            value = next(self.events)
            items[key] = self.node(value, below)
            if key == "like" or _empty(value):
                self.note_nothing(value, below)
            else:
                nothing.append((value, below))
        if "like" not in items:  # beside it, null takes away what is inherited
            for value, below in nothing:
                self.note_nothing(value, below)
        return items

    def key(self, event: Event, loc: Loc) -> str:
        """Return the text of a key; `null` is one, since null hypotheses have that name."""
        here = self.last = _start(event)
        if not isinstance(event, ScalarEvent):
            self.note(here, placed(loc, "a key must be text, not a list, mapping or alias"), way_out="Write a word.")
            self.node(event, (*loc, "?"))
            return "?"
        text: str = event.value
        self.note_adornments(event, loc)
        self.note_control(event, loc)
        if event.implicit[0] and text == "<<":
            self.note(here, placed(loc, "merge keys are not read"), "<<", "Write the keys out, or use like:.")
        elif text == "":
            self.note(here, placed(loc, "a key must be text"), "nothing", "Write a word.")
        elif event.implicit[0] and text.lower() != "null" and any(pattern.fullmatch(text) for pattern in NOT_TEXT):
            self.note(here, placed(loc, "a key must be text"), visible(text), "Put it in quotes.")
        return text

    def scalar(self, event: ScalarEvent, loc: Loc) -> Any:
        """Return text, number or truth value by the rules of YAML 1.2, and 100_000 as a number."""
        text: str = event.value
        if not event.implicit[0] or not any(pattern.fullmatch(text) for pattern in NOT_TEXT):
            self.note_control(event, loc)
            return text
        if TRUTH.fullmatch(text):
            return text.lower() == "true"
        if INTEGER.fullmatch(text):
            return self.integer(event, loc)
        if FLOAT.fullmatch(text):
            return self.float(event, loc)
        if DATE.fullmatch(text):
            self.note(_start(event), placed(loc, "dates are not read"), visible(text), "Put it in quotes.")
        elif not NOTHING.fullmatch(text):
            self.note(_start(event), placed(loc, "must be a finite number"), visible(text))
        return None

    def integer(self, event: ScalarEvent, loc: Loc) -> int:
        text: str = event.value.replace("_", "")
        base = {"0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10)
        number = int(text, base) if len(text) < 100 else 2**63  # int() refuses thousands of digits
        if abs(number) >= 2**63:
            self.note(_start(event), placed(loc, "the number is too large"), visible(text), allowed="up to 2^63 - 1")
        return number

    def float(self, event: ScalarEvent, loc: Loc) -> float | int:
        """Return the number; 1e5 is a whole one."""
        text: str = event.value
        number = float(text.replace("_", ""))
        if math.isinf(number):
            self.note(_start(event), placed(loc, "the number is too large"), visible(text), allowed="up to 1.79e308")
        if number == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
            way_out = "Write a larger one, or 0 where that has a meaning."
            self.note(_start(event), placed(loc, "the number is too close to 0"), visible(text), way_out)
        whole = "e" in text.lower() and abs(number) < 2**53 and number.is_integer()
        return int(number) if whole else number

    def stop(self, where: Position, what: str, way_out: str) -> NoReturn:
        self.note(where, what, way_out=way_out)
        raise _Stop

    def note(self, where: Position, what: str, got: str = "", way_out: str = "", allowed: str = "") -> None:
        self.mistakes.append(Mistake(self.file, *where, what, got, allowed, way_out))

    def note_adornments(self, event: Event, loc: Loc) -> None:
        """Note an alias, an anchor and a tag: what they say stands elsewhere on the page, or nowhere."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, AliasEvent):
            way_out = "Write the value out, or use like:."
            self.note(_start(event), placed(loc, "aliases are not read"), f"*{visible(str(anchor))}", way_out)
        elif anchor:
            way_out = "Write the value out wherever it is needed, or use like:."
            self.note(_start(event), placed(loc, "anchors are not read"), f"&{visible(str(anchor))}", way_out)
        if tag:
            written = visible(str(tag).replace("tag:yaml.org,2002:", "!!"))
            self.note(_start(event), placed(loc, "tags are not read"), written, "Take the word with ! out.")

    def note_nothing(self, event: Event, loc: Loc) -> None:
        """Note a value that says nothing."""
        if isinstance(event, ScalarEvent) and event.implicit[0] and NOTHING.fullmatch(event.value):
            text: str = event.value
            where = _start(event) if text else self.keys.get(loc, _start(event))
            way_out = "Put it in quotes if it is a name." if len(text) > 1 else "Write one, or leave the line out."
            self.note(where, placed(loc, "has no value"), text, way_out)

    def note_control(self, event: ScalarEvent, loc: Loc) -> None:
        if found := CONTROL.search(event.value):
            what = placed(loc, "text may not hold invisible characters")
            self.note(_start(event), what, visible(found.group()), "Take it out.")

    def note_unprintable(self, text: str) -> None:
        """Note the first character of `text` that YAML forbids, and how many there are."""
        if first := UNPRINTABLE.search(text):
            more = len(UNPRINTABLE.findall(text)) - 1
            way_out = f"Take it out, and {more:,} more." if more else "Take it out."
            where = end_of(text[: first.start()])
            self.note(where, "invisible characters are not read", visible(first.group()), way_out)

    def note_syntax(self, error: MarkedYAMLError) -> None:
        """Note what ruamel's syntax check says, in our words where we have some."""
        opened, mark = error.context_mark, error.problem_mark or error.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else self.last
        since = f"begins at line {opened.line + 1}, column {opened.column + 1}" if opened else "is open"
        problem = f"{error.context or ''} {error.problem or error}".strip()
        for pattern, what, way_out in PROBLEMS:
            if found := re.search(pattern, problem):
                return self.note(where, what.format(*found.groups(), opened=since), way_out=way_out)
        return self.note(where, f"this is not YAML: {problem}")


def _start(event: Event) -> Position:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _empty(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and not event.value and bool(event.implicit[0])
