"""Order statistics and orders against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmd_trialsim.kernel import sorting
from lmd_trialsim.kernel.jit import door

kth_smallest = door(sorting.kth_smallest.py_func)
sort_by = door(sorting.sort_by.py_func)


def with_room(numbers):
    """The numbers in an array that reaches up to a multiple of 32."""
    return np.concatenate([np.asarray(numbers, float), np.full(-len(numbers) % 32, 0.5)])


NUMBERS = st.lists(st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, 2.0]), max_size=80)


@settings(deadline=None)  # the first example waits for the compiler
@given(NUMBERS.filter(len), st.data())
def test_kth_smallest_is_that_of_a_sorted_array(numbers, data):
    k = data.draw(st.integers(0, len(numbers) - 1))
    values = np.array([*numbers, -np.inf])  # what stands beyond the count is left alone
    assert kth_smallest(values, len(numbers), k) == np.sort(numbers)[k]
    assert np.array_equal(np.sort(values[:-1]), np.sort(numbers))
    assert values[-1] == -np.inf


@settings(deadline=None)  # the first example waits for the compiler
@given(NUMBERS)
def test_sort_by_is_a_stable_argsort(numbers):
    order = np.full(len(numbers) + 1, -7)
    sort_by(with_room(numbers), len(numbers), order)
    assert np.array_equal(order[:-1], np.argsort(np.array(numbers, float), kind="stable"))
    assert order[-1] == -7


@pytest.mark.parametrize("count", [100, 703, 3000])
@pytest.mark.parametrize("kinds", [3, 10**9])
def test_long_arrays(count, kinds):
    values = np.random.default_rng(count).integers(0, kinds, count).astype(float)
    order = np.zeros(count, np.int64)
    sort_by(with_room(values), count, order)
    assert np.array_equal(order, np.argsort(values, kind="stable"))
    for k in (0, 1, count // 2, count - 1):
        assert kth_smallest(values.copy(), count, k) == np.sort(values)[k]
