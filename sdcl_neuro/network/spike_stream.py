"""Spikes in HDF5 files, piece by piece: what `spike_file` reads and writes, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.hdf5_writing import new_hdf5
from sdcl_neuro.files.reading import reading

from .spec import Shape
from .spike_checks import check_spikes
from .spike_file import KEY, Spikes, h5_layout

_CACHE_BYTES = 8 << 20


@dataclass(frozen=True)
class SpikeReader:
    """The spikes of an open file.

    Attributes:
        path: of the file.
        shape: ``[T, B, ...]``.
        samples_together: samples that share a chunk of the file.
    """

    path: Path
    shape: tuple[int, ...]
    samples_together: int
    _dataset: Any

    def read(self, steps: slice, samples: slice) -> Spikes:
        """Read some steps of some samples, uint8, checked as `spike_file.read_spikes` does."""
        with reading(self.path, "an HDF5 file"):
            values = np.asarray(self._dataset[steps, samples])
        return check_spikes(values, where=str(self.path))


@contextmanager
def read_pieces(path: Path | str) -> Iterator[SpikeReader]:
    """Open a ``.h5`` file of input spikes.

    Raises:
        InputError: the file is absent, not HDF5, or has no numbers ``spikes`` of rank 3 or 5.
    """
    import h5py

    from sdcl_neuro.files.hdf5_guard import open_hdf5

    path = Path(path)
    file, guard = open_hdf5(path, what="a spike file, .h5", rdcc_nbytes=_CACHE_BYTES)
    with file:
        with reading(path, "an HDF5 file"):
            dataset = guard.member(file, KEY)
            if not isinstance(dataset, h5py.Dataset):
                raise InputError(
                    f"no array {KEY!r} among {sorted(file)}",
                    where=str(path),
                    hint=f"name it {KEY!r}",
                )
            guard.large(dataset, whole=False)
            _check(dataset, path)
            together = dataset.chunks[1] if dataset.chunks else 1
            shape = tuple(dataset.shape)
        yield SpikeReader(path, shape, together, dataset)


@dataclass(frozen=True)
class SpikeWriter:
    """Layers' spikes in an open file."""

    _datasets: Mapping[int, Any]
    _check: Callable[[], None]

    def write(self, spikes: Mapping[int, Spikes], steps: slice, samples: slice) -> None:
        """Write some steps of some samples of every layer, uint8 ``[T, B, *out_shape]``."""
        for index, values in spikes.items():
            self._datasets[index][steps, samples] = values
        self._check()


@contextmanager
def write_pieces(
    path: Path | str, shapes: Mapping[int, Shape], *, steps: int, samples: int
) -> Iterator[SpikeWriter]:
    """Create a ``.h5`` file with ``layer_K`` ``[steps, samples, *shape]``; whole or not at all."""
    with (
        atomic_path(path) as temporary,
        new_hdf5(temporary, rdcc_nbytes=_CACHE_BYTES) as (file, check),
    ):
        datasets = {}
        for index, shape in sorted(shapes.items()):
            whole = (steps, samples, *shape)
            datasets[index] = file.create_dataset(
                f"layer_{index}", shape=whole, dtype=np.uint8, **h5_layout(whole)
            )
        yield SpikeWriter(datasets, check)


def _check(dataset: Any, path: Path) -> None:
    """Describe the spikes before any is read."""
    where = f"{path}, {KEY!r}"
    if dataset.shape is None or dataset.dtype.kind not in "buif":
        raise InputError(f"spikes are {dataset.dtype}, not numbers", where=where, hint="save uint8")
    if len(dataset.shape) not in (3, 5) or 0 in dataset.shape:
        raise InputError(
            f"spikes of shape {list(dataset.shape)}",
            where=where,
            hint="give [T, B, N] or [T, B, C, H, W], none of them 0",
        )
