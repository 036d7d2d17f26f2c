"""`lmd-trialsim schema`: JSON Schema for editors."""

from __future__ import annotations

from typing import Any

import click

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LIKE = {
    "type": "string",
    "description": "another of them, from which everything not said here is taken; `key: null` takes a key of it away",
}
NOTHING = {"type": "null", "description": "takes what is inherited away"}


@click.command("schema", short_help="JSON Schema of scenarios, for editors.")
def command() -> None:
    """\b
    lmd-trialsim schema > scenario.schema.json

    Print the JSON Schema of scenarios. An editor that knows it completes keys and marks mistakes while you type: for
    those with the YAML language server, begin the scenario with the line

    \b
    # yaml-language-server: $schema=scenario.schema.json
    """
    import json

    click.echo(json.dumps(scenario_schema(), indent=1, ensure_ascii=False))


def scenario_schema() -> dict[str, Any]:
    """Return the schema of what a person writes: `like` allowed where it is understood, and null beside it only."""
    from lmd_trialsim.scenario import Scenario

    schema: dict[str, Any] = _written(Scenario.model_json_schema(by_alias=True))
    parts = schema["$defs"]
    parts["TruthLikeAnother"] = _like_another([parts["Truth"]])
    (name, truth), *_ = schema["properties"]["truths"]["patternProperties"].items()
    schema["properties"]["truths"]["patternProperties"] = {name: _either(truth, "TruthLikeAnother")}
    (name, design), *_ = schema["properties"]["designs"]["patternProperties"].items()
    whole = [parts[choice["$ref"].rpartition("/")[2]] for choice in design["oneOf"]]
    parts["DesignLikeAnother"] = _like_another(whole)
    schema["properties"]["designs"]["patternProperties"] = {name: _either(design, "DesignLikeAnother")}
    for section in ("endpoints", "arms", "truths", "designs"):
        schema["properties"][section]["additionalProperties"] = False
    return {"$schema": DIALECT, **schema}


def _either(whole: dict[str, Any], like_another: str) -> dict[str, Any]:
    """Return the schema of an entry that stands by itself, or is like another."""
    return {
        "if": {"type": "object", "required": ["like"]},
        "then": {"$ref": f"#/$defs/{like_another}"},
        "else": whole,
    }


def _like_another(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of an entry that is like another: any key of any of them, or null, none of them required."""
    every: dict[str, list[Any]] = {}
    for entry in entries:
        for key, shape in entry["properties"].items():
            shapes = every.setdefault(key, [])
            if shape not in shapes:
                shapes.append(shape)
    properties = {key: {"anyOf": [*shapes, NOTHING]} for key, shapes in every.items()}
    others = entries[0].get("additionalProperties", False)  # a truth's endpoints
    return {
        "description": "One that is like another but for what is said here.",
        "type": "object",
        "properties": {"like": LIKE, **properties},
        "required": ["like"],
        "additionalProperties": {"anyOf": [others, NOTHING]} if others else False,
    }


def _written(node: Any) -> Any:
    """Return the node without what only Python needs: nulls, which YAML may not say here, and made-up titles."""
    if isinstance(node, list):
        return [_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: _written(shape) for name, shape in item.items()}
        if key in ("properties", "$defs", "patternProperties")
        else _written(item)
        for key, item in node.items()
        if not (key == "title" and isinstance(item, str)) and not (key == "default" and item is None)
    }
    choices = [choice for choice in kept.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        return {**choices[0], **kept}
    return kept | {"anyOf": choices} if choices else kept
