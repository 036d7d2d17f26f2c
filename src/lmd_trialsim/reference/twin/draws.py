"""Addressed random numbers, from NumPy's own Philox: the same words at the same addresses as the kernels."""

from __future__ import annotations

import numpy as np
from numpy.random import Philox

STREAM_VERSION = 1
"""The second word of the key."""

CHOICES = {"arrival": 0, "stratum": 1, "allocation": 2, "response": 15}
"""Purposes that take 32 bits: eight patients share a block."""

TIMES = {"event": 16, "drop_out": 17, "death": 18, "imputed_hazard": 19, "imputed_time": 20}
"""Purposes that take 52 bits: four patients share a block."""

BLOCKS_AT_ONCE = 8
WORDS = 4 * BLOCKS_AT_ONCE


class Draws:
    """The uniforms of one replicate, each at its address: patient, purpose, draw."""

    def __init__(self, seed: int, replicate: int) -> None:
        self._key = np.array([seed, STREAM_VERSION], dtype=np.uint64)
        self._replicate = replicate
        self._known: dict[tuple[str, int, int], list[float]] = {}

    def uniform(self, patient: int, purpose: str, draw: int = 0) -> float:
        """Return the uniform of this patient (from 0), purpose (of CHOICES or TIMES) and draw."""
        each = 2 * WORDS if purpose in CHOICES else WORDS
        batch, place = divmod(patient, each)
        address = purpose, draw, batch
        if address not in self._known:
            words = self._words(batch * BLOCKS_AT_ONCE, purpose, draw)
            self._known[address] = halves(words) if purpose in CHOICES else wholes(words)
        return self._known[address][place]

    def _words(self, block: int, purpose: str, draw: int) -> list[int]:
        """Return the words of BLOCKS_AT_ONCE neighbouring blocks."""
        number = (CHOICES | TIMES)[purpose]
        counter = block + (draw << 64) + (number << 128) + (self._replicate << 192)
        # NumPy adds one to the counter before it computes a block.
        philox = Philox(counter=(counter - 1) % 2**256, key=self._key)
        return [int(word) for word in philox.random_raw(WORDS)]


def wholes(words: list[int]) -> list[float]:
    """Return the midpoints of the 2^52 equal parts of (0, 1) that the upper 52 bits name."""
    return [((word >> 12) + 0.5) / 2.0**52 for word in words]


def halves(words: list[int]) -> list[float]:
    """Return two numbers a word, that of the lower 32 bits first."""
    return [((half + 0.5) / 2.0**32) for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
