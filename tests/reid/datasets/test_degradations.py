"""Degradations: frames only, seeded, and each level worse than the one before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.reid.datasets import degrade, degrade_tracklet
from sdcl_neuro.reid.datasets.degradations import KINDS, OCCLUDED_AREA, line_kernel


@pytest.fixture(scope="module")
def frames():
    generator = np.random.default_rng(0)
    coarse = generator.integers(60, 240, (3, 16, 8, 3), dtype=np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_grow_and_seeds_repeat(frames, kind):
    before = frames.copy()
    errors = []
    for severity in range(1, 6):
        first = degrade(frames, kind, severity, seed=4)
        assert first.shape == frames.shape
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, degrade(frames, kind, severity, seed=4))
        assert (first != degrade(frames, kind, severity, seed=5)).any()
        errors.append(np.abs(first.astype(int) - frames).mean())
    assert errors == sorted(errors)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("severity", range(1, 6))
def test_occlusion_hides_the_stated_area_in_all_frames(frames, severity):
    for seed in range(6):
        changed = (degrade(frames, "occlusion", severity, seed=seed) != frames).any(-1)
        # Where the patch happens to equal the frame nothing changes: look at the whole clip.
        hidden = changed.any(0).mean()
        assert abs(hidden - OCCLUDED_AREA[severity - 1]) < 0.02


@settings(deadline=None, derandomize=True, max_examples=60)
@given(length=st.floats(1, 60), angle=st.floats(-1.5, 1.5))
def test_line_kernel_is_a_centred_mean_along_the_line(length, angle):
    kernel = line_kernel(length, angle).astype(float)
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert kernel.min() >= 0
    row, column = np.indices(kernel.shape) - kernel.shape[0] // 2
    np.testing.assert_allclose([(kernel * row).sum(), (kernel * column).sum()], 0, atol=0.51)
    variance = (kernel * (row * np.sin(angle) + column * np.cos(angle)) ** 2).sum()
    assert variance == pytest.approx(length**2 / 12, rel=0.1, abs=0.6)


def test_tracklets_keep_their_events_and_differ_by_name(frames):
    spikes = np.ones((3, 2, 4, 4), np.uint8)
    times = np.array([1, 2, 3])
    one = Tracklet("one", 1, 0, frames, spikes, times, np.zeros((3, 4), np.int64))
    two = Tracklet("two", 1, 0, frames, spikes, times, np.zeros((3, 4), np.int64))
    worse, other = (degrade_tracklet(each, "noise", 3, seed=1) for each in (one, two))
    assert worse.spikes is one.spikes
    assert (worse.frames != other.frames).any()
    np.testing.assert_array_equal(worse.frames, degrade_tracklet(one, "noise", 3, seed=1).frames)


def test_refusals(frames):
    with pytest.raises(InputError, match="choose from blur, occlusion, low-light, noise"):
        degrade(frames, "fog", 1)
    with pytest.raises(InputError, match="severity 6"):
        degrade(frames, "blur", 6)
    with pytest.raises(InputError, match="float64"):
        degrade(frames.astype(float), "blur", 1)
