"""A video with tracks as a configuration's data set: who leaves is asked of who arrived."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Video, cut_tracklets, read_mot
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets import Held


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
    assert isinstance(data, Held)
    expected = cut_tracklets(
        Video(film), read_mot(tracks), SimulatorConfig(seed=3), frames=2, bins=2
    )
    assert [one.name for one in data.entries] == [one.name for one in expected]
    assert {data.entries[k].segment for k in data.query} == {"arriving"}
    assert {data.entries[k].segment for k in data.gallery} == {"leaving"}
    loaded = data.load(data.query[0], configuration.clip)
    assert np.array_equal(loaded.spikes, expected[data.query[0]].spikes)
    with pytest.raises(InputError, match="lies in a folder"):
        build_data(configuration)
