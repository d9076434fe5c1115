"""A slow, independent oracle: explicit synapses, Python integers, one neuron at a time.

It knows the descriptions of `sdcl_neuro.network.spec` and nothing else of the package.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import prod

import numpy as np


def synapses_of(layer):
    """Every synapse as (source, target, weight, delay), found output by output."""
    if layer.kind != "conv":
        for target in range(layer.weight.shape[0]):
            for source in range(layer.weight.shape[1]):
                delay = 0 if layer.delay is None else int(layer.delay[target, source])
                yield source, target, int(layer.weight[target, source]), delay
        return
    geometry = layer.convolution
    _, height, width = layer.in_shape
    outputs, rows, columns = layer.out_shape
    per_group_in = layer.weight.shape[1]
    per_group_out = outputs // geometry.groups
    taps = list(product(range(layer.weight.shape[2]), range(layer.weight.shape[3])))
    for c_out, y_out, x_out in product(range(outputs), range(rows), range(columns)):
        target = (c_out * rows + y_out) * columns + x_out
        group = c_out // per_group_out
        for c, (ky, kx) in product(range(per_group_in), taps):
            y = y_out * geometry.stride[0] - geometry.padding[0] + ky * geometry.dilation[0]
            x = x_out * geometry.stride[1] - geometry.padding[1] + kx * geometry.dilation[1]
            if 0 <= y < height and 0 <= x < width:
                source = ((group * per_group_in + c) * height + y) * width + x
                yield source, target, int(layer.weight[c_out, c, ky, kx]), 0


def signed(value, bits):
    """`value` as a signed register of so many bits keeps it."""
    half = 2 ** (bits - 1)
    return (value + half) % (2 * half) - half


def shrink(value, decay):
    """Decay towards zero."""
    kept = abs(value) * (4096 - decay) // 4096
    return kept if value >= 0 else -kept


class Neuron:
    """One neuron with reset to zero."""

    def __init__(self, parameters, bias):
        self.parameters, self.bias = parameters, bias
        self.u = self.v = self.wraps = self.clips = 0

    def step(self, activation):
        """Return whether it fires."""
        u = signed(shrink(self.u, self.parameters.current_decay) + signed(activation * 64, 32), 32)
        if u > 2**23:
            u, self.wraps = u - 2**24, self.wraps + 1
        elif u <= -(2**23):
            u, self.wraps = u + 2**24, self.wraps + 1
        self.u = u
        v = signed(shrink(self.v, self.parameters.voltage_decay) + u + self.bias * 64, 32)
        limit = 2**23 - 1
        if abs(v) > limit:
            v, self.clips = (limit if v > 0 else -limit), self.clips + 1
        fires = v > self.parameters.threshold * 64
        self.membrane, self.v = v, 0 if fires else v
        return fires


def run_layer(layer, spikes):
    """Run one sample, ``[T, N_in]``; return ``[T, N_out]`` and the counts."""
    outgoing = defaultdict(list)
    for source, target, weight, delay in synapses_of(layer):
        outgoing[source].append((target, weight, delay))
    count = prod(layer.out_shape)
    plane = count // len(layer.weight)
    neurons = [
        Neuron(layer.neuron, 0 if layer.bias is None else int(layer.bias[n // plane]))
        for n in range(count)
    ]
    pending = defaultdict(int)
    sent = np.zeros((len(spikes), count), dtype=np.uint8)
    counted = {
        "synops": 0,
        "synops_nonzero": 0,
        "accumulates": 0,
        "multiplies": 0,
        "membrane_updates": 0,
    }
    before = [None] * count
    for t, values in enumerate(spikes):
        for source in np.flatnonzero(values):
            for target, weight, delay in outgoing[source]:
                pending[t + delay, target] += weight * int(values[source])
                counted["synops"] += 1
                counted["synops_nonzero"] += int(weight != 0)
                counted["multiplies" if max(values) > 1 else "accumulates"] += int(weight != 0)
        for n, neuron in enumerate(neurons):
            total = pending.pop((t, n), 0)
            sent[t, n] = neuron.step(signed(total, 24) if layer.kind == "conv" else total)
            fired_before = t > 0 and sent[t - 1, n]
            counted["membrane_updates"] += bool(fired_before or neuron.membrane != before[n])
            before[n] = neuron.membrane
        if layer.recurrent_weight is not None:
            for source, target in product(np.flatnonzero(sent[t]), range(count)):
                weight = int(layer.recurrent_weight[target, source])
                pending[t + 1, target] += weight
                counted["synops"] += 1
                counted["synops_nonzero"] += int(weight != 0)
                counted["accumulates"] += weight != 0 and t + 1 < len(spikes)
    return sent, {
        "spikes_in": int(np.count_nonzero(spikes)),
        "spikes_out": int(sent.sum()),
        **counted,
        "updates": len(spikes) * count,
        "saturations": sum(neuron.clips for neuron in neurons),
        "wraps": sum(neuron.wraps for neuron in neurons),
    }


def run(net, spikes):
    """Run ``[T, B, ...]``; return per layer the spikes ``[T, B, ...]`` and count lists ``[B]``."""
    steps, samples = spikes.shape[:2]
    results = [[] for _ in net.layers]
    for sample in range(samples):
        values = spikes[:, sample].reshape(steps, -1)
        for index, layer in enumerate(net.layers):
            values, counts = run_layer(layer, values)
            results[index].append((values, counts))
    return [
        (
            np.stack([values.reshape(steps, *layer.out_shape) for values, _ in runs], axis=1),
            {name: [counts[name] for _, counts in runs] for name in runs[0][1]},
        )
        for layer, runs in zip(net.layers, results, strict=True)
    ]
