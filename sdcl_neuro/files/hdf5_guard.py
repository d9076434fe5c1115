"""Reading HDF5 files of unknown origin: bounded memory, no way out of the file.

A member is looked up by its link first: soft and external links, virtual and external datasets
are refused, and a dataset is read only after its declared shape, type and chunks were checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .hdf5_heap import check_heaps

MAX_ELEMENTS = 1 << 26
MAX_TOTAL_BYTES = 1 << 29
MAX_TEXT_BYTES = 256


class Guard:
    """Reads the members of one file, counting what it reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_TOTAL_BYTES

    def error(self, what: str, hint: str = "write the file again") -> InputError:
        """An error that names the file."""
        return InputError(what, where=str(self._path), hint=hint)

    def member(self, group: h5py.Group, name: str) -> Any:
        """The member `name` of `group`, or None if there is none."""
        link = group.get(name, getlink=True)
        if link is None:
            return None
        place = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise self.error(f"{place} is a link elsewhere", "store the data in its place")
        return group[name]

    def group(self, parent: h5py.Group, name: str) -> h5py.Group | None:
        """The sub-group `name`, or None if there is none."""
        found = self.member(parent, name)
        if found is not None and not isinstance(found, h5py.Group):
            raise self.error(f"{found.name} is not a group")
        return found

    def array(self, group: h5py.Group, name: str) -> NDArray[Any] | None:
        """The numbers of dataset `name`, or None if there is none."""
        data = self._dataset(group, name)
        if data is None:
            return None
        if data.dtype.kind not in "biuf":
            raise self.error(f"{data.name} holds {data.dtype}, not numbers")
        return np.asarray(data[()])

    def text(self, group: h5py.Group, name: str) -> str | None:
        """The text of dataset `name`, a scalar or an array of one; None if there is none."""
        data = self._dataset(group, name)
        if data is None:
            return None
        fits = data.size == 1 and data.dtype.itemsize <= MAX_TEXT_BYTES
        if h5py.check_string_dtype(data.dtype) is None or not fits:
            raise self.error(f"{data.name} is not one short text")
        value = np.asarray(data[()]).reshape(-1)[0]
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if not (text.isascii() and text.isprintable() and len(text) <= MAX_TEXT_BYTES):
            raise self.error(f"{data.name} is not plain, short text")
        return text

    def _dataset(self, group: h5py.Group, name: str) -> h5py.Dataset | None:
        data = self.member(group, name)
        if data is None:
            return None
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise self.error(f"{group.name}/{name} is not an array")
        if data.is_virtual or data.external:
            raise self.error(f"{data.name} keeps its data in another file", "store it in this one")
        elements = max(prod(data.shape), prod(data.chunks or (0,)))
        size = elements * data.dtype.itemsize
        if elements > MAX_ELEMENTS or size > self._left:
            hint = f"keep arrays below {MAX_ELEMENTS} elements, {MAX_TOTAL_BYTES >> 20} MiB in all"
            raise self.error(f"{data.name} declares {data.shape} values", hint)
        self._left -= size
        return data


@contextmanager
def open_guarded(path: Path) -> Iterator[tuple[h5py.File, Guard]]:
    """Open an HDF5 file for reading; whatever HDF5 stumbles over becomes one InputError."""
    guard = Guard(path)
    if not path.exists():
        raise guard.error("no such file", "give the path of a .net file")
    if not path.is_file():
        raise guard.error("not a file", "give the path of a .net file")
    check_heaps(path)
    try:
        with h5py.File(path, "r") as file:
            yield file, guard
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, PermissionError):
            raise
        reason = str(error.args[0] if error.args else type(error).__name__).splitlines()[0]
        what = f"not a readable HDF5 file ({reason})"
        raise guard.error(what, "give an intact .net file") from error
