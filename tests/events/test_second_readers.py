"""Every real file read a second and a third time: by tonic and expelliarmus, and by plain lines.

The plain readers follow the published formats alone and share no line with ours.
"""

from __future__ import annotations

import importlib.util
import struct
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.events import read_events

Rows = list[tuple[int, int, int, int]]


def rows_of(events: Any) -> Rows:
    array = events.array
    return list(zip(*(array[name].tolist() for name in "txyp"), strict=True))


def plain_nmnist(content: bytes) -> Rows:
    """Orchard et al. 2015: 40 bits; x, y, polarity, 23 bits of time."""
    return [
        ((c & 0x7F) << 16 | d << 8 | e, a, b, c >> 7)
        for a, b, c, d, e in struct.iter_unpack("5B", content)
    ]


def plain_dat(content: bytes) -> Rows:
    """Prophesee DAT: remarks, kind and size of an event, then 32 bits of time and of address."""
    place = 0
    while content[place : place + 1] == b"%":
        place = content.index(b"\n", place) + 1
    body = content[place + 2 :]
    return [
        (t, a & 0x3FFF, a >> 14 & 0x3FFF, a >> 28 & 1) for t, a in struct.iter_unpack("<2I", body)
    ]


def plain_evt2(content: bytes) -> Rows:
    """Prophesee EVT 2: types 0 and 1 are events, 8 the upper 28 bits of time."""
    place, high, rows = 0, None, []
    while content[place : place + 1] == b"%":
        place = content.index(b"\n", place) + 1
    for (word,) in struct.iter_unpack("<I", content[place:]):
        kind = word >> 28
        if kind == 8:
            high = (word & 0xFFFFFFF) << 6
        elif kind < 2 and high is not None:
            rows.append((high | word >> 22 & 63, word >> 11 & 2047, word & 2047, kind))
    return rows


def plain_event_stream(content: bytes) -> Rows:
    """Event Stream 2.0, DVS: 7 bits of time step and one of polarity; 0xff is 127 us alone."""
    assert content[:15] == b"Event Stream\x02\0\0"
    assert content[15] == 1
    (height,) = struct.unpack_from("<H", content, 18)
    place, t, rows = 20, 0, []
    while place < len(content):
        byte = content[place]
        assert byte != 0xFE
        if byte == 0xFF:
            t, place = t + 127, place + 1
            continue
        t += byte >> 1
        x, y = struct.unpack_from("<2H", content, place + 1)
        rows.append((t, x, height - 1 - y, byte & 1))  # rows count from below
        place += 5
    return rows


def plain_mat_matrix(content: bytes, name: str) -> np.ndarray:
    """One real matrix of a level 5 MAT-file, without SciPy: tags, an inflated element, numbers."""
    kinds = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}

    def element(data: bytes, place: int) -> tuple[int, bytes, int]:
        kind, size = struct.unpack_from("<2I", data, place)
        if kind >> 16:  # small: type and size share four bytes
            return kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)], place + 8
        return kind, data[place + 8 : place + 8 + size], place + 8 + size + -size % 8

    place = 128
    while place < len(content):
        kind, size = struct.unpack_from("<2I", content, place)
        body, place = content[place + 8 : place + 8 + size], place + 8 + size
        if kind == 15:
            _, body, _ = element(zlib.decompress(body), 0)
        _, _, at = element(body, 0)
        _, shape, at = element(body, at)
        _, title, at = element(body, at)
        if title.decode() == name:
            kind, numbers, _ = element(body, at)
            return np.frombuffer(numbers, kinds[kind]).reshape(
                np.frombuffer(shape, "<i4"), order="F"
            )
    raise AssertionError(f"no {name}")


def plain_stmnist(train: np.ndarray) -> Rows:
    """See et al. 2020: rows 1 to 100 are taxels (1 ON, -1 OFF), row 101 seconds."""
    rows = []
    for column in range(train.shape[1]):
        for taxel in range(100):
            value = train[taxel, column]
            if value:
                t = round(float(train[100, column]) * 1e6)
                rows.append((t, taxel % 10, taxel // 10, int(value > 0)))
    return rows


def tonic_io() -> Any:
    """tonic's readers as their own file: the package asks for libraries that none of them needs."""
    spec = importlib.util.find_spec("tonic")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("tonic is not installed: run make again")
    path = Path(spec.submodule_search_locations[0]) / "io.py"
    own = importlib.util.spec_from_file_location("tonic_io", path)
    assert own is not None
    assert own.loader is not None
    module = importlib.util.module_from_spec(own)
    own.loader.exec_module(module)
    return module


def expelliarmus_read(path: Path, encoding: str) -> Rows:
    expelliarmus = pytest.importorskip("expelliarmus", reason="expelliarmus is not installed")
    array = expelliarmus.Wizard(encoding=encoding).read(path)
    return list(zip(*(array[name].tolist() for name in "txyp"), strict=True))


def test_nmnist_beside_tonic_and_plain_lines(shared_data: Path) -> None:
    path = shared_data / "events" / "tonic_sample_nmnist.bin"
    ours = rows_of(read_events(path))
    assert ours == plain_nmnist(path.read_bytes())
    module = tonic_io()
    theirs = module.read_mnist_file(str(path), dtype=module.events_struct)
    assert ours == [(int(e["t"]), int(e["x"]), int(e["y"]), int(e["p"])) for e in theirs]


def test_stmnist_beside_scipy_and_plain_lines(shared_data: Path) -> None:
    import scipy.io

    path = shared_data / "events" / "tonic_sample_stmnist.mat"
    ours = rows_of(read_events(path))
    assert ours == plain_stmnist(plain_mat_matrix(path.read_bytes(), "spiketrain"))
    assert ours == plain_stmnist(scipy.io.loadmat(path)["spiketrain"])


def test_dat_beside_expelliarmus_and_plain_lines(shared_data: Path) -> None:
    path = shared_data / "events" / "tonic_sample_ncars.dat"
    ours = rows_of(read_events(path, sensor=(120, 100)))
    assert ours == plain_dat(path.read_bytes())
    assert ours == expelliarmus_read(path, "dat")


def test_evt2_beside_expelliarmus_and_plain_lines(shared_data: Path) -> None:
    path = shared_data / "events" / "faery_evt2.raw"
    ours = rows_of(read_events(path, sensor=(640, 480)))
    assert ours == plain_evt2(path.read_bytes())
    assert ours == expelliarmus_read(path, "evt2")


def test_event_stream_beside_plain_lines(shared_data: Path) -> None:
    path = shared_data / "events" / "faery_dvs.es"
    assert rows_of(read_events(path)) == plain_event_stream(path.read_bytes())


def test_text_and_arrays_beside_plain_lines(shared_data: Path) -> None:
    folder = shared_data / "event_reid_train" / "train"
    for path in sorted(folder.glob("*.txt"))[:3]:
        lines = [line.split() for line in path.read_text().splitlines()]
        found = rows_of(read_events(path, sensor=(640, 480), time_unit_us=100))
        rows = [(round(Decimal(t) * 100), int(x), int(y), int(p == "1")) for t, x, y, p in lines]
        assert found == rows
        table = np.loadtxt(path)
        assert found == [(round(100 * t), int(x), int(y), int(p == 1)) for t, x, y, p in table]
    for path in sorted((shared_data / "pedro").glob("*.npy")):
        content = path.read_bytes()
        begin = 10 + int.from_bytes(content[8:10], "little")
        numbers = [one for (one,) in struct.iter_unpack("<q", content[begin:])]
        count = len(numbers) // 4
        columns = b"'fortran_order': True" in content[:begin]
        rows = list(
            zip(*(numbers[k * count : (k + 1) * count] for k in range(4)), strict=True)
            if columns
            else zip(*(numbers[k::4] for k in range(4)), strict=True)
        )
        assert rows_of(read_events(path, sensor=(346, 260))) == rows
        assert rows == [tuple(row) for row in np.load(path).tolist()]
