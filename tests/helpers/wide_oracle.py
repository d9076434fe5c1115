"""The slow oracle's arithmetic on many samples at once, in int64; see `engine_oracle.py`.

Synapses are enumerated by the slow oracle itself, one by one; neurons are written here again, so
that nothing of the package takes part. `soak` compares both oracles on a part of every network.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers import engine_oracle

Ints = NDArray[np.int64]
PLANE = 1 << 24


def run(net: Any, spikes: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Run ``[T, B, ...]``; return the spikes ``[T, B, *out_shape]`` of each layer."""
    steps, samples = spikes.shape[:2]
    values = spikes.reshape(steps, samples, -1)
    found = []
    for layer in net.layers:
        values = _layer(layer, values)
        found.append(values.reshape(steps, samples, *layer.out_shape))
    return found


def _layer(layer: Any, spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    steps, samples, inputs = spikes.shape
    count = prod(layer.out_shape)
    matrices: dict[int, Ints] = {}
    for source, target, weight, delay in engine_oracle.synapses_of(layer):
        matrix = matrices.setdefault(delay, np.zeros((inputs, count), np.int64))
        matrix[source, target] += weight
    # Sums stay far below 2**53, where float64 counts exactly, and is many times as fast.
    given = spikes.reshape(-1, inputs).astype(np.float64)
    arrived = np.zeros((steps + max(matrices, default=0) + 1, samples, count), np.int64)
    for delay, matrix in matrices.items():
        sums = (given @ matrix.astype(np.float64)).astype(np.int64)
        arrived[delay : delay + steps] += sums.reshape(steps, samples, count)
    recurrent = layer.recurrent_weight
    back = None if recurrent is None else recurrent.astype(np.int64).T
    bias = np.zeros(count, np.int64)
    if layer.bias is not None:
        bias = np.repeat(layer.bias.astype(np.int64), count // len(layer.weight)) * 64
    u, v = (np.zeros((samples, count), np.int64) for _ in range(2))
    sent = np.zeros((steps, samples, count), np.uint8)
    for t in range(steps):
        total = arrived[t]
        total = _signed(total, 24) if layer.kind == "conv" else total
        u = _signed(_shrunk(u, layer.neuron.current_decay) + _signed(total * 64, 32), 32)
        u = np.where(u > PLANE // 2, u - PLANE, np.where(u <= -PLANE // 2, u + PLANE, u))
        v = _signed(_shrunk(v, layer.neuron.voltage_decay) + u + bias, 32)
        v = np.clip(v, 1 - PLANE // 2, PLANE // 2 - 1)
        fires = v > layer.neuron.threshold * 64
        v[fires] = 0
        sent[t] = fires
        if back is not None:
            arrived[t + 1] += fires.astype(np.int64) @ back
    return sent


def _signed(value: Ints, bits: int) -> Ints:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def _shrunk(value: Ints, decay: int) -> Ints:
    kept = np.abs(value) * (4096 - decay) // 4096
    return np.where(value >= 0, kept, -kept)
