"""A damaged text heap, on which the HDF5 library would never return."""

from __future__ import annotations

import struct

import pytest

from sdcl_neuro.conversion import from_nir, to_nir
from sdcl_neuro.errors import InputError


def test_a_heap_that_never_ends_is_refused(tmp_path, random_float):
    """Free space of size zero: found by flipping bytes; without the guard this test hangs."""
    path = tmp_path / "x.nir"
    to_nir(random_float(2), path)
    data = bytearray(path.read_bytes())
    start = data.find(b"GCOL\x01\x00\x00\x00")
    assert start > 0
    position = start + 16
    while True:
        index, _, _, size = struct.unpack_from("<HHIQ", data, position)
        if index == 0:
            break
        position += 16 + (size + 7) // 8 * 8
    struct.pack_into("<Q", data, position + 8, 0)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="text heap at byte"):
        from_nir(path)


@pytest.mark.parametrize("tail", [b"", b"\x00" * 3, b"\xff" * 8, b"\x10" + bytes(23)])
def test_bytes_that_only_look_like_a_heap_are_no_fault_by_themselves(tail, tmp_path):
    (tmp_path / "x.nir").write_bytes(b"GCOL\x01\x00\x00\x00" + tail)
    with pytest.raises(InputError):
        from_nir(tmp_path / "x.nir")
