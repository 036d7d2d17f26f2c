"""From plain data to a pydantic model, or every mistake that pydantic finds, each told once and in its place."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from lmd_trialsim.reading.document import Document
from lmd_trialsim.reading.mistakes import At, Loc, Mistake, ScenarioError, name_of
from lmd_trialsim.reading.shapes import Shapes
from lmd_trialsim.reading.wording import WORDS, Finding, tell

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

MOST_ERRORS = 1000  # pydantic errors told; what comes after them repeats them


def validate(model: type[Model], document: Document, context: Any = None) -> Model:
    """Return the model that the document describes, or raise ScenarioError with every mistake in it."""
    from pydantic import ValidationError

    try:
        return model.model_validate(document.data, context=context)
    except ValidationError as error:
        errors = error.errors(include_url=False)[:MOST_ERRORS]
    shapes = Shapes(model)
    findings = [Finding(e, shapes.place(e["loc"], document.data, e["type"] == "missing"), shapes) for e in errors]
    told = [told for finding in _collapsed(findings, 0) for told in tell(finding)]
    misspelled = {one.meant for one in told if one.meant}  # not missing, only written differently
    raise ScenarioError(_mistake(one.at, document) for one in told if one.missing not in misspelled)


def complaints_of(document: Document, wrong: Iterable[At]) -> ScenarioError:
    """Return the error that tells these complaints, with loc from the document's top."""
    return ScenarioError([_mistake(at, document) for at in wrong])


def _mistake(at: At, document: Document) -> Mistake:
    """Return the complaint with its line and column: a scalar's own, or else that of the key."""
    value: Any = document.data
    for part in at.loc:
        held = part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))
        value = value[part] if held else None
    line, column = document.position(at.loc, key=at.key or isinstance(value, dict | list))
    way_out = " ".join(filter(None, [at.way_out, _inherited(at, document)]))
    return Mistake(document.file, line, column, at.message, at.got, at.allowed, way_out)


def _inherited(at: At, document: Document) -> str:
    """Return how an entry gets rid of what is misplaced in it, and was written in the entry that it is like."""
    for length in range(2, len(at.loc) + 1) if at.misplaced else ():
        entry, key = at.loc[length - 2 : length]
        if at.loc[:length] in document.origins:
            if length == len(at.loc):
                return f"It is inherited: {name_of(key)}: null in {name_of(entry)} takes it away."
            return f"It is inherited: say {name_of(key)} anew in {name_of(entry)}."
    return ""


def _collapsed(findings: list[Finding], level: int) -> list[Finding]:
    """Return the findings, a union that failed in all its branches told once, by the branch that fits the data best."""
    kept: list[Finding] = []
    unions: dict[Loc, dict[str | int, list[Finding]]] = {}
    for finding in findings:
        if len(finding.place.branches) <= level:
            kept.append(finding)
            continue
        branch = finding.place.branches[level]
        unions.setdefault(finding.loc[: branch.depth], {}).setdefault(branch.label, []).append(finding)
    for branches in unions.values():
        kept.extend(_best([_collapsed(branch, level + 1) for branch in branches.values()], level))
    return kept


def _best(branches: list[list[Finding]], level: int) -> list[Finding]:
    """Return the findings of the branch that the author probably meant; if none fits, one that names them all."""
    start = branches[0][0].place.branches[level].level

    def misfits(branch: list[Finding]) -> bool:
        return any(finding.wrong_type and len(finding.place.path) == start for finding in branch)

    def distance(branch: list[Finding]) -> tuple[int, ...]:
        kinds = [finding.kind for finding in branch]
        counted = (sum(kind in WORDS for kind in kinds), kinds.count("extra_forbidden"), kinds.count("missing"))
        return (misfits(branch), *counted, len(kinds))

    best = min(branches, key=distance)
    others = [finding for branch in branches if branch is not best and misfits(branch) for finding in branch]
    if misfits(best) or (len(best) == 1 and best[0].kind in WORDS and len(best[0].place.path) == start):
        wanted = dict.fromkeys(word for finding in (best[0], *others) for word in finding.taken)
        return [best[0]._replace(wanted=tuple(wanted))]
    return best
