"""The network that a file of ours claims in its metadata, held against its graph.

A value that stands in both places and differs is refused, because nothing says which of the two
was meant. `targets.nir.claim` has what the metadata holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spec import (
    FloatLayer,
    FloatNetwork,
    FloatNeuron,
    IntLayer,
    IntNetwork,
    IntNeuron,
    Shape,
)
from sdcl_neuro.network.spec_convert import dequantize

from ...lowering.graph.nodes import FloatGraph
from ...targets.nir.claim import KEY, VERSION
from ...targets.nir.forms import FORMS, OWN, ReaderForm
from ...targets.nir.graph_claim import ARITHMETIC, claimed_graph
from ...targets.nir.populations import rate_of
from ...targets.nir.weights import Array, blocks_of, gain_of, spread, stored_weight
from ...targets.nir.writer import build_graph
from .file import Tree
from .memory import tree_of
from .reader import RawLayer, read_raw

_TOLERANCE = 1e-6
"""float32 keeps a value to 6e-8; some are the outcome of three roundings."""


def read_claim(tree: Tree, *, where: str) -> FloatNetwork | IntNetwork | FloatGraph:
    """Read the network that a file of ours claims, if its graph says the same.

    Args:
        tree: the file, with our metadata.
        where: how to call it in messages.

    Returns:
        The network as it was written; its meta says for which step, ``dt_s``.

    Raises:
        NetworkRefused: the graph cannot be read.
        InputError: the metadata is damaged, or it and the graph disagree.
    """
    metadata = tree["metadata"]
    form = form_of_claim(metadata)
    if json.loads(metadata[KEY]).get("arithmetic") == ARITHMETIC:
        return _claimed_graph(tree, where=where)
    raw = read_raw(tree, writer=form.reads_as, where=where)
    shape, layers, step = raw.checked(where)
    try:
        net = _claimed(json.loads(metadata[KEY]), metadata, shape, layers, form)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    meta = {**net.meta, "dt_s": step.seconds, "dt_source": step.source}
    return replace(net, meta=meta)


def _claimed_graph(tree: Tree, *, where: str) -> FloatGraph:
    """Return the graph of a file of ours, whose nodes have to be those that it is written as."""
    metadata = tree["metadata"]
    try:
        graph = claimed_graph(json.loads(metadata[KEY]), metadata)
        step = float(np.asarray(metadata["dt"]))
        built = build_graph(graph, dt=step)
        written = tree_of(built)
    except NetworkRefused as error:
        raise _damaged(f"it claims a graph that is not written ({error})"[:200]) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error
    for name, node in written["nodes"].items():
        if node["type"] == "Flatten":  # a file has its shape as well
            node["input_type"] = built.nodes[name].input_type["input"]
    for name in dict.fromkeys([*written["nodes"], *tree["nodes"]]):
        if not _same(written["nodes"].get(name), tree["nodes"].get(name)):
            what = f"the graph and its metadata disagree on node {name!r}"
            raise InputError(what, where=where, hint="convert the network again")
    edges = [
        sorted(tuple(map(str, edge)) for edge in np.asarray(each["edges"]).reshape(-1, 2))
        for each in (written, tree)
    ]
    if edges[0] != edges[1]:
        what = "the graph and its metadata disagree on its edges"
        raise InputError(what, where=where, hint="convert the network again")
    return replace(graph, meta={**graph.meta, "dt_s": step, "dt_source": "the file"})


def _same(written: Any, found: Any) -> bool:
    """Return whether two nodes, or two values of theirs, are the same."""
    if isinstance(written, Mapping) or isinstance(found, Mapping):
        if not (isinstance(written, Mapping) and isinstance(found, Mapping)):
            return False
        names = {name for each in (written, found) for name in each if name != "metadata"}
        return all(_same(written.get(name), found.get(name)) for name in names)
    if isinstance(written, str) or isinstance(found, str):
        return str(written) == str(found)
    if written is None or found is None:
        return written is found
    return bool(np.array_equal(np.asarray(written), np.asarray(found)))


def form_of_claim(metadata: Mapping[str, Any]) -> ReaderForm:
    """Return the form that a file of ours is in.

    Raises:
        InputError: the metadata is damaged.
    """
    try:
        reader = json.loads(metadata[KEY]).get("reader")
        return OWN if reader is None else FORMS[reader]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(f"{type(error).__name__}: {error}"[:200]) from error


def _claimed(
    body: Mapping[str, Any],
    metadata: Mapping[str, Any],
    shape: Shape,
    layers: tuple[RawLayer, ...],
    form: ReaderForm,
) -> FloatNetwork | IntNetwork:
    """Return the network of the metadata, once its graph was found to agree."""
    if body["version"] != VERSION:
        raise _damaged(f"its version is {body['version']}, not {VERSION}")
    if any(layer.pool is not None for layer in layers):
        raise _damaged("the graph pools, which its writer never does")
    entries = body["layers"]
    if len(entries) != len(layers):
        raise _damaged(f"it has {len(entries)} layers, the graph {len(layers)}")
    layers = tuple(_grouped(raw, entry) for raw, entry in zip(layers, entries, strict=True))
    pairs = list(enumerate(zip(layers, entries, strict=True)))
    if body["arithmetic"] != "integer":
        exact = [_float_layer(r, e, i, metadata, form) for i, (r, e) in pairs]
        net = FloatNetwork(shape, tuple(exact), body["meta"])
        _agree(layers, net, form)
        return net
    whole = tuple(_int_layer(r, e, i, metadata) for i, (r, e) in pairs)
    chip = IntNetwork(shape, whole, message_bits=int(body["message_bits"]), meta=body["meta"])
    _agree(layers, dequantize(chip), form)
    return chip


def _grouped(raw: RawLayer, entry: Mapping[str, Any]) -> RawLayer:
    """Return a layer with the groups its metadata speaks of; the graph has kernels over all
    channels.
    """
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
        raise InputError(what, where=raw.where, hint="convert the network again")
    return replace(raw, weight=weight, convolution=replace(raw.convolution, groups=groups))


def _damaged(reason: str) -> InputError:
    what = f"metadata {KEY!r} is damaged: {reason}"
    return InputError(what, hint="convert the network again")


def _array(metadata: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: str) -> Array:
    array = np.asarray(metadata[key])
    if array.shape != shape or array.dtype.kind not in kinds:
        raise _damaged(f"{key} is {array.dtype} {list(array.shape)}, not {list(shape)}")
    return array


def _float_layer(
    raw: RawLayer,
    entry: Mapping[str, Any],
    index: int,
    metadata: Mapping[str, Any],
    form: ReaderForm,
) -> FloatLayer:
    neuron = FloatNeuron(
        beta=float(entry["beta"]), threshold=float(entry["threshold"]), alpha=float(entry["alpha"])
    )
    gain = gain_of(neuron, form)

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


def _agree(layers: tuple[RawLayer, ...], net: FloatNetwork, form: ReaderForm) -> None:
    """Refuse a graph that says something else than the network claimed."""
    for index, (graph, layer) in enumerate(zip(layers, net.layers, strict=True)):
        neuron, gain = layer.neuron, gain_of(layer.neuron, form)
        filtered = neuron.alpha > 0
        bias = None if layer.bias is None or filtered else stored_weight(layer.bias, gain)
        drive = np.zeros(1)
        if layer.bias is not None and filtered:
            with np.errstate(all="ignore"):
                drive = layer.bias.astype(np.float64) / rate_of(neuron, form)
        recurrent = layer.recurrent_weight
        leak = np.broadcast_to(graph.neurons.leak, layer.out_shape).reshape(len(drive), -1)
        said: dict[str, tuple[Any, Any]] = {
            "beta": (1 - graph.neurons.beta, rate_of(neuron, form)),
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
                what = f"the graph and its metadata disagree on the {name} of layer {index}"
                raise InputError(what, where=graph.where, hint="convert the network again")


def _or_zero(values: Array | None) -> Array:
    return np.zeros(1) if values is None else values
