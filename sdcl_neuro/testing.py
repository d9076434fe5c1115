"""Random small networks and spikes: for tests, benches and self-checks, numpy only.

Everything drawn here can be written to a netx file and runs in Lava exactly as described: even
weights of mixed sign in [-256, 254], 12-bit decays, 13-bit biases, 17-bit thresholds.
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import need_integers
from sdcl_neuro.network.fixed_point import (
    BIAS_MAX,
    BIAS_MIN,
    DECAY_UNITY,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
)
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron, Shape

__all__ = ["KINDS", "random_network", "random_spikes"]

NetworkKind = Literal["any", "conv", "dense", "dense_rec", "delay"]
KINDS: tuple[NetworkKind, ...] = ("any", "conv", "dense", "dense_rec", "delay")

_RATE = 0.2
_SPREAD = 40.0


def random_network(
    seed: int,
    *,
    kind: NetworkKind = "any",
    layers: int | None = None,
    message_bits: int = 0,
    extreme: bool = False,
) -> IntNetwork:
    """Draw a network whose layers fire now and then on `random_spikes`.

    Args:
        seed: the same seed gives the same network.
        kind: of its layers; ``delay`` is dense with axonal delays; ``any`` mixes them,
            convolutions first.
        layers: how many; None draws 1 to 3.
        message_bits: of the network's input.
        extreme: weights, decays and thresholds at their limits, so that states clip and wrap.

    Raises:
        InputError: an unknown kind, or no layers.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind {kind!r}", hint=f"use one of {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4)) if layers is None else layers
    if count < 1:
        raise InputError(f"{count} layers", hint="give at least one")
    kinds = _layer_kinds(rng, kind, count)
    shape: Shape = (int(rng.integers(3, 30)),)
    if kinds[0] == "conv" or rng.random() < 0.3:
        shape = (int(rng.choice([1, 2, 4])), int(rng.integers(4, 12)), int(rng.integers(4, 12)))
    input_shape, chain = shape, []
    for index, layer_kind in enumerate(kinds):
        draw = _convolution if layer_kind == "conv" else _dense
        name = f"{layer_kind}_{index}"
        chain.append(draw(rng, name, shape, kind=layer_kind, extreme=extreme))
        shape = chain[-1].out_shape
    return IntNetwork(input_shape, tuple(chain), message_bits, {"seed": seed})


def random_spikes(
    net: IntNetwork, seed: int, *, steps: int = 8, samples: int = 2, rate: float = _RATE
) -> NDArray[np.uint8]:
    """Draw input, uint8 ``[steps, samples, *input_shape]``, of which `rate` is not zero.

    Counts run up to ``2 ** message_bits - 1`` where the network takes counts.

    Raises:
        InputError: `net` is anything but a network in a chip's integers.
    """
    net = need_integers(net, "random_spikes")
    rng = np.random.default_rng(seed)
    shape = (steps, samples, *net.input_shape)
    largest = min(255, max(1, (1 << net.message_bits) - 1))
    counts = rng.integers(1, largest + 1, shape)
    return np.where(rng.random(shape) < rate, counts, 0).astype(np.uint8)


def _layer_kinds(rng: Generator, kind: NetworkKind, count: int) -> list[str]:
    if kind != "any":
        return [kind] * count
    convolutions = int(rng.integers(0, count + 1))
    tail = rng.choice(["dense", "dense_rec", "delay"], count - convolutions)
    return ["conv"] * convolutions + [str(name) for name in tail]


def _convolution(rng: Generator, name: str, shape: Shape, *, kind: str, extreme: bool) -> IntLayer:
    del kind
    channels, *size = shape
    groups = int(rng.choice([g for g in (1, 1, 2, 4) if channels % g == 0]))
    outputs = groups * int(rng.integers(1, 3))
    axes = [_axis(rng, extent) for extent in size]
    (kernel, stride, padding, dilation) = ((axes[0][k], axes[1][k]) for k in range(4))
    geometry = Convolution(stride, padding, dilation, groups)
    weight = _weights(rng, (outputs, channels // groups, *kernel), extreme=extreme)
    return _layer(
        rng,
        IntLayer(
            name,
            "conv",
            weight,
            IntNeuron(DECAY_UNITY, 0, 1),
            shape,
            (outputs, *geometry.output_size((size[0], size[1]), kernel)),
            convolution=geometry,
        ),
        extreme=extreme,
    )


def _axis(rng: Generator, extent: int) -> tuple[int, int, int, int]:
    """Return kernel, stride, padding, dilation along one axis that leave at least one output."""
    while True:
        kernel, stride = int(rng.integers(1, 8)), int(rng.integers(1, 4))
        padding, dilation = int(rng.integers(0, kernel)), int(rng.integers(1, 3))
        if extent + 2 * padding - dilation * (kernel - 1) - 1 >= 0:
            return kernel, stride, padding, dilation


def _dense(rng: Generator, name: str, shape: Shape, *, kind: str, extreme: bool) -> IntLayer:
    inputs, outputs = int(np.prod(shape)), int(rng.integers(2, 24))
    weight = _weights(rng, (outputs, inputs), extreme=extreme)
    recurrent = _weights(rng, (outputs, outputs), extreme=extreme) if kind == "dense_rec" else None
    delay = None
    if kind == "delay":
        longest = int(rng.choice([1, 3, 6, 62], p=[0.3, 0.4, 0.25, 0.05]))
        delay = rng.integers(0, longest + 1, weight.shape).astype(np.int32)
    return _layer(
        rng,
        IntLayer(
            name,
            "dense_rec" if kind == "dense_rec" else "dense",
            weight,
            IntNeuron(DECAY_UNITY, 0, 1),
            shape,
            (outputs,),
            recurrent_weight=recurrent,
            delay=delay,
        ),
        extreme=extreme,
    )


def _weights(rng: Generator, shape: Shape, *, extreme: bool) -> NDArray[np.int32]:
    """Return even weights of both signs, so that a dense matrix is of mixed sign and never all
    zero.
    """
    if extreme:
        weight = rng.choice([WEIGHT_MIN, WEIGHT_MAX, 0], shape, p=[0.45, 0.45, 0.1])
    else:
        weight = np.clip(2 * np.rint(rng.normal(0, _SPREAD / 2, shape)), WEIGHT_MIN, WEIGHT_MAX)
    weight = weight.astype(np.int32)
    weight.reshape(-1)[0] = 2 * int(rng.integers(1, 60))
    if weight.size > 1:
        weight.reshape(-1)[-1] = -2 * int(rng.integers(1, 60))
    return weight


def _layer(rng: Generator, layer: IntLayer, *, extreme: bool) -> IntLayer:
    """Give a layer its neuron and, half of the time, a bias."""
    fan_in = int(np.prod(layer.weight.shape[1:]))
    typical = _SPREAD * sqrt(fan_in * _RATE)
    threshold = int(rng.choice([0, 100, 20_000, THRESHOLD_MAX])) if extreme else 0
    threshold = threshold if extreme else max(1, round(typical * rng.uniform(0.05, 0.9)))
    slow = [0, 1, 30] if extreme else [0, 30, 400, 1500]
    voltage_decay = int(rng.choice([*slow, DECAY_UNITY - 1]))
    current_decay = int(rng.choice([1 if extreme else DECAY_UNITY, DECAY_UNITY, 2500]))
    bias = None
    if rng.random() < 0.5:
        size = BIAS_MAX / 2 if extreme else typical / 8
        drawn = np.rint(rng.normal(0, size, len(layer.weight)))
        bias = np.clip(drawn, BIAS_MIN, BIAS_MAX).astype(np.int32)
    return IntLayer(
        layer.name,
        layer.kind,
        layer.weight,
        IntNeuron(current_decay, voltage_decay, min(threshold, THRESHOLD_MAX)),
        layer.in_shape,
        layer.out_shape,
        bias,
        layer.convolution,
        layer.recurrent_weight,
        layer.delay,
    )
