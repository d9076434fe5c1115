"""Reading netx files: ours, and those that lava-dl's slayer writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.files.hdf5_guard import Guard, open_guarded
from sdcl_neuro.network.arguments import need_path, public
from sdcl_neuro.network.notes import SOURCE_CHECKS
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Shape

from . import input_neurons
from .constraints import MAX_LAYERS, layer_refusals, network_refusals
from .layer import LayerReader

SCHEMA = "sdcl_neuro.netx"
VERSION = 1
MAX_TEXT = 60_000  # HDF5 keeps an attribute below 64 KiB


@public
def from_netx(
    path: Path | str,
    *,
    input_shape: Shape | None = None,
    message_bits: int | None = None,
    skip_input: bool = False,
) -> IntNetwork:
    """Read a netx file and check everything that Lava does not.

    Args:
        path: a file of ours or of slayer, with CUBA (LOIHI) neurons.
        input_shape: ``(C, H, W)`` or ``(N,)`` for a file without an input layer, since a
            convolution's input shape cannot be told from its output; others say it themselves.
        message_bits: bits of an input count, which only our own files store; None takes the
            file's, else 0 (binary spikes); with input neurons the most, up to 8, at which
            what drives them fits the chip's 13 bits.
        skip_input: leave input neurons out, so that the network takes their spikes.

    Returns:
        The integer network.

    Raises:
        NetworkRefused: with every reason why Lava could not run it exactly.
        InputError: if it is not a readable netx file.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> _ = conversion.to_netx(net, "model.net")
        >>> conversion.from_netx("model.net").input_shape == net.input_shape
        True
    """
    path = need_path(path, "from_netx", "give the path of a .net file")
    with open_guarded(path) as (file, guard):
        head = _head(file, guard)
        bits = head["message_bits"] if message_bits is None else message_bits
        group = guard.group(file, "layer")
        if group is None:
            raise guard.error("no group 'layer'", "give a file that netx can read")
        chain = _chain(group, guard, input_shape, head["layer_names"])
    net = IntNetwork(chain.first, tuple(chain.layers), bits, head["meta"])
    if chain.driven:
        stated = message_bits is not None or head["ours"]
        net = input_neurons.skipped(net) if skip_input else input_neurons.noted(net, stated=stated)
    elif skip_input:
        raise InputError("no input neurons to skip", where=str(path), hint="leave --skip-input out")
    found = [
        *network_refusals(net.input_shape, len(net.layers), net.message_bits),
        *input_neurons.refusals(net, "layer 0 (input)"),
        *chain.refusals,
    ]
    if found:
        raise NetworkRefused(found, where=str(path))
    return net


@dataclass
class _FileChain:
    """What the groups of a file say together.

    Attributes:
        first: the network's input shape.
        driven: the first layer is a population of input neurons.
    """

    layers: list[IntLayer]
    refusals: list[Refusal]
    shape: Shape | None
    driven: bool = False

    @property
    def first(self) -> Shape:
        return self.shape or (self.layers[0].in_shape if self.layers else (1,))


def _chain(group: h5py.Group, guard: Guard, shape: Shape | None, names: list[str]) -> _FileChain:
    """Read the layers in order, the network's input shape, and what is wrong with either."""
    layers: list[IntLayer] = []
    driven = False
    found: list[Refusal] = []
    first = shape
    flat = False  # a flatten stands between `shape` and the next layer
    count = len(group)
    if count > MAX_LAYERS:
        raise guard.error(f"{count} layers", f"keep to {MAX_LAYERS}")
    missing = [str(i) for i in range(count) if str(i) not in group]
    if missing:
        raise guard.error(
            f"/layer has {count} members, but none called {missing[0]!r}",
            "number the layers from 0 and keep everything else out of that group",
        )
    for index in range(count):
        reader = LayerReader(guard, guard.group(group, str(index)), index)
        if reader.kind == "input":
            shape = reader.input_shape(first_layer=index == 0) or shape
            first = shape
            driving = reader.input_neurons(names[0] if names else "input", shape)
            if driving is not None and index == 0:
                layers.append(driving)
                driven = True
        elif reader.kind == "flatten":
            flat = True
        else:
            name = names[len(layers)] if len(layers) < len(names) else f"{reader.kind}{len(layers)}"
            layer = reader.layer(name, shape, flat=flat)
            if layer is not None:
                reader.refusals += layer_refusals(layer, where=reader.where, before=shape)
                layers.append(layer)
                first = first or layer.in_shape
            shape, flat = reader.out_shape, False
        found += reader.refusals
    return _FileChain(layers, found, first, driven)


def _head(file: h5py.File, guard: Guard) -> dict[str, Any]:
    """Return what our own files keep in the root's attributes; empty values for others."""
    empty: dict[str, Any] = {"layer_names": [], "meta": {}, "message_bits": 0, "ours": False}
    if _attribute(file, guard, "schema") != SCHEMA:
        return empty
    version = _attribute(file, guard, "version")
    if version != VERSION:
        hint = "use the sdcl-neuro that wrote it"
        raise guard.error(f"schema version {version}, this reads {VERSION}", hint)
    try:
        head = {
            "layer_names": json.loads(_attribute(file, guard, "layer_names")),
            "meta": json.loads(_attribute(file, guard, "meta")),
            "message_bits": int(_attribute(file, guard, "message_bits")),
            "ours": True,
        }
        checks = _source_checks(file, guard)
    except (ValueError, TypeError, RecursionError) as error:
        raise guard.error(f"broken root attributes ({error})") from error
    names, meta = head["layer_names"], head["meta"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise guard.error("root attribute 'layer_names' is not a list of names")
    if not isinstance(meta, Mapping):
        raise guard.error("root attribute 'meta' is not a JSON object")
    if checks:
        head["meta"] = {**meta, SOURCE_CHECKS: checks}
    return head


def _source_checks(file: h5py.File, guard: Guard) -> list[Any]:
    """Return what the file was compared with when it was made; ValueError if that is damaged."""
    stored = guard.array(file, SOURCE_CHECKS)
    if stored is None:
        return []
    if stored.ndim != 1 or stored.dtype != np.uint8:
        raise ValueError(f"{SOURCE_CHECKS} is {stored.dtype} {list(stored.shape)}, expected bytes")
    checks = json.loads(stored.tobytes().decode())
    if not isinstance(checks, list):
        raise ValueError(f"{SOURCE_CHECKS} is not a list")
    return checks


def _attribute(file: h5py.File, guard: Guard, name: str) -> Any:
    """Return a scalar attribute of the root, text decoded; None if it is missing or not a
    scalar.
    """
    if name not in file.attrs:
        return None
    identity = file.attrs.get_id(name)
    if identity.shape != () or identity.dtype.itemsize > MAX_TEXT:
        raise guard.error(f"root attribute {name!r} is not one short value")
    value = file.attrs[name]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
