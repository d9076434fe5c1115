"""A layer in Speck's integers: 8-bit weights, a 16-bit threshold and membrane, one scale for all.

The chip's neuron integrates and fires at ``v >= threshold``; ours fires above ``vth``. Where every
weight and bias of a layer is even, all of it is halved, which changes no spike; where they then fit
into 8 bits, nothing is rounded. Else the whole layer is scaled down to 8 bits and rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.hardware import load_profile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.hardware.placement.layers import populations
from sdcl_neuro.hardware.placement.own_pooling import Unfolded, unfold
from sdcl_neuro.network.arguments import need_integers
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntLayer, IntNetwork

from .kernels import bias_of, kernel_of

PROFILE = "speck2f"
PURPOSE = "the target speck"
WEIGHT_MAX = 127
WORD_MAX = 32_767
"""Of thresholds, biases and membranes: sinabs discretises them to 16 bits."""
SCALED = ("weight_bits",)
"""Limits of a chip that hold after scaling, whatever our integers are; what it rounds is said."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SpeckLayer:
    """One layer as a core of the chip holds it.

    Attributes:
        name: of the layer.
        core: that holds it.
        weight: int8 values ``[Co, Ci, kh, kw]``; groups are written out with zeros.
        bias: int ``[Co]``, added once a step; None if there is none.
        threshold: the membrane at which a neuron fires.
        pool: side of the window over which the chip sums what this layer reads; 1 for none.
        stride, padding: vertical and horizontal.
        in_shape, out_shape: ``(C, H, W)``; the input's after pooling.
        scale: of the chip's integers over ours.
        rounded: the largest rounding error of a weight or bias, in the chip's integers; 0 where
            exact.
    """

    name: str
    core: int
    weight: Ints
    bias: Ints | None
    threshold: int
    pool: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    scale: float
    rounded: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "core": self.core,
            "weight": self.weight.tolist(),
            "bias": None if self.bias is None else self.bias.tolist(),
            "threshold": self.threshold,
            "pool": self.pool,
            "stride": list(self.stride),
            "padding": list(self.padding),
            "in_shape": list(self.in_shape),
            "out_shape": list(self.out_shape),
            "scale": self.scale,
            "largest_rounding": self.rounded,
        }


def speck_layers(net: IntNetwork) -> list[SpeckLayer]:
    """Write every layer in Speck's 8-bit integers, on the core where `hw fit` puts it.

    Args:
        net: the network, in integers.

    Returns:
        A layer of the chip for each of the network's: weights, bias, threshold, the chip's own
        pooling before it, and by how much rounding to 8 bits moved a weight.

    Raises:
        NetworkRefused: what the chip cannot hold, every reason at once.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)
        >>> net = conversion.quantize(conversion.from_snntorch(module, sample))
        >>> (layer,) = conversion.speck_layers(net)
        >>> layer.weight.shape, layer.out_shape, layer.pool
        ((4, 6, 1, 1), (4, 1, 1), 1)
    """
    net = need_integers(net, "speck_layers")
    placed = fit(net, PROFILE)
    problems = [
        *_reasons(net),
        *(entry.refusal for entry in placed.broken if entry.limit not in SCALED),
    ]
    if problems or placed.placement is None:
        raise NetworkRefused(problems, where="speck")
    windows = load_profile(PROFILE).limits["pooling"].values
    own = unfold(net.layers, populations(net), windows)
    seats = placed.placement.seats
    found = [
        _layer(layer, one, seat.core)
        for layer, one, seat in zip(net.layers, own, seats, strict=True)
    ]
    _refuse_words(found)
    return found


def _refuse_words(layers: list[SpeckLayer]) -> None:
    """Raise NetworkRefused for thresholds and biases that 16 bits do not hold at 8-bit weights."""
    problems = []
    for one in layers:
        words = {"threshold": one.threshold}
        if one.bias is not None:
            words["bias"] = int(np.abs(one.bias).max())
        problems += [
            Refusal(
                f"layer {one.name}",
                f"a {name} of {value:,} at 8-bit weights; the chip holds {WORD_MAX:,}",
                f"quantise with a smaller {name}",
            )
            for name, value in words.items()
            if value > WORD_MAX
        ]
    if problems:
        raise NetworkRefused(problems, where="speck")


def _reasons(net: IntNetwork) -> Iterator[Refusal]:
    """Yield what the chip's neurons and synapses do not do at all."""
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


def _layer(layer: IntLayer, own: Unfolded, core: int) -> SpeckLayer:
    held = own.population
    weight, bias = kernel_of(layer, held, own.pool), bias_of(layer, held)
    scale = _scale(weight, bias)
    scaled = [weight * scale] + ([] if bias is None else [bias * scale])
    whole = [np.rint(values).astype(np.int64) for values in scaled]
    # Whole membranes exceed scale * vth from the next whole number on.
    threshold = int(np.floor(layer.neuron.threshold * scale)) + 1
    axes = held.rows, held.columns
    return SpeckLayer(
        name=layer.name,
        core=core,
        weight=whole[0],
        bias=None if bias is None else whole[1],
        threshold=threshold,
        pool=own.pool,
        stride=(axes[0].stride, axes[1].stride),
        padding=(axes[0].padding, axes[1].padding),
        in_shape=held.in_box,
        out_shape=held.out_box,
        scale=scale,
        rounded=max(
            float(np.abs(one - two).max(initial=0.0))
            for one, two in zip(scaled, whole, strict=True)
        ),
    )


def _scale(weight: Ints, bias: Ints | None) -> float:
    """Return one half where nothing is lost by it, one where 8 bits hold the weights, else what
    fits.
    """
    largest = int(np.abs(weight).max(initial=0))
    even = not (weight % 2).any() and (bias is None or not (bias % 2).any())
    if even and largest // 2 <= WEIGHT_MAX:
        return 0.5
    return 1.0 if largest <= WEIGHT_MAX else WEIGHT_MAX / largest
