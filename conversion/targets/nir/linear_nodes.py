"""What is linear in a graph, in NIR's words: synapses, norms, concats, slices, pools."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    NormNode,
    SliceNode,
)
from .enlarging import transposed
from .matrices import affine, channels, conv, expect_small
from .weights import spread
from .writing import Writing

Array = NDArray[Any]


def convolution(node: ConvolutionNode, w: Writing) -> list[str]:
    """Return a convolution, or what stands for a transposed one."""
    if node.transposed:
        return transposed(node, w)
    shape = w.shapes[node.inputs[0]]
    weight = node.weight if node.geometry.groups == 1 else spread(node.weight, node.geometry.groups)
    geometry = {
        "stride": node.geometry.stride,
        "padding": node.geometry.padding,
        "dilation": node.geometry.dilation,
    }
    return [w.put(node.name, conv(weight, node.bias, shape, **geometry), w.read(node))]


def dense(node: DenseNode, w: Writing) -> list[str]:
    """Return a matrix."""
    return [w.put(node.name, affine(node.weight, node.bias), w.read(node))]


def norm(node: NormNode, w: Writing) -> list[str]:
    """Return a scale; with a shift, a matrix of the channels."""
    import nir

    shape = w.shapes[node.name]
    gain, shift = (np.broadcast_to(v, shape[:1]) for v in (node.gain, node.shift))
    if shift.any():
        expect_small(shape[0], shape[0])
        return [w.put(node.name, channels(np.diag(gain), shape, shift), w.read(node))]
    whole = np.broadcast_to(gain.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return [w.put(node.name, nir.Scale(np.ascontiguousarray(whole, np.float32)), w.read(node))]


def flatten(node: FlattenNode, w: Writing) -> list[str]:
    """Return a flattening, where there is something to flatten."""
    import nir

    shape = w.shapes[node.inputs[0]]
    if len(shape) == 1:
        return w.ends[node.inputs[0]]
    # Counted from the end, it is right whether or not a reader counts the batch.
    return [w.put(node.name, nir.Flatten(np.array(shape), -len(shape), -1), w.read(node))]


def add(node: AddNode, w: Writing) -> list[str]:
    """Return nothing: sums are edges that meet."""
    return w.read(node)


def concat(node: ConcatNode, w: Writing) -> list[str]:
    """Return each part through ones that put its channels where they belong; then edges meet."""
    whole, start, found = w.shapes[node.name], 0, []
    for index, name in enumerate(node.inputs):
        shape = w.shapes[name]
        expect_small(whole[0], shape[0])
        weight = np.eye(whole[0], shape[0], -start)
        put = w.put(f"{node.name}.{index}", channels(weight, shape), w.ends[name])
        found.append(put)
        start += shape[0]
    return found


def pick(node: SliceNode, w: Writing) -> list[str]:
    """Return ones at the channels that are taken."""
    shape = w.shapes[node.inputs[0]]
    expect_small(shape[0], shape[0])
    weight = np.eye(shape[0])[list(node.channels)]
    return [w.put(node.name, channels(weight, shape), w.read(node))]
