"""How two networks differ in meaning: what each computes, not how its file is written.

A bias of zeros is not a bias, groups are the synapses they leave, and between a float network and
chip integers only ratios count: a layer's weights, biases and threshold scaled alike compute the
same. Names and metadata are told apart from that, for they never change a spike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.identity import path_sha256
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork
from sdcl_neuro.network.spec_convert import dequantize

from .model import Model
from .model_reading import as_model
from .sources.nir.graph import states_its_step
from .targets.nir.weights import spread

SCHEMA = {"name": "sdcl_neuro.difference", "version": 1}
Layer = FloatLayer | IntLayer
Network = FloatNetwork | IntNetwork

_ARRAYS = ("weight", "recurrent_weight", "bias", "delay")
_GEOMETRY = ("stride", "padding", "dilation")
_NEURON = ("voltage_decay", "current_decay", "threshold", "beta", "alpha")


@dataclass(frozen=True)
class Change:
    """One thing that is not the same.

    Attributes:
        where: the layer, ``network`` or ``metadata``.
        what: the field.
        values: what each side has, as plain JSON.
        count, of: how many values differ, of how many; None where there is one.
        largest: the largest difference, where there is a count.
    """

    where: str
    what: str
    values: tuple[Any, Any]
    count: int | None = None
    of: int | None = None
    largest: float | None = None

    def __str__(self) -> str:
        one, two = (_short(value) for value in self.values)
        if self.count is None:
            return f"{self.where}: {self.what}: {one} and {two}"
        return (
            f"{self.where}: {self.what}: {self.count:,} of {self.of:,} differ, most by "
            f"{self.largest:.6g} ({one} and {two})"
        )


@dataclass(frozen=True)
class Difference:
    """What `difference` found.

    Attributes:
        names, sha256: of the two sides; None for the hash of what is not a file.
        arithmetic: what was compared: ``integer``, ``float``, ``float and integer`` (both sides
            have both), or ``units of the thresholds`` (one only float, the other only integers).
        changes: what changes the spikes.
        described: names and metadata, which do not.
    """

    names: tuple[str, str]
    sha256: tuple[str | None, str | None]
    arithmetic: str
    changes: tuple[Change, ...]
    described: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Return whether both compute the same."""
        return not self.changes

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"schema": dict(SCHEMA), "same": self.same, **asdict(self)}

    def __str__(self) -> str:
        verdict = "compute the same" if self.same else "differ"
        lines = [f"{self.names[0]} and {self.names[1]} {verdict} (compared in {self.arithmetic})"]
        lines += [f"  {change}" for change in self.changes]
        if self.described:
            lines.append("  no spike depends on these:")
            lines += [f"    {change}" for change in self.described]
        return "\n".join(lines)


def difference(
    one: Any, two: Any, *, dt: float | None = None, writer: str | None = None
) -> Difference:
    """Compare two models, networks, or paths of either.

    Args:
        one, two: what to compare.
        dt, writer: step and writer of every ``.nir`` among them that does not state its own; see
            `conversion.from_nir`.

    Raises:
        InputError: one of them cannot be read.
    """
    first, second = _models(one, two, dt, writer)
    arithmetic, pairs = _pairs(first, second)
    changes: list[Change] = []
    for left, right in pairs:
        changes += _compare(left, right)
    paths = first.path, second.path
    hashes = [None if path is None else path_sha256(path) for path in paths]
    known = first.integer or first.need_float(), second.integer or second.need_float()
    return Difference(
        names=(_name(first, "first"), _name(second, "second")),
        sha256=(hashes[0], hashes[1]),
        arithmetic=arithmetic,
        changes=tuple(dict.fromkeys(changes)),
        described=tuple(_described(*known)),
    )


def _models(one: Any, two: Any, dt: float | None, writer: str | None) -> tuple[Model, Model]:
    """Return both as models; step and writer go to those that need them, and one of them has to."""
    needy = [_needs_step(thing) for thing in (one, two)]
    if not any(needy):
        needy = [True, True]  # whose complaint it is, if they are given
    first, second = (
        as_model(thing, dt=dt, writer=writer) if needs else as_model(thing)
        for thing, needs in zip((one, two), needy, strict=True)
    )
    return first, second


def _needs_step(thing: Any) -> bool:
    """Return whether something is a NIR graph that does not state its step."""
    if not isinstance(thing, str | Path):
        return type(thing).__name__ == "NIRGraph"
    path = Path(thing)
    return path.suffix == ".nir" and path.is_file() and not states_its_step(path)


def _pairs(one: Model, two: Model) -> tuple[str, list[tuple[Network, Network]]]:
    """Return what is compared with what, and what to call it."""
    pairs: list[tuple[Network, Network]] = []
    kinds = []
    if one.floating is not None and two.floating is not None:
        kinds.append("float")
        pairs.append((one.floating, two.floating))
    if one.integer is not None and two.integer is not None:
        kinds.append("integer")
        pairs.append((one.integer, two.integer))
    if pairs:
        return " and ".join(kinds), pairs
    return "units of the thresholds", [(_ratios(one), _ratios(two))]


def _ratios(model: Model) -> FloatNetwork:
    """Return a network in units of its thresholds."""
    net = model.floating if model.floating is not None else dequantize(model.need_integer())
    layers = []
    for layer in net.layers:
        unit = layer.neuron.threshold or 1.0
        scaled: dict[str, Any] = {
            name: np.asarray(values / unit, np.float32)
            for name in ("weight", "bias", "recurrent_weight")
            if (values := getattr(layer, name)) is not None
        }
        neuron = replace(layer.neuron, threshold=layer.neuron.threshold / unit)
        layers.append(replace(layer, neuron=neuron, **scaled))
    return replace(net, layers=tuple(layers))


def _compare(one: Network, two: Network) -> Iterator[Change]:
    """Yield what changes the spikes."""
    if one.input_shape != two.input_shape:
        yield Change("network", "input shape", (list(one.input_shape), list(two.input_shape)))
    bits = _message_bits(one), _message_bits(two)
    if bits[0] != bits[1]:
        yield Change("network", "message bits", bits)
    if len(one.layers) != len(two.layers):
        yield Change("network", "layers", (len(one.layers), len(two.layers)))
    lefts: Sequence[Layer] = one.layers
    rights: Sequence[Layer] = two.layers
    for index, (left, right) in enumerate(zip_longest(lefts, rights)):
        if left is None or right is None:
            kinds = tuple(None if layer is None else layer.kind for layer in (left, right))
            yield Change(f"layer {index}", "only on one side", (kinds[0], kinds[1]))
        else:
            yield from _layer(f"layer {index} ({left.name})", left, right)


def _layer(where: str, one: Layer, two: Layer) -> Iterator[Change]:
    for what in ("kind", "in_shape", "out_shape"):
        values = getattr(one, what), getattr(two, what)
        if values[0] != values[1]:
            yield Change(where, what.replace("_", " "), values)
    for part, fields in (("convolution", _GEOMETRY), ("neuron", _NEURON)):
        sides = getattr(one, part), getattr(two, part)
        for what in fields if None not in sides else ():
            values = getattr(sides[0], what, None), getattr(sides[1], what, None)
            if values[0] != values[1]:
                yield Change(where, what.replace("_", " "), values)
    for what in _ARRAYS:
        change = _array(where, what, _values(one, what, two), _values(two, what, one))
        if change is not None:
            yield change


def _values(layer: Layer, what: str, other: Layer) -> NDArray[Any] | None:
    """Return an array of a layer; none for zeros that are the same as none; groups spread if
    unequal.
    """
    values: NDArray[Any] | None = getattr(layer, what, None)
    if values is None or (what in ("bias", "delay") and not values.any()):
        return None
    mine, theirs = layer.convolution, other.convolution
    if what == "weight" and mine is not None and theirs is not None:
        return spread(values, mine.groups) if mine.groups != theirs.groups else values
    return values


def _array(
    where: str, what: str, one: NDArray[Any] | None, two: NDArray[Any] | None
) -> Change | None:
    name = what.replace("_", " ") + ("" if what in ("bias", "delay") else "s")
    if one is None and two is None:
        return None
    # Nothing is as good as zeros.
    first = np.zeros_like(two) if one is None else one
    second = np.zeros_like(one) if two is None else two
    if first.shape != second.shape:
        return Change(where, f"shape of {name}", (list(first.shape), list(second.shape)))
    distance = np.abs(first.astype(np.float64) - second.astype(np.float64))
    count = int(np.count_nonzero(distance))
    if not count:
        return None
    place = np.unravel_index(int(np.argmax(distance)), distance.shape)
    values = first[place].item(), second[place].item()
    return Change(where, name, values, count, int(distance.size), float(distance[place]))


def _described(one: Network, two: Network) -> Iterator[Change]:
    """Yield names and metadata that are not the same."""
    names = [[layer.name for layer in net.layers] for net in (one, two)]
    for index, (left, right) in enumerate(zip(*names, strict=False)):
        if left != right:
            yield Change(f"layer {index}", "name", (left, right))
    for key in sorted({*one.meta, *two.meta}):
        values = _plain(one.meta.get(key)), _plain(two.meta.get(key))
        if values[0] != values[1]:
            yield Change("metadata", key, values)


def _plain(value: Any) -> Any:
    """Return the value as JSON would give it back, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _message_bits(net: Network) -> int:
    if isinstance(net, IntNetwork):
        return net.message_bits
    return int(net.meta.get("message_bits", 0))


def _short(value: Any) -> str:
    text = f"{value:.9g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _name(model: Model, otherwise: str) -> str:
    return otherwise if model.path is None else model.path.name
