"""Addressed random numbers against NumPy's Philox, the vectors of Random123, and what uniforms must look like."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import PATIENT
from lmd_trialsim.kernel.jit import door

COARSE = {
    "arrival": random.ARRIVAL,
    "stratum": random.STRATUM,
    "allocation": random.ALLOCATION,
    "response": random.RESPONSE,
}
FINE = {
    "event": random.EVENT, "drop-out": random.DROPOUT, "death": random.DEATH,
    "imputed hazard": random.IMPUTED_HAZARD, "imputed time": random.IMPUTED_TIME,
}  # fmt: skip
PURPOSES = COARSE | FINE
LEVEL = 1e-6
"""Of each test of a distribution. The seeds are fixed: what passes once passes for good."""


@door
def blocks(addresses, words):
    for i in range(addresses.shape[0]):
        k0, k1, c0, c1, c2, c3 = addresses[i]
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = random.philox_block(k0, k1, c0, c1, c2, c3)


@door
def one_by_one(stream, purpose, draw, uniforms):
    for patient in range(uniforms.shape[0]):
        uniforms[patient] = random.uniform(stream, patient, purpose, draw)


@door
def by_eights(stream, purpose, draw, uniforms):
    for block in range(uniforms.shape[0]):
        for lane, u in enumerate(random.eight_uniforms(stream, block, purpose, draw)):
            uniforms[block, lane] = u


@door
def by_fours(stream, purpose, draw, uniforms):
    for block in range(uniforms.shape[0]):
        for lane, u in enumerate(random.four_uniforms(stream, block, purpose, draw)):
            uniforms[block, lane] = u


fill_chances = door(random.fill_chances.py_func)
to_unit = door(random.to_unit.py_func)
half_to_unit = door(random._half.py_func)


def words_of(addresses):
    addresses = np.array(addresses, np.uint64)
    words = np.zeros((len(addresses), 4), np.uint64)
    blocks(addresses, words)
    return words


def numpy_words(k0, k1, c0, c1, c2, c3):
    """Return NumPy's words at a counter; its first block is that of the counter it is given plus one."""
    counter = c0 | c1 << 64 | c2 << 128 | c3 << 192
    return np.random.Philox(counter=(counter - 1) % 2**256, key=k0 | k1 << 64).random_raw(4)


def numpy_uniforms(stream, purpose, draw, blocks_wanted):
    """Return the uniforms as they are addressed: key (seed, version), counter (block, draw, purpose, replicate)."""
    rows = []
    for block in range(blocks_wanted):
        words = numpy_words(stream.seed, random.STREAM_VERSION, block, draw, purpose, stream.replicate)
        if purpose <= random.RESPONSE:  # eight choices of 32 bits: the lower half of each word, then the upper
            halves = words.astype("<u8").view("<u4")
            rows.append((halves + 0.5) / 2**32)
        else:  # four times of 52 bits
            rows.append(((words >> np.uint64(12)) + 0.5) / 2**52)
    return np.array(rows)


def uniforms_of(stream, purpose, draw=0, patients=4096):
    uniforms = np.zeros(patients)
    one_by_one(stream, purpose, draw, uniforms)
    return uniforms


# Philox.


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        # Random123 1.14.0, tests/kat_vectors: philox4x64 10
        (
            "0000000000000000 0000000000000000 0000000000000000 0000000000000000",
            "0000000000000000 0000000000000000",
            "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b",
        ),
        (
            "ffffffffffffffff ffffffffffffffff ffffffffffffffff ffffffffffffffff",
            "ffffffffffffffff ffffffffffffffff",
            "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        ),
        (
            "243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89",
            "452821e638d01377 be5466cf34e90c6c",
            "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_published_vectors(counter, key, words):
    counter, key, words = ([int(word, 16) for word in text.split()] for text in (counter, key, words))
    assert words_of([[*key, *counter]])[0].tolist() == words
    assert numpy_words(*key, *counter).tolist() == words


def test_philox_is_numpys_at_random_keys_and_counters():
    generator = np.random.default_rng(20260101)
    addresses = generator.integers(0, 2**64, (3000, 6), np.uint64)
    # Small, large and carrying words, too: NumPy adds one to the whole counter of 256 bits.
    edges = generator.choice(np.array([0, 1, 2, 2**32 - 1, 2**32, 2**63, 2**64 - 2, 2**64 - 1], np.uint64), (1000, 6))
    addresses = np.concatenate([addresses, edges])
    expected = np.array([numpy_words(*map(int, address)) for address in addresses])
    assert np.array_equal(words_of(addresses), expected)


def test_numpys_first_block_is_counter_one():
    first = np.random.Philox(counter=0, key=7).random_raw(8)
    assert words_of([[7, 0, 1, 0, 0, 0], [7, 0, 2, 0, 0, 0]]).ravel().tolist() == first.tolist()


# The uniforms, as addressed.

STREAMS = [
    random.Stream(0, 0), random.Stream(1, 0), random.Stream(0, 1), random.Stream(20_260_101, 8123),
    random.Stream(2**63 - 1, 10**10 - 1), random.Stream(2**62 + 12345, 2**33 + 7),
]  # fmt: skip


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
@pytest.mark.parametrize("draw", [0, 1, 9_999])
def test_uniforms_are_numpys_words_at_their_address(purpose, draw):
    for stream in STREAMS:
        expected = numpy_uniforms(stream, purpose, draw, 16)
        found = np.zeros_like(expected)
        (by_eights if purpose <= random.RESPONSE else by_fours)(stream, purpose, draw, found)
        assert np.array_equal(found, expected)
        assert np.array_equal(uniforms_of(stream, purpose, draw, expected.size), expected.ravel())


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 64), (3, 9), (8, 16), (5, 61), (17, 18), (20, 20)])
def test_chances_filled_in_bulk_are_the_uniforms_of_each_patient(purpose, start, stop):
    for stream in STREAMS:
        patients = np.zeros(72, PATIENT).view(np.recarray)
        patients.chance = -1.0
        fill_chances(stream, purpose, start, stop, patients)
        expected = uniforms_of(stream, purpose, patients=72)
        assert np.array_equal(patients.chance[start:stop], expected[start:stop])
        lanes = 8 if purpose <= random.RESPONSE else 4  # neighbours in a block may be written, and nobody else
        filled = np.flatnonzero(patients.chance >= 0.0)
        assert np.array_equal(patients.chance[filled], expected[filled])
        if len(filled):
            assert filled.min() // lanes == start // lanes
            assert filled.max() // lanes <= max(stop - 1, start) // lanes


def test_purposes_are_told_apart_and_sorted_by_their_bits():
    assert len(set(PURPOSES.values())) == len(PURPOSES)
    assert max(COARSE.values()) == random.RESPONSE < min(FINE.values())


def test_no_uniform_is_0_or_1():
    # 0 and 1 would make infinite times, and events that are sure or impossible.
    least, most = np.uint64(0), np.uint64(2**64 - 1)
    assert 0.0 < to_unit(least) == 2.0**-53
    assert 1.0 > to_unit(most) == 1.0 - 2.0**-53
    assert 0.0 < half_to_unit(least) == 2.0**-33
    assert 1.0 > half_to_unit(most) == 1.0 - 2.0**-33
    assert np.isfinite(np.log([to_unit(least), half_to_unit(least)])).all()


# Their distribution.


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
def test_uniforms_are_uniform(purpose):
    uniforms = uniforms_of(random.Stream(11, 3), purpose, patients=2**17)
    assert 0.0 < uniforms.min() < uniforms.max() < 1.0
    assert kstest(uniforms, "uniform").pvalue > LEVEL
    assert chisquare(np.bincount((uniforms * 1024).astype(int), minlength=1024)).pvalue > LEVEL
    # Each lane of a block by itself, and the low bits, which a bin of the whole does not see.
    for lane in range(8):
        assert kstest(uniforms[lane::8], "uniform").pvalue > LEVEL
    low = (uniforms * 2**24) % 1.0
    assert chisquare(np.bincount((low * 256).astype(int), minlength=256)).pvalue > LEVEL


def pairs():
    """Yield two rows of uniforms whose addresses differ in one thing."""
    here = random.Stream(11, 3)
    for name, purpose in PURPOSES.items():
        mine = uniforms_of(here, purpose, patients=2**15)
        yield f"{name}: the next patient", mine[:-1], mine[1:]
        yield f"{name}: the next block", mine[:-8], mine[8:]
        yield f"{name}: the next draw", mine, uniforms_of(here, purpose, 1, patients=2**15)
        yield f"{name}: the next replicate", mine, uniforms_of(random.Stream(11, 4), purpose, patients=2**15)
        yield f"{name}: the next seed", mine, uniforms_of(random.Stream(12, 3), purpose, patients=2**15)
        for other, its in PURPOSES.items():
            if its > purpose:
                yield f"{name} and {other}", mine, uniforms_of(here, its, patients=2**15)


def test_neighbouring_addresses_are_independent():
    for what, first, second in pairs():
        cell = (first * 32).astype(int) * 32 + (second * 32).astype(int)
        p = chisquare(np.bincount(cell, minlength=1024)).pvalue
        assert p > LEVEL, f"{what}: p = {p:.1e}"


def test_a_patient_of_many_replicates_is_uniform():
    # A run reads few patients of many replicates, not many of one.
    for purpose in PURPOSES.values():
        first = np.zeros(20_000)
        for replicate in range(len(first)):
            one = first[replicate : replicate + 1]
            one_by_one(random.Stream(11, replicate), purpose, 0, one)
        assert kstest(first, "uniform").pvalue > LEVEL
