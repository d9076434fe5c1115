"""Upsampling and transposed convolutions as NIR's convolutions.

NIR has no word for what enlarges an image. A convolution as high as the image takes its rows apart
into channels, of height one; one as high as the larger image, over padding, puts each of them where
it belongs. So do two more with the columns. What a transposed convolution does besides is then a
convolution. All weights but its own are ones and zeros, so that it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

from ...lowering.graph.nodes import ConvolutionNode, UpsampleNode
from .matrices import conv, expect_small
from .weights import spread
from .writing import Writing

Array = NDArray[Any]
Places = Sequence[Sequence[int]]
"""For each row or column of an image, where it stands in the larger one."""


def upsampled(node: UpsampleNode, w: Writing) -> list[str]:
    """Return nearest neighbours: each row and column several times."""
    shape = w.shapes[node.inputs[0]]
    places = [
        [range(factor * index, factor * (index + 1)) for index in range(size)]
        for size, factor in zip(shape[1:], node.factor, strict=True)
    ]
    whole = w.shapes[node.name]
    return [_placed(node.name, w.read(node), shape, places, whole[1:], w)]


def transposed(node: ConvolutionNode, w: Writing) -> list[str]:
    """Return pixels apart by the stride, in a border of zeros, and a convolution with the kernel
    turned.

    Pixel ``x`` meets output ``y`` through tap ``t`` where ``y = stride x - padding + dilation t``.
    """
    shape, out, where = w.shapes[node.inputs[0]], w.shapes[node.name], node.geometry
    sizes, places = [], []
    for axis in range(2):
        border = where.dilation[axis] * (node.weight.shape[2 + axis] - 1)
        size = out[1 + axis] + border
        first = border - where.padding[axis]
        stands = [first + where.stride[axis] * index for index in range(shape[1 + axis])]
        places.append([[place] if 0 <= place < size else [] for place in stands])
        sizes.append(size)
    spaced = _placed(f"{node.name}.spaced", w.read(node), shape, places, sizes, w)
    parts = np.split(node.weight, where.groups)
    turned = np.concatenate([part.swapaxes(0, 1)[:, :, ::-1, ::-1] for part in parts])
    weight = turned if where.groups == 1 else spread(turned, where.groups)
    made = conv(weight, node.bias, (shape[0], *sizes), dilation=where.dilation)
    return [w.put(node.name, made, [spaced])]


def _placed(
    name: str,
    read: list[str],
    shape: Shape,
    places: Sequence[Places],
    size: Sequence[int],
    w: Writing,
) -> str:
    """Return the NIR node that gives an image with its rows and columns moved.

    Args:
        name: of that node; the others are named after it.
        read: the NIR nodes whose sum the image is.
        shape: ``(C, H, W)`` of the image.
        places: of its rows, and of its columns.
        size: height and width of what is given.
        w: what is written so far.
    """
    channels, rows, columns = shape
    expect_small(channels * channels * rows, max(rows, size[0]))
    expect_small(channels * channels * columns, max(columns, size[1]))
    apart = w.put(f"{name}.rows", conv(_apart(channels, rows, 0), None, shape), read)
    moved = w.put(
        f"{name}.high",
        conv(
            _moved(channels, places[0], size[0], 0),
            None,
            (channels * rows, 1, columns),
            padding=(size[0] - 1, 0),
        ),
        [apart],
    )
    high = (channels, size[0], columns)
    apart = w.put(f"{name}.columns", conv(_apart(channels, columns, 1), None, high), [moved])
    made = conv(
        _moved(channels, places[1], size[1], 1),
        None,
        (channels * columns, size[0], 1),
        padding=(0, size[1] - 1),
    )
    return w.put(name, made, [apart])


def _apart(channels: int, count: int, axis: int) -> Array:
    """Return kernels ``[C count, C, ...]`` that give row or column ``i`` of channel ``c`` as ``c
    i``.
    """
    weight = np.zeros((channels, count, channels, count))
    for channel in range(channels):
        weight[channel, :, channel] = np.eye(count)
    return _along(weight.reshape(channels * count, channels, count), axis)


def _moved(channels: int, places: Places, size: int, axis: int) -> Array:
    """Return kernels ``[C, C count, ...]`` that give each of those rows or columns at its places.

    Over a padding of ``size - 1``, output ``y`` reads the only input through tap ``size - 1 - y``.
    """
    weight = np.zeros((channels, channels, len(places), size))
    for index, stands in enumerate(places):
        for place in stands:
            weight[range(channels), range(channels), index, size - 1 - place] = 1
    return _along(weight.reshape(channels, channels * len(places), size), axis)


def _along(weight: Array, axis: int) -> Array:
    return weight[..., None] if axis == 0 else weight[:, :, None]
