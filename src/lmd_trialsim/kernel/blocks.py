"""Permuted blocks: the one draw that lists over the whole trial, lists of strata, and baskets share."""

from __future__ import annotations

from lmd_trialsim.kernel.jit import kernel


@kernel
def draw_from_block(desk, places, block, chance):
    """Return the arm that `chance` draws from what is left of block number `block`, and take its place there.

    In proportion to the places left, so that all orders of a block are equally likely; an empty block is filled with
    `places`, (arms,).
    """
    arms = places.shape[0]
    left = 0
    for arm in range(arms):
        left += desk.cells[arm, block].places
    if left == 0:
        for arm in range(arms):
            desk.cells[arm, block].places = places[arm]
            left += places[arm]
    return take_place(desk, block, chance * left)


@kernel
def take_place(desk, block, place):
    """Return the arm that has the place, counted over the arms in their order, and take one of its places away."""
    drawn = 0
    seen = 0
    for arm in range(desk.cells.shape[0] - 1):
        seen += desk.cells[arm, block].places
        drawn += int(place >= seen)
    desk.cells[drawn, block].places -= 1
    return drawn
