"""The scenario: what a person writes, checked whole, and the plans that are made of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lmd_trialsim.designs import Design
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.engine.arm_plan import ArmPlan
from lmd_trialsim.engine.cell_plan import CellPlan
from lmd_trialsim.engine.plan import TrialPlan
from lmd_trialsim.evidence.quantities import PositiveMonths, PositiveRate, Probability, Sourced, Spec
from lmd_trialsim.patients.accrual import AccrualSpec
from lmd_trialsim.patients.course import Course
from lmd_trialsim.patients.drift import DriftSpec
from lmd_trialsim.patients.endpoints import Endpoint
from lmd_trialsim.reading import At, Document, ScenarioError, Several, complaints_of, read_yaml, validate
from lmd_trialsim.reading.mistakes import Mistake, quoted

NAME = "[A-Za-z][A-Za-z0-9_.-]*"


def _plain(name: str) -> str:
    if not re.fullmatch(NAME, name):
        way_out = "Begin it with a letter, and use letters, digits, '_', '.' and '-' only."
        raise At((), "is no name that can be used here", way_out=way_out, key=True)
    return name


Name = Annotated[
    str,
    StringConstraints(max_length=60),
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME}$", "maxLength": 60}),
]


class Population(Spec):
    """Who arrives, and when."""

    accrual: AccrualSpec = Field(description="when patients arrive")
    strata: Annotated[dict[Name, Probability], Field(max_length=100)] = Field(
        default_factory=dict, description="shares of the strata, which sum to 1"
    )
    enrolment_cap: Annotated[int, Field(ge=1)] | None = Field(
        None, description="so many patients exist; no more can come"
    )

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Population:
        total = sum(share.value for share in self.strata.values())
        if self.strata and abs(total - 1.0) > 1e-6:
            way_out = f"Raise or lower one by {abs(1.0 - total):.6g}."
            raise At(("strata",), "the shares must sum to 1", got=f"{total:.8g}", way_out=way_out, key=True)
        return self

    def stratum_names(self) -> list[str]:
        """Return the strata; one unnamed stratum where none is said."""
        return list(self.strata) or ["all"]


class Arm(Spec):
    """An arm of the trial."""

    control: bool = Field(False, description="whether it is the control")
    description: str | None = Field(None, description="the treatment, for the reader")


class DropOut(Spec):
    """Exponential drop-out: a rate a month, or a proportion by a month."""

    per_month: PositiveRate | None = Field(None, description="drop-outs per patient-month")
    proportion: Probability | None = Field(
        None, description="proportion dropped out by `by_month`, if nobody had the event"
    )
    by_month: PositiveMonths | None = Field(None, description="the month that `proportion` speaks of")

    @model_validator(mode="after")
    def _one_way(self) -> DropOut:
        half = (self.proportion is None) != (self.by_month is None)
        if half or (self.per_month is None) == (self.proportion is None):
            raise At((), "must be said in one way. Give per_month, or proportion and by_month.", key=True)
        if self.proportion is not None and self.proportion.value >= 1.0:
            raise At(("proportion",), "must be below 1: no rate loses everybody. Lower it.")
        return self


class Truth(Spec):
    """How patients really fare: a course for each endpoint and arm."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Course]]
    description: str | None = Field(None, description="the truth in words, for the reader")
    drop_out: DropOut | None = Field(None, description="drop-out in every arm")
    drift: DriftSpec | None = Field(None, description="patients who enter later fare better or worse")
    death: dict[str, Course] = Field(
        default_factory=dict, description="by arm: deaths that may come before a binary endpoint is assessed"
    )

    @property
    def courses(self) -> Mapping[str, dict[str, Course]]:
        """The courses by endpoint, then arm."""
        return self.__pydantic_extra__ or {}


class RunSpec(Spec):
    """How much is simulated."""

    replicates: Annotated[int, Field(ge=1, le=10_000_000_000)] = Field(
        100_000, description="trials for each design and truth"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(20_260_101, description="the seed of all random numbers")


def _validated(model: type[Scenario], document: Document) -> tuple[Scenario | None, list[Mistake]]:
    """Return the scenario and no mistakes, or all mistakes.

    What does not fit together is looked for in a scenario whose parts are in order: truths and designs with mistakes of
    their own are left out of a second look at the rest.
    """
    try:
        return validate(model, document), []
    except ScenarioError as error:
        mistakes = list(error.mistakes)
    data = dict(document.data)
    for section in ("truths", "designs"):
        given = data.get(section)
        if isinstance(given, dict):
            data[section] = {name: item for name, item in given.items() if not _is_blamed(mistakes, section, name)}
    left = all(data.get(section) for section in ("truths", "designs"))
    if left and data != document.data:
        try:
            validate(model, document.derived(data, {}))
        except ScenarioError as error:
            mistakes += [mistake for mistake in error.mistakes if mistake not in mistakes]
    return None, mistakes


def _is_blamed(mistakes: list[Mistake], section: str, name: str) -> bool:
    path = f"{section}.{name}"
    return any(mistake.what.startswith((f"{path}.", f"{path}:", f"{path} ")) for mistake in mistakes)


class Scenario(Spec):
    """One population, several truths, several designs."""

    model_config = ConfigDict(populate_by_name=True)
    version: Literal[1] = Field(alias="schema", description="the version of this format: 1")
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="what is tried, in a line"
    )
    question: str | None = Field(None, description="the question asked, in a paragraph")
    population: Population = Field(description="who arrives, and when")
    endpoints: Annotated[dict[Name, Endpoint], Field(min_length=1, max_length=100)] = Field(
        description="what is measured, by name"
    )
    arms: Annotated[dict[Name, Arm], Field(min_length=1, max_length=100)] = Field(description="the arms, by name")
    truths: Annotated[dict[Name, Truth], Field(min_length=1, max_length=1000)] = Field(
        description="how patients may really fare, by name"
    )
    designs: Annotated[dict[Name, Design], Field(min_length=1, max_length=1000)] = Field(
        description="what the trial may do, by name"
    )
    run: RunSpec = Field(default_factory=lambda: RunSpec.model_validate({}), description="replicates and seed")

    _asked: dict[tuple[str, bool], Any] = PrivateAttr(default_factory=dict)
    """What `lowering` has tabulated for each design: the same under every truth that loses no patient, or some."""

    _models: dict[str, Any] = PrivateAttr(default_factory=dict)
    """Analyses of basket designs made ready, by all that they depend on: rules with other cut-offs share them."""

    @field_validator("version", mode="before")
    @classmethod
    def _is_one(cls, version: object) -> object:
        if isinstance(version, bool | float):  # which may equal 1, and are not the number meant
            raise At((), "must be the whole number 1", got=quoted(version), way_out="Write schema: 1.")
        return version

    @model_validator(mode="after")
    def _hangs_together(self) -> Scenario:
        from lmd_trialsim.checks import complaints

        found = list(complaints(self))
        if not found:
            from lmd_trialsim.feasibility import obstacles

            found = list(obstacles(self))
        if found:
            raise Several(found)
        return self

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read and check a scenario file.

        Raises `reading.ScenarioError`, a `ValueError`, with every mistake at its line and column.
        """
        return cls.of(read_yaml(Path(path)))

    @classmethod
    def of(cls, document: Document) -> Scenario:
        """Check a document that has been read."""
        from lmd_trialsim.likes import once, without_likes

        filled, wrong = without_likes(document, Truth.model_fields.keys())
        told = complaints_of(filled, wrong).mistakes
        if told and not (filled.data.get("truths", True) and filled.data.get("designs", True)):
            raise ScenarioError(told)  # nothing is left to check
        scenario, found = _validated(cls, filled)
        if told or found:
            raise ScenarioError([*told, *once(found)])
        assert scenario is not None
        return scenario

    @property
    def control(self) -> str | None:
        """The control arm, if there is one."""
        return next((name for name, arm in self.arms.items() if arm.control), None)

    def with_design(self, name: str, design: Design) -> Scenario:
        """Return the scenario with another design under this name; the whole is not checked again.

        Tables that depend on more than the rules are shared.
        """
        changed = self.model_copy(update={"designs": {**self.designs, name: design}})
        changed._asked = {}
        return changed

    def with_truths(self, truths: Mapping[str, Truth]) -> Scenario:
        """Return the scenario with these truths only; the whole is not checked again."""
        changed = self.model_copy(update={"truths": dict(truths)})
        changed._asked = {}
        return changed

    def digest(self) -> str:
        """Return a digest of all that bears on the results but the number of replicates and the seed."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"run", "title", "question"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def plan(self, design: str, truth: str) -> TrialPlan | CellPlan | ArmPlan:
        """Return the numbers that kernels read for one design under one truth."""
        if isinstance(self.designs[design], Basket):
            from lmd_trialsim.lowering_baskets import lower_baskets

            return lower_baskets(self, design, truth)[0]
        if isinstance(self.designs[design], Platform):
            from lmd_trialsim.lowering_platforms import lower_platform

            return lower_platform(self, design, truth)[0]
        from lmd_trialsim.lowering import lower

        return lower(self, design, truth)

    def numbers(self) -> Iterator[tuple[str, Sourced]]:
        """Yield each number that describes the world, with its place."""

        def walk(item: object, place: str) -> Iterator[tuple[str, Sourced]]:
            if isinstance(item, Sourced):
                yield place, item
            elif isinstance(item, Spec):
                for name in type(item).model_fields:
                    yield from walk(getattr(item, name), f"{place}.{name}")
                yield from walk(item.__pydantic_extra__ or {}, place)
            elif isinstance(item, Mapping):
                for name, value in item.items():
                    yield from walk(value, f"{place}.{name}")
            elif isinstance(item, list | tuple):
                for i, value in enumerate(item):
                    yield from walk(value, f"{place}[{i}]")

        for section in ("population", "truths", "designs"):  # of designs: controls from elsewhere
            yield from walk(getattr(self, section), section)
