"""A ``.nir`` file as a plain tree, read within bounds: the file may come from a stranger.

NIR stores a graph as nested HDF5 groups (``nir.write``); `hdf5_guard` keeps what one dataset may
declare in bounds and refuses links, here depth, number and names of the objects are bounded.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.files.hdf5_guard import MAX_TOTAL_BYTES, Guard, open_guarded

Tree = dict[str, Any]

MAX_OBJECTS = 50_000
MAX_DEPTH = 12
MAX_NAME = 512
"""Longest name of a node, in characters."""


def read_tree(path: Path | str) -> Tree:
    """Read the graph of a ``.nir`` file as nested dictionaries of arrays and strings.

    Args:
        path: a file written by ``nir.write``.

    Returns:
        The group ``node``: keys ``type``, ``nodes``, ``edges`` and, if present, ``metadata``;
        the shape that ``nir.NIRGraph.to_dict`` has too. Numbers are arrays, scalars of rank 0.

    Raises:
        InputError: no such file, not HDF5, damaged, without a graph, or beyond the bounds above.
    """
    path = Path(path)
    with open_guarded(path, what="a .nir file") as (file, guard):
        root = guard.group(file, "node")
        if root is None:
            raise guard.error("holds no NIR graph (group 'node')", "give a .nir file")
        return _GroupReader(guard, path.stat().st_size).group(root, depth=0)


class _GroupReader:
    """Reads groups depth first, counting objects."""

    def __init__(self, guard: Guard, file_bytes: int) -> None:
        self._guard, self._file_bytes, self._count = guard, file_bytes, 0

    def group(self, group: h5py.Group, *, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise self._guard.error(f"groups nest deeper than {MAX_DEPTH}")
        tree: Tree = {}
        for name in group:
            self._count += 1
            if self._count > MAX_OBJECTS:
                raise self._guard.error(f"more than {MAX_OBJECTS} objects")
            if len(name) > MAX_NAME:
                raise self._guard.error(f"a name longer than {MAX_NAME} characters")
            tree[name] = self._item(group, name, depth=depth)
        return tree

    def _item(self, group: h5py.Group, name: str, *, depth: int) -> Any:
        item = self._guard.member(group, name)
        if isinstance(item, h5py.Group):
            return self.group(item, depth=depth + 1)
        if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype) is None:
            return self._guard.array(group, name)
        if item.shape == () or item.shape is None:
            return self._text(item)
        return self._names(item)

    def _text(self, dataset: h5py.Dataset) -> str:
        """Return one text; our own metadata is long, so it is bounded by the file's size only."""
        if dataset.shape is None or dataset.is_virtual or dataset.external:
            raise self._guard.error(f"{dataset.name} is not one text")
        if dataset.dtype.itemsize > max(self._file_bytes, 64):
            raise self._guard.error(f"{dataset.name} declares {dataset.dtype.itemsize} bytes")
        value = dataset[()]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _names(self, dataset: h5py.Dataset) -> NDArray[np.object_]:
        """Return an array of names; each is stored apart, so that the shape alone bounds
        nothing.
        """
        if dataset.is_virtual or dataset.external:
            raise self._guard.error(f"{dataset.name} keeps its data in another file")
        if max(prod(dataset.shape), prod(dataset.chunks or (0,))) > 2 * MAX_OBJECTS:
            raise self._guard.error(f"{dataset.name} declares {dataset.shape} names")
        whole = dataset.size * self._file_bytes <= MAX_TOTAL_BYTES
        rows = [dataset[()]] if whole else (dataset[row] for row in range(dataset.shape[0]))
        names = [self._name(value) for row in rows for value in np.asarray(row).reshape(-1)]
        return np.array(names, dtype=object).reshape(dataset.shape)

    def _name(self, value: Any) -> str:
        if len(value) > MAX_NAME:
            raise self._guard.error(f"a name longer than {MAX_NAME} characters")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
