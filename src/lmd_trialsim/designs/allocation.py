"""Allocation: which arm the next patient gets. Each patient has one uniform for it, whatever the method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.seams import allocate


class AllToOne(NamedTuple):
    """A single arm."""

    arm: int


class Blocks(NamedTuple):
    """Permuted blocks, of one list or of one list for each stratum."""

    places: np.ndarray  # (arms,) places of each arm in a block
    by_stratum: int


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
    """Draw an arm in proportion to the places left in the open block: all orders of a block are equally likely."""
    random.fill_chances(stream, random.ALLOCATION, start, stop, desk.patients)
    arms = allocation.places.shape[0]
    for patient in range(start, stop):
        person = desk.patients[patient]
        block = person.stratum if allocation.by_stratum else 0
        left = 0
        for arm in range(arms):
            left += desk.cells[arm, block].places
        if left == 0:
            for arm in range(arms):
                desk.cells[arm, block].places = allocation.places[arm]
                left += allocation.places[arm]
        place = person.chance * left
        arm = 0
        seen = 0
        for other in range(arms - 1):
            seen += desk.cells[other, block].places
            arm += int(place >= seen)
        desk.cells[arm, block].places -= 1
        person.arm = arm


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
