"""What NIR has no words for, kept in a graph's metadata, and held against the graph on reading.

The graph alone is what every reader understands: float32, constants per neuron. The metadata adds
what makes a file give back the very same network: names, decays and thresholds in full precision,
scales, and for an integer network its integers. A value that stands in both places and differs
is refused, because nothing says which of the two was meant.

Keys: ``dt``, the step in seconds; ``sdcl_neuro``, JSON text; ``sdcl_neuro_<field>_<layer>``,
arrays. Everything is flat, since older readers of NIR take no nested metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import (
    FloatLayer,
    FloatNetwork,
    FloatNeuron,
    IntLayer,
    IntNetwork,
    IntNeuron,
)
from sdcl_neuro.network.spec_convert import dequantize

from .reader import RawLayer, RawNetwork
from .values import Array
from .weights import blocks_of, gain_of, spread, stored_weight

KEY = "sdcl_neuro"
VERSION = 1
_INT_ARRAYS = ("weight", "bias", "recurrent_weight", "delay")
_TOLERANCE = 1e-6  # float32 keeps a value to 6e-8; some are the outcome of three roundings


def make_claim(net: FloatNetwork | IntNetwork, *, dt: float) -> dict[str, Any]:
    """The metadata of a network."""
    claim: dict[str, Any] = {"dt": float(dt)}
    layers: list[dict[str, Any]] = []
    sequence: Sequence[FloatLayer | IntLayer] = net.layers
    for index, layer in enumerate(sequence):
        entry: dict[str, Any] = {"name": layer.name, "kind": layer.kind}
        entry |= asdict(layer.neuron)
        if layer.convolution is not None:
            entry["groups"] = layer.convolution.groups
        if isinstance(layer, FloatLayer):
            entry["scale"] = layer.scale
            arrays = _corrections(layer)
        else:
            arrays = {name: getattr(layer, name) for name in _INT_ARRAYS}
        entry["has"] = [name for name in _INT_ARRAYS if getattr(layer, name, None) is not None]
        layers.append(entry)
        for name, values in arrays.items():
            if values is not None:
                claim[f"{KEY}_{name}_{index}"] = values
    body: dict[str, Any] = {"version": VERSION, "layers": layers, "meta": dict(net.meta)}
    body["arithmetic"] = "float" if isinstance(net, FloatNetwork) else "integer"
    if isinstance(net, IntNetwork):
        body["message_bits"] = net.message_bits
    try:
        claim[KEY] = json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the network's meta is not plain JSON ({error})") from error
    return claim


def _corrections(layer: FloatLayer) -> dict[str, Array]:
    """What reading back is off by, in steps of float32; only arrays that are off are kept.

    A bias behind a synaptic current stands in the graph as ``v_leak``, one value for each neuron,
    and is kept here as it is.
    """
    gain = gain_of(layer.neuron)
    found: dict[str, Array] = {}
    for name in ("weight", "bias", "recurrent_weight"):
        values = getattr(layer, name)
        if values is None:
            continue
        if name == "bias" and layer.neuron.alpha > 0:
            found[name] = np.asarray(values, dtype=np.float32)
            continue
        exact = np.ascontiguousarray(values, dtype=np.float32)
        read = (stored_weight(exact, gain).astype(np.float64) * gain).astype(np.float32)
        steps = exact.view(np.int32).astype(np.int64) - read.view(np.int32)
        if steps.any():
            found[f"{name}_steps"] = steps.astype(np.int8)
    return found


def check_claim(raw: RawNetwork, metadata: Mapping[str, Any]) -> FloatNetwork | IntNetwork:
    """The network that the metadata claims, if the graph says the same.

    Raises:
        InputError: the metadata is damaged, or it and the graph disagree.
    """
    try:
        body = json.loads(metadata[KEY])
        if body["version"] != VERSION:
            raise _damaged(f"its version is {body['version']}, not {VERSION}")
        if any(layer.pool is not None for layer in raw.layers):
            raise _damaged("the graph pools, which its writer never does")
        integer = body["arithmetic"] == "integer"
        entries = body["layers"]
        if len(entries) != len(raw.layers):
            raise _damaged(f"it has {len(entries)} layers, the graph {len(raw.layers)}")
        pairs = [(_grouped(r, e), e) for r, e in zip(raw.layers, entries, strict=True)]
        raw = replace(raw, layers=tuple(layer for layer, _ in pairs))
        if not integer:
            exact = [_float_layer(r, e, i, metadata) for i, (r, e) in enumerate(pairs)]
            net = FloatNetwork(raw.input_shape, tuple(exact), body["meta"])
            _agree(raw, net)
            return net
        layers = tuple(_int_layer(r, e, i, metadata) for i, (r, e) in enumerate(pairs))
        bits = int(body["message_bits"])
        chip = IntNetwork(raw.input_shape, layers, message_bits=bits, meta=body["meta"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    _agree(raw, dequantize(chip))
    return chip


def _grouped(raw: RawLayer, entry: Mapping[str, Any]) -> RawLayer:
    """A layer with the groups its metadata speaks of; the graph has kernels over all channels."""
    groups = entry.get("groups", 1)
    if groups == 1 or raw.convolution is None:
        return raw
    outputs, inputs = raw.weight.shape[:2]
    if type(groups) is not int or groups < 1 or outputs % groups or inputs % groups:
        raise _damaged(f"{groups!r} groups for {outputs} and {inputs} channels")
    blocks = blocks_of(outputs, inputs, groups)
    weight = np.concatenate([raw.weight[rows, columns] for rows, columns in blocks])
    if not np.array_equal(spread(weight, groups), raw.weight):
        what = f"the graph has weights outside the {groups} groups of its metadata"
        raise InputError(what, where=raw.where, mend="convert the network again")
    return replace(raw, weight=weight, convolution=replace(raw.convolution, groups=groups))


def _damaged(reason: str) -> InputError:
    mend = f"convert the network again, or delete the metadata {KEY!r} to read the graph alone"
    return InputError(f"metadata {KEY!r} is damaged: {reason}", mend=mend)


def _array(metadata: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: str) -> Array:
    array = np.asarray(metadata[key])
    if array.shape != shape or array.dtype.kind not in kinds:
        raise _damaged(f"{key} is {array.dtype} {list(array.shape)}, not {list(shape)}")
    return array


def _float_layer(
    raw: RawLayer, entry: Mapping[str, Any], index: int, metadata: Mapping[str, Any]
) -> FloatLayer:
    neuron = FloatNeuron(
        beta=float(entry["beta"]), threshold=float(entry["threshold"]), alpha=float(entry["alpha"])
    )
    gain = gain_of(neuron)

    def exact(name: str, stored: Array | None, shape: tuple[int, ...]) -> Array | None:
        if name not in entry["has"]:
            return None
        if name == "bias" and neuron.alpha > 0:
            return _array(metadata, f"{KEY}_bias_{index}", shape, "f")
        # A bias of zeros is read as none.
        values = np.zeros(shape, np.float32) if stored is None else stored
        values = (values.astype(np.float64) * gain).astype(np.float32)
        key = f"{KEY}_{name}_steps_{index}"
        if key in metadata:
            steps = _array(metadata, key, shape, "i").astype(np.int32)
            values = (values.view(np.int32) + steps).view(np.float32)
        return values

    weight = exact("weight", raw.weight, raw.weight.shape)
    if weight is None:
        raise _damaged(f"layer {index} has no weight")
    square = (raw.out_shape[0],) * 2
    return FloatLayer(
        name=str(entry["name"]),
        kind=raw.kind,
        weight=weight,
        neuron=neuron,
        in_shape=raw.in_shape,
        out_shape=raw.out_shape,
        bias=exact("bias", raw.bias, raw.weight.shape[:1]),
        convolution=raw.convolution,
        recurrent_weight=exact("recurrent_weight", raw.recurrent_weight, square),
        scale=None if entry["scale"] is None else float(entry["scale"]),
    )


def _int_layer(
    raw: RawLayer, entry: Mapping[str, Any], index: int, metadata: Mapping[str, Any]
) -> IntLayer:
    def integers(name: str, shape: tuple[int, ...]) -> NDArray[np.int32] | None:
        if name not in entry["has"]:
            return None
        return _array(metadata, f"{KEY}_{name}_{index}", shape, "i").astype(np.int32)

    keys = ("current_decay", "voltage_decay", "threshold")
    if not all(type(entry[key]) is int for key in keys):
        raise _damaged(f"layer {index}'s constants are not whole")
    weight = integers("weight", raw.weight.shape)
    if weight is None:
        raise _damaged(f"layer {index} has no weight")
    return IntLayer(
        name=str(entry["name"]),
        kind=raw.kind,
        weight=weight,
        neuron=IntNeuron(*(entry[key] for key in keys)),
        in_shape=raw.in_shape,
        out_shape=raw.out_shape,
        bias=integers("bias", raw.weight.shape[:1]),
        convolution=raw.convolution,
        recurrent_weight=integers("recurrent_weight", (raw.out_shape[0],) * 2),
        delay=integers("delay", raw.weight.shape),
    )


def _agree(raw: RawNetwork, net: FloatNetwork) -> None:
    """Refuse a graph that says something else than the network claimed."""
    for index, (graph, layer) in enumerate(zip(raw.layers, net.layers, strict=True)):
        neuron, gain = layer.neuron, gain_of(layer.neuron)
        filtered = neuron.alpha > 0
        bias = None if layer.bias is None or filtered else stored_weight(layer.bias, gain)
        drive = np.zeros(1)
        if layer.bias is not None and filtered:
            with np.errstate(all="ignore"):
                drive = layer.bias.astype(np.float64) / (1 - neuron.beta)
        recurrent = layer.recurrent_weight
        leak = np.broadcast_to(graph.neurons.leak, layer.out_shape).reshape(len(drive), -1)
        said: dict[str, tuple[Any, Any]] = {
            "beta": (1 - graph.neurons.beta, 1 - neuron.beta),
            "alpha": (1 - graph.neurons.alpha, 1 - neuron.alpha),
            "threshold": (graph.neurons.threshold, neuron.threshold),
            "v_reset": (graph.neurons.reset, 0.0),
            "gain": (graph.neurons.gain, gain),
            "weight": (graph.weight, stored_weight(layer.weight, gain)),
            "bias": (_or_zero(graph.bias), _or_zero(bias)),
            "v_leak": (leak, drive[:, None]),
            "recurrent weight": (
                _or_zero(graph.recurrent_weight),
                _or_zero(None if recurrent is None else stored_weight(recurrent, gain)),
            ),
            "recurrent bias": (_or_zero(graph.recurrent_bias), _or_zero(None)),
        }
        for name, (in_graph, claimed) in said.items():
            with np.errstate(all="ignore"):
                same = np.allclose(in_graph, claimed, rtol=_TOLERANCE, atol=0)
            if not same:
                mend = f"convert the network again, or delete the metadata {KEY!r}"
                what = f"the graph and its metadata disagree on the {name} of layer {index}"
                raise InputError(what, where=graph.where, mend=mend)


def _or_zero(values: Array | None) -> Array:
    return np.zeros(1) if values is None else values
