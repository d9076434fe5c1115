"""Convolutions and matrices as NIR nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Pair, Shape

from ...lowering.folding import EXPANSION_MAX
from ...lowering.graph.shapes import Misfit

Array = NDArray[Any]


def conv(
    weight: Array,
    bias: Array | None,
    shape: Shape,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Any:
    """Return a convolution over an image of `shape`, in float32."""
    import nir

    offset = np.zeros(len(weight)) if bias is None else bias
    return nir.Conv2d(
        input_shape=(shape[1], shape[2]),
        weight=weight.astype(np.float32),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=1,
        bias=offset.astype(np.float32),
    )


def affine(weight: Array, bias: Array | None = None) -> Any:
    """Return a matrix ``[out, in]`` and its bias, zeros where there is none."""
    import nir

    offset = np.zeros(len(weight)) if bias is None else bias
    return nir.Affine(weight.astype(np.float32), offset.astype(np.float32))


def channels(weight: Array, shape: Shape, bias: Array | None = None) -> Any:
    """Return what mixes channels ``[C_out, C_in]`` at every pixel of `shape`, or the entries of a
    line.
    """
    if len(shape) == 1:
        return affine(weight, bias)
    return conv(weight[:, :, None, None], bias, shape)


def expect_small(outputs: int, inputs: int) -> None:
    """Raise `Misfit` for ones and zeros that would fill a file."""
    if outputs * inputs > EXPANSION_MAX:
        what = f"a matrix of {outputs * inputs:,} ones and zeros, more than {EXPANSION_MAX:,}"
        raise Misfit(what, "write OUT.net")
