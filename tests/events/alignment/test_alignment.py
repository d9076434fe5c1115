"""Alignments: clocks and views laid on frames, files read and refused, by slow oracles."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events
from sdcl_neuro.events.alignment import (
    Alignment,
    EventSpan,
    FrameSpan,
    MappedView,
    Mapping,
    StretchedView,
    fit,
    read_alignment,
    read_frame_stamps,
    read_mapping,
    write_alignment,
)

UNIX = 1_700_000_000_000_000
FRAMES = FrameSpan((64, 48), -100_000, 0, 900_000, "v.mp4")


def events(count: int = 3000, width: int = 64, height: int = 48) -> Events:
    rng = np.random.default_rng(4)
    array = np.empty(count, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(0, 1_000_000, count))
    array["x"], array["y"] = rng.integers(0, width, count), rng.integers(0, height, count)
    array["p"] = rng.integers(0, 2, count)
    return Events(array, width, height)


@pytest.mark.parametrize(
    ("alignment", "first", "shift"),
    [
        (Alignment(), 0, 0),
        (Alignment(offset_us=-70), 100, -70),
        (Alignment(event_clock="first"), UNIX, -UNIX),
        (Alignment(event_clock="first", offset_us=9), 5, 4),
        (Alignment(event_clock="unix", start_us=UNIX - 300), UNIX, 300 - UNIX),
        (Alignment(event_clock="unix", start_us=UNIX, offset_us=-3), UNIX + 1, -UNIX - 3),
    ],
)
def test_clocks(alignment: Alignment, first: int, shift: int) -> None:
    fitted = fit(alignment, FRAMES, EventSpan((64, 48), first, first + 900_000))
    assert fitted.shift_us == shift
    assert fitted.coverage == pytest.approx(0.9, abs=1e-3)
    assert any("cover 90%" in line for line in fitted.said)
    clock = [line for line in fitted.assumed if "share one clock" in line]
    assert bool(clock) == (alignment == Alignment())


def test_frames_in_unix_time_need_no_start() -> None:
    frames = FrameSpan((64, 48), UNIX - 100, UNIX, UNIX + 1000, "v")
    fitted = fit(Alignment(event_clock="unix"), frames, EventSpan((64, 48), UNIX - 99, UNIX + 1000))
    assert (fitted.shift_us, fitted.said) == (0, ())
    with pytest.raises(InputError, match=r"first frame is at 0 us.*--start TIME"):
        fit(Alignment(event_clock="unix"), FRAMES, EventSpan((64, 48), UNIX, UNIX + 1))


@pytest.mark.parametrize(
    ("first", "last", "advice"),
    [
        (UNIX, UNIX + 900_000, "the events are in Unix time: give --event-clock unix"),
        (5_000_000, 6_000_000, "first on first: -5000000"),
        (-900_000, -100_000, "--event-offset US"),
    ],
)
def test_clocks_that_share_no_time_are_refused(first: int, last: int, advice: str) -> None:
    with pytest.raises(InputError, match=r"frames are from 0 to 900000 us") as refused:
        fit(Alignment(), FRAMES, EventSpan((64, 48), first, last))
    assert advice in str(refused.value)


def test_views_are_stated_or_refused() -> None:
    span = EventSpan((32, 24), 0, 900_000)
    with pytest.raises(InputError, match=r"32x24.*64x48.*--homography.*--assume-same-view"):
        fit(Alignment(), FRAMES, span)
    assert fit(Alignment(assume_same_view=True), FRAMES, span).view.crop(
        events(10, 32, 24), (0, 0, 64, 48), (24, 32)
    ) == events(10, 32, 24)
    odd = fit(Alignment(assume_same_view=True), FRAMES, EventSpan((64, 64), 0, 900_000))
    assert any("other proportions" in line and "0.750" in line for line in odd.said)
    same = fit(Alignment(), FRAMES, EventSpan((64, 48), 0, 900_000))
    assert any("show the same view" in line for line in same.assumed)
    mapping = Mapping(((1, 0, 0), (0, 1, 0), (0, 0, 1)), (32, 24), (64, 50))
    with pytest.raises(InputError, match="for frames of 64x50, not 64x48"):
        fit(Alignment(mapping=mapping), FRAMES, span)


def slow_crop(some: Events, matrix: np.ndarray, box: tuple, size: tuple[int, int]) -> list[tuple]:
    """One event after another, in floating point."""
    found = []
    for t, x, y, p in some.array.tolist():
        u, v, w = matrix @ np.array([x, y, 1.0])
        u, v = u / w + 0.5, v / w + 0.5
        column = (u - box[0]) * size[1] / box[2]
        row = (v - box[1]) * size[0] / box[3]
        if 0 <= column < size[1] and 0 <= row < size[0]:
            found.append((t, int(column), int(row), p))
    return found


def test_a_homography_maps_pixel_centres() -> None:
    angle = np.deg2rad(7)
    matrix = np.array(
        [
            [1.3 * np.cos(angle), -np.sin(angle), 3.3],
            [np.sin(angle), 1.4 * np.cos(angle), -4.6],
            [3e-4, -2e-4, 1],
        ]
    )
    view = MappedView(Mapping(tuple(map(tuple, matrix))), (64, 48))
    box, size = (11.0, 5.0, 37.0, 41.0), (16, 8)
    got = view.crop(events(), box, size)
    expected = slow_crop(events(), matrix, box, size)
    assert 300 < len(expected) < 2500
    assert got.array.tolist() == expected
    assert (got.width, got.height) == (8, 16)


def test_an_upright_part_is_its_homography() -> None:
    view = StretchedView((64, 48), (128, 90), (8.0, 6.0, 40.0, 30.0))
    scale = np.array([[128 / 40, 0, 0], [0, 90 / 30, 0], [0, 0, 1]])
    shift = np.array([[1, 0, 0.5 - 8], [0, 1, 0.5 - 6], [0, 0, 1]])
    back = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    box, size = (20.0, 10.0, 64.0, 60.0), (30, 32)
    expected = slow_crop(events(), back @ scale @ shift, box, size)
    assert len(expected) > 100
    assert view.crop(events(), box, size).array.tolist() == expected


CALIBRATION = """
rotation = [[1, 0, 0], [0, 0.9998, -0.02], [0, 0.02, 0.9998]]
[event_camera]
size = [64, 48]
focal = [60, 60]
centre = [31.5, 23.5]
distortion = [-0.2, 0.05, 0.001, -0.001]
[frame_camera]
size = [128, 96]
focal = [110, 112]
centre = [63, 47]
distortion = [0.1, -0.02, 0, 0]
"""


def distorted(ray: np.ndarray, camera: tuple[float, ...]) -> np.ndarray:
    """OpenCV's model, from its documentation."""
    (x, y), (k1, k2, p1, p2) = ray, camera
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return np.array(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ]
    )


def test_calibrated_cameras(tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(CALIBRATION)
    mapping = read_mapping(path)
    assert (mapping.event_size, mapping.frame_size) == ((64, 48), (128, 96))
    rotation = np.array([[1, 0, 0], [0, 0.9998, -0.02], [0, 0.02, 0.9998]])
    for point in ((0.1, -0.2), (-0.4, 0.3), (0.0, 0.0)):
        seen = distorted(np.array(point), (-0.2, 0.05, 0.001, -0.001)) * 60 + (31.5, 23.5)
        turned = rotation @ np.array([*point, 1.0])
        wanted = distorted(turned[:2] / turned[2], (0.1, -0.02, 0, 0)) * (110, 112) + (63, 47)
        np.testing.assert_allclose(mapping.points(seen[None])[0], wanted, atol=1e-3)
    near = CALIBRATION.replace("[event", "translation_m = [0.1, 0, 0]\ndistance_m = 2\n[event", 1)
    path.write_text(near)
    plain = read_mapping(path).points(np.array([[31.5, 23.5]]))
    far = mapping.points(np.array([[31.5, 23.5]]))
    assert plain[0, 0] - far[0, 0] == pytest.approx(110 * 0.1 / 2, rel=0.01)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 2 3", "3 numbers"),
        ("1 0 0\n0 1 0\n0 0 0", "has no inverse"),
        ("1 0 0\n0 x 0\n0 0 1", "not a table of numbers"),
    ],
)
def test_what_is_no_homography(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "h.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_mapping(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("size = [64, 48]", "size = [64]"), "size is"),
        (("focal = [60, 60]", "focal = [60]"), "pairs"),
        (("[event_camera]", "[events_camera]"), "unknown key 'events_camera'"),
        (("0.9998, -0.02", "0.9, -0.02"), "not a rotation"),
        (("centre = [63, 47]\n", ""), "no centre"),
        (("[event_camera]", "distance_m = 2\n[event_camera]"), "distance_m alone"),
    ],
)
def test_a_calibrations_faults_are_named(tmp_path: Path, change: tuple, told: str) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(CALIBRATION.replace(*change, 1))
    with pytest.raises(InputError, match=told):
        read_mapping(path)


def test_an_alignment_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "alignment.toml"
    rows = ((1.25, 1e-9, -3.0), (0.1, 0.9, 4.0), (1e-5, 0.0, 1.0))
    whole = Alignment(
        event_clock="first",
        offset_us=-12345,
        stamp="end",
        exposure_us=8000,
        fps=Fraction(30000, 1001),
        mapping=Mapping(rows, (64, 48), (128, 96)),
    )
    write_alignment(path, whole, estimate={"sureness": 0.94, "note": 'a "word"'})
    assert read_alignment(path) == whole
    for other in (
        Alignment(),
        Alignment(crop=(1.0, 2.0, 30.0, 40.0), event_clock="unix", start_us=UNIX),
        Alignment(assume_same_view=True, frame_times=tmp_path / "t.txt", frame_time_unit_us=1e3),
    ):
        write_alignment(path, other)
        assert read_alignment(path) == other
    path.write_text("ofset_us = 3\n")
    with pytest.raises(InputError, match="did you mean 'offset_us'"):
        read_alignment(path)
    path.write_text("offset_us = 3.5\n")
    with pytest.raises(InputError, match="whole number"):
        read_alignment(path)


def test_values_that_exclude_each_other() -> None:
    with pytest.raises(InputError, match="stated twice: --crop, --assume-same-view"):
        Alignment(crop=(0, 0, 1, 1), assume_same_view=True)
    with pytest.raises(InputError, match="--frame-times or --fps"):
        Alignment(fps=Fraction(3), frame_times=Path("t"))
    with pytest.raises(InputError, match="unknown length"):
        _ = Alignment(stamp="start").shift_of_stamps_us
    assert Alignment(stamp="start", exposure_us=24_000).shift_of_stamps_us == 12_000
    assert Alignment(stamp="end", exposure_us=24_000).shift_of_stamps_us == -12_000
    assert dataclasses.replace(Alignment(), stamp="middle").shift_of_stamps_us == 0


@pytest.mark.parametrize(
    ("text", "unit", "times", "exposure"),
    [
        ("0\n100\n250\n", None, [0, 100, 250], None),
        ("# us\ntime\n5\n7\n", None, [5, 7], None),
        ("0.5 a.png\n1.25 b.png\n", 1e6, [500_000, 1_250_000], None),
        ("a.png,1700000000000000001\nb.png,1700000000000001499\n", 1e-3, None, None),
        ("0 10\n1 30\n2 90\n", None, [10, 30, 90], None),
        ("1,10\n2,30\n", None, [10, 30], None),
        ("100, 120\n200, 260\n", None, [110, 230], [20, 60]),
    ],
)
def test_files_of_frame_times(tmp_path: Path, text, unit, times, exposure) -> None:
    path = tmp_path / "times.txt"
    path.write_text(text)
    if times is None:  # 19 digits: a float would have rounded them to the same microsecond
        times = [1_700_000_000_000_000, 1_700_000_000_000_001]
    found = read_frame_stamps(path, unit_us=unit)
    assert found.times_us.tolist() == times
    assert exposure == (None if found.exposure_us is None else found.exposure_us.tolist())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no time in it"),
        ("0.5\n1.5\n", "--frame-time-unit"),
        ("5\n5\n", "does not come after"),
        ("1 2 3\n4 5 6\n", "3 columns"),
        ("1\n2 3\n", "row 2 has 2 columns"),
        ("9 3\n8 4\n", "does not come after"),
        ("3 9\n12 10\n", "2 columns"),
        ("nan\n2\n", "not finite"),
    ],
)
def test_files_that_are_no_frame_times(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "times.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_frame_stamps(path)
    np.save(tmp_path / "times.npy", np.array([3, 9]))
    assert read_frame_stamps(tmp_path / "times.npy").times_us.tolist() == [3, 9]
