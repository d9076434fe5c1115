"""Arrays out of ``.npz`` and ``.h5`` files, by name, with their size looked at before the bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.reading import check_claim, reading, regular_file

Array = NDArray[np.generic]
Look = Callable[[tuple[int, ...]], None]
"""Raises InputError for a shape that is of no use, before the bytes are read."""


def ending_of(path: Path) -> str:
    """Return the ending of a spike file, or InputError for another."""
    ending = path.suffix.lower()
    if ending not in (".npz", ".h5"):
        raise InputError(
            f"unknown ending {path.suffix!r} of a spike file",
            where=str(path),
            hint="use .npz, .h5 or .nirdata",
        )
    return ending


def read_arrays(
    path: Path | str, wanted: Callable[[str], bool], look: Look = lambda shape: None
) -> tuple[dict[str, Array], list[str]]:
    """Read the arrays whose names are wanted, and whose shapes pass; also return all names.

    Raises:
        InputError: the file is absent, of another kind or damaged, or declares too much.
    """
    path = Path(path)
    ending = ending_of(path)
    regular_file(path, what="a spike file, .npz or .h5")
    return (_read_npz if ending == ".npz" else _read_h5)(path, wanted, look)


def _read_npz(
    path: Path, wanted: Callable[[str], bool], look: Look
) -> tuple[dict[str, Array], list[str]]:
    found: dict[str, Array] = {}
    # zipfile and numpy raise what they trip over: BadZipFile, RuntimeError for a password,
    # zlib's and the tokenizer's own errors, and more.
    with reading(path, "an .npz file"), zipfile.ZipFile(path) as archive:
        names = sorted(Path(name).stem for name in archive.namelist() if name.endswith(".npy"))
        chosen, declared = [name for name in names if wanted(name)], 0
        for name in chosen:
            with archive.open(f"{name}.npy") as stream:
                shape, dtype = _npy_header(stream)
            look(shape)
            size = dtype.itemsize * prod(int(extent) for extent in shape)
            there = archive.getinfo(f"{name}.npy").file_size
            if size > there:
                what = f"{name!r} declares {size:,} bytes, the file holds {there:,}"
                raise InputError(what, where=str(path), hint="write it again")
            declared += size
            check_claim(path, declared, f"spikes, {name!r} of shape {list(shape)}")
        for name in chosen:
            with archive.open(f"{name}.npy") as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return found, names


def _npy_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _read_h5(
    path: Path, wanted: Callable[[str], bool], look: Look
) -> tuple[dict[str, Array], list[str]]:
    from sdcl_neuro.files.hdf5_guard import open_guarded

    with open_guarded(path, what="a spike file, .npz or .h5") as (file, guard):
        chosen = [name for name in file if wanted(name)]
        members = {name: guard.member(file, name) for name in sorted(chosen)}
        for member in members.values():
            look(tuple(getattr(member, "shape", None) or ()))
        data = {name: guard.large(member) for name, member in members.items()}
        return {name: np.asarray(each[()]) for name, each in data.items()}, sorted(file)
