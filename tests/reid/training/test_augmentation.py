"""Random changes: the same for all frames and events of a tracklet, from the seed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.reid.training import Augmentation
from sdcl_neuro.reid.training.augmentation import ERASED_COLOUR, augment, moved
from sdcl_neuro.reid.training.objective import pixels
from sdcl_neuro.reid.training.samples import Drawing, requests

STILL = Augmentation(flip=0.0, pad=0, erasing=0.0)


def marked(row: int, column: int) -> Tracklet:
    """One bright block in every frame, and one spike in the cell that shows it."""
    frames = np.zeros((2, 256, 128, 3), np.uint8)
    frames[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 255
    spikes = np.zeros((4, 2, 64, 32), np.uint8)
    spikes[:, :, row, column] = 1
    times, boxes = np.arange(1, 3) * 1000, np.zeros((2, 4), np.int64)
    return Tracklet("one", 1, 0, frames, spikes, times, boxes)


def centres(values: np.ndarray) -> np.ndarray:
    """Row and column of the mean of each image ``[N, H, W]``."""
    places = [np.argwhere(image).mean(0) for image in values]
    return np.array(places)


@pytest.mark.parametrize("seed", range(12))
def test_frames_and_events_are_moved_together(seed: int) -> None:
    """The spike stays within half a cell of the block it shows, in all frames and bins."""
    tracklet = marked(30, 11)
    settings = Augmentation(flip=0.5, pad=40, erasing=0.0)
    frames, spikes = augment(tracklet, settings, np.random.default_rng(seed))
    assert frames.flags.c_contiguous
    assert spikes.flags.c_contiguous
    assert frames.shape == tracklet.frames.shape
    assert spikes.shape == tracklet.spikes.shape
    block = centres(frames[..., 0]) / 4 - 0.375  # of its four pixels, in cells
    cell = centres(spikes.reshape(-1, 64, 32))
    assert np.ptp(block, axis=0).max() == np.ptp(cell, axis=0).max() == 0
    assert np.abs(block[0] - cell[0]).max() <= 0.5


def test_all_switches_off_change_nothing() -> None:
    tracklet = marked(3, 4)
    frames, spikes = augment(tracklet, STILL, np.random.default_rng(0))
    assert np.array_equal(frames, tracklet.frames)
    assert np.array_equal(spikes, tracklet.spikes)
    assert not np.shares_memory(frames, tracklet.frames)


def test_a_flip_mirrors_both() -> None:
    tracklet = marked(3, 4)
    frames, spikes = augment(tracklet, replace(STILL, flip=1.0), np.random.default_rng(0))
    assert np.array_equal(frames, tracklet.frames[:, :, ::-1])
    assert np.array_equal(spikes, tracklet.spikes[..., ::-1])


def test_what_leaves_is_lost_and_what_enters_is_black() -> None:
    images = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4, 1)
    found = moved(images, 1, -2, mirrored=False)[0, ..., 0]
    assert found.tolist() == [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0]]
    assert not moved(images, 3, 0, mirrored=False).any()


def test_an_erased_rectangle_stands_in_all_frames_and_spares_the_events() -> None:
    tracklet = replace(marked(3, 4), frames=np.full((2, 256, 128, 3), 7, np.uint8))
    shares = []
    for seed in range(200):
        frames, spikes = augment(tracklet, replace(STILL, erasing=1.0), np.random.default_rng(seed))
        erased = (frames == ERASED_COLOUR).all(-1)
        rows, columns = np.flatnonzero(erased[0].any(1)), np.flatnonzero(erased[0].any(0))
        assert erased[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert erased.sum() == 2 * len(rows) * len(columns)
        assert (frames[~erased] == 7).all()
        assert np.array_equal(spikes, tracklet.spikes)
        shares.append(erased.mean())
    assert 0.015 < min(shares) < 0.05
    assert 0.3 < max(shares) < 0.41


def test_each_switch_happens_as_often_as_it_says() -> None:
    tracklet = marked(3, 4)
    settings = Augmentation(flip=0.3, pad=0, erasing=0.0)
    flipped = [
        augment(tracklet, settings, np.random.default_rng(seed))[1][0, 0, 3, 4] == 0
        for seed in range(400)
    ]
    assert 0.23 < np.mean(flipped) < 0.37


def test_degraded_frames_leave_the_events(tiny) -> None:
    tracklet = tiny.tracklet(0, 0)
    settings = replace(STILL, degradation=1.0, kinds=("occlusion",), severity=(3, 3))
    frames, spikes = augment(tracklet, settings, np.random.default_rng(0))
    assert np.array_equal(spikes, tracklet.spikes)
    share = (frames != tracklet.frames).any(-1).mean()
    assert 0.25 < share < 0.35  # level 3 hides 30 %


def test_a_switch_leaves_what_the_others_draw() -> None:
    tracklet = marked(30, 11)
    one, both = (
        augment(tracklet, replace(STILL, pad=20, erasing=erasing), np.random.default_rng(5))
        for erasing in (0.0, 1.0)
    )
    assert np.array_equal(one[1], both[1])


def test_a_sample_follows_from_seed_and_place_alone(tiny, lessons) -> None:
    settings = replace(tiny.settings, augmentation=Augmentation(), variants=0)
    drawing = Drawing(lessons, tiny.clip, settings)
    batch = requests([3, 4, 3, 5], step=7, settings=settings)
    tail = requests([3, 5], step=7, settings=settings, first=2)
    assert batch[2:] == tail  # a process that has the second half draws the same
    assert batch[0] != batch[2]  # the same tracklet twice in a batch is changed in two ways
    assert requests([3], step=8, settings=settings)[0] != batch[0]
    first, again = (drawing.draw(tail[0]) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.spikes, again.spikes)


def test_variants_come_round(tiny) -> None:
    settings = replace(tiny.settings, variants=3)
    drawn = {
        request for step in range(40) for request in requests([5, 6], step=step, settings=settings)
    }
    assert len(drawn) == 6
    assert all(request.kept for request in drawn)


def test_pixels_are_normalised_as_the_frame_branch_has_it() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 256, 128, 3), dtype=np.uint8)
    expected = normalise(frames.reshape(-1, 256, 128, 3)).unflatten(0, (2, 3))
    assert torch.equal(pixels(torch.from_numpy(frames)), expected)
