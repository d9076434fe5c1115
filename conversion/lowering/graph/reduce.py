"""From the nodes of a graph to units: everything linear becomes weights, exactly or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spec import Shape

from ..pooling import PoolAxis, adaptive_axis, window_axis
from . import forms
from .forms import Flat, Form, Value
from .nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    Node,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
    SliceNode,
    UpsampleNode,
)
from .pooled import any_of, windows_of
from .populations import units_of_population, units_of_readout
from .shapes import Misfit, shapes_of, where_of
from .units import Sender, Unit, Units

Array = NDArray[np.float64]


@dataclass
class _Reduction:
    """What has been reduced so far."""

    shapes: Mapping[str, Shape]
    values: dict[str, Value] = field(default_factory=dict)
    senders: dict[str, Sender] = field(default_factory=dict)
    units: list[Unit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def reduce_graph(graph: FloatGraph) -> Units:
    """Reduce a graph to units.

    Raises:
        NetworkRefused: with every node that has no exact place on the chip.
    """
    shapes = shapes_of(graph)
    done, refusals = _Reduction(shapes), []
    readouts = {node.name for node in graph.readouts}
    for node in graph.nodes:
        if readouts.intersection(node.inputs):
            what = "reads the membranes of a read-out, which no synapse can send"
            refusals.append(Refusal(where_of(node), what, "end the network there"))
            continue
        if any(name not in done.values for name in node.inputs):
            continue  # it reads a node that was refused
        read = [done.values[name] for name in node.inputs]
        try:
            done.values[node.name] = _REDUCERS[type(node)](node, read, done)
        except Misfit as misfit:
            refusals.append(Refusal(where_of(node), *misfit.args))
    refusals += _unread(graph, done)
    if refusals:
        raise NetworkRefused(refusals)
    inputs = tuple(done.senders[node.name] for node in graph.inputs)
    return Units(
        inputs=inputs,
        senders=done.senders,
        units=tuple(done.units),
        populations=tuple(node.name for node in graph.populations),
        readouts=tuple(node.name for node in graph.readouts),
        outputs=graph.outputs,
        bare=tuple(node.name for node in graph.readouts if node.beta == node.alpha == 0),
        notes=tuple(done.notes),
    )


def biases_before_currents(graph: FloatGraph) -> dict[str, Array]:
    """Return population whose current decays to the bias that it receives, one number a channel.

    Left out are those without a bias, and those where it differs within a channel.
    """
    done = _Reduction(shapes_of(graph))
    found: dict[str, Array] = {}
    for node in graph.nodes:
        if any(name not in done.values for name in node.inputs):
            continue
        read = [done.values[name] for name in node.inputs]
        try:
            if not isinstance(node, PopulationNode):
                done.values[node.name] = _REDUCERS[type(node)](node, read, done)
                continue
            form = _one_form(read[0])
        except Misfit:
            continue  # whoever reduces the graph hears of it
        done.values[node.name] = _send(node, form.shape, done)
        bias = None if form.bias is None else np.broadcast_to(form.bias, form.shape)
        if bias is None or not node.alpha.any() or not bias.any():
            continue
        if (bias == bias[:, :1, :1]).all():
            found[node.name] = np.ascontiguousarray(bias[:, 0, 0])
    return found


def _unread(graph: FloatGraph, done: _Reduction) -> Iterator[Refusal]:
    """Yield sums that no neuron receives."""
    read = {name for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        linear = not isinstance(node, Input | PopulationNode | ReadoutNode)
        if linear and node.name in done.values and node.name not in read:
            what = "no neuron receives what it gives"
            yield Refusal(where_of(node), what, "put a population or a read-out after it")


def _send(node: Node, size: tuple[int, int, int], done: _Reduction) -> Value:
    """Return what later nodes read of a node that sends spikes."""
    shape = done.shapes[node.name]
    done.senders[node.name] = Sender(node.name, size, shape)
    form = forms.spikes_of(node.name, size)
    return Flat((form,)) if len(shape) == 1 else form


def _input(node: Any, read: list[Value], done: _Reduction) -> Value:
    del read
    shape = node.shape
    return _send(node, shape if len(shape) == 3 else (shape[0], 1, 1), done)


def _convolution(node: ConvolutionNode, read: list[Value], done: _Reduction) -> Value:
    form = _image(read[0])
    geometry, out = node.geometry, done.shapes[node.name]
    weight = _ungrouped(node)
    tables = []
    for axis in range(2):
        taps, inputs, outputs = weight.shape[2 + axis], form.shape[1 + axis], out[1 + axis]
        stride, padding, dilation = (
            pair[axis] for pair in (geometry.stride, geometry.padding, geometry.dilation)
        )
        forms.expect_small(outputs * taps * inputs // 2, "taps along an axis")
        tap, x, y = np.arange(taps), np.arange(inputs), np.arange(outputs)
        if node.transposed:
            meets = y[:, None, None] == stride * x - padding + dilation * tap[:, None]
        else:
            meets = (stride * y[:, None, None] - padding + dilation * tap[:, None]) == x
        tables.append(meets.astype(np.float64))
    return forms.apply(form, weight, node.bias, tables[0], tables[1])


def _ungrouped(node: ConvolutionNode) -> Array:
    """Return the kernel over all channels, ``[C_out, C_in, kH, kW]``, and not transposed."""
    groups = node.geometry.groups
    weight = node.weight
    if node.transposed:
        parts = np.split(weight, groups)
        weight = np.concatenate([part.swapaxes(0, 1) for part in parts])
    if groups == 1:
        return weight
    outputs, inputs = len(weight) // groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * groups, *weight.shape[2:]))
    for group in range(groups):
        out = slice(group * outputs, (group + 1) * outputs)
        whole[out, group * inputs : (group + 1) * inputs] = weight[out]
    return whole


def _dense(node: DenseNode, read: list[Value], done: _Reduction) -> Value:
    del done
    return Flat((forms.apply_dense(forms.flatten(read[0]), node.weight, node.bias),))


def _upsample(node: UpsampleNode, read: list[Value], done: _Reduction) -> Value:
    del done
    form = _image(read[0])
    rows, columns = (
        np.repeat(np.eye(size), factor, axis=0)
        for size, factor in zip(form.shape[1:], node.factor, strict=True)
    )
    return forms.along_axes(form, rows, columns)


def _pool(node: PoolNode, read: list[Value], done: _Reduction) -> Value:
    form = _image(read[0])
    if node.kind == "max":
        unit = any_of(node, form, windows_of(node, form.shape))
        done.units.append(unit)
        done.notes.append(f"{node.name}: max pooling of spikes became neurons, one a window")
        return _send(node, (form.shape[0], *unit.size), done)
    rows, columns = (_axis(node, form.shape[1 + axis], axis) for axis in range(2))
    done.notes.append(f"{node.name}: {node.kind} pooling folded into the weights after it")
    return forms.along_axes(form, rows.matrix / node.divisor, columns.matrix)


def _axis(node: PoolNode, size: int, axis: int) -> PoolAxis:
    if node.size is not None:
        return adaptive_axis(size, node.size[axis])
    average = "all" if node.count_padding else "inside"
    return window_axis(
        size,
        kernel=node.kernel[axis],
        stride=node.stride[axis],
        padding=node.padding[axis],
        ceil=node.ceil,
        divide=average if node.kind == "average" else "none",  # type: ignore[arg-type]
    )


def _norm(node: NormNode, read: list[Value], done: _Reduction) -> Value:
    done.notes.append(f"{node.name}: normalisation folded into weights and biases")
    value = read[0]
    if isinstance(value, Form):
        return forms.scale(value, node.gain, node.shift)
    form = forms.line(value)
    return Flat((forms.scale(form, node.gain, node.shift),))


def _flatten(node: FlattenNode, read: list[Value], done: _Reduction) -> Value:
    del node, done
    return forms.flatten(read[0])


def _add(node: AddNode, read: list[Value], done: _Reduction) -> Value:
    del node, done
    images = [value for value in read if isinstance(value, Form)]
    if len(images) == len(read):
        return forms.add(images)
    flats = [forms.flatten(value) for value in read]
    cut = [[piece.shape for piece in flat.pieces] for flat in flats]
    if all(shapes == cut[0] for shapes in cut):
        rows = zip(*(flat.pieces for flat in flats), strict=True)
        return Flat(tuple(forms.add(pieces) for pieces in rows))
    return Flat((forms.add([forms.line(flat) for flat in flats]),))


def _concat(node: ConcatNode, read: list[Value], done: _Reduction) -> Value:
    del node, done
    images = [value for value in read if isinstance(value, Form)]
    if len(images) == len(read):
        return forms.concat(images)
    return Flat(tuple(piece for value in read for piece in forms.flatten(value).pieces))


def _slice(node: SliceNode, read: list[Value], done: _Reduction) -> Value:
    del done
    value = read[0]
    if isinstance(value, Form):
        return forms.select(value, node.channels)
    return Flat((forms.select(forms.line(value), node.channels),))


def _population(node: PopulationNode, read: list[Value], done: _Reduction) -> Value:
    form = _one_form(read[0])
    units, notes = units_of_population(node, form, done.shapes[node.name])
    done.units += units
    done.notes += notes
    return _send(node, form.shape, done)


def _readout(node: ReadoutNode, read: list[Value], done: _Reduction) -> Value:
    form = _one_form(read[0])
    done.units.append(units_of_readout(node, form))
    return _send(node, form.shape, done)


def _one_form(value: Value) -> Form:
    if isinstance(value, Form):
        return value
    return value.pieces[0] if len(value.pieces) == 1 else forms.line(value)


def _image(value: Value) -> Form:
    if isinstance(value, Flat):
        count = sum(prod(piece.shape) for piece in value.pieces)
        raise Misfit(f"reads a flat shape [{count}]", "give it (C, H, W)")
    return value


_REDUCERS: Mapping[type, Callable[[Any, list[Value], _Reduction], Value]] = {
    Input: _input,
    ConvolutionNode: _convolution,
    DenseNode: _dense,
    UpsampleNode: _upsample,
    PoolNode: _pool,
    NormNode: _norm,
    FlattenNode: _flatten,
    AddNode: _add,
    ConcatNode: _concat,
    SliceNode: _slice,
    PopulationNode: _population,
    ReadoutNode: _readout,
}
