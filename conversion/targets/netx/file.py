"""Integer networks to and from lava-dl's netx files (HDF5).

The file is exactly what lava-dl 0.6.0 `netx/hdf5.py` reads: ``layer/<i>`` with ``type``, ``shape``
(torch's order), weights, geometry and ``neuron/...``. What netx has no place for (our schema,
message bits, layer names, meta) stands in attributes of the root, because netx counts the members
of ``layer``; the comparison with the network's source, which can be long, in a dataset beside it.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.files import atomic_path, file_sha256
from sdcl_neuro.files.hdf5_writing import new_hdf5
from sdcl_neuro.network.arguments import need_integers, need_path, public
from sdcl_neuro.network.notes import SOURCE_CHECKS
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Shape

from . import input_neurons
from .constraints import refusals
from .reader import MAX_TEXT, SCHEMA, VERSION, from_netx

__all__ = ["from_netx", "to_netx"]


@public
def to_netx(net: IntNetwork, path: Path | str) -> str:
    """Write `net` for ``lava.lib.dl.netx.hdf5.Network``; the same network gives the same bytes.

    Args:
        net: the network.
        path: the file, by custom ``*.net``; replaced only once it is whole.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        InputError: it is not in a chip's integers.
        NetworkRefused: with every reason why Lava could not run it exactly.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> len(conversion.to_netx(net, "model.net"))  # SHA-256
        64
        >>> conversion.from_netx("model.net") == net
        True
    """
    net = need_integers(net, "to_netx")
    path = need_path(path, "to_netx", "name the file, OUT.net", to_write=True)
    found = refusals(net)
    if found:
        raise NetworkRefused(found)
    attributes = _attributes(net)
    with atomic_path(path) as temporary:
        with new_hdf5(temporary, libver=("earliest", "v110")) as (file, _):
            for name, value in attributes.items():
                file.attrs[name] = value
            _write_layers(file.create_group("layer"), net)
            checks = net.meta.get(SOURCE_CHECKS)
            if checks:
                text = json.dumps(checks, sort_keys=True, allow_nan=False).encode()
                _write(file, SOURCE_CHECKS, np.frombuffer(text, np.uint8))
        return file_sha256(temporary)


def _attributes(net: IntNetwork) -> dict[str, Any]:
    meta = {name: value for name, value in net.meta.items() if name != SOURCE_CHECKS}
    texts = {
        "schema": SCHEMA,
        "layer_names": json.dumps([layer.name for layer in net.layers]),
        "meta": json.dumps(meta, sort_keys=True, allow_nan=False),
    }
    for name, text in texts.items():
        if len(text.encode()) > MAX_TEXT:
            hint = f"keep its JSON below {MAX_TEXT} bytes"
            raise InputError("does not fit a file's attribute", where=name, hint=hint)
    # Fixed-length bytes: variable-length text would put heap addresses into the file.
    packed = {name: np.bytes_(text.encode()) for name, text in texts.items()}
    return {**packed, "version": np.int64(VERSION), "message_bits": np.int64(net.message_bits)}


def _write_layers(group: h5py.Group, net: IntNetwork) -> None:
    """Fill the group ``layer``: the input, then the layers, with a flatten where one is needed."""
    driven = input_neurons.drive(net)
    first = group.create_group("0")
    _write_layer(first, "input", net.input_shape)
    if driven is not None:
        for name, value in zip(("weight", "bias"), driven, strict=True):
            _write(first, name, np.int64(value))
        _write_neuron(first, net.layers[0])
    shape = net.input_shape
    for layer in net.layers if driven is None else net.layers[1:]:
        if layer.kind != "conv" and len(shape) == 3:
            _write_layer(group.create_group(str(len(group))), "flatten", (prod(shape),))
        target = group.create_group(str(len(group)))
        _write_layer(target, layer.kind, layer.out_shape)
        _write_synapse(target, layer)
        _write_neuron(target, layer)
        shape = layer.out_shape


def _write_layer(group: h5py.Group, kind: str, shape: Shape) -> None:
    # The type is an array of one byte string, the neuron's a scalar one: as slayer writes them.
    _write(group, "type", np.array([kind.encode("ascii")], dtype="S10"))
    _write(group, "shape", np.array(shape, dtype=np.int64))


def _write_synapse(group: h5py.Group, layer: IntLayer) -> None:
    arrays = {
        "weight": layer.weight,
        "weight_rec": layer.recurrent_weight,
        "bias": layer.bias,
        "delay": layer.delay,
    }
    for name, values in arrays.items():
        if values is not None:
            _write(group, name, np.ascontiguousarray(values, dtype=np.int32))
    if layer.convolution is not None:
        for name in ("stride", "padding", "dilation"):
            _write(group, name, np.array(getattr(layer.convolution, name), dtype=np.int64))
        _write(group, "groups", np.int64(layer.convolution.groups))


def _write_neuron(group: h5py.Group, layer: IntLayer) -> None:
    neuron = group.create_group("neuron")
    _write(neuron, "type", np.bytes_(b"CUBA"))
    _write(neuron, "iDecay", np.int64(layer.neuron.current_decay))
    _write(neuron, "vDecay", np.int64(layer.neuron.voltage_decay))
    _write(neuron, "vThMant", np.int64(layer.neuron.threshold))
    _write(neuron, "refDelay", np.int64(1))
    _write(neuron, "gradedSpike", np.bool_(False))


def _write(group: h5py.Group, name: str, values: Any) -> None:
    group.create_dataset(name, data=values, track_times=False)
