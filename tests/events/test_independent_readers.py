"""Our readers beside others', event for event, on every real recording and on what others write.

Those that are installed are asked; see tests/events/peers.txt. What differs is known and told here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.events import open_frames, read_events

EVT3, EVT2 = "expelliarmus_evt3_sample.raw", "faery_evt2.raw"


def faery_read(path: Path, **how: Any) -> dict[str, Any]:
    faery = pytest.importorskip("faery", reason="faery is not installed")
    parts = [part.copy() for part in faery.file_decoder.Decoder(path, time_range_cache=None, **how)]
    array = np.concatenate(parts)
    return {"t": array["t"], "x": array["x"], "y": array["y"], "p": array["on"]}


def differences(ours: Any, theirs: Any) -> dict[str, int]:
    """How many events differ in each field."""
    assert len(ours.array) == len(theirs["t"])
    return {
        name: int(np.count_nonzero(ours.array[name].astype(np.int64) != np.asarray(theirs[name])))
        for name in "txyp"
    }


SAME = dict.fromkeys("txyp", 0)


def test_evt3_beside_evt3_and_faery(shared_data: Path) -> None:
    path = shared_data / "events" / EVT3
    ours = read_events(path, sensor=(1280, 720))
    theirs = faery_read(
        path, dimensions_fallback=(1280, 720), version_fallback="evt3", file_type="evt"
    )
    # faery holds the time where a word steps back by up to 11 us, until the clock has caught up.
    assert differences(ours, theirs) == {**SAME, "t": 1455}
    late = theirs["t"].astype(np.int64) - ours.array["t"]
    assert (late.min(), late.max()) == (0, 11)
    evt3 = pytest.importorskip("evt3", reason="evt3 is not installed")
    found = evt3.decode_file(str(path))
    assert differences(ours, {name: getattr(found, name) for name in "txyp"}) == SAME


def test_evt2_beside_faery(shared_data: Path) -> None:
    path = shared_data / "events" / EVT2
    ours = read_events(path, sensor=(640, 480))
    theirs = faery_read(
        path, dimensions_fallback=(640, 480), version_fallback="evt2", file_type="evt"
    )
    assert differences(ours, theirs) == SAME


def test_event_stream_beside_faery(shared_data: Path) -> None:
    path = shared_data / "events" / "faery_dvs.es"
    assert differences(read_events(path), faery_read(path, file_type="es")) == SAME


def test_aedat4_beside_faery_aedat_and_dv_processing(shared_data: Path) -> None:
    pytest.importorskip("lz4", reason="lz4 is not installed: run make again")
    path = shared_data / "events" / "tonic_sample.aedat4"
    ours = read_events(path)
    assert differences(ours, faery_read(path, file_type="aedat")) == SAME
    aedat = pytest.importorskip("aedat", reason="aedat is not installed")
    parts = [one["events"] for one in aedat.Decoder(str(path)) if "events" in one]
    array = np.concatenate(parts)
    assert differences(ours, {**{n: array[n] for n in "txy"}, "p": array["on"]}) == SAME
    dv = pytest.importorskip("dv_processing", reason="dv-processing is not installed")
    reader, store = dv.io.MonoCameraRecording(str(path)), dv.EventStore()
    while reader.isRunning():
        batch = reader.getNextEventBatch()
        if batch is not None:
            store.add(batch)
    found = store.numpy()
    names = {"t": "timestamp", "x": "x", "y": "y", "p": "polarity"}
    assert differences(ours, {name: found[other] for name, other in names.items()}) == SAME


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_what_dv_processing_writes(tmp_path: Path, compression: str) -> None:
    dv = pytest.importorskip("dv_processing", reason="dv-processing is not installed")
    from datetime import timedelta

    rng = np.random.default_rng(2)
    path, base = tmp_path / "a.aedat4", 1_700_000_000_000_000
    config = dv.io.MonoCameraWriter.DAVISConfig("DAVIS346_0001", (346, 260))
    config.compression = getattr(dv.CompressionType, compression)
    writer = dv.io.MonoCameraWriter(str(path), config)
    rows, pictures = [], []
    for k in range(4):
        store = dv.EventStore()
        for t in range(200):
            row = (
                base + k * 40_000 + 150 * t,
                int(rng.integers(346)),
                int(rng.integers(260)),
                t & 1,
            )
            store.push_back(row[0], row[1], row[2], bool(row[3]))
            rows.append(row)
        writer.writeEvents(store)
        pictures.append(rng.integers(0, 256, (260, 346), dtype=np.uint8))
        frame = dv.Frame(base + k * 40_000, pictures[-1])
        frame.exposure = timedelta(microseconds=8000)
        writer.writeFrame(frame)
    del writer
    assert read_events(path).array.tolist() == rows
    frames = open_frames(path, stamp="middle")
    assert frames.times_us.tolist() == [base + 40_000 * k + 4000 for k in range(4)]
    for (_, _, seen), picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(seen, np.repeat(picture[..., None], 3, 2))


@pytest.mark.parametrize("kind", ["evt2", "evt3", "dat1", "dat2", "es", "aedat"])
def test_what_faery_writes(tmp_path: Path, kind: str) -> None:
    """Sparse events over 80 s: many turns of EVT 3's clock."""
    faery = pytest.importorskip("faery", reason="faery is not installed")
    rng = np.random.default_rng(4)
    count = 4000
    array = np.zeros(count, faery.EVENTS_DTYPE)
    array["t"] = np.cumsum(rng.choice([0, 1, 50, 12_288, 60_000], count))
    array["x"], array["y"] = rng.integers(0, 640, count), rng.integers(0, 480, count)
    array["on"] = rng.integers(0, 2, count)
    stream = faery.events_stream_from_array(array, dimensions=(640, 480))
    ending = {"evt2": "raw", "evt3": "raw", "dat1": "dat", "dat2": "dat"}.get(kind, kind)
    path = tmp_path / f"a.{ending}"
    version = kind if kind not in ("es", "aedat") else None
    how = {"version": version} if version else {}
    try:
        stream.to_file(path, **how)
    except Exception as error:  # what faery cannot write is not a case
        pytest.skip(f"faery does not write {kind}: {error}")
    if kind == "dat1":
        pytest.skip("DAT version 1 is not read")
    found = read_events(path).array
    zero = int(found["t"][0]) - int(array["t"][0])
    assert zero in (0, -int(array["t"][0]))
    np.testing.assert_array_equal(found["t"], array["t"].astype(np.int64) + zero)
    for name, other in (("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(found[name], array[other])
