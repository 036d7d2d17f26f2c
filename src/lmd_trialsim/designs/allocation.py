"""Allocation: which arm the next patient gets. Each patient has one uniform for it, whatever the method."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.blocks import draw_from_block
from lmd_trialsim.kernel.seams import allocate
from lmd_trialsim.reading import At

Share = Annotated[int, Field(ge=1, le=100)]


class AllocationSpec(Spec):
    """How patients are allocated to the arms."""

    ratio: dict[str, Share] | None = Field(None, description="whole shares by arm; 1 each where not said")
    method: Literal["blocks", "simple", "fixed_order"] = Field(
        "blocks", description="permuted blocks, each patient on its own, or a fixed order of arms"
    )
    block: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        None, description="patients in a block: a multiple of the sum of the ratio; twice the sum where not said"
    )
    stratify_by: Annotated[list[Literal["strata"]], Field(max_length=1)] = Field(
        default_factory=list, description="[strata]: blocks of their own in each stratum"
    )
    order: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="for fixed_order: the arms in turn, repeated"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> AllocationSpec:
        if self.method != "blocks" and self.block is not None:
            raise At(("block",), f"goes with method: blocks, not {self.method}. Remove it", key=True)
        if self.method != "blocks" and self.stratify_by:
            raise At(("stratify_by",), f"goes with method: blocks, not {self.method}. Remove it", key=True)
        if (self.method == "fixed_order") != (self.order is not None):
            place = ("order",) if self.order is not None else ("method",)
            raise At(place, "order and method: fixed_order go together. Give both or neither.", key=True)
        if self.method == "fixed_order" and self.ratio is not None:
            raise At(("ratio",), "contradicts order, which sets the ratio. Remove it", key=True)
        return self

    def shares(self, arms: list[str]) -> list[int]:
        """Return whole shares in the order of `arms`."""
        if self.order is not None:
            return [self.order.count(arm) for arm in arms]
        return [(self.ratio or {}).get(arm, 1) for arm in arms]

    def block_size(self, arms: list[str]) -> int:
        """Return the patients of a block."""
        return self.block or 2 * sum(self.shares(arms))

    def plan(self, arms: list[str], *, by_stratum: bool = False) -> Any:
        """Return the Plan that kernels read; by_stratum: as if it said stratify_by."""
        shares = self.shares(arms)
        if self.order is not None:
            return FixedOrder(np.array([arms.index(arm) for arm in self.order]))
        if self.method == "simple":
            upto = np.cumsum(shares) / sum(shares)
            upto[-1] = 1.0
            return Simple(upto)
        places = np.array(shares) * (self.block_size(arms) // sum(shares))
        if len(arms) == 2 and not (self.stratify_by or by_stratum):
            return BlocksOfTwo(int(places[0]), int(places[1]))
        return Blocks(places, int(bool(self.stratify_by or by_stratum)))

    def range_of_treatment(self, arms: list[str], patients: int, strata: int) -> range:
        """Return the numbers that the second arm can have among the first `patients` (all of them, and few others)."""
        shares = self.shares(arms)
        if self.order is not None:
            got = sum(self.order[i % len(self.order)] == arms[1] for i in range(patients))
            return range(got, got + 1)
        if self.method == "simple":
            return range(patients + 1)
        size = self.block_size(arms)
        of_treatment = size // sum(shares) * shares[1]
        if not self.stratify_by:
            full, left = divmod(patients, size)
            low, high = max(0, left - (size - of_treatment)), min(left, of_treatment)
            return range(full * of_treatment + low, full * of_treatment + high + 1)
        spread = strata * of_treatment * (size - of_treatment) / size
        expected = patients * of_treatment / size
        low, high = math.floor(expected - spread), math.ceil(expected + spread)
        return range(max(0, low), min(patients, high) + 1)


class AllToOne(NamedTuple):
    """A single arm."""

    arm: int


class Blocks(NamedTuple):
    """Permuted blocks, of one list or of one list for each stratum."""

    places: np.ndarray  # (arms,) places of each arm in a block
    by_stratum: int


class BlocksOfTwo(NamedTuple):
    """Permuted blocks of two arms in one list: what most trials have, kept in two registers."""

    control: int  # places in a block
    treatment: int


class Simple(NamedTuple):
    """Each patient on its own."""

    upto: np.ndarray  # (arms,) cumulative shares, the last one 1


class FixedOrder(NamedTuple):
    """A fixed order of arms, repeated."""

    order: np.ndarray  # (length,)


@allocate.case
def allocate_to_one(allocation: AllToOne, stream, desk, start, stop):
    """Every patient gets the one arm."""
    for patient in range(start, stop):
        desk.patients[patient].arm = allocation.arm


@allocate.case
def allocate_blocks(allocation: Blocks, stream, desk, start, stop):
    """Draw from the open block of the one list, or of the patient's stratum."""
    random.fill_chances(stream, random.ALLOCATION, start, stop, desk.patients)
    for patient in range(start, stop):
        person = desk.patients[patient]
        block = person.stratum if allocation.by_stratum else 0
        person.arm = draw_from_block(desk, allocation.places, block, person.chance)


@allocate.case
def allocate_blocks_of_two(allocation: BlocksOfTwo, stream, desk, start, stop):
    """The same draw as of any blocks."""
    random.fill_chances(stream, random.ALLOCATION, start, stop, desk.patients)
    control = desk.cells[0, 0].places
    treatment = desk.cells[1, 0].places
    for patient in range(start, stop):
        person = desk.patients[patient]
        if control + treatment == 0:
            control = allocation.control
            treatment = allocation.treatment
        arm = int(person.chance * (control + treatment) >= control)
        control -= 1 - arm
        treatment -= arm
        person.arm = arm
    desk.cells[0, 0].places = control
    desk.cells[1, 0].places = treatment


@allocate.case
def allocate_simple(allocation: Simple, stream, desk, start, stop):
    """Draw each arm with its share."""
    random.fill_chances(stream, random.ALLOCATION, start, stop, desk.patients)
    last = allocation.upto.shape[0] - 1
    for patient in range(start, stop):
        arm = 0
        for other in range(last):
            arm += int(desk.patients[patient].chance >= allocation.upto[other])
        desk.patients[patient].arm = arm


@allocate.case
def allocate_in_order(allocation: FixedOrder, stream, desk, start, stop):
    """Nothing is random."""
    length = allocation.order.shape[0]
    for patient in range(start, stop):
        desk.patients[patient].arm = allocation.order[patient % length]
