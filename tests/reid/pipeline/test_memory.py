"""`infer` holds few tracklets at a time, however long the video is."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.sdcl_checkpoint import load_sdcl
from sdcl_neuro.reid.pipeline.entry_pictures import thumbnail
from sdcl_neuro.reid.pipeline.glimpse import Glimpse
from sdcl_neuro.reid.pipeline.infer_video import compare_tracks
from sdcl_neuro.reid.pipeline.video import Footage, Source, open_footage


def test_tracklets_are_let_go(material, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Tracklet] = weakref.WeakSet()
    most = 0
    cut = Footage.cut

    def counted(footage: Footage):
        nonlocal most
        for tracklet in cut(footage):
            alive.add(tracklet)
            most = max(most, len(alive))
            yield tracklet

    monkeypatch.setattr(Footage, "cut", counted)
    comparison = compare_tracks(
        checkpoint, Source(material.video, material.tracks), one_by_one=True
    )
    assert len(comparison.session.tracklets) == 14
    # One waits, one is being made, two are in the branches, and one or two are on their way.
    assert 2 <= most <= 6
    assert all(isinstance(kept, Glimpse) for kept in comparison.session.tracklets)


def test_a_glimpse_shows_what_the_tracklet_shows(material, checkpoint: Path) -> None:
    footage = open_footage(Source(material.video, material.tracks), load_sdcl(checkpoint).clip)
    for tracklet in footage.cut():
        glimpse = Glimpse.of(tracklet)
        middle = len(tracklet.frames) // 2
        wanted = thumbnail(tracklet.frames[middle]).astype(int)
        assert np.abs(glimpse.picture.astype(int) - wanted).mean() < 6
        bins = tracklet.spikes[middle * tracklet.bins : (middle + 1) * tracklet.bins]
        np.testing.assert_array_equal(glimpse.events, bins)
        assert glimpse.input_spikes == tracklet.spikes.sum()
