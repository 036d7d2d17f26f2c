"""A pydantic error in the words of the person who wrote the file."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lmd_trialsim.reading.mistakes import At, Loc, Several, listing, name_of, placed, quoted, suggestion
from lmd_trialsim.reading.shapes import Place, Shapes

NUMBERS = ("a number", "a whole number")
WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "left out",
}
WORDS = ("literal_error", "enum")
LIMITS = {
    "greater_than": ("gt", "must be greater than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
}
LENGTHS = {
    "too_short": ("min_length", "must have at least {} {}", "item"),
    "too_long": ("max_length", "must have at most {} {}", "item"),
    "string_too_short": ("min_length", "must have at least {} {}", "character"),
    "string_too_long": ("max_length", "must have at most {} {}", "character"),
}
LARGEST_WHOLE = 2.0**53
BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


class Finding(NamedTuple):
    """A pydantic error and where it stands; `wanted` is set where several branches of a union were told as one."""

    error: Mapping[str, Any]
    place: Place
    shapes: Shapes
    wanted: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.error["type"])

    @property
    def loc(self) -> Loc:
        loc: Loc = self.error["loc"]
        return loc

    @property
    def context(self) -> Mapping[str, Any]:
        context: Mapping[str, Any] = self.error.get("ctx", {})
        return context

    @property
    def options(self) -> list[Any]:
        """The words among which the value had to be."""
        return self.shapes.options(self.place.shape)

    @property
    def taken(self) -> tuple[str, ...]:
        """What could have stood here."""
        if self.wanted:
            return self.wanted
        return (WANTED[self.kind],) if self.kind in WANTED else tuple(map(quoted, self.options))

    @property
    def wrong_type(self) -> bool:
        """Whether a value of another type was wanted, so that this branch of a union was hardly meant."""
        types = {type(option) for option in self.options}
        return self.kind in WANTED or (self.kind in WORDS and type(self.place.value) not in types)


class Told(NamedTuple):
    """A complaint at a place counted from the root, and the key that it misses or takes an unknown one for."""

    at: At
    missing: Loc = ()
    meant: Loc = ()


def tell(finding: Finding) -> Iterator[Told]:
    """Yield what a finding has to say."""
    path, kind = finding.place.path, finding.kind
    if kind == "missing":
        yield _missing(finding)
    elif kind == "extra_forbidden":
        yield _unknown(finding)
    elif kind in ("value_error", "assertion_error") and "error" in finding.context:
        for at in complaints(finding.context["error"]):
            below = (*path, *at.loc)
            key = at.key or (not at.loc and finding.place.on_key)
            what = placed(below, at.message or "is not valid")
            yield Told(
                At(below, what, got=at.got, allowed=at.allowed, way_out=at.way_out, key=key, misplaced=at.misplaced)
            )
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        yield Told(_tag(finding))
    else:
        yield Told(_value(finding))


def complaints(error: Exception) -> tuple[At, ...]:
    """Return what a validator raised as complaints below the value that it validates."""
    if isinstance(error, Several):
        return error.complaints
    return (error if isinstance(error, At) else At((), str(error)),)


def _missing(finding: Finding) -> Told:
    *above, last = finding.place.path
    parent = tuple(above)
    if isinstance(last, int):
        return Told(At(parent, placed(parent, f"must have {last + 1} items or more"), got=_size(finding.place.holder)))
    what = placed(parent, f"the key {name_of(last)} is missing")
    description = finding.shapes.description(finding.place.model, last)
    way_out = description[:1].upper() + description[1:]
    return Told(At(parent, what, way_out=way_out, key=True), missing=finding.place.path)


def _unknown(finding: Finding) -> Told:
    path, place = finding.place.path, finding.place
    known = finding.shapes.keys(place.parent)
    used = place.holder if isinstance(place.holder, dict) else {}
    elsewhere = getattr(place.model, "ELSEWHERE", {}).get(path[-1])
    meant = "" if elsewhere else suggestion(path[-1], (name for name in known if name not in used))
    way_out = elsewhere or (f"Did you mean {meant}?" if meant else "")
    at = At(path, placed(path, "unknown key"), allowed=listing(known), way_out=way_out, key=True, misplaced=True)
    return Told(at, meant=(*path[:-1], meant) if meant else ())


def _tag(finding: Finding) -> At:
    place = finding.place
    tags = finding.shapes.tags(place.shape)
    allowed = listing(tags) or str(finding.context.get("expected_tags", "")).replace("'", "")
    key = str(finding.context.get("discriminator", "")).strip("'")
    if not isinstance(place.value, dict) or key not in place.value:
        present = isinstance(place.value, dict) and key.isidentifier()
        what = f"the key {name_of(key)} is missing" if present else "its kind cannot be told"
        return At(place.path, placed(place.path, what), allowed=allowed, key=True)
    path, tag = (*place.path, key), place.value[key]
    meant = suggestion(tag, tags)
    what = placed(path, f"unknown {name_of(key)}")
    return At(path, what, got=quoted(tag), allowed=allowed, way_out=f"Did you mean {meant}?" if meant else "")


def _value(finding: Finding) -> At:
    path, place, kind, context = finding.place.path, finding.place, finding.kind, finding.context
    value = finding.error.get("input") if place.value is None or place.on_key else place.value
    got = "" if isinstance(value, dict | list) else quoted(value)
    allowed = way_out = ""
    if kind in WORDS:
        options = finding.options
        others = [word for word in finding.taken if word not in map(quoted, options)]
        what = f"{got or quoted(value)} is not known here"
        allowed = " or ".join([listing(options) or str(context.get("expected", "")), *others])
        meant = suggestion(value, options)
        got, way_out = "", f"Did you mean {meant}?" if meant else ""
    elif finding.wanted or kind in WANTED:
        wanted = finding.taken
        what = f"must be {' or '.join(wanted)}"
        if type(value) is not float or "a whole number" not in wanted:
            what += f", not {_type(value)}"
        elif abs(value) >= LARGEST_WHOLE:
            what += ", and this one is too large"
        way_out = _hint(value, wanted, finding.shapes.limits(place.shape))
    elif kind in LIMITS:
        name, words = LIMITS[kind]
        what = words.format(_number(context[name]))
        bounds = finding.shapes.limits(place.shape)
        row = [f"{words} {_number(bounds[name])}" for name, words in BOUNDS.items() if name in bounds]
        allowed = " and ".join(row) if len(row) > 1 else ""
    elif kind in LENGTHS:
        name, words, unit = LENGTHS[kind]
        length = context[name]
        what = words.format(length, unit if length == 1 else f"{unit}s")
        got = got or _size(value)
    elif kind == "string_pattern_mismatch":
        what = f"must match the pattern {context['pattern']}"
    elif kind == "finite_number":
        what = "must be a finite number"
    else:
        message = str(finding.error["msg"])
        what = message[:1].lower() + message[1:] if message[1:2].islower() else message
        what = what.replace("input should be", "must be")
        got = "" if what.endswith((".", "?")) else got
    return At(path, placed(path, what), got=got, allowed=allowed, way_out=way_out, key=place.on_key)


def _type(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case _:
            return quoted(value)


def _size(value: Any) -> str:
    return str(len(value)) if isinstance(value, dict | list) else ""


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _hint(value: Any, wanted: tuple[str, ...], limits: Mapping[str, Any]) -> str:
    """Return how `value` would have to be written to be what was wanted, where that can be guessed."""
    if isinstance(value, str):
        text = value.strip()
        if any(word in NUMBERS for word in wanted):
            if _is_number(text):
                return "Take the quotes off."
            if _is_number(text.removesuffix("%")):
                return f"Write {float(text.removesuffix('%')) / 100:g}."
            if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", text):
                return f"Write {text.replace(',', '_')}."
            if _is_number(text.replace(",", ".")):
                return f"Write {text.replace(',', '.')}."
        if "true or false" in wanted and text.lower() in ("yes", "on", "no", "off"):
            return f"Write {'true' if text.lower() in ('yes', 'on') else 'false'}."
    if type(value) is float and "a whole number" in wanted and abs(value) < LARGEST_WHOLE:
        near = sorted({math.floor(value), math.ceil(value)})
        return f"Write {' or '.join(str(one) for one in near if one >= limits.get('ge', one))}."
    if "text" in wanted and isinstance(value, bool | int | float):
        return "Put it in quotes."
    item_unlike = isinstance(value, bool | str) and any(word in (*NUMBERS, "a mapping") for word in wanted)
    if "a list" in wanted and not isinstance(value, dict | list) and not item_unlike:
        return f"Write [{quoted(value)}]."
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
