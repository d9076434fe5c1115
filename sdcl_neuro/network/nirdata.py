"""Spikes in NIR's own data files, ``.nirdata``: HDF5 of ``NIRGraphData``, read without the package.

A file holds nodes by name, each with observables by name: a grid ``data [samples, steps, neurons]``
with its step ``dt``, or events ``idx, time [samples, events]`` (and ``value``) with ``n_neurons``
and ``t_max``; neurons are numbered flat, in the order (C, H, W). The input is the node ``input``,
or the only node. Files come from strangers: sizes are looked at before the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path

if TYPE_CHECKING:
    import h5py

    from sdcl_neuro.files.hdf5_guard import Guard

Spikes = NDArray[np.uint8]
ENDING = ".nirdata"
INPUT, SPIKES = "input", "spikes"
LAYER_KEY, SHAPE_KEY = "sdcl_neuro_layer", "sdcl_neuro_shape"
"""Attributes of a node in our own files: which layer it is, and the shape of its step."""
MAX_NODES = 4096
MAX_VALUES = 1 << 28
"""Neuron steps that events may spread over."""
_EARLY = 1e-6
"""Part of a step by which a time may fall short of its step's beginning: rounding of k * dt."""


@dataclass(frozen=True)
class NodeSpikes:
    """The spikes of one node.

    Attributes:
        name: in the graph; a sub-graph's nodes as ``graph.node``.
        spikes: uint8 ``[T, B, neurons]``, or ``[T, B, *shape]`` where the file says the shape.
        step_s: of the grid, in seconds; of events the step they were put into.
        layer: which layer it is, where the file says so.
    """

    name: str
    spikes: Spikes
    step_s: float
    layer: int | None


def read_nodes(path: Path | str, *, step_s: float | None = None) -> list[NodeSpikes]:
    """Read every node that has spikes.

    Args:
        path: a ``.nirdata`` file.
        step_s: length of a step, into which events are put; a grid has its own.

    Raises:
        InputError: absent, damaged or too large, values that are not spikes, events without a step,
            or a step that differs from a grid's.
    """
    from sdcl_neuro.files.hdf5_guard import open_guarded

    path = Path(path)
    with open_guarded(path, what=f"a {ENDING} file") as (file, guard):
        if _kind(file) != "NIRGraphData":
            hint = "give a file that nir.write_data wrote"
            raise guard.error("holds no NIRGraphData", hint)
        return list(_NodeReader(guard, path, step_s).graph(file, ""))


def read_input(
    path: Path | str, *, shape: Sequence[int] | None = None, step_s: float | None = None
) -> Spikes:
    """Read the input: node ``input``, or the only node.

    Args:
        path, step_s: as for `read_nodes`.
        shape: of one step of the network; flat neurons are put into it.

    Raises:
        InputError: as `read_nodes`; none or several candidates, or another number of neurons.
    """
    nodes = read_nodes(path, step_s=step_s)
    named = [node for node in nodes if node.name == INPUT]
    found = named or nodes
    if len(found) != 1:
        names = ", ".join(node.name for node in nodes[:6]) or "none"
        raise InputError(
            f"no node 'input' among {names}", where=str(path), hint="name the input's node 'input'"
        )
    return shaped(found[0].spikes, shape, where=f"{path}: {found[0].name}")


def read_layer_nodes(
    path: Path | str, *, names: Sequence[str] = (), step_s: float | None = None
) -> tuple[dict[int, Spikes], Spikes | None]:
    """Read the layers' spikes, and the input where it is there.

    A node is a layer by our own attribute, by the name ``layer_K``, or by its name in `names`.

    Raises:
        InputError: as `read_nodes`; a node that is not a layer, or none at all.
    """
    layers: dict[int, Spikes] = {}
    given = None
    for node in read_nodes(path, step_s=step_s):
        index = node.layer
        if index is None and node.name.removeprefix("layer_").isdecimal():
            index = int(node.name.removeprefix("layer_"))
        if index is None and node.name in names:
            index = list(names).index(node.name)
        if node.name == INPUT and index is None:
            given = node.spikes
        elif index is None or index in layers:
            said = "is not a layer of the network" if index is None else f"is layer {index} again"
            hint = f"name the nodes layer_0, layer_1, ... or {', '.join(names[:4]) or 'input'}"
            raise InputError(f"node {node.name!r} {said}", where=str(path), hint=hint)
        else:
            layers[index] = node.spikes
    if not layers:
        raise InputError("no layers", where=str(path), hint="name the nodes layer_0, layer_1, ...")
    return dict(sorted(layers.items())), given


def shaped(spikes: Spikes, shape: Sequence[int] | None, *, where: str) -> Spikes:
    """Put flat neurons ``[T, B, N]`` into a network's shape of one step."""
    if shape is None or spikes.shape[2:] == tuple(shape):
        return spikes
    if prod(spikes.shape[2:]) != prod(shape):
        raise InputError(
            f"{prod(spikes.shape[2:])} neurons for a network that takes {list(shape)}",
            where=where,
            hint=f"give {prod(shape)}, flat in that order",
        )
    return spikes.reshape(*spikes.shape[:2], *shape)


def write_nodes(
    path: Path | str, nodes: Mapping[str, tuple[Spikes, int | None]], *, step_s: float
) -> None:
    """Write nodes as grids, whole or not at all; ``nir.read_data`` reads the file.

    Args:
        path: ends in ``.nirdata``.
        nodes: name to spikes ``[T, B, *shape]`` and the layer that it is, if any.
        step_s: length of a step in seconds; 1 where time is counted in steps.
    """
    from sdcl_neuro.files.hdf5_writing import new_hdf5

    with atomic_path(Path(path)) as temporary, new_hdf5(temporary) as (file, _):
        file.attrs["__type__"] = "NIRGraphData"
        group = file.create_group("nodes")
        for name, (spikes, layer) in nodes.items():
            node = group.create_group(name.replace("/", "_"))
            node.attrs["__type__"] = "NIRNodeData"
            node.attrs[SHAPE_KEY] = np.asarray(spikes.shape[2:], np.int64)
            if layer is not None:
                node.attrs[LAYER_KEY] = layer
            grid = node.create_group("observables").create_group(SPIKES)
            grid.attrs["__type__"], grid.attrs["dt"] = "TimeGriddedData", float(step_s)
            flat = spikes.reshape(*spikes.shape[:2], -1).swapaxes(0, 1)
            binary = not spikes.size or int(spikes.max()) <= 1
            grid.create_dataset("data", data=flat.astype(bool) if binary else flat, **_PACKED)


_PACKED = {"compression": "gzip", "compression_opts": 1}


class _NodeReader:
    """Reads the nodes of one file, counting them."""

    def __init__(self, guard: Guard, path: Path, step_s: float | None) -> None:
        self._guard, self._path, self._step_s, self._count = guard, path, step_s, 0

    def graph(self, group: h5py.Group, prefix: str) -> Iterator[NodeSpikes]:
        nodes = self._guard.group(group, "nodes")
        for name in [] if nodes is None else list(nodes):
            self._count += 1
            if self._count > MAX_NODES or prefix.count(".") > 8:
                raise self._guard.error(f"more than {MAX_NODES} nodes, or too deep")
            node, label = self._guard.group(nodes, name), f"{prefix}{name}"
            if node is not None and _kind(node) == "NIRGraphData":
                yield from self.graph(node, f"{label}.")
            elif node is not None:
                yield from self._node(node, label)

    def _node(self, node: h5py.Group, label: str) -> Iterator[NodeSpikes]:
        """Yield the observable ``spikes``, or the only one."""
        observables = self._guard.group(node, "observables")
        names = [] if observables is None else list(observables)
        chosen = [name for name in names if name == SPIKES] or names
        if not chosen:
            return
        if len(chosen) > 1:
            what = f"node {label!r} has the observables {', '.join(chosen[:6])}, none is 'spikes'"
            raise self._guard.error(what, "name its spikes 'spikes'")
        found = self._guard.group(observables, chosen[0])
        if found is None:
            return
        where = f"{self._path}: {label}.{chosen[0]}"
        kind = _kind(found)
        if kind == "TimeGriddedData":
            spikes, step_s = self._grid(found, where)
        elif kind in ("EventData", "ValuedEventData"):
            spikes, step_s = self._events(found, where)
        else:
            raise self._guard.error(f"{label} is of the unknown type {kind!r}")
        layer = node.attrs.get(LAYER_KEY)
        shape = [int(n) for n in np.atleast_1d(node.attrs.get(SHAPE_KEY, []))]
        if shape:
            spikes = shaped(spikes, shape, where=where)
        yield NodeSpikes(label, spikes, step_s, None if layer is None else int(layer))

    def _grid(self, group: h5py.Group, where: str) -> tuple[Spikes, float]:
        from .spike_checks import check_spikes

        data, step_s = self._guard.array(group, "data"), _number(group, "dt", where)
        if data is None or data.ndim != 3:
            raise InputError("no grid [samples, steps, neurons]", where=where, hint="write 'data'")
        if self._step_s is not None and not math.isclose(step_s, self._step_s, rel_tol=1e-6):
            raise InputError(
                f"a grid of {step_s:g} s for a network of {self._step_s:g} s a step",
                where=where,
                hint="encode the spikes with the network's step",
            )
        return check_spikes(data.swapaxes(0, 1), where=where), step_s

    def _events(self, group: h5py.Group, where: str) -> tuple[Spikes, float]:
        """Return events counted in steps; unused places have the number -1."""
        if self._step_s is None:
            raise InputError(
                "events in seconds, and nothing states the length of a step",
                where=where,
                hint="give a .nir with its step (--dt), or store a grid (to_time_gridded)",
            )
        index, time = self._guard.array(group, "idx"), self._guard.array(group, "time")
        if index is None or time is None or index.shape != time.shape or index.ndim != 2:
            hint = "write both, [samples, events]"
            raise InputError("idx and time do not match", where=where, hint=hint)
        neurons = int(_number(group, "n_neurons", where))
        steps = math.ceil(_number(group, "t_max", where) / self._step_s - _EARLY)
        if not 0 < neurons * max(1, steps) * len(index) <= MAX_VALUES or steps < 1:
            what = f"{neurons} neurons in {steps} steps of {len(index)} samples"
            raise InputError(what, where=where, hint=f"give 1 to {MAX_VALUES} neuron steps")
        value = self._guard.array(group, "value") if "value" in group else np.ones(index.shape)
        if value is None or value.shape != index.shape:
            raise InputError("values do not match their events", where=where, hint="write as many")
        return _counted(index, time, value, (steps, len(index), neurons), self._step_s, where)


def _counted(
    index: NDArray[Any],
    time: NDArray[Any],
    value: NDArray[Any],
    shape: tuple[int, int, int],
    step_s: float,
    where: str,
) -> tuple[Spikes, float]:
    """Add up events in their steps, ``[T, B, neurons]``."""
    from .spike_checks import check_spikes

    used = index != -1
    sample = np.nonzero(used)[0]
    neuron, moment = index[used].astype(np.int64), time[used].astype(np.float64)
    if not np.isfinite(moment).all():
        raise InputError("an event without a time", where=where, hint="number it -1")
    step = np.floor(moment / step_s + _EARLY).astype(np.int64)
    inside = (step >= 0) & (step < shape[0]) & (neuron >= 0) & (neuron < shape[2])
    if not inside.all():
        worst = int(np.flatnonzero(~inside)[0])
        raise InputError(
            f"an event of neuron {neuron[worst]} at {moment[worst]:g} s, outside of "
            f"{shape[2]} neurons and {shape[0] * step_s:g} s",
            where=where,
            hint="correct n_neurons and t_max",
        )
    counts = np.zeros(shape)
    np.add.at(counts, (step, sample, neuron), value[used].astype(np.float64))
    return check_spikes(counts, where=where), step_s


def _kind(group: h5py.Group) -> str:
    value = group.attrs.get("__type__", "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(group: h5py.Group, name: str, where: str) -> float:
    """Return a positive number among the attributes."""
    try:
        value = float(group.attrs[name])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"no positive {name!r}", where=where, hint="write it as an attribute")
    return value
