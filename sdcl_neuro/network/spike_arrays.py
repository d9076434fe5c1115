"""Arrays out of ``.npz`` and ``.h5`` files, by name, with their size looked at before the bytes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

MAX_BYTES = 8 << 30
"""Files that declare more spikes than this are refused before anything is read."""
Array = NDArray[np.generic]


def ending_of(path: Path) -> str:
    """The ending of a spike file, or InputError for another."""
    ending = path.suffix.lower()
    if ending not in (".npz", ".h5"):
        raise InputError(
            f"unknown ending {path.suffix!r} of a spike file",
            where=str(path),
            hint="use .npz, .h5 or .nirdata",
        )
    return ending


def read_arrays(
    path: Path | str, wanted: Callable[[str], bool]
) -> tuple[dict[str, Array], list[str]]:
    """Read the arrays whose names are wanted; also return the names of all.

    Raises:
        InputError: the file is absent, of another kind or damaged, or declares too much.
    """
    path = Path(path)
    ending = ending_of(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path), hint="give a spike file, .npz or .h5")
    return (_read_npz if ending == ".npz" else _read_h5)(path, wanted)


def _read_npz(path: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, Array], list[str]]:
    found: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(Path(name).stem for name in archive.namelist() if name.endswith(".npy"))
            chosen, declared = [name for name in names if wanted(name)], 0
            for name in chosen:
                with archive.open(f"{name}.npy") as stream:
                    shape, dtype = _npy_header(stream)
                declared += _size(path, shape, dtype.itemsize, before=declared)
            for name in chosen:
                with archive.open(f"{name}.npy") as stream:
                    found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except (
        zipfile.BadZipFile,
        ValueError,
        EOFError,
        zlib.error,
        NotImplementedError,
        KeyError,
    ) as error:
        raise InputError(
            f"not a readable .npz file ({error})", where=str(path), hint="write it again"
        ) from error
    return found, names


def _npy_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _read_h5(path: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, Array], list[str]]:
    import h5py

    found: dict[str, Array] = {}
    try:
        with h5py.File(path, "r") as file:
            names, declared = sorted(file), 0
            chosen = [n for n in names if wanted(n) and isinstance(file.get(n), h5py.Dataset)]
            for name in chosen:
                dataset = file[name]
                if dataset.shape is None:
                    what, hint = f"{name!r} is empty", "write spikes to it"
                    raise InputError(what, where=str(path), hint=hint)
                declared += _size(path, dataset.shape, dataset.dtype.itemsize, before=declared)
            for name in chosen:
                found[name] = np.asarray(file[name][()])
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"not a readable HDF5 file ({error})", where=str(path), hint="write it again"
        ) from error
    return found, names


def _size(path: Path, shape: tuple[int, ...], itemsize: int, *, before: int) -> int:
    """Bytes of an array, or InputError where that is too much, with what came before it."""
    size = itemsize * prod(int(extent) for extent in shape)
    if before + size > MAX_BYTES:
        raise InputError(
            f"declares {(before + size) / 2**30:.1f} GiB of spikes, shape {list(shape)}",
            where=str(path),
            hint=f"split it below {MAX_BYTES >> 30} GiB",
        )
    return size
