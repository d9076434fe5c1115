"""A DAVIS with varying exposures and a tilted second event camera on another clock: the spikes.

The truth is computed here event by event: the clock taken off, the pixel's centre through the true
matrix, the interval between two middles of exposures in K bins, the box in rows and columns.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import moving_scene as scene
from sdcl_neuro.cli import main
from sdcl_neuro.events import Events, write_events
from sdcl_neuro.events.alignment import Alignment, Mapping, read_alignment
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat
from sdcl_neuro.reid.pipeline.video import Source, open_footage

FOLDER = Path(__file__).parent


def _beside(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


writers = _beside("aedat4_writers", FOLDER.parent / "formats" / "conftest.py")

TILTED = np.array([[0.37, 0.03, 4], [-0.02, 0.39, 3], [5e-5, -4e-5, 1]])
BASE_US = 1_700_000_000_000_000  # of the DAVIS; the second camera counts from its own start
SECOND_US = 31_415_926  # reads of the second camera when the DAVIS reads BASE_US
CLIP = ClipFormat(frames=4, bins=4, size=(64, 32))
BOXES = {1: (120, 60, 60, 120, 2), 2: (40, 70, 64, 128, 1)}  # left, top, width, height, step


@dataclass(frozen=True)
class Pair:
    """Files of both cameras, and what they really saw; times count from BASE_US."""

    davis: Path
    second: Path
    tracks: Path
    recording: Any
    own: Events


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return written(tmp_path_factory.mktemp("pair"), 0.5)


def written(folder: Path, seconds: float) -> Pair:
    pytest.importorskip("flatbuffers", reason="flatbuffers is not installed: run make again")
    case = {"fps": 25, "seconds": seconds, "varying": True, "exposure_s": 0.014}
    recording = scene.record(view=TILTED, **case)
    own = scene.record(event_size=(320, 240), **case).events
    streams = [("EVTS", "events", "DAVIS", 320, 240), ("FRME", "frames", "DAVIS", 320, 240)]
    rows = [(int(t) + BASE_US, int(x), int(y), int(p)) for t, x, y, p in own.array.tolist()]
    packets = [
        (0, writers.vector(rows[k : k + 20_000], b"EVTS")) for k in range(0, len(rows), 20_000)
    ]
    for start, length, picture in zip(
        recording.starts_us, recording.exposures_us, recording.film.frames, strict=True
    ):
        grey = np.ascontiguousarray(picture[..., 0])
        body = writers.frame(int(start) + BASE_US, grey, exposure_us=int(length))
        packets.append((1, body))
    writers.write_aedat4(folder / "davis.aedat4", streams, packets, closed=True)
    write_events(folder / "second.npz", scene.on_clock(recording.events, SECOND_US))
    lines = []
    for number, (left, top, width, height, step) in BOXES.items():
        for f in range(len(recording.starts_us)):
            lines.append(f"{f + 1},{number},{left + step * f},{top},{width},{height}\n")
    (folder / "tracks.txt").write_text("".join(lines))
    files = (folder / "davis.aedat4", folder / "second.npz", folder / "tracks.txt")
    return Pair(*files, recording, own)


def spikes_of(pair: Pair, events: Path | None, alignment: Alignment) -> dict[str, np.ndarray]:
    source = Source(pair.davis, pair.tracks, events=events, alignment=alignment)
    return {one.name: (one, one.spikes) for one in open_footage(source, CLIP).cut()}


def by_hand(pair: Pair, one: Any, events: Events, matrix: np.ndarray) -> np.ndarray:
    """Spikes of a tracklet; event times and middles of exposures both count from BASE_US."""
    starts, lengths = pair.recording.starts_us, pair.recording.exposures_us
    middles = (starts + lengths // 2).tolist()
    rows, columns = CLIP.size
    found = np.zeros((CLIP.frames * CLIP.bins, 2, rows, columns), np.uint8)
    points = np.column_stack([events.array["x"], events.array["y"], np.ones(len(events))])
    places = points @ matrix.T
    places = places[:, :2] / places[:, 2:] + 0.5  # from the picture's edge
    times, signs = events.array["t"], events.array["p"]
    for f, index in enumerate(one.indices.tolist()):
        end = middles[index]
        begin = middles[index - 1] if index else 2 * middles[0] - middles[1]
        left, top, width, height, step = BOXES[one.person]
        column = np.floor((places[:, 0] - (left + step * index)) * columns / width).astype(int)
        row = np.floor((places[:, 1] - top) * rows / height).astype(int)
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        for event in np.flatnonzero(inside & (times > begin) & (times <= end)):
            # The smallest k with t <= begin + (k + 1) L / K.
            k = -(-(int(times[event]) - begin) * CLIP.bins // (end - begin)) - 1
            found[f * CLIP.bins + k, signs[event], row[event], column[event]] = 1
    return found


def overlap(pair: Pair, found: dict, events: Events, matrix: np.ndarray) -> float:
    """Intersection over union of all spikes with those computed by hand."""
    both = either = 0
    for one, spikes in found.values():
        truth = by_hand(pair, one, events, matrix)
        assert truth.any()
        both += int((truth & spikes).sum())
        either += int((truth | spikes).sum())
    return both / either


def test_its_own_events_need_no_option(pair: Pair) -> None:
    found = spikes_of(pair, None, Alignment())
    assert len(found) >= 4
    assert overlap(pair, found, pair.own, np.eye(3)) == 1.0


def test_with_the_true_alignment_the_spikes_are_the_truth(pair: Pair) -> None:
    """Over .98; what differs lies within a thousandth of a pixel of an edge between two cells."""
    matrix = pair.recording.matrix
    mapping = Mapping(tuple(map(tuple, matrix.tolist())), (160, 120), (320, 240))
    true = Alignment(offset_us=BASE_US - SECOND_US, mapping=mapping)
    found = spikes_of(pair, pair.second, true)
    assert overlap(pair, found, pair.recording.events, matrix) > 0.99
    # What it would be with frames at the starts of their exposures, and with half a frame's shift.
    late = Alignment(offset_us=BASE_US - SECOND_US - 12_000, mapping=mapping)
    wrong = spikes_of(pair, pair.second, late)
    assert overlap(pair, wrong, pair.recording.events, matrix) < 0.6


@pytest.mark.slow
def test_with_the_estimated_alignment(tmp_path: Path) -> None:
    """The figure of docs/alignment.md."""
    pair = written(tmp_path, 1.8)
    out = tmp_path / "alignment.toml"
    files = [str(pair.davis), str(pair.second)]
    assert main(["events", "align", *files, "--out", str(out), "--quiet"]) == 0
    found = spikes_of(pair, pair.second, read_alignment(out))
    share = overlap(pair, found, pair.recording.events, pair.recording.matrix)
    print(f"spike IoU with the estimate: {share:.3f}")
    assert share > 0.8
