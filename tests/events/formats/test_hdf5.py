"""HDF5: the layouts of DSEC, M3ED, v2e, MVSEC, RPG and Metavision, and what is only recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.events import concatenate, list_streams, read_events, read_parts

N = 5000
RNG = np.random.default_rng(3)
T = np.sort(RNG.integers(0, 2_000_000, N))
X, Y, P = RNG.integers(0, 64, N), RNG.integers(0, 48, N), RNG.integers(0, 2, N)
SENSOR = (64, 48)
OFFSET = 36_607_300_656


def dsec(path: Path, **options: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, column, kind in (("t", T, "u4"), ("x", X, "u2"), ("y", Y, "u2"), ("p", P, "u1")):
            file.create_dataset(f"events/{name}", data=column.astype(kind), **options)
        file["t_offset"] = np.int64(OFFSET)
        file["ms_to_idx"] = np.searchsorted(T, np.arange(0, 2001) * 1000).astype("u8")


def same(events: Any, t: Any, keep: Any = slice(None)) -> None:
    expected = np.stack([np.asarray(t)[keep], X[keep], Y[keep], P[keep]], 1)
    found = np.stack([events.array[name].astype(np.int64) for name in "txyp"], 1)
    np.testing.assert_array_equal(found, expected)


def test_dsec_with_its_offset_and_its_index(tmp_path: Path) -> None:
    path = tmp_path / "events.h5"
    dsec(path)
    events = read_events(path, sensor=SENSOR)
    same(events, T + OFFSET)
    assert events.source == "hdf5-dsec"
    assert events.notes == (f"t_offset of {OFFSET} us was added to the times",)
    assert concatenate(list(read_parts(path, sensor=SENSOR, part_events=700))) == events
    with pytest.raises(InputError, match="640x480 is usual here"):
        read_events(path)
    for low, high in ((0, 1_000_000), (123_456, 123_999), (-5, 3_000_000), (1_999_000, 9_000_000),
                      (500_000, 500_001), (-10, -2)):  # fmt: skip
        keep = (low < T) & (high >= T)
        span = (low + OFFSET, high + OFFSET)
        same(read_events(path, sensor=SENSOR, between_us=span), T + OFFSET, keep)


def test_the_index_saves_reading(tmp_path: Path) -> None:
    """Only the millisecond's neighbourhood is looked at: the rest is made unreadable."""
    path = tmp_path / "events.h5"
    dsec(path, chunks=(50,), compression="gzip")
    with h5py.File(path, "a") as file:
        data = file["events/x"]
        for k in range(0, 4000, 50):
            data.id.write_direct_chunk((k,), b"no gzip at all")
    keep = (T > 1_900_000) & (T <= 1_950_000)
    span = (1_900_000 + OFFSET, 1_950_000 + OFFSET)
    same(read_events(path, sensor=SENSOR, between_us=span), T + OFFSET, keep)
    with pytest.raises(InputError, match="not a readable HDF5"):
        read_events(path, sensor=SENSOR)


def test_a_rectification_map(tmp_path: Path) -> None:
    path, map_path = tmp_path / "events.h5", tmp_path / "rectify_map.h5"
    dsec(path)
    across, down = np.meshgrid(np.arange(64.0), np.arange(48.0))
    table = np.stack([across + 10.4, 47 - down - 0.4], -1).astype(np.float32)
    table[7, 9] = np.nan
    with h5py.File(map_path, "w") as file:
        file["rectify_map"] = table
    events = read_events(path, sensor=SENSOR, rectify=map_path)
    keep = (X < 54) & ~((Y == 7) & (X == 9))
    assert events.removed == {"rectified-outside": int((~keep).sum())}
    np.testing.assert_array_equal(events.array["x"], X[keep] + 10)
    np.testing.assert_array_equal(events.array["y"], 47 - Y[keep])
    with h5py.File(map_path, "w") as file:
        file["rectify_map"] = table[:-1]
    with pytest.raises(InputError, match="a map of 64x47 pixels, expected 64x48"):
        read_events(path, sensor=SENSOR, rectify=map_path)
    with pytest.raises(InputError, match="no array 'rectify_map'"):
        read_events(path, sensor=SENSOR, rectify=path)


def test_v2e_mvsec_rpg_and_metavision(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v2e.h5", "w") as file:
        file["events"] = np.stack([T, X, Y, P], 1).astype("u4")
    same(read_events(tmp_path / "v2e.h5", sensor=SENSOR), T)
    with h5py.File(tmp_path / "mvsec.hdf5", "w") as file:
        for k, side in enumerate(("left", "right")):
            seconds = 1_506_000_000.0 + (T + k) / 1e6
            file[f"davis/{side}/events"] = np.stack([X, Y, seconds, 2 * P - 1], 1)
    path = tmp_path / "mvsec.hdf5"
    assert [one.name for one in list_streams(path)] == ["davis/left/events", "davis/right/events"]
    with pytest.raises(InputError, match=r"2 streams of events.*davis/right/events"):
        read_events(path, sensor=SENSOR)
    same(
        read_events(path, sensor=SENSOR, stream="davis/right/events"), T + 1 + 1_506_000_000_000_000
    )
    with h5py.File(tmp_path / "rpg.h5", "w") as file:
        file.attrs["sensor_resolution"] = (48, 64)
        for name, column in (("ts", T / 1e6), ("xs", X), ("ys", Y), ("ps", P.astype(bool))):
            file[f"events/{name}"] = column
    with pytest.raises(InputError, match="--time-unit"):
        read_events(tmp_path / "rpg.h5")
    same(read_events(tmp_path / "rpg.h5", time_unit_us=1e6), T)
    records = np.array(list(zip(X, Y, P, T, strict=True)),
                       [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")])  # fmt: skip
    with h5py.File(tmp_path / "m.hdf5", "w") as file:
        file.attrs["geometry"] = "64x48"
        file["CD/events"] = records
    events = read_events(tmp_path / "m.hdf5")
    same(events, T)
    assert (events.width, events.source) == (64, "hdf5-metavision")


def test_tables_and_columns_of_other_shapes_and_names(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["recorded"] = np.stack([X, Y, T, P], 1)
    with pytest.raises(InputError, match=r"--columns xytp"):
        read_events(path, sensor=SENSOR)
    same(read_events(path, sensor=SENSOR, columns="xytp"), T)
    for shape, names in (((-1, 1), "txyp"), ((-1,), ("timestamp", "x_coordinate", "y_coord", "p"))):
        with h5py.File(path, "w") as file:
            for name, column in zip(names, (T, X, Y, P), strict=True):
                file[f"events/{name}"] = column.reshape(shape)
        same(read_events(path, sensor=SENSOR), T)
    with h5py.File(path, "a") as file:
        file["t_offset"] = np.array([7])
    same(read_events(path, sensor=SENSOR), T + 7)
    with h5py.File(path, "a") as file:
        del file["t_offset"]
        file["t_offset"] = np.array([7, 8])
    with pytest.raises(InputError, match=r"t_offset is int64 of shape \(2,\), expected one whole"):
        read_events(path, sensor=SENSOR)
    with h5py.File(path, "w") as file:
        file["one"], file["other"] = np.zeros((3, 4)), np.zeros((5, 4))
    with pytest.raises(InputError, match=r"no events among its data sets: one of shape \(3, 4\)"):
        read_events(path, sensor=SENSOR)


def test_m3ed_has_two_cameras_with_sizes(tmp_path: Path) -> None:
    path = tmp_path / "m3ed.h5"
    with h5py.File(path, "w") as file:
        for side in ("left", "right"):
            for name, column in (("t", T), ("x", X), ("y", Y), ("p", P)):
                file[f"prophesee/{side}/{name}"] = column
            file[f"prophesee/{side}/calib/resolution"] = np.array(SENSOR)
            file[f"prophesee/{side}/ms_map_idx"] = np.searchsorted(T, np.arange(2001) * 1000)
    same(read_events(path, stream="prophesee/left", between_us=(500_000, 600_000)), T,
         (T > 500_000) & (T <= 600_000))  # fmt: skip


def test_what_is_recognised_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((16,))
        plist.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        kind = h5py.h5t.py_create(np.dtype([("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")]))
        space = h5py.h5s.create_simple((16,))
        group = file.create_group("CD")
        h5py.h5d.create(group.id, b"events", kind, space, plist)
    with pytest.raises(InputError, match="Metavision's ECF, which no Python package decodes"):
        read_events(path, sensor=SENSOR)
    with h5py.File(path, "w") as file:
        file["pictures"] = np.zeros((3, 4, 4))
        file["soft"] = h5py.SoftLink("/nowhere")
    with pytest.raises(InputError, match="no events among its data sets: pictures of shape"):
        read_events(path, sensor=SENSOR)
    with h5py.File(path, "w") as file:
        for name, column in (("t", T), ("x", X[:-1]), ("y", Y), ("p", P)):
            file[f"events/{name}"] = column
    with pytest.raises(InputError, match="different lengths"):
        read_events(path, sensor=SENSOR)
    dsec(path)
    with h5py.File(path, "a") as file:
        file["ms_to_idx"][3] = 10**6
    with pytest.raises(InputError, match="ms_to_idx does not ascend"):
        read_events(path, sensor=SENSOR, between_us=(OFFSET, OFFSET + 5))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="not a readable HDF5"):
        read_events(path, sensor=SENSOR)


def test_blosc_as_dsec_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed: run make again")
    path = tmp_path / "a.h5"
    dsec(path, **plugin.Blosc(cname="zstd"))
    same(read_events(path, sensor=SENSOR), T + OFFSET)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: False)
    said = r"filter 32001 \(Blosc\).*pip install 'sdcl-neuro\[recordings\]'"
    with pytest.raises(EnvironmentFault, match=said):
        read_events(path, sensor=SENSOR)
