"""Real recordings: what data/SOURCES.md says must come out, and what of them cut short."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import read_events

needs_lz4 = pytest.mark.skipif(
    find_spec("lz4") is None, reason="lz4 is not installed: run make again"
)


@pytest.mark.parametrize(
    ("name", "sensor", "source", "count", "size"),
    [
        pytest.param(
            *("tonic_sample.aedat4", None, "aedat4", 111_954, (320, 240)), marks=needs_lz4
        ),
        ("expelliarmus_evt3_sample.raw", (1280, 720), "evt3", 219_596, (1280, 720)),
        ("expelliarmus_evt3_sample.npy", (1280, 720), "npy", 219_596, (1280, 720)),
        ("faery_evt2.raw", (640, 480), "evt2", 521_252, (640, 480)),
        ("faery_dvs.es", None, "es", 473_225, (320, 240)),
        ("tonic_sample_ncars.dat", (120, 100), "dat-2d", 2_009, (120, 100)),
        ("tonic_sample_nmnist.bin", None, "nmnist", 4_325, (34, 34)),
        ("tonic_sample_stmnist.mat", None, "stmnist-mat", 2_346, (10, 10)),
    ],
)
def test_real_recordings(
    shared_data: Path, name: str, sensor: Any, source: str, count: int, size: tuple[int, int]
) -> None:
    events = read_events(shared_data / "events" / name, sensor=sensor)
    assert (events.source, len(events), (events.width, events.height)) == (source, count, size)
    assert events.mended == {}


def test_evt3_agrees_with_another_decoder(shared_data: Path) -> None:
    folder = shared_data / "events"
    ours = read_events(folder / "expelliarmus_evt3_sample.raw", sensor=(1280, 720)).array
    theirs = np.load(folder / "expelliarmus_evt3_sample.npy")
    for name in "xyp":
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_pedro_and_event_reid(shared_data: Path) -> None:
    for path in sorted((shared_data / "pedro").glob("*.npy")):
        events = read_events(path, sensor=(346, 260))
        np.testing.assert_array_equal(
            np.stack([events.array[name].astype(np.int64) for name in "txyp"], 1), np.load(path)
        )
    total = 0
    for path in sorted((shared_data / "event_reid_train" / "train").glob("*.txt")):
        events = read_events(path, sensor=(640, 480), time_unit_us=100)
        total += len(events)
        span = int(events.array["t"][-1] - events.array["t"][0])
        assert 30_000 < span < 33_400
    assert total == 149_092


def test_a_size_that_no_file_states_is_asked_for(shared_data: Path) -> None:
    for name, hint in (("faery_evt2.raw", "640x480"), ("expelliarmus_evt3_sample.raw", "1280x720")):
        with pytest.raises(InputError, match=rf"--sensor WIDTHxHEIGHT \({hint} is usual"):
            read_events(shared_data / "events" / name)
    with pytest.raises(InputError, match="says its sensor has 320x240 pixels, not 640x480"):
        read_events(shared_data / "events" / "faery_dvs.es", sensor=(640, 480))


def test_a_wrong_size_is_an_error_or_mended(shared_data: Path) -> None:
    path = shared_data / "events" / "faery_evt2.raw"
    with pytest.raises(InputError, match=r"event 0 at \(x, y\) = \(35, 443\) lies outside"):
        read_events(path, sensor=(346, 260))
    events = read_events(path, sensor=(346, 260), mend=["drop-outside"])
    assert len(events) + events.mended["drop-outside"] == 521_252


def test_times_that_need_a_unit_ask_for_it(shared_data: Path) -> None:
    path = shared_data / "event_reid_train" / "train" / "001_c1_048.txt"
    with pytest.raises(InputError, match=r"event 0 has t = 410629076.099676.*--time-unit"):
        read_events(path, sensor=(640, 480))


@pytest.mark.parametrize("cut", [0.3, 0.61, 0.999])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tonic_sample.aedat4", "truncated"),
        ("tonic_sample_stmnist.mat", "truncated"),
        ("tonic_sample_ncars.dat", "truncated"),
        ("faery_evt2.raw", "truncated"),
        ("expelliarmus_evt3_sample.raw", "truncated"),
        ("expelliarmus_evt3_sample.npy", "truncated"),
        ("tonic_sample_nmnist.bin", "truncated"),
        ("faery_dvs.es", "ends within an event"),
    ],
)
def test_truncated_recordings(
    shared_data: Path, tmp_path: Path, name: str, message: str, cut: float
) -> None:
    raw = (shared_data / "events" / name).read_bytes()
    header = raw[:400].rfind(b"\n") + 1 if raw.startswith(b"% ") else 0
    records = {".dat": 8, ".bin": 5, ".raw": 4 if "evt2" in name else 2}
    size = header + int((len(raw) - header) * cut)
    if Path(name).suffix in records:
        # Within a record: at its end, a cut cannot be seen in a format without a length.
        size = len(raw) - (len(raw) - size) // 40 * 40 - 1
    elif name.endswith(".es"):
        size = len(raw) - 2
    path = tmp_path / name
    path.write_bytes(raw[:size])
    with pytest.raises(InputError, match=message):
        read_events(path, sensor=None if "es" in name else (2000, 2000))
    if Path(name).suffix in {*records, ".es"}:
        sensor = None if name.endswith(".es") else (2000, 2000)
        assert read_events(path, sensor=sensor, mend=["drop-tail"]).mended == {"drop-tail": 1}


@needs_lz4
def test_damage_of_an_aedat4_never_escapes_as_another_error(
    shared_data: Path, tmp_path: Path
) -> None:
    raw = (shared_data / "events" / "tonic_sample.aedat4").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.aedat4"
    for trial in range(60):
        damaged = bytearray(raw)
        for place in rng.integers(14, 2600 if trial % 2 else len(raw), 12):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(damaged[: len(raw) // 2] if trial % 5 == 4 else damaged)
        try:
            assert len(read_events(path, mend=["drop-tail", "drop-outside", "sort"])) <= 111_954
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
