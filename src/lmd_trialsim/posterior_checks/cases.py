"""A data set, what a design says of it, and what its rules make of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.answers import Answer
from lmd_trialsim.second_opinion.sampling import Twin

Array = NDArray[np.float64]
Data = Mapping[str, NDArray[Any]]
"""What a model in PyMC is given, by name."""

PROBABILITY, MEAN, QUANTILE = "probability", "mean", "quantile"


class Asked(NamedTuple):
    """One number of a posterior, and the fast answer."""

    number: str  # as people read it, alike for all data sets
    kind: str  # PROBABILITY, MEAN, QUANTILE
    quantity: str
    cell: int  # the arm, or basket
    fast: float
    bound: float = 0.0  # of a probability; the share of a quantile
    below: bool = False
    month: float = 0.0  # of a survival
    twin: int = 0  # of the design's models
    approximate: str = ""  # why the fast number is not meant to be that of the posterior
    where: str = ""  # the basket, or arm, as people read it

    @property
    def key(self) -> tuple[object, ...]:
        """All but the answer: what makes two the same number of one data set."""
        return self._replace(fast=0.0)


class Decision(NamedTuple):
    """Rules asked of one thing at a look: of each, what its conditions saw, and which number of the case that is."""

    rules: tuple[tuple[tuple[Answer, int | None], ...], ...]
    where: str = ""  # the basket, or arm


class Case(NamedTuple):
    """A data set at a look, or a hard one, which decides nothing."""

    label: str
    data: tuple[Data, ...]  # for each of the design's models
    asked: tuple[Asked, ...]
    decisions: tuple[Decision, ...] = ()
    hard: bool = False


class Subject(NamedTuple):
    """A design on trial."""

    design: str
    twins: tuple[Twin, ...]
    cases: tuple[Case, ...]


class NoTwin(NamedTuple):
    """A design, or an analysis of it, whose posterior has no model in PyMC, or none at all."""

    design: str
    why: str


class Collector:
    """The numbers that are asked of one data set, each once."""

    def __init__(self) -> None:
        self._asked: dict[tuple[object, ...], int] = {}
        self._found: list[Asked] = []

    def add(self, one: Asked) -> int | None:
        """Return the place of the number; None where the design can't tell it of such data."""
        if not np.isfinite(one.fast):
            return None
        place = self._asked.setdefault(one.key, len(self._found))
        if place == len(self._found):
            self._found.append(one)
        return place

    def all(self) -> tuple[Asked, ...]:
        """Return the numbers."""
        return tuple(self._found)


def probability_label(quantity: str, bound: str, *, below: bool) -> str:
    """Return `P(hazard ratio < 1)`."""
    return f"P({quantity.replace('_', ' ')} {'<' if below else '>'} {bound})"
