"""The two networks of the engine's benches, calibrated so that every layer fires at a wanted rate.

``paper`` is the paper's event branch: 2-8-8 channels, 5 x 5 and 3 x 3, same size. ``deep`` is
2-16-32-64-128 channels, 3 x 3, stride 2. Inputs are 128 x 64 unless another size is given. Without
calibration a network falls silent at 2 % of spikes, and an event-driven engine would look as good
as one likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

NETWORKS = {
    "paper": ((8, 5, 1), (8, 3, 1)),
    "deep": ((16, 3, 2), (32, 3, 2), (64, 3, 2), (128, 3, 2)),
}
"""Channels, kernel and stride of each layer."""
DECAY = 410  # of 4096: beta 0.9
STEPS_TO_CALIBRATE = 12
PIXELS_A_STEP = 2
"""How far `moving_square` moves, down and to the right."""


def spikes_at(rate: float, *, size: tuple[int, int] = (128, 64), steps: int = 16, samples: int = 1):
    """Random input, uint8 ``[steps, samples, 2, *size]``."""
    rng = np.random.default_rng(7)
    return (rng.random((steps, samples, 2, *size), dtype=np.float32) < rate).astype(np.uint8)


def moving_square(
    rate: float, active: float, *, size: tuple[int, int] = (128, 64), steps: int = 16
):
    """Random input in a part of the picture alone, uint8 ``[steps, 1, 2, *size]``.

    Args:
        rate: share of the inputs there that spike.
        active: the part's share of the picture, whose proportions it has; it moves a little in
            each step, from the middle towards a corner.
        size: height and width of the picture.
        steps: how many.
    """
    rng = np.random.default_rng(7)
    high, wide = (max(1, round(active**0.5 * side)) for side in size)
    spikes = np.zeros((steps, 1, 2, *size), np.uint8)
    for step, now in enumerate(spikes[:, 0]):
        top, left = (
            min((side - own) // 2 + step * PIXELS_A_STEP, side - own)
            for side, own in zip(size, (high, wide), strict=True)
        )
        inside = now[:, top : top + high, left : left + wide]
        inside[...] = rng.random(inside.shape, dtype=np.float32) < rate
    return spikes


def network(
    name: str,
    rate: float,
    *,
    size: tuple[int, int] = (128, 64),
    thresholds: Sequence[int] | None = None,
) -> IntNetwork:
    """A network each layer of which fires at about `rate` on `spikes_at` of that rate.

    `thresholds` are those an earlier call found; finding them takes a second.
    """
    rng = np.random.default_rng(0)
    shape, layers = (2, *size), []
    for index, (outputs, kernel, stride) in enumerate(NETWORKS[name]):
        weight = 2 * np.rint(rng.normal(2, 20, (outputs, shape[0], kernel, kernel)))
        geometry = Convolution(stride=(stride, stride), padding=(kernel // 2, kernel // 2))
        after = (outputs, *geometry.output_size(shape[1:], (kernel, kernel)))
        layers.append(
            IntLayer(
                f"conv{index + 1}",
                "conv",
                np.clip(weight, -256, 254).astype(np.int32),
                IntNeuron(4096, DECAY, thresholds[index] if thresholds else 1),
                shape,
                after,
                convolution=geometry,
            )
        )
        shape = after
    net = IntNetwork((2, *size), tuple(layers))
    return net if thresholds else _calibrated(net, rate, size)


@lru_cache
def thresholds_at(name: str, rate: float, size: tuple[int, int] = (128, 64)) -> tuple[int, ...]:
    """Thresholds at which every layer fires at about `rate`."""
    return tuple(layer.neuron.threshold for layer in network(name, rate, size=size).layers)


def _calibrated(net: IntNetwork, rate: float, size: tuple[int, int]) -> IntNetwork:
    """Thresholds by bisection, layer by layer."""
    spikes = spikes_at(rate, size=size, steps=STEPS_TO_CALIBRATE)
    for index in range(len(net.layers)):
        low, high = 0, 1 << 17
        while high - low > 1:
            middle = (low + high) // 2
            layer = replace(net.layers[index], neuron=IntNeuron(4096, DECAY, middle))
            net = replace(net, layers=(*net.layers[:index], layer, *net.layers[index + 1 :]))
            part = replace(net, layers=net.layers[: index + 1])
            fired = run_network(part, spikes, layers=()).activity[index]
            share = int(fired.spikes_out.sum()) / int(fired.updates.sum())
            low, high = (middle, high) if share > rate else (low, middle)
    return net
