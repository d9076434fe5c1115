"""A video with tracks as a configuration's data set: who leaves is asked of who arrived."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from sdcl_neuro.cli.alignment_options import add_alignment_arguments, alignment_overrides
from sdcl_neuro.cli.event_options import add_reading_arguments, reading_overrides
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Video, cut_tracklets, read_mot, simulate_video
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets import TrackletsInMemory


@pytest.fixture
def tracks(tmp_path):
    """Two persons: five frames' walk, four frames' stand, five frames' walk."""
    steps = [12] * 4 + [0] * 5 + [12] * 5
    lines = []
    for person, left in ((1, 10), (2, 110)):
        for frame in range(14):
            x = left + sum(steps[:frame])
            lines.append(f"{frame + 1},{person},{x},40,90,200,1,-1,-1,-1")
    path = tmp_path / "tracks.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_video(film, tracks):
    overrides = [
        "data.kind=mot",
        f"data.mot.video={film}",
        f"data.mot.tracks={tracks}",
        "data.simulator.seed=3",
        "clip.frames=2",
        "clip.bins=2",
    ]
    configuration = load_configuration("generated-small", overrides)
    data = build_data(configuration, tracks.parent)
    assert isinstance(data, TrackletsInMemory)
    expected = cut_tracklets(
        Video(film), read_mot(tracks), SimulatorConfig(seed=3), frames=2, bins=2
    )
    assert [one.name for one in data.entries] == [one.name for one in expected]
    assert {data.entries[k].segment for k in data.query} == {"arriving"}
    assert {data.entries[k].segment for k in data.gallery} == {"leaving"}
    loaded = data.load(data.query[0], configuration.clip)
    assert np.array_equal(loaded.spikes, expected[data.query[0]].spikes)
    with pytest.raises(InputError, match="is read from a folder"):
        build_data(configuration)


def test_its_events_are_read_and_aligned_as_the_configuration_says(film, tracks):
    """Events on a sensor of their own, in seconds, on another clock; from the verbs' options."""
    video = Video(film)
    recorded = simulate_video(video, SimulatorConfig(seed=3))
    array = recorded.array
    lines = [f"{x + 5} {y + 3} {p} {(t + 77_000_000) / 1e6:.6f}\n" for t, x, y, p in array.tolist()]
    (tracks.parent / "events.txt").write_text("".join(lines))
    parser = argparse.ArgumentParser()
    add_reading_arguments(parser)
    add_alignment_arguments(parser)
    width, height = video.size
    args = parser.parse_args(
        [
            *("--sensor", f"{width + 10}x{height + 10}", "--columns", "xypt", "--time-unit", "s"),
            *("--event-offset", "-77000000", "--crop", f"5,3,{width},{height}"),
        ]
    )
    overrides = [
        "data.kind=mot",
        f"data.mot.video={film}",
        f"data.mot.tracks={tracks}",
        "data.mot.events=events.txt",
        "clip.frames=2",
        "clip.bins=2",
        *reading_overrides(args),
        *alignment_overrides(args),
    ]
    configuration = load_configuration("generated-small", overrides)
    data = build_data(configuration, tracks.parent)
    expected = cut_tracklets(video, read_mot(tracks), recorded, frames=2, bins=2)
    for position in range(len(expected)):
        loaded = data.load(position, configuration.clip)
        assert np.array_equal(loaded.spikes, expected[position].spikes)
    assert any(one.spikes.any() for one in expected)
    with pytest.raises(InputError, match="prid2011 has no recording"):
        load_configuration("prid2011", alignment_overrides(args))
