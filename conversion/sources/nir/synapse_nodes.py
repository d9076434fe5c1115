"""Synapses, pools and scales of NIR as nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sdcl_neuro.network.spec import Convolution, Shape

from ...lowering.graph.nodes import (
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    Node,
    NormNode,
    PoolNode,
)
from ...lowering.graph.shapes import Misfit
from .chain import POOLS, SYNAPSES
from .inline import StoredNode
from .synapses import read_synapse
from .values import Array, Refuse, numbers, pair

Inputs = tuple[str, ...]


def _synapse(node: StoredNode, inputs: Inputs, shape: Shape, refuse: Refuse) -> Node | None:
    del shape
    found = read_synapse(node, refuse)
    if found is None:
        return None
    weight = found.weight.astype(np.float64)
    bias = None if found.bias is None else found.bias.astype(np.float64)
    if found.convolution is None:
        return DenseNode(node.name, inputs, weight=weight, bias=bias)
    return ConvolutionNode(node.name, inputs, weight=weight, bias=bias, geometry=found.convolution)


def _line(node: StoredNode, inputs: Inputs, shape: Shape, refuse: Refuse) -> Node | None:
    """Return a convolution along a line, with a height of one."""
    del shape
    weight = numbers(node, "weight", refuse)
    if weight is None or weight.ndim != 3:
        raise Misfit("its weight does not have three axes", "export the network again")
    found = []
    for key, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
        value = np.asarray(node.fields.get(key, default))
        if value.dtype.kind not in "iu" or value.size != 1:
            raise Misfit(f"{key} is not one number", "give it in numbers")
        found.append(int(value.reshape(-1)[0]))
    stride, padding, dilation, groups = found
    bias = node.fields.get("bias")
    return ConvolutionNode(
        node.name,
        inputs,
        weight=weight.astype(np.float64)[:, :, None],
        bias=None if bias is None else np.asarray(bias, dtype=np.float64),
        geometry=Convolution((1, stride), (0, padding), (1, dilation), groups),
    )


def _pool(node: StoredNode, inputs: Inputs, shape: Shape, refuse: Refuse) -> Node | None:
    del shape
    kernel = pair(node, "kernel_size", 1, refuse)
    stride = pair(node, "stride", 1, refuse)
    padding = pair(node, "padding", 0, refuse)
    if kernel is None or stride is None or padding is None:
        return None
    return PoolNode(
        node.name,
        inputs,
        kind="average" if node.type == "AvgPool2d" else "sum",
        kernel=kernel,
        stride=stride,
        padding=padding,
    )


def _scale(node: StoredNode, inputs: Inputs, shape: Shape, refuse: Refuse) -> Node | None:
    scale = numbers(node, "scale", refuse)
    if scale is None:
        return None
    scale = as_image(scale, shape)
    whole = np.broadcast_to(scale, shape) if scale.ndim <= len(shape) else scale
    each = whole.reshape(shape[0], -1)
    if (each != each[:, :1]).any():
        raise Misfit("scales that differ within a channel", "give one per channel")
    return NormNode(node.name, inputs, gain=each[:, 0].astype(np.float64))


def _flatten(node: StoredNode, inputs: Inputs, shape: Shape, refuse: Refuse) -> Node | None:
    del refuse
    return NormNode(node.name, inputs) if len(shape) == 1 else FlattenNode(node.name, inputs)


def as_image(values: object, shape: Shape) -> Array:
    """Return values ``(C, L)`` along a line with a height of one; others as they are."""
    array = np.asarray(values)
    if len(shape) == 3 and shape[1] == 1 and array.shape == (shape[0], shape[2]):
        return array[:, None]
    return array


Maker = Callable[[StoredNode, Inputs, Shape, Refuse], Node | None]
MAKERS: Mapping[str, Maker] = {
    **dict.fromkeys(SYNAPSES, _synapse),
    "Conv1d": _line,
    **dict.fromkeys(POOLS, _pool),
    "Flatten": _flatten,
    "Scale": _scale,
}
"""NIR type to what makes a node of it: from the node, what it reads, of which shape, and what
takes each fault; None where its values cannot be read."""
