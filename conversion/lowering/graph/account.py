"""Where the user's layers lie in the chain: kept as plain JSON in ``meta["graph"]``, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import Shape

from .layout import Layout, Place
from .rounding import Rounded, price_notes
from .units import Units

KEY = "graph"
VERSION = 1
Array = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """Channels of a node in one layer of the chain.

    Attributes:
        layer: counted from 0; -1 is the input.
        layout: the layer's shape.
        place: where.
    """

    layer: int
    layout: Layout
    place: Place


@dataclass(frozen=True)
class Tensor:
    """One of the user's tensors: an input, a spiking layer or a read-out.

    Attributes:
        name: of the node.
        size: ``(C, H, W)``.
        shape: as the user has it.
        parts: that together hold all channels.
        scale: of a read-out: integer weight per unit of float weight.
        bare: of a read-out: whether it is a synapse without neurons, which remembers nothing.
    """

    name: str
    size: tuple[int, int, int]
    shape: Shape
    parts: tuple[Part, ...]
    scale: float = 1.0
    bare: bool = False

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of the chain that hold it."""
        return tuple(sorted({part.layer for part in self.parts}))

    def read(self, layers: Mapping[int, Array]) -> Array:
        """Return the tensor ``[T, B, *shape]`` from layers ``[T, B, ...]`` of the chain."""
        first = layers[self.parts[0].layer]
        whole = np.empty((*first.shape[:2], *self.size), first.dtype)
        for part in self.parts:
            values = layers[part.layer]
            flat = values.reshape(*values.shape[:2], -1)
            whole[:, :, part.place.channels] = flat[:, :, part.layout.neurons(part.place)]
        return whole.reshape(*first.shape[:2], *self.shape)


@dataclass(frozen=True)
class Account:
    """All of the user's tensors in a chain.

    Attributes:
        inputs, layers, readouts: in the user's order.
        relayed: per layer of the chain, neurons that only relay or pool.
    """

    inputs: tuple[Tensor, ...]
    layers: tuple[Tensor, ...]
    readouts: tuple[Tensor, ...]
    relayed: tuple[int, ...]

    def pack(self, given: Mapping[str, Array]) -> Array:
        """Return the chain's input ``[T, B, ...]`` from each input ``[T, B, *shape]`` by its
        name.
        """
        steps, samples = next(iter(given.values())).shape[:2]
        layout = self.inputs[0].parts[0].layout
        packed = np.zeros((steps, samples, prod(layout.shape)), np.uint8)
        for tensor in self.inputs:
            values = given[tensor.name].reshape(steps, samples, *tensor.size)
            packed[:, :, layout.neurons(tensor.parts[0].place)] = values
        return packed.reshape(steps, samples, *layout.shape)


def make_account(units: Units, rounded: Rounded) -> dict[str, Any]:
    """Return the account of a chain as plain JSON."""
    chain = rounded.chain
    inputs = [_entry(units, place.node, [(-1, place)]) for place in chain.layouts[0].places]
    layers = [_entry(units, name, chain.homes[name]) for name in units.populations]
    readouts = [_entry(units, name, chain.homes[name]) for name in units.readouts]
    scales = {unit.node: unit.scale for unit in rounded.units}
    for entry in readouts:
        entry["scale"] = scales[entry["name"]]
        entry["bare"] = entry["name"] in units.bare
    own = [0] * len(chain.layers)
    for unit in rounded.units:
        for layer, place in chain.homes[unit.node]:
            if place.channels is unit.channels and unit.kind != "or":
                own[layer] += unit.neurons
    return {
        "version": VERSION,
        "inputs": inputs,
        "layers": layers,
        "readouts": readouts,
        "outputs": list(units.outputs),
        "relayed": [layer.neurons - n for layer, n in zip(chain.layers, own, strict=True)],
        "prices": price_notes(rounded.prices),
        "pooled": [
            {"name": unit.node, "neurons": unit.neurons, "layer": chain.homes[unit.node][0][0]}
            for unit in units.units
            if unit.kind == "or"
        ],
    }


def _entry(units: Units, name: str, homes: Sequence[tuple[int, Place]]) -> dict[str, Any]:
    sender = units.senders[name]
    return {
        "name": name,
        "size": list(sender.size),
        "shape": list(sender.shape),
        "parts": [
            {
                "layer": layer,
                "channels": [int(c) for c in place.channels],
                "base": place.base,
            }
            for layer, place in homes
        ],
    }


def read_account(meta: Mapping[str, Any], shapes: Sequence[Shape]) -> Account | None:
    """Return the account of a chain; None for a network that is not a graph.

    Args:
        meta: of the network.
        shapes: of its input, then of every layer.

    Raises:
        InputError: an account that does not fit the network.
    """
    stored = meta.get(KEY)
    if stored is None:
        return None
    try:
        if stored["version"] != VERSION:
            raise ValueError(f"version {stored['version']}, not {VERSION}")
        tensors = [
            tuple(_tensor(entry, shapes) for entry in stored[kind])
            for kind in ("inputs", "layers", "readouts")
        ]
        relayed = tuple(int(n) for n in stored["relayed"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"its account of the graph is damaged ({error})", where="meta", hint="convert it again"
        ) from error
    return Account(tensors[0], tensors[1], tensors[2], relayed)


def _tensor(entry: Mapping[str, Any], shapes: Sequence[Shape]) -> Tensor:
    channels, height, width = (int(n) for n in entry["size"])
    parts, found = [], []
    for part in entry["parts"]:
        layer, picked = int(part["layer"]), np.asarray(part["channels"], dtype=np.int64)
        shape = tuple(shapes[layer + 1])
        if layer < -1 or (len(shape) == 3 and (height % shape[1] or width % shape[2])):
            raise ValueError(f"{entry['name']!r} does not lie in layer {layer}")
        place = Place(str(entry["name"]), picked, (height, width), int(part["base"]))
        layout = Layout(shape, (place,))
        neurons = layout.neurons(place)
        if neurons.min() < 0 or neurons.max() >= prod(shape):
            raise ValueError(f"{entry['name']!r} reaches beyond layer {layer}")
        parts.append(Part(layer, layout, place))
        found += picked.tolist()
    shape = tuple(int(n) for n in entry["shape"])
    if sorted(found) != list(range(channels)) or prod(shape) != channels * height * width:
        raise ValueError(f"{entry['name']!r} is not whole")
    return Tensor(
        name=str(entry["name"]),
        size=(channels, height, width),
        shape=shape,
        parts=tuple(parts),
        scale=float(entry.get("scale", 1.0)),
        bare=bool(entry.get("bare", False)),
    )


__all__ = ["KEY", "Account", "Part", "Tensor", "make_account", "read_account"]
