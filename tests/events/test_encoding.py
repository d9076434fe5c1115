"""Encoding against a twin that tries every bin, and the edges by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import event_oracles as oracles
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, encode


def make(rows: list[tuple[int, int, int, int]], width: int = 4, height: int = 3) -> Events:
    return Events(np.array(sorted(rows), EVENT_DTYPE), width, height)


event = st.tuples(st.integers(-50, 200), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    rows=st.lists(event, max_size=60),
    times=st.sets(st.integers(-20, 180), min_size=1, max_size=6).map(sorted),
    bins=st.integers(1, 7),
    before=st.none() | st.integers(1, 40),
)
def test_every_event_lies_where_the_text_says(
    rows: list[tuple[int, int, int, int]],
    times: list[int],
    bins: int,
    before: int | None,
) -> None:
    start = None if before is None else times[0] - before
    cells = Counter(
        cell for row in rows if (cell := oracles.encode_one(row, times, bins, start)) is not None
    )
    counts = encode(make(rows), frame_times_us=times, bins=bins, start_us=start, binary=False)
    binary = encode(make(rows), frame_times_us=times, bins=bins, start_us=start)
    expected = np.zeros((len(times) * bins, 2, 3, 4), np.uint8)
    for cell, number in cells.items():
        expected[cell] = number
    assert counts.dtype == binary.dtype == np.uint8
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(binary, expected > 0)
    owned = [t for t, *_ in rows if (times[0] if start is None else start) < t <= times[-1]]
    assert counts.sum() == len(owned)


def test_the_edges_belong_to_the_bin_they_end() -> None:
    # Frames at 100 and 110 with 2 bins: (100, 105] and (105, 110].
    rows = [(100, 0, 0, 1), (101, 1, 0, 1), (105, 2, 0, 1), (106, 3, 0, 1), (110, 0, 1, 1),
            (111, 1, 1, 1)]  # fmt: skip
    spikes = encode(make(rows), frame_times_us=[100, 110], bins=2)
    assert spikes.shape == (4, 2, 3, 4)
    assert not spikes[:2].any()
    assert np.argwhere(spikes[2]).tolist() == [[1, 0, 1], [1, 0, 2]]
    assert np.argwhere(spikes[3]).tolist() == [[1, 0, 3], [1, 1, 0]]
    first = encode(make(rows), frame_times_us=[100, 110], bins=2, start_us=98)
    assert np.argwhere(first[:2]).tolist() == [[1, 1, 0, 0]]


def test_edges_are_exact_where_floats_are_not() -> None:
    # Epoch microseconds and a bin count that divides nothing: 3 bins of 1/3 us, 7 of 1e9/7.
    base = 1_672_932_175_905_746
    spikes = encode(make([(base + 1, 0, 0, 0)]), frame_times_us=[base, base + 1], bins=3)
    assert np.argwhere(spikes)[0].tolist() == [5, 0, 0, 0]
    length, bins = 1_000_000_007, 7
    for k in range(1, bins + 1):
        edge = base + k * length // bins  # the last whole microsecond of bin k - 1
        pair = make([(edge, 0, 0, 0), (edge + 1, 1, 0, 0)])
        steps = np.argwhere(encode(pair, frame_times_us=[base, base + length], bins=bins))[
            :, 0
        ].tolist()
        assert steps == [bins + k - 1, bins + k][: len(steps)]


def test_off_is_channel_zero() -> None:
    spikes = encode(make([(5, 3, 2, 0), (6, 1, 0, 1)]), frame_times_us=[10], bins=1, start_us=0)
    assert np.argwhere(spikes).tolist() == [[0, 0, 2, 3], [0, 1, 0, 1]]


def test_counts_above_a_byte_are_an_error() -> None:
    fits = make([(5, 1, 2, 1)] * 255)
    assert encode(fits, frame_times_us=[10], bins=1, start_us=0, binary=False).max() == 255
    many = make([(5, 1, 2, 1)] * 256)
    with pytest.raises(InputError, match="event 255 is the 256th in its cell"):
        encode(many, frame_times_us=[10], bins=1, start_us=0, binary=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_times_us": [10, 10], "bins": 2}, "frame 1 at 10 us does not come after"),
        ({"frame_times_us": [], "bins": 2}, "frame times are"),
        ({"frame_times_us": [1.5], "bins": 2}, "frame times are float64"),
        ({"frame_times_us": [10], "bins": 0}, "0 bins"),
        ({"frame_times_us": [10], "bins": 2, "start_us": 10}, "starts at 10 us"),
        ({"frame_times_us": [0, 1 << 61], "bins": 9}, "too far apart"),
        ({"frame_times_us": [10], "bins": 2, "max_bytes": 47}, "crop the events"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(make([(5, 1, 2, 1)]), **arguments)
