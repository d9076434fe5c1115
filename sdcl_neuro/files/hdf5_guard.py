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

from .hdf5_chunks import check_dataset
from .hdf5_heap import check_heaps
from .reading import reading, regular_file

MAX_ELEMENTS = 1 << 26
MAX_TOTAL_BYTES = 1 << 29
MAX_TEXT_BYTES = 256


class Guard:
    """Reads the members of one file, counting what it reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_TOTAL_BYTES
        self._declared = 0

    def error(self, what: str, hint: str = "write the file again") -> InputError:
        """Return an error that names the file."""
        return InputError(what, where=str(self._path), hint=hint)

    def member(self, group: h5py.Group, name: str) -> Any:
        """Return the member `name` of `group`, or None if there is none."""
        link = group.get(name, getlink=True)
        if link is None:
            return None
        place = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise self.error(f"{place} is a link elsewhere", "store the data in its place")
        return group[name]

    def names(self, group: h5py.Group) -> list[str]:
        """Return the names of the data sets that lie in `group` itself, in order."""
        found = []
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                item = group.get(name)
                if isinstance(item, h5py.Dataset):
                    found.append(name)
        return sorted(found)

    def at(self, file: h5py.Group, path: str) -> Any:
        """Return the member at a path, each part looked up by its link; None if there is none."""
        item: Any = file
        for name in path.strip("/").split("/"):
            if not isinstance(item, h5py.Group):
                return None
            item = self.member(item, name)
        return item

    def large(self, data: Any, *, whole: bool = True) -> Any:
        """Return a data set that may be as large as the file warrants; see
        `hdf5_chunks.check_dataset`.

        Args:
            data: the data set.
            whole: whether it is read whole, and counts toward what the file may declare.
        """
        if not isinstance(data, h5py.Dataset):
            raise self.error(f"expected an array, got {type(data).__name__.lower()}")
        self._declared = check_dataset(self._path, data, whole=whole, before=self._declared)
        return data

    def group(self, parent: h5py.Group, name: str) -> h5py.Group | None:
        """Return the sub-group `name`, or None if there is none."""
        found = self.member(parent, name)
        if found is not None and not isinstance(found, h5py.Group):
            raise self.error(f"{found.name} is not a group")
        return found

    def array(self, group: h5py.Group, name: str) -> NDArray[Any] | None:
        """Return the numbers of dataset `name`, or None if there is none."""
        data = self._dataset(group, name)
        if data is None:
            return None
        if data.dtype.kind not in "biuf":
            raise self.error(f"{data.name} holds {data.dtype}, not numbers")
        return np.asarray(data[()])

    def text(self, group: h5py.Group, name: str) -> str | None:
        """Return the text of dataset `name`, a scalar or an array of one; None if there is none."""
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
        self._declared = check_dataset(self._path, data, whole=True, before=self._declared)
        elements = max(prod(data.shape), prod(data.chunks or (0,)))
        size = elements * data.dtype.itemsize
        if elements > MAX_ELEMENTS or size > self._left:
            hint = f"keep arrays below {MAX_ELEMENTS} elements, {MAX_TOTAL_BYTES >> 20} MiB in all"
            raise self.error(f"{data.name} declares {data.shape} values", hint)
        self._left -= size
        return data


def open_hdf5(
    path: Path | str, *, what: str = "a .net file", **options: Any
) -> tuple[h5py.File, Guard]:
    """Open an HDF5 file for reading; the caller closes it.

    Args:
        path: of the file.
        what: what it should be, for messages.
        options: of `h5py.File`, without its mode.

    Raises:
        InputError: it is not a regular file, or HDF5 cannot open it.
    """
    path = regular_file(path, what=what)
    check_heaps(path)
    with reading(path, "an HDF5 file", hint=f"give {what}, intact"):
        return h5py.File(path, "r", **options), Guard(path)


@contextmanager
def open_guarded(
    path: Path | str, *, what: str = "a .net file", **options: Any
) -> Iterator[tuple[h5py.File, Guard]]:
    """Open an HDF5 file for reading; whatever HDF5 stumbles over in the body is one InputError.

    Nothing but reading belongs in the body: an error of ours would look like a damaged file.
    Arguments and errors as of `open_hdf5`.
    """
    file, guard = open_hdf5(path, what=what, **options)
    with file, reading(path, "an HDF5 file", hint=f"give {what}, intact"):
        yield file, guard
