"""Tracklets against a slow oracle that looks at one event at a time."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, SimulatorConfig
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.tracklets import (
    Plan,
    Track,
    Tracklet,
    Video,
    Window,
    cut_tracklets,
    iterate_tracklets,
    plan_chunks,
    simulate_video,
)

COUNT = 14


@pytest.fixture(scope="module")
def video(film):
    return Video(film)


@pytest.fixture(scope="module")
def track():
    """The patch's box in whole pixels, in frames 0 to 13 but for 9."""
    indices = np.array([k for k in range(COUNT) if k != 9], dtype=np.int64)
    boxes = np.stack([10 + 9 * indices, 40 - indices, 90 + indices % 3, 200 + indices], axis=1)
    return Track(3, indices, boxes.astype(np.float64))


def random_events(width, height, number=6000):
    rng = np.random.default_rng(1)
    array = np.empty(number, EVENT_DTYPE)
    # Many fall exactly on frame times and bin edges.
    array["t"] = np.sort(rng.integers(-40, 530, number)) * 2500
    array["x"], array["y"] = rng.integers(0, width, number), rng.integers(0, height, number)
    array["p"] = rng.integers(0, 2, number)
    return Events(array, width, height)


def slow_spikes(events, track, window, *, bins, size, period_us, scale=(1, 1)):
    """One event at a time: its video interval, that frame's box, its bin, its pixel."""
    box_of = dict(zip(track.indices.tolist(), track.boxes.tolist(), strict=True))
    first, steps = int(window.span[0]), window.frames * bins
    spikes = np.zeros((steps, 2, *size), np.uint8)
    for t, x, y, p in events.array.tolist():
        owner = -((-t) // period_us)  # ceil: frame g owns (t[g-1], t[g]]
        if owner not in window.span.tolist():
            continue
        left, top, width, height = (v * s for v, s in zip(box_of[owner], scale * 2, strict=True))
        column = int(np.floor((x + 0.5 - left) * size[1] / width))
        row = int(np.floor((y + 0.5 - top) * size[0] / height))
        if not (0 <= column < size[1] and 0 <= row < size[0]):
            continue
        since = t - (first - 1) * period_us
        step = -((-since * bins) // (window.stride * period_us)) - 1
        spikes[step, p, row, column] = 1
    return spikes


@pytest.mark.parametrize(("frames", "bins", "stride"), [(4, 4, 1), (2, 5, 2), (1, 1, 1), (3, 2, 3)])
def test_spikes_equal_the_slow_oracle(video, track, frames, bins, stride):
    events = random_events(*video.size)
    plan = plan_chunks([track], frames=frames, stride=stride)
    assert plan.windows
    cut = {t.name: t for t in iterate_tracklets(video, plan, events, bins=bins, size=(32, 16))}
    for window in plan.windows:
        expected = slow_spikes(events, track, window, bins=bins, size=(32, 16), period_us=100_000)
        assert expected.sum() > 50
        np.testing.assert_array_equal(cut[window.name].spikes, expected)


def test_events_of_a_smaller_sensor_are_matched_by_proportion(video, track):
    events = random_events(160, 144)
    plan = plan_chunks([track], frames=4)
    same = Alignment(assume_same_view=True)
    (first, *_) = iterate_tracklets(video, plan, events, bins=4, size=(25, 9), alignment=same)
    expected = slow_spikes(
        events,
        track,
        plan.windows[0],
        bins=4,
        size=(25, 9),
        period_us=100_000,
        scale=(0.5, 0.5),
    )
    np.testing.assert_array_equal(first.spikes, expected)
    with pytest.raises(InputError, match=r"same view.*--homography.*--assume-same-view"):
        next(iterate_tracklets(video, plan, events, size=(25, 9)))


@pytest.mark.parametrize("shift_us", [-10_000_000, 10**15])
def test_events_of_another_clock_are_not_taken_for_silence(video, track, shift_us):
    events = random_events(*video.size)
    array = events.array.copy()
    array["t"] += shift_us
    shifted = Events(array, *video.size)
    with pytest.raises(InputError, match="--event-offset"):
        cut_tracklets(video, [track], shifted, by_segment=False)


def test_frames_are_the_box_resized(video, track):
    pictures = [frame for _, _, frame in video]
    tracklets = cut_tracklets(video, [track], random_events(*video.size), by_segment=False)
    for tracklet in tracklets:
        assert tracklet.frames.shape == (4, 256, 128, 3)
        assert tracklet.person == 3
        for index, (x, y, w, h), time, crop in zip(
            tracklet.indices, tracklet.boxes, tracklet.times_us, tracklet.frames, strict=True
        ):
            assert time == index * 100_000
            expected = cv2.resize(pictures[index][y : y + h, x : x + w], (128, 256))
            np.testing.assert_array_equal(crop, expected)
    covered = sorted({int(i) for t in tracklets for i in t.indices})
    assert covered == track.indices.tolist()
    assert "frames, 16 steps of 64x32" in str(tracklets[0])


def test_simulating_on_the_way_equals_simulating_before(video, track):
    config = SimulatorConfig(threshold_on=0.3, threshold_off=0.25)
    before = simulate_video(video, config, sensor=(160, 144))
    assert len(before) > 1000
    same = Alignment(assume_same_view=True)
    ahead = cut_tracklets(video, [track], before, by_segment=False, alignment=same)
    on_the_way = cut_tracklets(video, [track], config, by_segment=False, sensor=(160, 144))
    for one, other in zip(ahead, on_the_way, strict=True):
        np.testing.assert_array_equal(one.spikes, other.spikes)
    # The first video frame has no interval before it: its bins are empty.
    assert not ahead[0].spikes[:4].any()
    assert ahead[0].spikes[4:8].any()


def test_a_video_that_ends_too_early_is_named(video):
    late = Track(1, np.arange(12, 20), np.tile([0.0, 0.0, 10.0, 10.0], (8, 1)))
    with pytest.raises(InputError, match="ends after 14 frames, before tracklet t1-0 does"):
        list(iterate_tracklets(video, plan_chunks([late]), random_events(*video.size)))


def test_a_box_outside_the_picture_is_named(video):
    wide = Track(1, np.arange(4), np.tile([300.0, 0.0, 40.0, 10.0], (4, 1)))
    with pytest.raises(InputError, match=r"frame 1: box .* reaches outside the picture of 320x288"):
        list(iterate_tracklets(video, plan_chunks([wide], frames=4), random_events(*video.size)))


def test_a_window_is_held_no_longer_than_needed(video, track):
    """Early windows come out before the video has ended."""
    seen = []

    class Watched(Video):
        def __iter__(self):
            for item in super().__iter__():
                seen.append(item[0])
                yield item

    windows = (Window("a", track, 0, 2, 1), Window("b", track, 5, 2, 1))
    cut = iterate_tracklets(Watched(video.path), Plan(windows), random_events(*video.size))
    assert next(cut).name == "a"
    assert seen == [0, 1]
    assert next(cut).name == "b"
    assert next(cut, None) is None
    assert seen[-1] == 6


def test_arrays_that_do_not_fit_are_refused(video, track):
    good = cut_tracklets(video, [track], random_events(*video.size), by_segment=False)[0]
    with pytest.raises(InputError, match="tracklet t3-0"):
        dataclasses.replace(good, spikes=good.spikes[:-1])
    with pytest.raises(InputError, match="do not fit"):
        Tracklet("x", 1, 0, good.frames, good.spikes, good.times_us[:2], good.boxes)
