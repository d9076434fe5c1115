"""The packaged clip and its tracks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sdcl_neuro.demo import clip_path, tracks_path
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Video, cut_tracklets, read_mot


@pytest.fixture(scope="module")
def video():
    return Video(clip_path())


@pytest.fixture(scope="module")
def tracks(video):
    return read_mot(tracks_path(), frame_size=video.size, frame_count=video.count)


def test_it_is_small_and_says_where_it_is_from():
    assert clip_path().stat().st_size <= 1_500_000
    text = (clip_path().parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for needed in ("one-by-one-person-detection", "intel-iot-devkit", "CC BY 4.0", "was changed"):
        assert needed in text


def test_all_frames_can_be_read_and_times_fit(video):
    assert video.size == (768, 432)
    assert [index for index, _, _ in video] == list(range(605))
    assert video.count == 605
    assert video.fps == 10


def test_six_upright_persons_one_after_another(tracks):
    assert [track.identity for track in tracks] == [1, 2, 3, 4, 5, 6]
    for track, following in pairwise(tracks):
        assert track.indices[-1] < following.indices[0]
    for track in tracks:
        assert len(track) >= 70
        assert (track.boxes[:, 3] > 1.05 * track.boxes[:, 2]).all()
        # Boxes follow the person: no edge leaps by more than a seventh of the picture a frame.
        steps = np.abs(np.diff(track.boxes, axis=0))[np.diff(track.indices) == 1]
        assert steps.max() < 110


def test_tracklets_of_every_segment_and_person(video, tracks):
    config = SimulatorConfig(threshold_on=0.25, threshold_off=0.25, log_eps=0.02)
    tracklets = cut_tracklets(video, tracks, config, sensor=(192, 108))
    for track in tracks:
        mine = [t.segment for t in tracklets if t.person == track.identity]
        assert mine.count("arriving") >= 4
        assert mine.count("standing") >= 6
        assert mine.count("leaving") >= 4
    density = {
        segment: np.mean([t.spikes.mean() for t in tracklets if t.segment == segment])
        for segment in ("arriving", "standing", "leaving")
    }
    # Who walks sends many events, who stands sends few.
    assert min(density["arriving"], density["leaving"]) > 2 * density["standing"]
    assert 0.05 < density["arriving"] < 0.5
