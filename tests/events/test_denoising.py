"""Denoising against plain twins and against dv-processing, in parts and whole, counted."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Denoise, Events, read_events, read_parts, write_events
from sdcl_neuro.events.array import concatenate
from sdcl_neuro.events.denoising import Denoiser, hot_pixels

SIZE = (6, 5)
Rows = list[tuple[int, int, int, int]]


def make(rows: Rows) -> Events:
    return Events(np.array(sorted(rows), EVENT_DTYPE), *SIZE)


def plain(rows: Rows, config: Denoise) -> tuple[Rows, Rows]:
    """What stays after the refractory filter, and after the background filter too."""
    last: dict[tuple[int, int], int] = {}
    kept = []
    for t, x, y, p in rows:
        if (x, y) not in last or t - last[x, y] >= config.refractory_us:
            last[x, y] = t
            kept.append((t, x, y, p))
    seen: dict[tuple[int, int], int] = {}
    supported = []
    for t, x, y, p in kept:
        near = [
            t - seen[x + dx, y + dy]
            for dx in (-1, 0, 1)
            for dy in (-1, 0, 1)
            if (dx or dy) and (x + dx, y + dy) in seen
        ]
        if near and min(near) <= config.background_us:
            supported.append((t, x, y, p))
        seen[x, y] = t
    return kept, supported


event = st.tuples(st.integers(0, 300), st.integers(0, 5), st.integers(0, 4), st.integers(0, 1))


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    rows=st.lists(event, max_size=80),
    config=st.builds(Denoise, background_us=st.integers(1, 60), refractory_us=st.integers(1, 60)),
    cut=st.integers(0, 80),
)
def test_every_event_is_judged_as_the_text_says(rows: Rows, config: Denoise, cut: int) -> None:
    events = make(rows)
    kept, supported = plain([tuple(row) for row in events.array.tolist()], config)  # type: ignore[misc]
    whole = Denoiser(config, SIZE).clean(events)
    assert whole.array.tolist() == supported
    assert whole.removed == {
        "refractory": len(rows) - len(kept),
        "background": len(kept) - len(supported),
    }
    denoiser = Denoiser(config, SIZE)
    parts = [Events(part, *SIZE) for part in (events.array[:cut], events.array[cut:])]
    assert concatenate([denoiser.clean(part) for part in parts]) == whole


def test_hot_pixels_fire_more_than_those_around() -> None:
    counts = np.full((20, 20), 4)
    counts[3, 7], counts[0, 0], counts[10:12, 10:12] = 60, 41, 500
    counts[15, :] = 300  # an edge that moves along a row is not hot
    found = np.argwhere(hot_pixels(counts, 10.0)).tolist()
    assert found == [[0, 0], [3, 7], [10, 10], [10, 11], [11, 10], [11, 11]]
    counts[:] = 0
    counts[5, 5], counts[9, 9] = 19, 20
    assert np.argwhere(hot_pixels(counts, 10.0)).tolist() == [[9, 9]]
    assert hot_pixels(np.array([[30]]), 2.0).tolist() == [[False]]


def test_on_the_command_line_and_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [(int(t), int(rng.integers(6)), int(rng.integers(5)), 1) for t in range(0, 3000, 5)]
    rows += [(t, 2, 3, 1) for t in range(0, 3000, 2)]
    write_events(tmp_path / "a.npz", make(rows))
    text = "hot,refractory=40,background=30"
    config = Denoise.parse(text)
    assert config == Denoise(background_us=30, refractory_us=40, hot_factor=10.0)
    assert Denoise.parse(str(config)) == config
    whole = read_events(tmp_path / "a.npz", denoise=config)
    assert not ((whole.array["x"] == 2) & (whole.array["y"] == 3)).any()
    assert sum(whole.removed.values()) + len(whole) == len(rows)
    assert whole.notes == ("1 hot pixels: (2, 3)",)
    parts = list(read_parts(tmp_path / "a.npz", denoise=config, part_events=64))
    assert concatenate(parts) == whole
    plain = Denoise.parse("refractory=40,background=30")
    parts = list(read_parts(tmp_path / "a.npz", denoise=plain, part_events=64))
    assert len(parts) > 5
    assert concatenate(parts) == read_events(tmp_path / "a.npz", denoise=plain)
    out = tmp_path / "out.json"
    assert (
        main(["events", "info", str(tmp_path / "a.npz"), "--denoise", text, "--json", str(out)])
        == 0
    )
    assert json.loads(out.read_text())["removed"] == dict(whole.removed)
    assert "removed: hot " in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["fog", "background=x", "hot=1", "background,background", "hot=-3"]
)
def test_filters_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        Denoise.parse(text)


def test_dv_processing_agrees_on_a_real_recording(shared_data: Path) -> None:
    dv = pytest.importorskip("dv_processing", reason="dv-processing is not installed")
    pytest.importorskip("lz4", reason="lz4 is not installed: run make again")
    path = shared_data / "events" / "tonic_sample.aedat4"
    events = read_events(path)
    store = dv.EventStore()
    reader = dv.io.MonoCameraRecording(str(path))
    while reader.isRunning():
        batch = reader.getNextEventBatch()
        if batch is not None:
            store.add(batch)
    for ours, theirs in (
        # Theirs keeps what is younger than the period, ours what is at most as old.
        (
            Denoise(background_us=1999),
            dv.noise.BackgroundActivityNoiseFilter((320, 240), timedelta(microseconds=2000)),
        ),
    ):
        found = Denoiser(ours, (320, 240)).clean(events)
        theirs.accept(store)
        expected = theirs.generateEvents().numpy()
        assert 0 < len(found) < len(events)
        for name, other in zip("txyp", ("timestamp", "x", "y", "polarity"), strict=True):
            np.testing.assert_array_equal(found.array[name], expected[other])
