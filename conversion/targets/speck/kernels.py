"""Weights as a core of the chip holds them: one square kernel over all channels.

The chip sums windows of its spikes by itself, so a pooling that lowering folded into a kernel is
taken out of it again; groups are written out with zeros; a dense layer is a kernel as large as its
input, or the convolution that its matrix was written from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.hardware.placement.geometry import Axis, LayerGeometry
from sdcl_neuro.network.spec import IntLayer

Ints = NDArray[np.int64]


def kernel_of(layer: IntLayer, held: LayerGeometry, pool: int) -> Ints:
    """Return weights ``[Co, Ci, kh, kw]``, int64.

    Args:
        layer: of the network.
        held: the same as the chip holds it, behind its own pooling.
        pool: side of that pooling's window; 1 where there is none.
    """
    weight = layer.weight.astype(np.int64)
    if layer.convolution is not None:
        return _ungrouped(weight[:, :, ::pool, ::pool], held)
    rows, columns = held.in_box[1:]
    # What a pooling leaves over at the edges is not read: every window holds equal weights.
    inside = weight.reshape(len(weight), held.in_box[0], *_extent(layer, held, pool))
    matrix = inside[:, :, : rows * pool : pool, : columns * pool : pool]
    return _from_matrix(matrix, held) if held.kind == "conv" else matrix


def bias_of(layer: IntLayer, held: LayerGeometry) -> Ints | None:
    """Return one bias a channel, int64 ``[Co]``; None if there is none.

    Raises:
        NetworkRefused: biases that differ within a channel.
    """
    if layer.bias is None or not layer.bias.any():
        return None
    bias = layer.bias.astype(np.int64)
    channels = held.out_box[0]
    if len(bias) == channels:
        return bias
    apart = bias.reshape(channels, -1)
    if (apart != apart[:, :1]).any():
        raise NetworkRefused(
            [
                Refusal(
                    f"layer {layer.name}",
                    "biases that differ within a channel; the chip has one a channel",
                    "give all neurons of a channel one bias",
                )
            ],
            where="speck",
        )
    return np.ascontiguousarray(apart[:, 0])


def _extent(layer: IntLayer, held: LayerGeometry, pool: int) -> tuple[int, int]:
    """Return rows and columns that a dense layer reads, before pooling."""
    if len(layer.in_shape) == 3:
        return layer.in_shape[1], layer.in_shape[2]
    return held.in_box[1] * pool, held.in_box[2] * pool


def _ungrouped(weight: Ints, held: LayerGeometry) -> Ints:
    if held.groups == 1:
        return np.ascontiguousarray(weight)
    outputs, inputs = len(weight), held.in_box[0]
    whole = np.zeros((outputs, inputs, *weight.shape[2:]), np.int64)
    for group in range(held.groups):
        out = slice(group * outputs // held.groups, (group + 1) * outputs // held.groups)
        given = slice(group * inputs // held.groups, (group + 1) * inputs // held.groups)
        whole[out, given] = weight[out]
    return whole


def _from_matrix(matrix: Ints, held: LayerGeometry) -> Ints:
    """Return the kernel of a convolution written as a matrix ``[N, C, H, W]``."""
    whole = matrix.reshape(*held.out_box, *matrix.shape[1:])
    rows, columns = _readers(held.rows), _readers(held.columns)
    kernel = np.zeros(
        (held.out_box[0], matrix.shape[1], held.rows.kernel, held.columns.kernel), np.int64
    )
    for a, (out_y, in_y) in rows.items():
        for b, (out_x, in_x) in columns.items():
            kernel[:, :, a, b] = whole[:, out_y, out_x, :, in_y, in_x]
    return kernel


def _readers(axis: Axis) -> dict[int, tuple[int, int]]:
    """Return, for each tap, an output that uses it within the input, and the input that it
    reads.
    """
    found: dict[int, tuple[int, int]] = {}
    for out in range(axis.outputs):
        for tap in range(axis.kernel):
            at = out * axis.stride + tap - axis.padding
            if 0 <= at < axis.size:
                found.setdefault(tap, (out, at))
    return found
