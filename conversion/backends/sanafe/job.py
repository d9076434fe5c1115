"""A network, its placement and its input as the plain files that the driver reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.chip import capacity, chip_of
from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.fixed_point import DECAY_UNITY, STATE_LIMIT, STATE_SHIFT
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

PROFILE = "loihi1"
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SynapseList:
    """Synapses of weights that are not zero: input or neuron before, neuron after, weight."""

    before: Ints
    after: Ints
    weight: Ints


@dataclass(frozen=True)
class Seating:
    """Where neurons and inputs sit.

    Attributes:
        columns, rows, cores_per_tile: of the mesh, chips side by side.
        cores: of each layer, the core of every neuron.
        inputs: core and unit of each input that spikes.
    """

    columns: int
    rows: int
    cores_per_tile: int
    cores: tuple[Ints, ...]
    inputs: tuple[tuple[int, int], ...]


def synapses(layer: IntLayer) -> SynapseList:
    """List a layer's synapses, recurrent ones left out."""
    if layer.convolution is None:
        after, before = np.nonzero(layer.weight)
        return SynapseList(before, after, layer.weight[after, before].astype(np.int64))
    return _of_convolution(layer)


def recurrent_synapses(layer: IntLayer) -> SynapseList | None:
    """List a layer's recurrent synapses; None if it has none."""
    if layer.recurrent_weight is None:
        return None
    after, before = np.nonzero(layer.recurrent_weight)
    return SynapseList(before, after, layer.recurrent_weight[after, before].astype(np.int64))


def _of_convolution(layer: IntLayer) -> SynapseList:
    assert layer.convolution is not None
    groups = layer.convolution.groups
    channels, height, width = layer.in_shape
    outputs, out_height, out_width = layer.out_shape
    rows, columns = (
        reach(size, kernel, axis=axis, convolution=layer.convolution)
        for axis, (size, kernel) in enumerate(zip((height, width), layer.kernel, strict=True))
    )
    parts = []
    for out_channel in range(outputs):
        group = out_channel // (outputs // groups)
        for k in range(channels // groups):
            in_channel = group * (channels // groups) + k
            kernel = layer.weight[out_channel, k].astype(np.int64)
            weight = kernel[rows[:, None, 2], columns[None, :, 2]]
            before = (in_channel * height + rows[:, None, 0]) * width + columns[None, :, 0]
            after = (out_channel * out_height + rows[:, None, 1]) * out_width + columns[None, :, 1]
            used = weight != 0
            parts.append(np.stack([before[used], after[used], weight[used]]))
    before, after, weight = np.concatenate(parts, axis=1)
    return SynapseList(before, after, weight)


def seat(net: IntNetwork, placed: Fit, profile: HardwareProfile, spiking: Ints) -> Seating:
    """Seat neurons as `fit` places them, and inputs on the cores after them.

    Args:
        net: the network.
        placed: its fit on the profile.
        profile: of Loihi 1.
        spiking: numbers of the inputs that spike at all.
    """
    chip, placement = chip_of(profile), placed.placement
    if placement is None or chip.mesh is None or chip.cores is None:
        raise InputError(f"the profile {placed.hw} has no mesh", where="sanafe", hint="use loihi1")
    mesh = chip.mesh
    numbers = [_core(s.chip, s.column, s.row, s.core, mesh) for s in placement.seats]
    cores = [np.zeros(layer.neurons, np.int64) for layer in net.layers]
    for tile, number in zip(placement.tiles, numbers, strict=True):
        shape = net.layers[tile.layer].out_shape
        box = shape if len(shape) == 3 else (shape[0], 1, 1)
        cores[tile.layer].reshape(box)[tile.slices] = number
    first = placement.chips * chip.cores
    used = set(numbers)
    free = [n for n in range(first) if n not in used]
    per_core = _limit(profile)
    needed = -(-len(spiking) // per_core)
    free += list(range(first, first + max(0, needed - len(free))))
    inputs = tuple((free[i // per_core], i % per_core) for i in range(len(spiking)))
    last = max([*numbers, *(core for core, _ in inputs)])
    tiles = last // mesh.cores_per_tile + 1
    columns = max(mesh.columns * placement.chips, -(-tiles // mesh.rows))
    return Seating(columns, mesh.rows, mesh.cores_per_tile, tuple(cores), inputs)


def _core(chip: int, column: int | None, row: int | None, core: int, mesh: Any) -> int:
    """Return SANA-FE's number of a core: tiles count down the rows first (``arch.cpp``)."""
    assert column is not None
    assert row is not None
    tile = (chip * mesh.columns + column) * mesh.rows + row
    return int(tile * mesh.cores_per_tile + core % mesh.cores_per_tile)


def _limit(profile: HardwareProfile) -> int:
    limit = capacity(profile.limits.get("neurons_per_core"))
    if limit is None:
        what = f"the profile {profile.name} does not say how many neurons a core holds"
        raise InputError(what, where="sanafe", hint="use loihi1")
    return int(limit)


def write_job(net: IntNetwork, spikes: Spikes, placed: Fit, folder: Path) -> None:
    """Write everything that the driver reads.

    Args:
        net: a network that `refusals` has let pass.
        spikes: uint8 ``[T, B, *input_shape]``, binary.
        placed: where its neurons sit.
        folder: an empty folder.
    """
    from sdcl_neuro.hardware import load_profile

    steps, samples = spikes.shape[:2]
    flat = spikes.reshape(steps, samples, prod(net.input_shape))
    spiking = np.flatnonzero(flat.any(axis=(0, 1)))
    seating = seat(net, placed, load_profile(placed.hw), spiking)
    job: dict[str, Any] = {
        "columns": seating.columns,
        "rows": seating.rows,
        "cores_per_tile": seating.cores_per_tile,
        "steps": steps,
        "samples": samples,
        "inputs": seating.inputs,
        "input_steps": samples * (steps + len(net.layers)),
        "layers": [_layer(layer) for layer in net.layers],
        "links": _links(net, spiking, folder),
    }
    # Between samples, and while the last spikes pass through the layers, inputs are silent.
    trains = np.zeros((len(spiking), samples, steps + len(net.layers)), np.uint8)
    trains[:, :, :steps] = flat[:, :, spiking].transpose(2, 1, 0)
    (folder / "inputs.bin").write_bytes(trains.tobytes())
    for index, (layer, cores) in enumerate(zip(net.layers, seating.cores, strict=True)):
        _write(folder / f"cores_{index}.bin", cores)
        if layer.bias is not None:
            _write(
                folder / f"bias_{index}.bin",
                layer.bias.astype(np.int64).repeat(layer.neurons // len(layer.bias)),
            )
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def _layer(layer: IntLayer) -> dict[str, Any]:
    """Return one layer in SANA-FE's words; its potential counts in weights of one, in steps of 1 /
    64.
    """
    return {
        "neurons": layer.neurons,
        "synapse": "loihi_conv_synapse" if layer.kind == "conv" else "loihi_dense_synapse",
        "biased": layer.bias is not None and bool(layer.bias.any()),
        "attributes": {
            "threshold": float(layer.neuron.threshold),
            "leak_decay": (DECAY_UNITY - layer.neuron.voltage_decay) / DECAY_UNITY,
            "input_decay": 0.0,
            "reset_mode": "hard",
            "reverse_threshold": (1 - STATE_LIMIT) / (1 << STATE_SHIFT),
            "reverse_reset_mode": "saturate",
        },
    }


def _links(net: IntNetwork, spiking: Ints, folder: Path) -> list[dict[str, Any]]:
    """Write every population's synapses; return who feeds whom, 0 being the input."""
    links = []
    for index, layer in enumerate(net.layers):
        found = synapses(layer)
        if index == 0:
            found = _renumbered(found, spiking)
        sources: Sequence[tuple[int, SynapseList | None]] = (
            (index, found),
            (index + 1, recurrent_synapses(layer)),
        )
        for source, part in sources:
            if part is None:
                continue
            name = f"link_{source}_{index + 1}"
            for letter, values in zip("abw", (part.before, part.after, part.weight), strict=True):
                _write(folder / f"{name}_{letter}.bin", values)
            links.append({"source": source, "target": index + 1, "file": name})
    return links


def _renumbered(found: SynapseList, spiking: Ints) -> SynapseList:
    """Return only those of inputs that spike, by their place among them."""
    place = np.full(max(int(found.before.max(initial=0)), int(spiking.max(initial=0))) + 1, -1)
    place[spiking] = np.arange(len(spiking))
    before = place[found.before]
    kept = before >= 0
    return SynapseList(before[kept], found.after[kept], found.weight[kept])


def _write(path: Path, values: Ints) -> None:
    path.write_bytes(np.ascontiguousarray(values, np.intc).tobytes())


def place(net: IntNetwork) -> Fit:
    """Place a network on Loihi 1; limits that it breaks do not stop the simulation."""
    return fit(net, PROFILE)
