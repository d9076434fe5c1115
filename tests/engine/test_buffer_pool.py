"""Output buffers are reused, and only when no array of them is left."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

from sdcl_neuro.engine.event.buffer_pool import LEAST_BYTES, BufferPool

SHAPE = (2, 1, 3, LEAST_BYTES)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_buffer_returns_when_all_arrays_of_it_are_gone() -> None:
    pool = BufferPool()
    first = pool.take(SHAPE)
    assert first.shape == SHAPE
    assert first.flags.writeable
    assert first.flags.c_contiguous
    place = address(first)
    del first
    again = pool.take((1, 2, 3, LEAST_BYTES))
    assert address(again) == place
    assert address(pool.take(SHAPE)) != place


HOLDERS = {
    "a view": lambda array: array[1:, 0],
    "a view of a view": lambda array: array[1:].reshape(-1)[5:][::3].view(np.int8),
    "a tensor": lambda array: torch.from_numpy(array)[0],
    "a memory view": lambda array: memoryview(array)[1:],
    "a view by DLPack": lambda array: np.from_dlpack(array),
    "its base": lambda array: array.base,
    "a part in a dictionary": lambda array: {"layer": [array[0]]},
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_buffer_that_is_held_is_left_alone(holder: str) -> None:
    pool = BufferPool()
    array = pool.take(SHAPE)
    place = address(array)
    held = HOLDERS[holder](array)
    del array
    gc.collect()
    others = [pool.take(SHAPE) for _ in range(3)]
    assert place not in map(address, others)
    del held
    gc.collect()
    assert place in map(address, [pool.take(SHAPE) for _ in range(3)])


def test_few_buffers_are_kept() -> None:
    pool = BufferPool(kept_bytes=5 * LEAST_BYTES)
    assert pool.take((LEAST_BYTES - 1,)).base is None  # small
    assert pool.take((5 * LEAST_BYTES + 1,)).base is None  # large
    held = [pool.take((2 * LEAST_BYTES,)) for _ in range(4)]
    places = [address(array) for array in held]
    while held:
        del held[0]
    assert [len(memory) for memory in pool._idle] == [2 * LEAST_BYTES] * 2
    assert address(pool.take((2 * LEAST_BYTES,))) == places[2]  # the last ones were kept
    large = BufferPool()
    del_me = large.take((9 * LEAST_BYTES,))
    del del_me
    assert address(large.take((4 * LEAST_BYTES,))) != address(large._idle[0])  # far too large


def test_threads_never_share_a_buffer() -> None:
    pool, faults = BufferPool(), []

    def work(number: int) -> None:
        for turn in range(60):
            array = pool.take((LEAST_BYTES,))
            array[:] = number
            kept = array[:: 1 + turn]
            del array
            if (kept != number).any():
                faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
