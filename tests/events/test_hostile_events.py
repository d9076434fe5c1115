"""Wrong, empty and hostile event files."""

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

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, read_events


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.raw", b"", "the file is empty"),
        ("a.npz", b"PK\x03\x04 and no more", r"not a readable \.npz"),
        ("a.npy", b"\x93NUMPY\x01\x00\x05\x00{'a':", "not a numpy array"),
        ("a.npy", b"\x93NUMPY\x09\x09", "not a numpy array"),
        ("a.es", b"Event Stream\x02\x00\x00\x07", "another kind than DVS"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\x00", "damaged AEDAT 4 header"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\xff\xff\xff\x7f" + b"\xff" * 50, "damaged AEDAT 4 header"),
        ("a.aedat", b"#!AER-DAT2.0\r\n# x\r\n", r"AEDAT 2 is not read.*AEDAT 4"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + b" " * 50, r"damaged \.mat header"),
        ("a.mat", b"\x89HDF\r\n\x1a\n nothing", "not a readable HDF5"),
        ("a.raw", b"% evt 3.0\n", "no events after the header"),
        ("a.xyz", bytes(range(256)), "not an event file of a known kind; give one of: AEDAT 4"),
        ("a.txt", b"hello world this is text\n", "line 1 has something else than numbers"),
        ("a.txt", b"1 2 3\n4 5 6\n", "line 1 has 3 numbers, expected 4"),
        ("a.txt", b"1 2 3 1\n4 5 6", r"line 2 has 3 numbers.*--mend drop-tail"),
        ("a.txt", b"1 2 nan 1\n", r"something else than numbers.*.1 2 nan 1."),
        ("a.txt", b"1e300 2 3 1\n", r"event 0 has t = 1e\+300"),
        ("a.json", b'{"t": [1, 2]}', "line 1 has something else than numbers"),
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
    monkeypatch.setenv("SDCL_NEURO_MAX_INPUT_GIB", str(2**-10))
    bomb = zlib.compress(bytes(8 << 20), 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_events(tmp_path / "a.mat", sensor=(60, 40))
