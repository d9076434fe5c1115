"""The shape behind every node of a graph, and every reason why the shapes do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spec import Pair, Shape

from ..pooling import window_axis
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

Reason = tuple[str, str]
NEURONS_MAX = 1 << 28
"""Elements of one node's shape; a declared shape costs nothing to write and much to run."""
_CHAIN = "make the shapes follow one another"


class Misfit(Exception):
    """Why a node does not take what it reads: (what, remedy)."""


def shapes_of(graph: FloatGraph) -> dict[str, Shape]:
    """Follow the shapes from the inputs through the graph.

    Returns:
        Name to shape, of every node.

    Raises:
        NetworkRefused: with every node that does not fit what it reads; nodes behind one that
            was refused are not judged.
    """
    shapes: dict[str, Shape] = {}
    refusals: list[Refusal] = []
    names: set[str] = set()
    for node in graph.nodes:
        where = where_of(node)
        if node.name in names:
            refusals.append(Refusal(where, "its name occurs twice", "rename one of the two"))
        names.add(node.name)
        unknown = [name for name in node.inputs if name not in names or name == node.name]
        if unknown:
            what = f"reads {', '.join(unknown)}, which no node before it is called"
            refusals.append(Refusal(where, what, "put nodes after those they read"))
        elif all(name in shapes for name in node.inputs):
            try:
                shapes[node.name] = shape_behind(node, [shapes[name] for name in node.inputs])
            except Misfit as misfit:
                refusals.append(Refusal(where, *misfit.args))
    refusals += _end(graph)
    if refusals:
        raise NetworkRefused(refusals)
    return shapes


def where_of(node: Node) -> str:
    """Return how messages name a node."""
    return f"node {node.name} ({type(node).__name__.removesuffix('Node').lower()})"


def _end(graph: FloatGraph) -> list[Refusal]:
    found = []
    for name in graph.outputs:
        kinds = [type(node) for node in graph.nodes if node.name == name]
        if not kinds or not issubclass(kinds[0], PopulationNode | ReadoutNode):
            what = f"the output {name!r} is neither a population nor a read-out"
            found.append(Refusal("graph", what, "end the network in neurons"))
    if not graph.populations and not graph.readouts:
        found.append(Refusal("graph", "it has no neurons", "add a synapse and a population"))
    if not graph.inputs:
        found.append(Refusal("graph", "it has no input", "add one"))
    return found


def shape_behind(node: Node, before: list[Shape]) -> Shape:
    """Return the shape behind a node that reads the shapes `before`; `Misfit` if it does not fit
    them.
    """
    count = _INPUTS.get(type(node), 1)
    if count is not None and len(before) != count:
        raise Misfit(f"reads {len(before)} nodes, expected {count}", "add them up first")
    if count is None and not before:
        raise Misfit("reads nothing", "connect it")
    shape = _SHAPES[type(node)](node, before)
    if not shape or min(shape) < 1 or prod(shape) > NEURONS_MAX:
        raise Misfit(f"gives the shape {list(shape)}", "change its geometry")
    return shape


def _input(node: Any, before: list[Shape]) -> Shape:
    del before
    if len(node.shape) not in (1, 3):
        raise Misfit(f"has the shape {list(node.shape)}", "give (C, H, W) or (N,)")
    return tuple(node.shape)


def _convolution(node: Any, before: list[Shape]) -> Shape:
    shape, weight, geometry = before[0], node.weight, node.geometry
    if len(shape) != 3:
        raise Misfit(f"reads the flat shape {list(shape)}", "give it (C, H, W)")
    inputs = weight.shape[0] if node.transposed else weight.shape[1] * geometry.groups
    outputs = weight.shape[1] * geometry.groups if node.transposed else weight.shape[0]
    if inputs != shape[0] or weight.shape[0] % geometry.groups:
        raise Misfit(f"takes {inputs} channels, receives {list(shape)}", _CHAIN)
    _expect_bias(node.bias, outputs)
    kernel = (weight.shape[2], weight.shape[3])
    if not node.transposed:
        return (outputs, *geometry.output_size((shape[1], shape[2]), kernel))
    rows, columns = (
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, s, p, d, k, extra in zip(
            shape[1:],
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            kernel,
            node.output_padding,
            strict=True,
        )
    )
    return outputs, rows, columns


def _dense(node: Any, before: list[Shape]) -> Shape:
    shape = before[0]
    if len(shape) != 1:
        raise Misfit(f"acts on the last axis of {list(shape)} only", "put a Flatten before it")
    if shape[0] != node.weight.shape[1]:
        raise Misfit(f"takes {node.weight.shape[1]} values, receives {shape[0]}", _CHAIN)
    _expect_bias(node.bias, len(node.weight))
    return (len(node.weight),)


def _expect_bias(bias: Any, outputs: int) -> None:
    if bias is not None and bias.shape != (outputs,):
        raise Misfit(f"has a bias of shape {list(bias.shape)}, expected [{outputs}]", _CHAIN)


def _upsample(node: Any, before: list[Shape]) -> Shape:
    channels, rows, columns = _image(before[0])
    return channels, rows * node.factor[0], columns * node.factor[1]


def _pool(node: Any, before: list[Shape]) -> Shape:
    channels, rows, columns = _image(before[0])
    size: Pair = (rows, columns)
    if node.size is not None:
        return channels, *node.size
    found = []
    for axis in range(2):
        span = node.dilation[axis] * (node.kernel[axis] - 1) + 1
        try:
            windows = window_axis(
                size[axis],
                kernel=span,
                stride=node.stride[axis],
                padding=node.padding[axis],
                ceil=node.ceil,
                divide="none",
            )
        except ValueError as error:
            raise Misfit(
                f"cannot pool {list(before[0])}: {error}", "use a smaller window"
            ) from None
        found.append(len(windows.matrix))
    return channels, found[0], found[1]


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise Misfit(f"reads the flat shape {list(shape)}", "put it before the Flatten")
    return shape[0], shape[1], shape[2]


def _norm(node: Any, before: list[Shape]) -> Shape:
    for values in (node.gain, node.shift):
        if values.shape not in ((1,), before[0][:1]):
            what = f"has {len(values)} features for {before[0][0]} channels"
            raise Misfit(what, _CHAIN)
    return before[0]


def _flatten(node: Any, before: list[Shape]) -> Shape:
    del node
    return (prod(before[0]),)


def _add(node: Any, before: list[Shape]) -> Shape:
    del node
    if any(shape != before[0] for shape in before):
        shapes = ", ".join(str(list(shape)) for shape in before)
        raise Misfit(f"adds shapes that differ: {shapes}", _CHAIN)
    return before[0]


def _concat(node: Any, before: list[Shape]) -> Shape:
    del node
    if any(shape[1:] != before[0][1:] for shape in before):
        shapes = ", ".join(str(list(shape)) for shape in before)
        raise Misfit(f"joins channels of sizes that differ: {shapes}", _CHAIN)
    return (sum(shape[0] for shape in before), *before[0][1:])


def _slice(node: Any, before: list[Shape]) -> Shape:
    wrong = [c for c in node.channels if not 0 <= c < before[0][0]]
    if wrong or not node.channels:
        raise Misfit(f"takes channels {wrong} of {before[0][0]}", "give channels that exist")
    return (len(node.channels), *before[0][1:])


def _neurons(node: Any, before: list[Shape]) -> Shape:
    shape = before[0]
    if isinstance(node, ReadoutNode):
        return shape
    for name in ("beta", "alpha", "threshold", "drive"):
        values = getattr(node, name)
        if values is None:
            continue
        try:
            fits = np.broadcast_shapes(values.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            what = f"has a {name} of shape {list(values.shape)} for neurons {list(shape)}"
            raise Misfit(what, _CHAIN)
    if node.recurrent is not None and node.recurrent.shape != (prod(shape),) * 2:
        what = f"has a recurrence of shape {list(node.recurrent.shape)} for neurons {list(shape)}"
        raise Misfit(what, "make it square")
    return shape


_SHAPES: Mapping[type, Callable[[Any, list[Shape]], Shape]] = {
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
    PopulationNode: _neurons,
    ReadoutNode: _neurons,
}
_INPUTS: Mapping[type, int | None] = {Input: 0, AddNode: None, ConcatNode: None}
