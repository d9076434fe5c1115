"""Events keep their promise; cropping and slicing agree with a plain twin."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import event_oracles as oracles
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, concatenate, events_from


def make(rows: list[tuple[int, int, int, int]], width: int = 20, height: int = 10) -> Events:
    return Events(np.array(rows, EVENT_DTYPE), width, height)


def test_prints_itself_and_is_read_only() -> None:
    events = make([(5, 1, 2, 1), (1_000_005, 3, 4, 0)])
    assert str(events) == ("2 events, 20x10, 1.000000 s (t 5 to 1000005 us), 1 ON, 1 OFF")
    assert str(make([])) == "0 events, 20x10"
    with pytest.raises(ValueError, match="read-only"):
        events.array["t"] = 0


def test_equality_is_of_events_and_sensor() -> None:
    assert make([(1, 2, 3, 1)]) == make([(1, 2, 3, 1)])
    assert make([(1, 2, 3, 1)]) != make([(1, 2, 3, 0)])
    assert make([(1, 2, 3, 1)]) != make([(1, 2, 3, 1)], width=21)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 0, 0, 0), (2, 20, 0, 0)], r"event 1 has x = 20, outside the sensor of 20x10"),
        ([(1, 0, 10, 0)], r"event 0 has y = 10"),
        ([(1, 0, 0, 0), (1, 0, 0, 2)], r"event 1 has polarity 2"),
        ([(5, 0, 0, 0), (7, 0, 0, 0), (6, 0, 0, 0)], r"event 2 at 6 us comes after one at 7 us"),
    ],
)
def test_what_breaks_the_contract_cannot_be_built(
    rows: list[tuple[int, int, int, int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(rows)


def test_other_dtypes_and_sizes_are_refused() -> None:
    swapped = np.zeros(1, [("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "u1")])
    with pytest.raises(InputError, match="expected an event array"):
        Events(swapped, 4, 4)
    with pytest.raises(InputError, match="0x4 pixels"):
        Events(np.zeros(0, EVENT_DTYPE), 0, 4)


def test_slice_takes_what_a_frame_owns() -> None:
    events = make([(t, 0, 0, 1) for t in (10, 20, 20, 30)])
    assert events.slice(10, 20).array["t"].tolist() == [20, 20]
    assert events.slice(9, 10).array["t"].tolist() == [10]
    assert len(events.slice(30, 40)) == 0


def test_concatenate_refuses_overlap_and_other_sizes() -> None:
    a, b = make([(1, 0, 0, 0)]), make([(2, 0, 0, 1)])
    assert len(concatenate([a, b])) == 2
    with pytest.raises(InputError, match="comes after"):
        concatenate([b, a])
    with pytest.raises(InputError, match="different sizes"):
        concatenate([a, make([], width=3)])
    with pytest.raises(InputError, match="nothing"):
        concatenate([])


@settings(deadline=None, derandomize=True)
@given(
    pixels=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 9)), max_size=30),
    corner=st.tuples(st.integers(-4096, 20480), st.integers(-4096, 10240)),
    extent=st.tuples(st.integers(1, 30000), st.integers(1, 30000)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_crop_is_the_plain_formula(
    pixels: list[tuple[int, int]],
    corner: tuple[int, int],
    extent: tuple[int, int],
    size: tuple[int, int],
) -> None:
    events = make([(i, x, y, i % 2) for i, (x, y) in enumerate(pixels)])
    exact = tuple(Fraction(v, 1024) for v in (*corner, *extent))
    x0, y0, width, height = (float(v) for v in exact)
    cropped = events.crop((x0, y0, width, height), size)
    expected = []
    for i, (x, y) in enumerate(pixels):
        place = oracles.crop_one(x, y, exact, *size)
        if place is not None:
            expected.append((i, *place, i % 2))
    assert cropped.array.tolist() == expected
    assert (cropped.height, cropped.width) == size


def test_crop_to_the_whole_sensor_changes_nothing() -> None:
    events = make([(1, 19, 9, 1), (2, 0, 0, 0)])
    assert events.crop((0, 0, 20, 10), (10, 20)) == events


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 0, 5, -1), (0, 0, float("nan"), 5)])
def test_boxes_without_area_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="box"):
        make([]).crop(box, (4, 4))


def test_mending_is_asked_for_and_counted() -> None:
    fields = {
        "t": np.array([30, 10, 20, 40, 50]),
        "x": np.array([1, 2, 99, -1, 3]),
        "y": np.array([0, 0, 0, 0, 0]),
        "p": np.array([1, 0, 1, 1, 7]),
    }
    with pytest.raises(InputError, match=r"event 2 at \(x, y\) = \(99, 0\).*'drop-outside'"):
        events_from(fields, width=20, height=10)
    with pytest.raises(InputError, match=r"event 4 has polarity 7"):
        events_from(fields, width=20, height=10, mend=["drop-outside"])
    with pytest.raises(InputError, match=r"comes after one at 30 us; give mend=\['sort'\]"):
        events_from(fields, width=20, height=10, mend=["drop-outside", "drop-polarity"])
    mended = events_from(
        fields, width=20, height=10, mend=["drop-outside", "drop-polarity", "sort"]
    )
    assert mended.array.tolist() == [(10, 2, 0, 0), (30, 1, 0, 1)]
    assert mended.mended == {"drop-outside": 2, "drop-polarity": 1, "sort": 1}
    assert "mended: drop-outside 2, drop-polarity 1, sort 1" in str(mended)


def test_sorting_keeps_the_order_within_a_microsecond() -> None:
    fields = {
        "t": np.array([5, 5, 1, 5]), "x": np.array([3, 1, 9, 2]),
        "y": np.zeros(4, int), "p": np.ones(4, int),
    }  # fmt: skip
    events = events_from(fields, width=20, height=10, mend=["sort"])
    assert events.array["x"].tolist() == [9, 3, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.array([0.5, 1.0])}, r"event 0 has x = 0.5; x must be a whole number"),
        ({"x": np.array([0.0, np.nan])}, r"event 1 has x = nan"),
        ({"t": np.array([0.0, np.inf])}, r"event 1 has t = inf"),
        ({"t": np.array([0.25, 1.0])}, r"event 0 has t = 0.25, not a whole number of microseconds"),
        ({"t": np.array([0, 1 << 63], np.uint64)}, r"event 1 has t ="),
        ({"p": np.array([-1, 0])}, r"event 1 has polarity 0, in a file whose OFF is -1"),
        ({"y": np.array(["a", "b"])}, r"field y is <U1"),
        ({"y": np.array([1])}, r"different lengths"),
        ({"x": np.array([[1], [2]])}, r"shape \(2, 1\)"),
    ],
)
def test_fields_of_the_wrong_type_are_refused(change: dict[str, Any], message: str) -> None:
    fields = {"t": np.array([1, 2]), "x": np.array([0, 1]), "y": np.array([0, 1]),
              "p": np.array([0, 1])}  # fmt: skip
    with pytest.raises(InputError, match=message):
        events_from({**fields, **change}, width=4, height=4)


def test_polarities_of_minus_one_and_bool_are_understood() -> None:
    base = {"t": np.array([1, 2]), "x": np.array([0, 1]), "y": np.array([0, 1])}
    for p in (np.array([-1, 1]), np.array([False, True]), np.array([0.0, 1.0])):
        assert events_from({**base, "p": p}, width=4, height=4).array["p"].tolist() == [0, 1]
    with pytest.raises(InputError, match=r"no field \['p'\]"):
        events_from(base, width=4, height=4)
    with pytest.raises(InputError, match="unknown repair"):
        events_from({**base, "p": np.array([0, 1])}, width=4, height=4, mend=["everything"])
