"""Room for spikes is used again, and only when nobody can see it any more."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import torch

from sdcl_neuro.engine.event.rooms import LEAST_BYTES, Rooms

SHAPE = (2, 1, 3, LEAST_BYTES)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_room_comes_back_when_all_arrays_of_it_are_gone() -> None:
    rooms = Rooms()
    first = rooms.take(SHAPE)
    assert first.shape == SHAPE
    assert first.flags.writeable
    assert first.flags.c_contiguous
    place = address(first)
    del first
    again = rooms.take((1, 2, 3, LEAST_BYTES))
    assert address(again) == place
    assert address(rooms.take(SHAPE)) != place


HOLDERS = {
    "a view": lambda room: room[1:, 0],
    "a view of a view": lambda room: room[1:].reshape(-1)[5:][::3].view(np.int8),
    "a tensor": lambda room: torch.from_numpy(room)[0],
    "a memory view": lambda room: memoryview(room)[1:],
    "a view by DLPack": lambda room: np.from_dlpack(room),
    "its base": lambda room: room.base,
    "a part in a dictionary": lambda room: {"layer": [room[0]]},
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_room_that_someone_holds_is_left_alone(holder: str) -> None:
    rooms = Rooms()
    room = rooms.take(SHAPE)
    place = address(room)
    held = HOLDERS[holder](room)
    del room
    gc.collect()
    others = [rooms.take(SHAPE) for _ in range(3)]
    assert place not in map(address, others)
    del held
    gc.collect()
    assert place in map(address, [rooms.take(SHAPE) for _ in range(3)])


def test_little_is_kept() -> None:
    rooms = Rooms(kept_bytes=5 * LEAST_BYTES)
    assert rooms.take((LEAST_BYTES - 1,)).base is None  # small
    assert rooms.take((5 * LEAST_BYTES + 1,)).base is None  # large
    held = [rooms.take((2 * LEAST_BYTES,)) for _ in range(4)]
    places = [address(room) for room in held]
    while held:
        del held[0]
    assert [len(memory) for memory in rooms._idle] == [2 * LEAST_BYTES] * 2
    assert address(rooms.take((2 * LEAST_BYTES,))) == places[2]  # the last ones were kept
    large = Rooms()
    del_me = large.take((9 * LEAST_BYTES,))
    del del_me
    assert address(large.take((4 * LEAST_BYTES,))) != address(large._idle[0])  # far too large


def test_threads_never_share_room() -> None:
    rooms, faults = Rooms(), []

    def work(number: int) -> None:
        for turn in range(60):
            room = rooms.take((LEAST_BYTES,))
            room[:] = number
            kept = room[:: 1 + turn]
            del room
            if (kept != number).any():
                faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
