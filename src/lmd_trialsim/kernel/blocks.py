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
    place = chance * left
    drawn = 0
    seen = 0
    for other in range(arms - 1):
        seen += desk.cells[other, block].places
        drawn += int(place >= seen)
    desk.cells[drawn, block].places -= 1
    return drawn
