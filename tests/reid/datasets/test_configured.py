"""A configuration's data set is what its reader gives by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.reid.configuration import build_data, fill_cache, load_configuration
from sdcl_neuro.reid.datasets import (
    Degraded,
    Generated,
    GeneratedConfig,
    cache_events,
    degrade_tracklet,
    read_ilidsvid,
    read_mars,
    read_prid2011,
)

CLIP = ["clip.frames=2", "clip.bins=2", "clip.size=[16, 8]", "event_branch.layers=1"]
TINY = [*CLIP, "event_branch.strides=[1]", "bridge.inputs=v", "bridge.fusion=none"]


def configured(name, *overrides):
    return load_configuration(name, [*TINY, *overrides])


def same(found, expected, clip, position=0):
    assert [one.name for one in found.entries] == [one.name for one in expected.entries]
    for part in ("train", "query", "gallery"):
        assert getattr(found, part) == getattr(expected, part)
    ours, theirs = found.load(position, clip), expected.load(position, clip)
    assert np.array_equal(ours.frames, theirs.frames)
    assert np.array_equal(ours.spikes, theirs.spikes)
    return ours


def test_prid(prid):
    configuration = configured("prid2011", "data.split=1")
    tracklet = same(
        build_data(configuration, prid), read_prid2011(prid, split=1), configuration.clip
    )
    assert tracklet.spikes.any()
    alone = build_data(configured("prid2011", "data.events=none"), prid)
    assert not alone.load(0, configuration.clip).spikes.any()
    named = ["data.events=prid_event_divide/multi_shot", "data.splits=splits_prid2011.json"]
    same(build_data(configured("prid2011", *named), prid), read_prid2011(prid), configuration.clip)


def test_ilids(ilids):
    configuration = configured("ilidsvid")
    same(build_data(configuration, ilids), read_ilidsvid(ilids), configuration.clip)


def test_mars(mars):
    configuration = configured("mars", "data.events=ev")
    same(build_data(configuration, mars), read_mars(mars, events=mars / "ev"), configuration.clip)
    apart = build_data(configured("mars", "data.events=ev", "data.queries_in_gallery=false"), mars)
    assert not set(apart.query) & set(apart.gallery)


def test_all_that_is_missing_in_one_error(tmp_path):
    with pytest.raises(InputError, match="frames: no folder"):
        build_data(configured("prid2011"), tmp_path)
    with pytest.raises(InputError, match="--root DIR"):
        build_data(configured("prid2011"))


def test_events_of_a_cache(prid):
    configuration = configured("prid2011", "data.cache=simulated", "data.simulator.mismatch=0.1")
    with pytest.raises(InputError):
        build_data(configuration, prid)
    report = fill_cache(configuration, prid)
    assert report is not None
    assert (report.simulated, report.found) == (8, 0)
    assert build_data(configuration, prid).load(0, configuration.clip).spikes.any()
    # Its pixels are the configuration's: a cache of others is refused.
    with pytest.raises(InputError):
        cache_events(read_prid2011(prid, events=None), prid / "simulated")
    config = SimulatorConfig(mismatch=0.1)
    again = cache_events(read_prid2011(prid, events=None), prid / "simulated", config=config)
    assert (again.simulated, again.found) == (0, 8)
    assert fill_cache(configured("prid2011"), prid) is None


def test_generated():
    size = ["data.generated.persons=4", "data.generated.cameras=2", "data.generated.walks=1"]
    configuration = configured("generated-small", *size, "data.generated.train_persons=2")
    expected = Generated(GeneratedConfig(4, 2, 2, 1, moments=configuration.data.generated.moments))
    same(build_data(configuration), expected, configuration.clip)


@pytest.fixture
def windows(tmp_path):
    """Five persons, two windows each."""
    generator = np.random.default_rng(0)
    for person in range(1, 6):
        for camera in (1, 2):
            t = np.sort(generator.integers(0, 333, 400))
            x, y = generator.integers(300, 340, 400), generator.integers(200, 280, 400)
            table = np.stack([x, y, t, generator.integers(0, 2, 400)], 1)
            np.savetxt(tmp_path / f"{person:03d}_c{camera}_001.txt", table, fmt="%d")
    (tmp_path / "query.txt").write_text("001_c1_001.txt 001\n")
    (tmp_path / "gallery.txt").write_text("001_c2_001.txt\n002_c1_001.txt\n")
    return tmp_path


def test_event_reid(windows):
    events = [*CLIP, "event_branch.strides=[1]", "bridge.deformable_layers=0"]
    folds = load_configuration("event-reid", [*events, "data.split=4"])
    data = build_data(folds, windows)
    assert len(data.train) == 8
    assert len(data.query) == 2
    with pytest.raises(InputError, match="split 5 of 5 folds"):
        build_data(load_configuration("event-reid", [*events, "data.split=5"]), windows)
    lists = ["data.event_reid.query=query.txt", "data.event_reid.gallery=gallery.txt"]
    listed = build_data(load_configuration("event-reid", [*events, *lists]), windows)
    assert (len(listed.train), len(listed.query), len(listed.gallery)) == (0, 1, 2)


@pytest.mark.parametrize("part", ["test", "all"])
def test_degraded(prid, part):
    worse = ["data.degradation.kind=blur", "data.degradation.severity=4", "data.degradation.seed=2"]
    configuration = configured("prid2011", *worse, f"data.degradation.part={part}")
    data, plain = build_data(configuration, prid), read_prid2011(prid)
    assert isinstance(data, Degraded)
    assert "blur, severity 4" in str(data)
    for position in (data.train[0], data.query[0], data.gallery[0]):
        clean = plain.load(position, configuration.clip, seed=5)
        found = data.load(position, configuration.clip, seed=5)
        spared = part == "test" and position == data.train[0]
        expected = clean if spared else degrade_tracklet(clean, "blur", 4, seed=2)
        assert np.array_equal(found.frames, expected.frames)
        assert np.array_equal(found.spikes, clean.spikes)
        assert spared == np.array_equal(found.frames, clean.frames)
