"""The door through which a file enters: YAML to plain data to a pydantic model, every mistake in a line of its own."""

from lmd_trialsim.reading.document import LIMIT, Document, read_yaml
from lmd_trialsim.reading.mistakes import At, Loc, Mistake, ScenarioError, Several, render
from lmd_trialsim.reading.validating import complaints_of, validate

__all__ = [
    "LIMIT",
    "At",
    "Document",
    "Loc",
    "Mistake",
    "ScenarioError",
    "Several",
    "complaints_of",
    "read_yaml",
    "render",
    "validate",
]
