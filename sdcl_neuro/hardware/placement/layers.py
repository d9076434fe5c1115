"""Networks and descriptions in the terms of placement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import (
    Convolution,
    FloatNetwork,
    IntLayer,
    IntNetwork,
    Kind,
    Pair,
    Shape,
)
from sdcl_neuro.snn.branch_description import BranchDescription

from .geometry import Axis, Box, LayerGeometry

SIDE_MOST, CHANNELS_MOST = 2048, 1 << 17


def populations(net: IntNetwork | FloatNetwork) -> tuple[LayerGeometry, ...]:
    """Return the layers of a network, in integers or in float, trained or not.

    Raises:
        InputError: a network without layers, or layers that do not follow one another.
    """
    if not net.layers:
        raise InputError("a network without layers", hint="give one with at least one")
    found: list[LayerGeometry] = []
    for layer in net.layers:
        flat = layer.kind != "conv" and found and prod(layer.in_shape) == found[-1].neurons
        in_shape = found[-1].out_box if flat else layer.in_shape
        kernel = layer.weight.shape[2:] if layer.kind == "conv" else None
        plain = _population(
            layer.name,
            layer.kind,
            in_shape,
            layer.out_shape,
            kernel,
            layer.convolution,
            bias=layer.bias is not None,
        )
        if plain.kind == "dense" and _is_one_to_one(layer.weight):
            plain = replace(plain, kind="conv", groups=plain.neurons)
        found.append(_with_widths(plain, layer) if isinstance(layer, IntLayer) else plain)
    _check_sizes(found)
    _check_chain(found)
    return tuple(found)


def _is_one_to_one(weight: NDArray[np.generic]) -> bool:
    """Return whether each input reaches one neuron only: a population of input neurons, such as
    netx's.

    Chips store no matrix of zeros for it; it is placed as a depthwise convolution of one pixel.
    """
    rows, columns = weight.shape[0], weight[0].size
    if rows != columns or rows < 2:
        return False
    diagonal = np.diagonal(weight.reshape(rows, columns))
    return bool(diagonal.all()) and int(np.count_nonzero(weight)) == rows


def _check_sizes(found: Sequence[LayerGeometry]) -> None:
    """Refuse what would take too long to cut; no chip comes near."""
    for population in found:
        for box in (population.in_box, population.out_box):
            if max(box[1:]) > SIDE_MOST or box[0] > CHANNELS_MOST:
                raise InputError(
                    f"a layer of {' x '.join(map(str, box))}, more than {CHANNELS_MOST} channels "
                    f"or {SIDE_MOST} pixels a side",
                    where=population.name,
                    hint="place a part of it",
                )


def _check_chain(found: Sequence[LayerGeometry]) -> None:
    for before, after in pairwise(found):
        if before.out_box != after.in_box:
            raise InputError(
                f"reads {after.in_box}, but {before.name} gives {before.out_box}",
                where=after.name,
                hint="a chain of layers is placed, with convolutions before dense layers",
            )


def described(description: BranchDescription, size: Pair) -> tuple[LayerGeometry, ...]:
    """Return the layers of an event branch that does not exist yet, for an input of height and
    width.
    """
    description.check()
    shapes = [(description.in_channels, *size), *description.shapes(size)]
    if min(min(shape) for shape in shapes) < 1:
        raise InputError(
            f"an input of {size[0]}x{size[1]} leaves nothing after the convolutions",
            hint="give a larger input",
        )
    found = tuple(
        _population(
            f"conv{index + 1}",
            "conv",
            shapes[index],
            shapes[index + 1],
            (layer.kernel, layer.kernel),
            layer.geometry,
            bias=description.bias,
        )
        for index, layer in enumerate(description.layers)
    )
    _check_sizes(found)
    return found


def _population(
    name: str,
    kind: Kind,
    in_shape: Shape,
    out_shape: Shape,
    kernel: Sequence[int] | None,
    convolution: Convolution | None,
    *,
    bias: bool,
) -> LayerGeometry:
    inside, outside = _box(in_shape), _box(out_shape)
    if kind == "conv" and kernel is not None:
        geometry = convolution or Convolution()
        rows, columns = (
            Axis(
                inside[1 + axis],
                kernel[axis],
                geometry.stride[axis],
                geometry.padding[axis],
                geometry.dilation[axis],
            )
            for axis in (0, 1)
        )
        return LayerGeometry(name, kind, inside, outside, rows, columns, geometry.groups, bias)
    # A dense layer reads all of its input at once: a kernel of the input's size.
    rows, columns = (Axis(extent, extent) for extent in inside[1:])
    return LayerGeometry(name, kind, inside, (prod(out_shape), 1, 1), rows, columns, bias=bias)


def _box(shape: Shape) -> Box:
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return prod(shape), 1, 1


def _with_widths(population: LayerGeometry, layer: IntLayer) -> LayerGeometry:
    """Return the widths that only integers have."""
    weights = [layer.weight.reshape(-1)]
    if layer.recurrent_weight is not None:
        weights.append(layer.recurrent_weight.reshape(-1))
    bias_bits = None
    if layer.bias is not None and layer.bias.size:
        bias_bits = int(np.abs(layer.bias.astype(np.int64)).max()).bit_length() + 1
    return replace(
        population,
        weight_bits=signed_bits(np.concatenate(weights)),
        planned=False,
        delay=0 if layer.delay is None or not layer.delay.size else int(layer.delay.max()),
        threshold_bits=int(layer.neuron.threshold).bit_length(),
        bias_bits=bias_bits,
    )


def signed_bits(values: NDArray[np.int32]) -> int:
    """Return bits of a signed integer that holds every value after a common power of two is taken
    out.
    """
    used = values[values != 0].astype(np.int64)
    if not used.size:
        return 0
    merged = int(np.bitwise_or.reduce(np.abs(used)))
    used //= merged & -merged
    low, high = int(used.min()), int(used.max())
    return max((-low - 1).bit_length() if low < 0 else 0, max(high, 0).bit_length()) + 1
