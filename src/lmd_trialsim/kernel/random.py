"""Addressed random numbers: Philox4x64-10, bit-equal to `numpy.random.Philox`.

A draw has an address, not a turn: key = (seed, stream version), counter = (patients' block, draw, purpose, replicate).
Times take 52 bits, so the four words of a block belong to four neighbouring patients; choices (arrival, stratum,
allocation, response) take 32, so that eight share a block. The address never contains the arm or the design, so
every design meets the same patients, whoever runs the replicate and in which order.

Source: Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11, section 3.3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lmd_trialsim.kernel.jit import kernel, long_kernel

STREAM_VERSION = 1
"""Part of every key. A change of any draw's meaning bumps it: a seed's results are a promise."""

# The purposes. None is ever given another meaning; up to RESPONSE they take 32 bits, the others 52.
ARRIVAL, STRATUM, ALLOCATION, ARM_ENTRY, RESPONSE = 0, 1, 2, 3, 15
EVENT, DROPOUT, DEATH, IMPUTED_HAZARD, IMPUTED_TIME = 16, 17, 18, 19, 20

_MULTIPLIER_0 = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1 = np.uint64(0xCA5A826395121157)
_WEYL_0 = np.uint64(0x9E3779B97F4A7C15)
_WEYL_1 = np.uint64(0xBB67AE8584CAA73B)
_TO_UNIT = 2.0**-52
_HALF_TO_UNIT = 2.0**-32
_LOW_HALF = np.uint64(0xFFFFFFFF)


class Stream(NamedTuple):
    """The random numbers of one replicate."""

    seed: int
    replicate: int


@intrinsic
def _multiply_high(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Return the upper 64 bits of the 128-bit product."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@kernel
def philox_block(k0, k1, c0, c1, c2, c3):
    """Return the four 64-bit words of the block at counter (c0, c1, c2, c3) under key (k0, k1)."""
    for _ in range(10):
        high_0 = _multiply_high(_MULTIPLIER_0, c0)
        high_1 = _multiply_high(_MULTIPLIER_1, c2)
        low_0 = _MULTIPLIER_0 * c0
        low_1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0 += _WEYL_0
        k1 += _WEYL_1
    return c0, c1, c2, c3


@kernel
def to_unit(word):
    """Return the word as a number strictly between 0 and 1 (52 bits and a half: logarithms are always finite)."""
    return (np.float64(word >> np.uint64(12)) + 0.5) * _TO_UNIT


@kernel
def _coarse(purpose):
    """Return whether the purpose takes 32 bits: eight patients share a block, so choices cost half of what times do."""
    return purpose <= RESPONSE


@kernel
def _half(word):
    return (np.float64(word & _LOW_HALF) + 0.5) * _HALF_TO_UNIT


@kernel
def _block(stream, block, purpose, draw):
    return philox_block(
        np.uint64(stream.seed),
        np.uint64(STREAM_VERSION),
        np.uint64(block),
        np.uint64(draw),
        np.uint64(purpose),
        np.uint64(stream.replicate),
    )


@kernel
def eight_uniforms(stream, block, purpose, draw):
    """Return the 32-bit uniforms of patients 8 * block to 8 * block + 7: the lower halves of words, then the upper."""
    w0, w1, w2, w3 = _block(stream, block, purpose, draw)
    up = np.uint64(32)
    return (
        _half(w0), _half(w0 >> up), _half(w1), _half(w1 >> up), _half(w2), _half(w2 >> up), _half(w3), _half(w3 >> up)
    )  # fmt: skip


@kernel
def four_uniforms(stream, block, purpose, draw):
    """Return the 52-bit uniforms of patients 4 * block, ..., 4 * block + 3, a word each."""
    w0, w1, w2, w3 = _block(stream, block, purpose, draw)
    return to_unit(w0), to_unit(w1), to_unit(w2), to_unit(w3)


@long_kernel
def uniform(stream, patient, purpose, draw):
    """Return the one uniform of this patient, purpose and draw."""
    if _coarse(purpose):
        lane = patient & 7
        w0, w1, w2, w3 = _block(stream, patient >> 3, purpose, draw)
        word = w0 if lane < 2 else (w1 if lane < 4 else (w2 if lane < 6 else w3))
        return _half(word >> np.uint64(32)) if lane & 1 else _half(word)
    lane = patient & 3
    w0, w1, w2, w3 = _block(stream, patient >> 2, purpose, draw)
    return to_unit(w0 if lane == 0 else (w1 if lane == 1 else (w2 if lane == 2 else w3)))


@long_kernel
def fill_chances(stream, purpose, start, stop, patients):
    """Write the uniforms of patients [start, stop), and of their neighbours in a block, to patients.chance."""
    if _coarse(purpose):
        for block in range(start >> 3, (stop + 7) >> 3):
            p = block << 3
            u0, u1, u2, u3, u4, u5, u6, u7 = eight_uniforms(stream, block, purpose, 0)
            patients[p].chance = u0
            patients[p + 1].chance = u1
            patients[p + 2].chance = u2
            patients[p + 3].chance = u3
            patients[p + 4].chance = u4
            patients[p + 5].chance = u5
            patients[p + 6].chance = u6
            patients[p + 7].chance = u7
    else:
        for block in range(start >> 2, (stop + 3) >> 2):
            p = block << 2
            u0, u1, u2, u3 = four_uniforms(stream, block, purpose, 0)
            patients[p].chance = u0
            patients[p + 1].chance = u1
            patients[p + 2].chance = u2
            patients[p + 3].chance = u3


@long_kernel
def write_eight(stream, purpose, group, row):
    """Write the uniforms of patients 8 * group, ..., 8 * group + 7 to row[0:8]."""
    if _coarse(purpose):
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = eight_uniforms(stream, group, purpose, 0)
    else:
        row[0], row[1], row[2], row[3] = four_uniforms(stream, 2 * group, purpose, 0)
        row[4], row[5], row[6], row[7] = four_uniforms(stream, 2 * group + 1, purpose, 0)
