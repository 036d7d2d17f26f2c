"""Where in a pydantic model a location leads: which of its parts are in the data, and what may stand there.

The `loc` of a pydantic error names, besides keys and indices, the branch of each union it went through. Walking the
model's core schema along it tells the two apart; where the schema is of a kind not known here, the data decides.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from lmd_trialsim.reading.mistakes import Loc

if TYPE_CHECKING:
    from pydantic import BaseModel

Shape: TypeAlias = Mapping[str, Any]  # a node of a pydantic core schema

FIELDS = {"model-fields", "typed-dict", "dataclass-args"}
ITEMS = {"list", "set", "frozenset", "generator"}


class Branch(NamedTuple):
    """One of the shapes a union tried: met after `depth` parts of the error's loc, `level` parts of the data's path."""

    depth: int
    level: int
    label: str | int


class Place(NamedTuple):
    """Where an error stands in the data, and the shapes that the model has there."""

    path: Loc
    value: Any
    holder: Any  # the mapping or list that holds the value
    shape: Shape | None  # of the value
    parent: Shape | None  # of the holder
    model: "type[BaseModel] | None"  # whose fields `parent` lists
    on_key: bool
    branches: tuple[Branch, ...]


class Shapes:
    """The core schema of one model."""

    def __init__(self, model: "type[BaseModel]") -> None:
        self.root: Shape = model.__pydantic_core_schema__
        self.defined: dict[str, Shape] = {}

    def place(self, loc: Loc, data: Any, missing: bool) -> Place:
        """Return the place of a pydantic error; of a `missing` key the last part of `loc` is not in the data."""
        shape: Shape | None = self.root
        parent: Shape | None = None
        model: type[BaseModel] | None = None
        path: list[str | int] = []
        branches: list[Branch] = []
        on_key = False
        holder: Any = None
        for depth, part in enumerate(loc):
            node, owner = self.peeled(shape)
            kind = node["type"] if node else ""
            if kind == "tagged-union" and node:
                shape = node["choices"].get(part)
                continue
            if kind == "union" and node:
                branches.append(Branch(depth, len(path), part))
                shape = self.choice(node, part)
                continue
            if part == "[key]" and depth == len(loc) - 1 and not _holds(data, part):
                on_key = True
                shape = parent.get("keys_schema") if parent else None
                continue
            last = missing and depth == len(loc) - 1
            if not (node and kind in FIELDS | ITEMS | {"dict", "tuple"}) and not last and not _holds(data, part):
                continue  # a label of a kind of shape that is not known here
            parent, model = node, owner
            shape = _below(node, part)
            path.append(part)
            holder, data = data, _value(data, part)
        return Place(tuple(path), data, holder, shape, parent, model, on_key, tuple(branches))

    def peeled(self, shape: Shape | None) -> "tuple[Shape | None, type[BaseModel] | None]":
        """Return what `shape` is under its validators, defaults and references, and the model met on the way."""
        model: type[BaseModel] | None = None
        while shape is not None:
            for definition in shape.get("definitions", ()):
                self.defined[definition["ref"]] = definition
            if shape["type"] == "model":
                model = shape["cls"]
            if shape["type"] == "definition-ref":
                shape = self.defined.get(shape["schema_ref"])
            elif shape["type"] == "lax-or-strict":
                shape = shape["lax_schema"]
            elif shape["type"] == "json-or-python":
                shape = shape["python_schema"]
            elif shape["type"] == "chain":
                shape = shape["steps"][0]
            elif "schema" in shape:
                shape = shape["schema"]
            else:
                break
        return shape, model

    def choice(self, union: Shape, label: str | int) -> Shape | None:
        """Return the branch of a union that pydantic calls `label`, as `function-after[check(), constrained-float]`."""
        head = str(label).rpartition("(), ")[2].removeprefix("constrained-").partition("[")[0].rstrip("]")
        for choice in union["choices"]:
            shape, name = choice if isinstance(choice, tuple) else (choice, None)
            if label == name or head in self.names(shape):
                return shape  # type: ignore[no-any-return]
        return None

    def names(self, shape: Shape) -> Iterator[str]:
        """Yield what the label of `shape` may begin with, inner validators apart."""
        yield shape["type"]
        node, model = self.peeled(shape)
        if model is not None:
            yield model.__name__
        elif node is not None:
            yield node["type"]
            yield str(node.get("cls_name", node["type"]))

    def keys(self, shape: Shape | None) -> list[str]:
        """Return the keys that a mapping of this shape may have."""
        node, _ = self.peeled(shape)
        if not node or node["type"] not in FIELDS:
            return []
        fields = node["fields"]
        named = [(f["name"], f) for f in fields] if isinstance(fields, list) else list(fields.items())
        return [_alias(name, field) for name, field in named]

    def tags(self, shape: Shape | None) -> list[str]:
        """Return the kinds among which a discriminated union chooses."""
        node, _ = self.peeled(shape)
        return [str(tag) for tag in node["choices"]] if node and node["type"] == "tagged-union" else []

    def options(self, shape: Shape | None) -> list[Any]:
        """Return the values of a literal or an enumeration."""
        node, _ = self.peeled(shape)
        if node and node["type"] == "literal":
            return list(node["expected"])
        if node and node["type"] == "enum":
            return [member.value for member in node["members"]]
        return []

    def limits(self, shape: Shape | None) -> Shape:
        """Return the bounds of a number, among other things."""
        return self.peeled(shape)[0] or {}

    def description(self, model: "type[BaseModel] | None", key: str) -> str:
        """Return what the model says about its field."""
        for name, field in model.model_fields.items() if model else ():
            if key in (name, field.alias, field.validation_alias):
                return field.description or ""
        return ""


def _below(node: Shape | None, part: str | int) -> Shape | None:
    if node is None:
        return None
    if node["type"] in FIELDS:
        fields = node["fields"]
        named = {f["name"]: f for f in fields} if isinstance(fields, list) else fields
        for name, field in named.items():
            if part in (name, _alias(name, field)):
                return field["schema"]  # type: ignore[no-any-return]
        return node.get("extras_schema")
    if node["type"] == "dict":
        return node.get("values_schema")
    if node["type"] in ITEMS:
        return node.get("items_schema")
    if node["type"] == "tuple" and isinstance(part, int):
        items = node["items_schema"]
        variadic = node.get("variadic_item_index")
        index = part if variadic is None else min(part, variadic)
        return items[index] if index < len(items) else None
    return None


def _alias(name: str, field: Shape) -> str:
    alias = field.get("validation_alias")
    return alias if isinstance(alias, str) else name


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data)


def _value(data: Any, part: str | int) -> Any:
    return data[part] if _holds(data, part) else None
