"""Nearest-event offsets against a search that sorts every event of the map."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sdcl_neuro.hybrid.bridge import active_cells, nearest_event_offsets
from sdcl_neuro.hybrid.bridge import offsets as module


def brute_force(active: np.ndarray, k: int, window: int) -> np.ndarray:
    """Eqs. 8 to 11 of one map, cell by cell."""
    height, width = active.shape
    result = np.zeros((height, width, k * k, 2), dtype=np.int64)
    events = [(y, x) for y in range(height) for x in range(width) if active[y, x]]
    for y, x in events:

        def order(event: tuple[int, int], y: int = y, x: int = x) -> tuple[int, ...]:
            dy, dx = event[0] - y, event[1] - x
            return abs(dy) + abs(dx), dy * dy + dx * dx, dy, dx

        near = [e for e in events if abs(e[0] - y) + abs(e[1] - x) <= window]
        if len(near) < k * k:
            continue
        chosen = sorted(sorted(near, key=order)[: k * k])
        for tap, (ey, ex) in enumerate(chosen):
            my, mx = tap // k - k // 2, tap % k - k // 2
            result[y, x, tap] = ey - y - my, ex - x - mx
    return result


maps = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9).flatmap(
    lambda shape: hnp.arrays(bool, (min(shape[0], 3), *shape[1:]))
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(maps, st.sampled_from([1, 3, 5]), st.integers(1, 12))
def test_equal_to_brute_force(active: np.ndarray, k: int, window: int) -> None:
    found = nearest_event_offsets(torch.from_numpy(active), k, window=window)
    wanted = np.stack([brute_force(one, k, window) for one in active])
    np.testing.assert_array_equal(found.numpy(), wanted)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(maps)
def test_pieces_give_the_same(active: np.ndarray) -> None:
    whole = nearest_event_offsets(torch.from_numpy(active), 3)
    before = module._CHUNK
    try:
        module._CHUNK = 1
        pieces = nearest_event_offsets(torch.from_numpy(active), 3)
    finally:
        module._CHUNK = before
    assert torch.equal(whole, pieces)


def test_dense_events_are_the_plain_kernel() -> None:
    offsets = nearest_event_offsets(torch.ones(1, 7, 9, dtype=torch.bool), 3)
    assert not offsets[:, 1:-1, 1:-1].any()
    assert offsets[:, 0].any()  # at the border the kernel turns inwards, where the events are


def test_too_few_events_fall_back_to_the_grid() -> None:
    active = torch.zeros(1, 8, 8, dtype=torch.bool)
    active[0, 0, :8] = True
    assert not nearest_event_offsets(active, 3).any()
    active[0, 7, 7] = True  # the ninth, 14 cells from the first
    found = nearest_event_offsets(active, 3, window=14)
    assert found[0, 0, 0].any()
    assert not nearest_event_offsets(active, 3, window=6).any()
    assert not found[0, 1:7].any()  # cells without an event


def test_one_sided_edge_is_followed() -> None:
    """On a vertical edge the samples lie along the edge, not beside it."""
    active = torch.zeros(1, 21, 5, dtype=torch.bool)
    active[0, :, 2] = True
    taps = nearest_event_offsets(active, 3)[0, 10, 2] + module.kernel_grid(3)
    assert taps.tolist() == [[dy, 0] for dy in range(-4, 5)]


def test_active_cells() -> None:
    counts = torch.zeros(1, 8, 8)
    counts[0, 3, 4] = 7
    assert active_cells(counts, (2, 2)).tolist() == [[[False, True], [False, False]]]
    assert torch.equal(active_cells(counts, (8, 8)), counts > 0)
