"""Formats written here and read back, and what happens to damaged files."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, read_events, write_events


def table(events: Events, order: str = "txyp") -> NDArray[np.int64]:
    return np.stack([events.array[name].astype(np.int64) for name in order], 1)


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
