"""Every format: the real recordings, round trips, and what happens to damaged files."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import EVENT_DTYPE, Events, read_events, write_events


@pytest.fixture(scope="module")
def sample() -> Events:
    rng = np.random.default_rng(0)
    array = np.empty(500, EVENT_DTYPE)
    array["t"] = np.sort(rng.integers(70_000, 200_000, 500))
    array["x"], array["y"] = rng.integers(0, 60, 500), rng.integers(0, 40, 500)
    array["p"] = rng.integers(0, 2, 500)
    return Events(array, 60, 40)


def table(events: Events, order: str = "txyp") -> NDArray[np.int64]:
    return np.stack([events.array[name].astype(np.int64) for name in order], 1)


# --- Real recordings: what data/SOURCES.md says must come out -------------------------------


@pytest.mark.parametrize(
    ("name", "sensor", "source", "count", "size"),
    [
        ("tonic_sample.aedat4", None, "aedat4", 111_954, (320, 240)),
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
        np.testing.assert_array_equal(table(events), np.load(path))
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


def test_a_decoder_that_aborts_takes_only_its_child_along(
    shared_data: Path, tmp_path: Path
) -> None:
    raw = (shared_data / "events" / "tonic_sample.aedat4").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.aedat4"
    for _ in range(8):
        damaged = bytearray(raw)
        for place in rng.integers(14, 2600, 12):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(damaged)
        try:
            assert len(read_events(path)) == 111_954
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


# --- Formats made here ---------------------------------------------------------------------


def test_our_npz_round_trips(tmp_path: Path, sample: Events) -> None:
    for compress in (True, False):
        write_events(tmp_path / "a.npz", sample, compress=compress)
        assert read_events(tmp_path / "a.npz") == sample
    write_events(tmp_path / "none.npz", Events(sample.array[:0], 60, 40))
    assert len(read_events(tmp_path / "none.npz")) == 0
    with pytest.raises(InputError, match=r"written as \.npz"):
        write_events(tmp_path / "a.raw", sample)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "none.npz"]


def test_text_with_blanks_commas_headers_and_orders(tmp_path: Path, sample: Events) -> None:
    path = tmp_path / "a.txt"
    np.savetxt(path, table(sample), fmt="%d")
    assert read_events(path, sensor=(60, 40)) == sample
    np.savetxt(path, table(sample, "xytp"), fmt="%d", delimiter=",", header="x y t p, as in X")
    assert read_events(path, sensor=(60, 40), columns="xytp") == sample
    np.savetxt(path, table(sample, "ptyx"), fmt="%d", delimiter=",", header="pol,ts,y,x",
               comments="")  # fmt: skip
    assert read_events(path, sensor=(60, 40)) == sample
    with pytest.raises(InputError, match="names its columns 'ptyx'"):
        read_events(path, sensor=(60, 40), columns="txyp")
    np.savetxt(path, table(sample), fmt="%d", header="60 40", comments="")
    assert read_events(path) == sample
    seconds = table(sample).astype(float)
    seconds[:, 0] /= 1e6
    np.savetxt(path, seconds, fmt="%.9f")
    assert read_events(path, sensor=(60, 40), time_unit_us=1e6) == sample


def test_npy_structured_in_any_order_and_four_columns(tmp_path: Path, sample: Events) -> None:
    path = tmp_path / "a.npy"
    other = np.empty(500, [("polarity", "?"), ("y", "<i4"), ("ts", "<f8"), ("x", "<i2")])
    for theirs, ours in (("polarity", "p"), ("y", "y"), ("ts", "t"), ("x", "x")):
        other[theirs] = sample.array[ours]
    np.save(path, other)
    assert read_events(path, sensor=(60, 40)) == sample
    signed = table(sample)
    signed[:, 3] = 2 * signed[:, 3] - 1
    np.save(path, signed)
    assert read_events(path, sensor=(60, 40)) == sample


def test_columns_in_another_order_are_recognised(tmp_path: Path, sample: Events) -> None:
    path = tmp_path / "a.npy"
    np.save(path, table(sample, "xytp"))
    with pytest.raises(InputError, match=r"look like 'xytp', not 'txyp'.*--columns xytp"):
        read_events(path, sensor=(60, 40))
    assert read_events(path, sensor=(60, 40), columns="xytp") == sample
    with pytest.raises(InputError, match="columns 'txy'"):
        read_events(path, sensor=(60, 40), columns="txy")


def sdcl_fields(sample: Events) -> dict[str, NDArray[np.float64]]:
    row = {name: sample.array[name].astype(np.float64)[None] for name in "txyp"}
    return {
        "start_timestamp": row["t"][:, :1],
        "section_event_timestamp": row["t"],
        "section_event_polarity": 2 * row["p"] - 1,
        "section_event_x": row["x"] + 1,
        "section_event_y": row["y"] + 1,
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_sdcl_mat(tmp_path: Path, sample: Events, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, sdcl_fields(sample), do_compression=compressed)
    assert read_events(path, sensor=(60, 40)) == sample
    with pytest.raises(InputError, match="does not say how large"):
        read_events(path)


def test_sdcl_mat_counts_from_one_and_may_be_empty(tmp_path: Path, sample: Events) -> None:
    path = tmp_path / "a.mat"
    zero = sdcl_fields(sample)
    zero["section_event_x"][0, 3] = 0
    scipy.io.savemat(path, zero)
    with pytest.raises(InputError, match=r"event 3 at \(x, y\) = \(-1"):
        read_events(path, sensor=(60, 40))
    scipy.io.savemat(path, {name: np.zeros((1, 0)) for name in zero})
    assert len(read_events(path, sensor=(60, 40))) == 0
    scipy.io.savemat(path, {"other": np.zeros((2, 2))})
    with pytest.raises(InputError, match=r"variables \['other'\], without"):
        read_events(path)


def test_sdcl_mat_of_version_7_3(tmp_path: Path, sample: Events) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in sdcl_fields(sample).items():
            file[name] = value.T
    raw = bytearray(path.read_bytes())
    raw[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(raw)
    assert read_events(path, sensor=(60, 40)) == sample


def dat(kind: int, rows: NDArray[np.int64], header: bytes) -> bytes:
    words = rows[:, 1] | rows[:, 2] << 14 | rows[:, 3] << 28
    body = np.stack([rows[:, 0], words], 1).astype("<u4").tobytes()
    return header + bytes([kind, 8]) + body


@pytest.mark.parametrize("kind", [0x00, 0x0C])
def test_dat_of_both_kinds(tmp_path: Path, sample: Events, kind: int) -> None:
    path = tmp_path / "a.dat"
    header = b"% Data file containing events.\n% Version 2\n% Width 60\n% Height 40\n"
    path.write_bytes(dat(kind, table(sample), header))
    assert read_events(path) == sample
    path.write_bytes(dat(kind, table(sample), header[: header.index(b"% Width")]))
    with pytest.raises(InputError, match="how large its sensor"):
        read_events(path)
    assert read_events(path, sensor=(60, 40)) == sample
    path.write_bytes(dat(0x33, table(sample), header))
    with pytest.raises(InputError, match="DAT records of kind 33 08"):
        read_events(path)


def test_evt2_states_its_size_and_refuses_other_versions(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    words = [0x8 << 28 | 1, 1 << 28 | 5 << 22 | 6 << 11 | 7, 0 << 28 | 9 << 22 | 8 << 11 | 3]
    body = struct.pack("<3I", *words)
    path.write_bytes(b"% evt 2.0\n% geometry 640x480\n% end\n" + body)
    events = read_events(path)
    assert (events.width, events.height) == (640, 480)
    assert events.array.tolist() == [(64 + 5, 6, 7, 1), (64 + 9, 8, 3, 0)]
    path.write_bytes(b"% evt 2.1\n" + body + b"\0\0\0\0")
    with pytest.raises(InputError, match=r"EVT version 2.1 is not read"):
        read_events(path)
    path.write_bytes(b"% evt 2.0\n")
    with pytest.raises(InputError, match="no events after the header"):
        read_events(path)


def test_nmnist_overflows_and_other_sensors(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"

    def record(t: int, x: int, y: int, p: int) -> bytes:
        return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])

    path.write_bytes(record(70_000, 3, 4, 1) + record(0, 0, 240, 0) + record(70_001, 5, 6, 0))
    assert read_events(path).array.tolist() == [(70_000, 3, 4, 1), (78_193, 5, 6, 0)]
    path.write_bytes(record(70_000, 200, 4, 1))
    with pytest.raises(InputError, match="240x180 is usual"):
        read_events(path)
    assert len(read_events(path, sensor=(240, 180))) == 1


# --- Wrong, empty and hostile files ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.raw", b"", "the file is empty"),
        ("a.npz", b"PK\x03\x04 and no more", r"damaged \.npz"),
        ("a.npy", b"\x93NUMPY\x01\x00\x05\x00{'a':", "no numpy array"),
        ("a.npy", b"\x93NUMPY\x09\x09", "no numpy array"),
        ("a.es", b"Event Stream\x02\x00\x00\x07", "another kind than DVS"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\x00", "damaged AEDAT 4 header"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\xff\xff\xff\x7f" + b"\xff" * 50, "damaged AEDAT 4 header"),
        ("a.aedat", b"#!AER-DAT2.0\r\n# x\r\n", "no event file of a known kind"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + b" " * 50, r"damaged \.mat header"),
        ("a.mat", b"\x89HDF\r\n\x1a\n nothing", "damaged HDF5"),
        ("a.raw", b"% evt 3.0\n", "no events after the header"),
        ("a.xyz", bytes(range(256)), "no event file of a known kind; give one of: AEDAT 4"),
        ("a.txt", b"hello world this is text\n", "no table of numbers"),
        ("a.txt", b"1 2 3\n4 5 6\n", r"shape \(2, 3\)"),
        ("a.txt", b"1 2 3 1\n4 5 6\n", "number of columns changed"),
        ("a.txt", b"1 2 nan 1\n", "event 0 has y = nan"),
        ("a.txt", b"1e300 2 3 1\n", "event 0 has t = 1e"),
        ("a.json", b'{"t": [1, 2]}', "no table of numbers"),
    ],
)
def test_wrong_files_end_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_events(path, sensor=(60, 40))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            read_events(path)
    with pytest.raises(InputError, match="no such file"):
        read_events(tmp_path / "absent")


def test_pickles_are_not_opened(tmp_path: Path, sample: Events) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects"):
        read_events(tmp_path / "a.npy")
    fields: dict[str, Any] = {name: sample.array[name] for name in "xyp"}
    np.savez(tmp_path / "a.npz", t=np.array([{}], object), sensor=np.array([60, 40]), **fields)
    with pytest.raises(InputError, match="Python objects"):
        read_events(tmp_path / "a.npz")


def test_a_promise_larger_than_the_file_allocates_nothing(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": (10**9, 4)}
    )
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(InputError, match="too large"):
        read_events(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("t", "x", "y", "p", "sensor"):
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(InputError, match="too large"):
        read_events(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        for name in ("timestamp", "x", "y", "polarity"):
            file.create_dataset(f"section_event_{name}", (10**13,), "f8", chunks=(1024,))
    with pytest.raises(InputError, match=r"has shape \(10000000000000,\)"):
        read_events(tmp_path / "a.mat")


def test_a_mat_bomb_is_defused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdcl_neuro.events import read_mat

    monkeypatch.setattr(read_mat, "INFLATED_MAX_BYTES", 1 << 20)
    bomb = zlib.compress(bytes(8 << 20), 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_events(tmp_path / "a.mat", sensor=(60, 40))


def test_random_damage_never_escapes_as_another_error(tmp_path: Path, sample: Events) -> None:
    """Formats decoded in this process; a seed each, a few hundred files in all."""
    sources: dict[str, bytes] = {}
    np.save(tmp_path / "a.npy", table(sample))
    write_events(tmp_path / "a.npz", sample)
    scipy.io.savemat(tmp_path / "a.mat", sdcl_fields(sample), do_compression=True)
    np.savetxt(tmp_path / "a.txt", table(sample), fmt="%d")
    for path in list(tmp_path.iterdir()):
        sources[path.name] = path.read_bytes()
    header = b"% Data file containing events.\n% Version 2\n"
    sources["a.dat"] = dat(0x00, table(sample), header)
    sources["b.dat"] = dat(0x0C, table(sample), header)
    rng = np.random.default_rng(11)
    for name, content in sources.items():
        for trial in range(60):
            damaged = bytearray(content[: rng.integers(1, len(content))] if trial % 3 else content)
            for place in rng.integers(0, min(len(damaged), 300), 6 if trial % 2 else 0):
                damaged[place] = int(rng.integers(0, 256))
            (tmp_path / name).write_bytes(damaged)
            try:
                read_events(tmp_path / name, sensor=(60, 40))
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
