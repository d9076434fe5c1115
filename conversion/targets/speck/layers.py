"""A layer in Speck's integers: 8-bit weights, a 16-bit threshold and membrane, one scale for all.

The chip's neuron integrates and fires at ``v >= threshold``; ours fires above ``vth``. Where every
weight and bias of a layer is even, all of it is halved, which changes no spike; where they then fit
into 8 bits, nothing is rounded. Else the whole layer is scaled down to 8 bits and rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntLayer, IntNetwork

PROFILE = "speck2f"
WEIGHT_MAX = 127
THRESHOLD_MAX = 32_767
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SpeckLayer:
    """One layer as the chip holds it.

    Attributes:
        name: of the layer.
        weight: int8 values ``[Co, Ci / groups, kh, kw]``; a dense layer is a convolution whose
            kernel is as large as its input.
        bias: int ``[Co]``, added once a step; None if there is none.
        threshold: the membrane at which a neuron fires.
        stride, padding: vertical and horizontal.
        groups: of the convolution.
        in_shape, out_shape: ``(C, H, W)``.
        scale: of the chip's integers over ours.
        rounded: the largest rounding error of a weight, in the chip's integers; 0 where exact.
    """

    name: str
    weight: Ints
    bias: Ints | None
    threshold: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    scale: float
    rounded: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "weight": self.weight.tolist(),
            "bias": None if self.bias is None else self.bias.tolist(),
            "threshold": self.threshold,
            "stride": list(self.stride),
            "padding": list(self.padding),
            "groups": self.groups,
            "in_shape": list(self.in_shape),
            "out_shape": list(self.out_shape),
            "scale": self.scale,
            "largest_rounding": self.rounded,
        }


def speck_layers(net: IntNetwork) -> list[SpeckLayer]:
    """Every layer in the chip's integers.

    Raises:
        NetworkRefused: what the chip cannot hold, every reason at once.
    """
    problems = [*_reasons(net), *(entry.refusal for entry in fit(net, PROFILE).broken)]
    if problems:
        raise NetworkRefused(problems, where="speck")
    shape = _volume(net.input_shape)
    found = []
    for layer in net.layers:
        found.append(_layer(layer, shape))
        shape = found[-1].out_shape
    wide = [one for one in found if one.threshold > THRESHOLD_MAX]
    if wide:
        raise NetworkRefused(
            [
                Refusal(
                    f"layer {one.name}",
                    f"a threshold of {one.threshold:,} at 8-bit weights; the chip holds "
                    f"{THRESHOLD_MAX:,}",
                    "quantise with a smaller threshold",
                )
                for one in wide
            ],
            where="speck",
        )
    return found


def _reasons(net: IntNetwork) -> Iterator[Refusal]:
    """What the chip's neurons and synapses do not do at all."""
    if net.message_bits:
        yield Refusal("input", "counts; the chip's events are single", "make the input binary")
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        if layer.recurrent_weight is not None:
            yield Refusal(where, "recurrence", "remove it: the chip's layers feed forward")
        if layer.neuron.current_decay < DECAY_UNITY:
            yield Refusal(where, "a current that decays", "use an instantaneous current (Leaky)")
        if layer.delay is not None and bool(layer.delay.any()):
            yield Refusal(where, "axonal delays", "remove them")
        if layer.convolution is not None and layer.convolution.dilation != (1, 1):
            yield Refusal(where, "a dilated convolution", "use dilation 1")


def _layer(layer: IntLayer, shape: tuple[int, int, int]) -> SpeckLayer:
    weight, bias = layer.weight.astype(np.int64), layer.bias
    if layer.convolution is None:
        weight = weight.reshape(len(weight), *shape)
        stride, padding, groups = (1, 1), (0, 0), 1
    else:
        where = layer.convolution
        stride, padding, groups = where.stride, where.padding, where.groups
    given = None if bias is None else bias.astype(np.int64)
    scale = _scale(weight, given)
    scaled = weight * scale
    whole = np.rint(scaled).astype(np.int64)
    # Whole membranes exceed scale * vth from the next whole number on.
    threshold = int(np.floor(layer.neuron.threshold * scale)) + 1
    return SpeckLayer(
        name=layer.name,
        weight=whole,
        bias=None if given is None else np.rint(given * scale).astype(np.int64),
        threshold=threshold,
        stride=stride,
        padding=padding,
        groups=groups,
        in_shape=shape,
        out_shape=_volume(layer.out_shape),
        scale=scale,
        rounded=float(np.abs(scaled - whole).max(initial=0.0)),
    )


def _scale(weight: Ints, bias: Ints | None) -> float:
    """One half where nothing is lost by it, one where 8 bits hold the weights, else what fits."""
    largest = int(np.abs(weight).max(initial=0))
    even = not (weight % 2).any() and (bias is None or not (bias % 2).any())
    if even and largest // 2 <= WEIGHT_MAX:
        return 0.5
    return 1.0 if largest <= WEIGHT_MAX else WEIGHT_MAX / largest


def _volume(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (prod(shape), 1, 1)
