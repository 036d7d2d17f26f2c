"""The scenario: what a person writes, checked whole, and the plans that are made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, StringConstraints, model_validator

from lmd_trialsim.designs import Design
from lmd_trialsim.engine.plan import TrialPlan
from lmd_trialsim.evidence.quantities import PositiveMonths, PositiveRate, Probability, Sourced, Spec
from lmd_trialsim.patients.accrual import AccrualSpec
from lmd_trialsim.patients.course import Course
from lmd_trialsim.patients.endpoints import Endpoint
from lmd_trialsim.reading import At, Document, Several, read_yaml, validate

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", max_length=60)]
RESERVED = ("like", "description", "drop_out", "death")


class Population(Spec):
    """Who arrives, and when."""

    accrual: AccrualSpec = Field(description="when patients arrive")
    strata: dict[Name, Probability] = Field(default_factory=dict, description="shares of the strata, which sum to 1")
    enrolment_cap: Annotated[int, Field(ge=1)] | None = Field(
        None, description="so many patients exist; no more can come"
    )

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Population:
        total = sum(share.value for share in self.strata.values())
        if self.strata and abs(total - 1.0) > 1e-6:
            raise At(("strata",), "the shares must sum to 1", got=f"{total:g}", key=True)
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
        if (self.proportion is None) != (self.by_month is None) or (self.per_month is None) == (
            self.proportion is None
        ):
            raise ValueError("must say per_month, or proportion and by_month.")
        if self.proportion is not None and self.proportion.value >= 1.0:
            raise At(("proportion",), "must be below 1: a rate that loses everybody does not exist.")
        return self


class Truth(Spec):
    """How patients really fare: a course for each endpoint and arm."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Course]]
    description: str | None = Field(None, description="the truth in words, for the reader")
    drop_out: DropOut | None = Field(None, description="drop-out in every arm")
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


class Scenario(Spec):
    """One population, several truths, several designs."""

    model_config = ConfigDict(populate_by_name=True)
    version: Literal[1] = Field(alias="schema", description="the version of this format: 1")
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="what is tried, in a line"
    )
    question: str | None = Field(None, description="the question asked, in a paragraph")
    population: Population = Field(description="who arrives, and when")
    endpoints: Annotated[dict[Name, Endpoint], Field(min_length=1)] = Field(description="what is measured, by name")
    arms: Annotated[dict[Name, Arm], Field(min_length=1)] = Field(description="the arms, by name")
    truths: Annotated[dict[Name, Truth], Field(min_length=1)] = Field(
        description="how patients may really fare, by name"
    )
    designs: Annotated[dict[Name, Design], Field(min_length=1)] = Field(description="what the trial may do, by name")
    run: RunSpec = Field(default_factory=lambda: RunSpec.model_validate({}), description="replicates and seed")

    _source: str = PrivateAttr("")

    @model_validator(mode="after")
    def _hangs_together(self) -> Scenario:
        from lmd_trialsim.checks import complaints

        found = list(complaints(self))
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
        scenario = validate(cls, without_likes(document))
        assert isinstance(scenario, cls)
        return scenario

    @property
    def control(self) -> str | None:
        """The control arm, if there is one."""
        return next((name for name, arm in self.arms.items() if arm.control), None)

    def digest(self) -> str:
        """Return a digest of all that bears on the results but the number of replicates and the seed."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"run", "title", "question"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def plan(self, design: str, truth: str) -> TrialPlan:
        """Return the numbers that kernels read for one design under one truth."""
        from lmd_trialsim.lowering import lower

        return lower(self, design, truth)

    def numbers(self) -> Iterator[tuple[str, Sourced]]:
        """Yield each number that describes the world, with its place."""

        def walk(item: object, place: str) -> Iterator[tuple[str, Sourced]]:
            if isinstance(item, Sourced):
                yield place, item
            elif isinstance(item, Spec):
                extra = item.__pydantic_extra__ or {}
                for name in (*type(item).model_fields, *extra):
                    yield from walk(getattr(item, name), f"{place}.{name}")
            elif isinstance(item, Mapping):
                for name, value in item.items():
                    yield from walk(value, f"{place}.{name}")
            elif isinstance(item, list | tuple):
                for i, value in enumerate(item):
                    yield from walk(value, f"{place}[{i}]")

        for section in ("population", "truths"):
            yield from walk(getattr(self, section), section)


def without_likes(document: Document) -> Document:
    """Return the document with each `like: NAME` of truths and designs filled in from the one it names.

    What stands beside `like` replaces what it inherits: a design's keys one by one; in a truth, an endpoint's arms
    one by one. A mistake in what was inherited is told where it was written.
    """
    data = dict(document.data)
    origins: dict[tuple[str | int, ...], tuple[str | int, ...]] = {}
    wrong: list[At] = []
    for section, depth in (("truths", 2), ("designs", 1)):
        given = data.get(section)
        if not isinstance(given, dict):
            continue
        done: dict[str, Any] = {}

        def fill(name: str, waiting: tuple[str, ...]) -> Any:
            if name in done:  # noqa: B023
                return done[name]  # noqa: B023
            value = given[name]  # noqa: B023
            if not isinstance(value, dict) or "like" not in value:
                done[name] = value  # noqa: B023
                return value
            other = value["like"]
            place = (section, name, "like")  # noqa: B023
            if not isinstance(other, str) or other not in given:  # noqa: B023
                wrong.append(
                    At(
                        place,
                        f"names no other of the {section}",
                        got=str(other)[:60],
                        allowed=", ".join(n for n in given if n != name),
                    )
                )  # noqa: B023
            elif other == name or other in waiting:
                wrong.append(At(place, "goes round in a circle. Write one of them out."))
            else:
                inherited = fill(other, (*waiting, name))
                own = {key: item for key, item in value.items() if key != "like"}
                value = (
                    merge(inherited, own, depth, (section, other), (section, name))
                    if isinstance(inherited, dict)
                    else own
                )  # noqa: B023
            done[name] = {key: item for key, item in value.items() if key != "like"}  # noqa: B023
            return done[name]  # noqa: B023

        def merge(
            old: dict[str, Any], new: dict[str, Any], levels: int, source: tuple[Any, ...], target: tuple[Any, ...]
        ) -> Any:
            merged = dict(old)
            for key in old:
                if key not in new:
                    origins[(*target, key)] = (*source, key)
            for key, item in new.items():
                both = isinstance(item, dict) and isinstance(old.get(key), dict)
                if both and levels > 1:
                    merged[key] = merge(old[key], item, levels - 1, (*source, key), (*target, key))
                else:
                    merged[key] = item
            return merged

        data[section] = {name: fill(name, ()) for name in given}
    if wrong:
        from lmd_trialsim.reading import complaints_of

        raise complaints_of(document, wrong)
    return document.derived(data, origins)
