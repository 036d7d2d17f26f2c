"""`lmd-trialsim schema`: JSON Schema for editors."""

from __future__ import annotations

from typing import Any

import click

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LIKE = {"type": "string", "description": "another of them, from which everything not said here is taken"}


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
    """Return the schema of what a person writes: `like` allowed where it is understood, and no null anywhere."""
    from lmd_trialsim.scenario import Scenario

    schema: dict[str, Any] = _written(Scenario.model_json_schema(by_alias=True))
    parts = schema["$defs"]
    truth = parts["Truth"]
    truth["properties"] = {"like": LIKE, **truth["properties"]}
    (name, design), *_ = schema["properties"]["designs"]["patternProperties"].items()
    whole = [parts[choice["$ref"].rpartition("/")[2]] for choice in design["oneOf"]]
    parts["LikeAnother"] = _like_another(whole)
    schema["properties"]["designs"]["patternProperties"] = {
        name: {
            "if": {"type": "object", "required": ["like"]},
            "then": {"$ref": "#/$defs/LikeAnother"},
            "else": design,
        }
    }
    for section in ("endpoints", "arms", "truths", "designs"):
        schema["properties"][section]["additionalProperties"] = False
    return {"$schema": DIALECT, **schema}


def _like_another(designs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a design that is like another: any key of any design, none of them required."""
    every: dict[str, list[Any]] = {}
    for design in designs:
        for key, shape in design["properties"].items():
            shapes = every.setdefault(key, [])
            if shape not in shapes:
                shapes.append(shape)
    properties = {key: shapes[0] if len(shapes) == 1 else {"anyOf": shapes} for key, shapes in every.items()}
    return {
        "description": "A design that is like another but for what is said here.",
        "type": "object",
        "properties": {"like": LIKE, **properties},
        "required": ["like"],
        "additionalProperties": False,
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
