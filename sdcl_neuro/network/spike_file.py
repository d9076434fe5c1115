"""Spikes in files: ``.npz``, ``.h5`` for long recordings, or NIR's ``.nirdata`` (`nirdata`).

An input file has ``spikes``, uint8 ``[T, B, ...]``; for a network with several inputs an array for
each, named as the input is (`read_inputs`). An output file has ``layer_0``, ``layer_1``
and so on, uint8 ``[T, B, *out_shape]``, for the layers that were asked for; of read-outs,
``readout_0`` and so on (`write_spikes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.hdf5_writing import new_hdf5

from . import nirdata
from .arguments import public
from .record import Record
from .spec import Shape
from .spike_arrays import ending_of, read_arrays
from .spike_checks import check_given, check_input_shape, check_spikes

if TYPE_CHECKING:
    from torch import Tensor

Spikes = NDArray[np.uint8]
InputSpikes: TypeAlias = "Spikes | Mapping[str, Spikes]"
"""What a network receives: one array, or one for each of several inputs, by name."""
SpikesLike: TypeAlias = "ArrayLike | Tensor | Path"
"""Spikes as a user may give them: an array, a tensor or nested lists ``[T, B, ...]`` of whole
numbers, or the path of a spike file."""

KEY = "spikes"
LAYER = re.compile(r"layer_(0|[1-9][0-9]*)")
_OUTPUT = re.compile(r"(layer|readout)_[0-9]+(_unit)?")
_H5_CHUNK_BYTES = 1 << 20


@public
def read_spikes(path: Path | str, input_shape: Shape | None = None) -> Spikes:
    """Read the input spikes ``[T, B, ...]`` of a ``.npz``, ``.h5`` or ``.nirdata`` file.

    Args:
        path: of the file.
        input_shape: of a step of the network that they are for; another is refused before the
            spikes are read. None takes any.

    Raises:
        InputError: the file is absent, of another kind, damaged, has no ``spikes``, or holds
            something else than whole numbers from 0 to 255 of rank 3 (``[T, B, N]``),
            4 (``[T, B, C, L]``) or 5 (``[T, B, C, H, W]``) with no empty axis.
    """
    if is_nirdata(path):
        return nirdata.read_input(path)

    def look(shape: Shape) -> None:
        if input_shape is not None and len(shape) in (3, 5):
            check_input_shape(shape, input_shape, where=str(path))

    found, names = read_arrays(path, lambda name: name == KEY, look)
    if KEY not in found:
        what = f"no array {KEY!r} among {names}"
        raise InputError(what, where=str(path), hint=f"name it {KEY!r}")
    return check_given(found[KEY], where=str(path))


@public
def read_inputs(path: Path | str) -> Spikes | dict[str, Spikes]:
    """Read what a network receives: ``spikes``, or an array for each of its inputs by name.

    Returns:
        uint8 ``[T, B, ...]``, where the file has ``spikes``; else ``{name: spikes}`` of all its
        arrays but layers and read-outs.

    Raises:
        InputError: as `read_spikes`, for each array.
    """
    if is_nirdata(path):
        return nirdata.read_input(path)
    _, names = read_arrays(path, lambda name: False)
    named = [name for name in names if not _OUTPUT.fullmatch(name)]
    if KEY in names or not named:
        return read_spikes(path)
    found, _ = read_arrays(path, lambda name: name in named)
    return {name: check_given(found[name], where=f"{path}: {name}") for name in named}


@public
def read_layers(path: Path | str) -> tuple[dict[int, Spikes], Spikes | None]:
    """Read the layers' spikes of a file, ``layer_0``, ``layer_1`` and so on.

    Returns:
        Layer index to spikes ``[T, B, *out_shape]``, and the input ``spikes`` if it is there, too.

    Raises:
        InputError: as `read_spikes`, for each array; no layer at all is an error as well.
    """
    if is_nirdata(path):
        return nirdata.read_layer_nodes(path)
    found, names = read_arrays(path, lambda name: name == KEY or LAYER.fullmatch(name) is not None)
    checked = {name: check_spikes(found[name], where=f"{path}: {name}") for name in found}
    given = checked.pop(KEY, None)
    if not checked:
        what = f"no array 'layer_0', 'layer_1', ... among {names}"
        raise InputError(what, where=str(path), hint="name each layer's spikes so, [T, B, ...]")
    layers = {int(name.removeprefix("layer_")): values for name, values in checked.items()}
    return dict(sorted(layers.items())), given


def is_nirdata(path: Path | str) -> bool:
    """Return whether a file is NIR's data format, by its ending."""
    return Path(path).suffix.lower() == nirdata.ENDING


@public
def write_spikes(
    path: Path | str,
    source: Record
    | Mapping[int, NDArray[np.uint8]]
    | Mapping[str, NDArray[np.uint8]]
    | NDArray[np.uint8],
    *,
    step_s: float | None = None,
) -> None:
    """Write layers' spikes as ``layer_K``, or one array as ``spikes``; whole or not at all.

    A record's read-outs become ``readout_K``, membranes after each step in the backend's own
    numbers, and ``readout_K_unit``, how many of them make one unit of the model.

    Args:
        path: ends in ``.npz``, ``.h5`` or ``.nirdata``, which keeps no read-outs.
        source: a run's record, a mapping from layer index to spikes, or input spikes, those of
            several inputs as a mapping from their names.
        step_s: length of a step in seconds, which ``.nirdata`` states; None counts in steps.
    """
    path = Path(path)
    if is_nirdata(path):
        _write_nirdata(path, source, 1.0 if step_s is None else step_s)
        return
    ending = ending_of(path)
    arrays: dict[str, NDArray[Any]]
    if isinstance(source, np.ndarray):
        arrays = {KEY: check_given(source, where=str(path))}
    elif not isinstance(source, Record) and _named(source):
        arrays = {str(k): check_given(v, where=f"{path}: {k}") for k, v in source.items()}
    else:
        layers: Any = source.spikes if isinstance(source, Record) else source
        arrays = {f"layer_{index}": np.asarray(layers[index]) for index in sorted(layers)}
        if isinstance(source, Record):
            for index, values in source.readouts.items():
                whole = values.dtype.kind == "i"  # membranes have 24 bits
                arrays[f"readout_{index}"] = values.astype(np.int32 if whole else np.float32)
                arrays[f"readout_{index}_unit"] = np.asarray(float(source.readout_units[index]))
    with atomic_path(path) as temporary:
        if ending == ".npz":
            with temporary.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)
        else:
            _write_h5(temporary, arrays)


def _named(source: Mapping[Any, NDArray[np.uint8]]) -> bool:
    """Tell whether a mapping is from names of inputs, not from layers."""
    return all(isinstance(key, str) for key in source)


def _write_nirdata(
    path: Path,
    source: Record | Mapping[Any, NDArray[np.uint8]] | NDArray[np.uint8],
    step_s: float,
) -> None:
    """Write nodes that are named as the layers are, where a record knows their names."""
    if isinstance(source, Mapping) and _named(source):
        what = "inputs by name go to .npz or .h5"
        raise InputError(what, where=str(path), hint="rename it")
    if isinstance(source, np.ndarray):
        values = check_spikes(source, where=str(path))
        nirdata.write_nodes(path, {nirdata.INPUT: (values, None)}, step_s=step_s)
        return
    layers = source.spikes if isinstance(source, Record) else source
    known = [entry.name for entry in source.activity] if isinstance(source, Record) else []
    use = len(set(known)) == len(known) and nirdata.INPUT not in known
    nodes = {
        known[index] if use and index < len(known) else f"layer_{index}": (layers[index], index)
        for index in sorted(layers)
    }
    nirdata.write_nodes(path, nodes, step_s=step_s)


@public
def write_spike_blocks(path: Path | str, blocks: Iterable[Spikes]) -> tuple[int, ...]:
    """Write input spikes that come in blocks of steps to an ``.h5``; whole or not at all.

    Memory is bounded by the largest block and `_H5_CHUNK_BYTES`.

    Args:
        path: ends in ``.h5``.
        blocks: uint8 ``[t, B, ...]``, alike but for t; joined in their order.

    Returns:
        The shape of all of them together.

    Raises:
        InputError: another ending, or no blocks.
    """
    path = Path(path)
    if path.suffix.lower() != ".h5":
        raise InputError(
            f"spikes in blocks are not written as {path.suffix!r}",
            where=str(path),
            hint="use .h5",
        )
    with atomic_path(path) as temporary, new_hdf5(temporary) as (file, check):
        dataset, held, count = None, [], 0
        for block in blocks:
            if dataset is None:
                chunk = max(1, _H5_CHUNK_BYTES // max(1, block[:1].nbytes))
                inner = block.shape[1:]
                dataset = file.create_dataset(
                    KEY,
                    shape=(0, *inner),
                    maxshape=(None, *inner),
                    dtype=np.uint8,
                    chunks=(chunk, *inner),
                    compression="gzip",
                    compression_opts=1,
                )
            held.append(block)
            count += len(block)
            if count >= chunk:  # whole chunks only: a part of one is compressed again later
                whole = count - count % chunk
                joined = np.concatenate(held)
                _append(dataset, joined[:whole])
                check()
                held, count = [joined[whole:].copy()], count - whole
        if dataset is None:
            raise InputError("no blocks of spikes", where=str(path), hint="give at least one")
        _append(dataset, np.concatenate(held))
        return tuple(dataset.shape)


def _append(dataset: Any, values: Spikes) -> None:
    before = dataset.shape[0]
    dataset.resize(before + len(values), axis=0)
    dataset[before:] = values


def _write_h5(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    with new_hdf5(path) as (file, check):
        for name, values in arrays.items():
            chunked = values.size and values.ndim > 1
            options = h5_layout(values.shape, values.itemsize) if chunked else {}
            file.create_dataset(name, data=values, **options)
            check()


def h5_layout(shape: tuple[int, ...], itemsize: int = 1) -> dict[str, Any]:
    """Return options of `h5py`'s ``create_dataset`` for spikes ``[T, B, ...]``.

    A chunk holds many steps of few samples, so that a sample can be read without the others.
    """
    step_bytes = itemsize * prod(shape[2:])
    steps = min(shape[0], max(1, _H5_CHUNK_BYTES // step_bytes))
    samples = min(shape[1], max(1, _H5_CHUNK_BYTES // (step_bytes * steps)))
    chunks = (steps, samples, *shape[2:])
    return {"chunks": chunks, "compression": "gzip", "compression_opts": 1}
