"""A slow, independent oracle of graphs: every node by its own loop, in integers, step by step.

It knows the node classes and nothing of how a graph is lowered: no matrices, no phases, no
relays. Weights are whole numbers and every scale is one, so that floats are the chip's integers.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

UNITY, UNIT, LIMIT = 4096, 64, 2**23


def decay_of(kept):
    """The integer decay of a float one, half to even."""
    return round(Fraction(UNITY) * (1 - Fraction(float(kept))))


def towards_zero(value, decay):
    kept = abs(value) * (UNITY - decay) // UNITY
    return kept if value >= 0 else -kept


class Neuron:
    """One neuron with reset to zero; a read-out has no threshold and only saturates."""

    def __init__(self, current, voltage, threshold, bias=0):
        self.current_decay, self.voltage_decay = current, voltage
        self.threshold, self.bias = threshold, bias
        self.u = self.v = 0

    def step(self, received):
        self.u = towards_zero(self.u, self.current_decay) + received * UNIT
        if self.u > LIMIT:
            self.u -= 2 * LIMIT
        elif self.u <= -LIMIT:
            self.u += 2 * LIMIT
        self.v = towards_zero(self.v, self.voltage_decay) + self.u + self.bias * UNIT
        self.v = max(1 - LIMIT, min(LIMIT - 1, self.v))
        fires = self.threshold is not None and self.v > self.threshold * UNIT
        if fires:
            self.v = 0
        return int(fires)


def convolve(node, x):
    weight, g = node.weight, node.geometry
    if node.transposed:
        return convolve_transposed(node, x)
    _, height, width = x.shape
    rows, columns = g.output_size((height, width), weight.shape[2:])
    out = np.zeros((len(weight), rows, columns), dtype=object)
    per_in, per_out = weight.shape[1], len(weight) // g.groups
    for o, y, z in product(range(len(weight)), range(rows), range(columns)):
        total = 0 if node.bias is None else int(node.bias[o])
        for c, j, k in product(range(per_in), range(weight.shape[2]), range(weight.shape[3])):
            r = y * g.stride[0] - g.padding[0] + j * g.dilation[0]
            s = z * g.stride[1] - g.padding[1] + k * g.dilation[1]
            if 0 <= r < height and 0 <= s < width:
                total += int(weight[o, c, j, k]) * x[o // per_out * per_in + c, r, s]
        out[o, y, z] = total
    return out


def convolve_transposed(node, x):
    weight, g = node.weight, node.geometry
    channels, height, width = x.shape
    per_in, per_out = channels // g.groups, weight.shape[1]
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            (height, width),
            g.stride,
            g.padding,
            g.dilation,
            weight.shape[2:],
            node.output_padding,
            strict=True,
        )
    ]
    out = np.zeros((per_out * g.groups, *sizes), dtype=object)
    for c, r, s in product(range(channels), range(height), range(width)):
        for o, j, k in product(range(per_out), range(weight.shape[2]), range(weight.shape[3])):
            y = r * g.stride[0] - g.padding[0] + j * g.dilation[0]
            z = s * g.stride[1] - g.padding[1] + k * g.dilation[1]
            if 0 <= y < sizes[0] and 0 <= z < sizes[1]:
                out[c // per_in * per_out + o, y, z] += int(weight[c, o, j, k]) * x[c, r, s]
    if node.bias is not None:
        for o in range(len(out)):
            out[o] += int(node.bias[o])
    return out


def pool(node, x):
    """Sum or maximum over windows, by torch's rules."""
    channels, *sizes = x.shape
    counts = []
    for axis, size in enumerate(sizes):
        span = node.dilation[axis] * (node.kernel[axis] - 1) + 1
        room = size + 2 * node.padding[axis] - span
        count = (-(-room // node.stride[axis]) if node.ceil else room // node.stride[axis]) + 1
        if node.ceil and (count - 1) * node.stride[axis] >= size + node.padding[axis]:
            count -= 1
        counts.append(count)
    out = np.zeros((channels, *counts), dtype=object)
    for c, y, z in product(range(channels), *map(range, counts)):
        window = []
        for j, k in product(range(node.kernel[0]), range(node.kernel[1])):
            r = y * node.stride[0] - node.padding[0] + j * node.dilation[0]
            s = z * node.stride[1] - node.padding[1] + k * node.dilation[1]
            if 0 <= r < sizes[0] and 0 <= s < sizes[1]:
                window.append(x[c, r, s])
        out[c, y, z] = (max(window) if window else 0) if node.kind == "max" else sum(window)
    return out


class Population:
    """The neurons of a population or read-out node."""

    def __init__(self, node, shape):
        self.node, self.neurons = node, np.empty(shape, dtype=object)
        self.sent = np.zeros(shape, dtype=object)
        spiking = hasattr(node, "threshold")
        for place in np.ndindex(*shape):
            beta, alpha = (
                np.broadcast_to(np.asarray(v), shape)[place] for v in (node.beta, node.alpha)
            )
            threshold = int(np.broadcast_to(node.threshold, shape)[place]) if spiking else None
            voltage = decay_of(beta) if spiking else min(4095, decay_of(beta))
            drive = getattr(node, "drive", None)
            drive = 0 if drive is None else int(np.broadcast_to(drive, shape)[place])
            self.neurons[place] = Neuron(decay_of(alpha), voltage, threshold, drive)

    def step(self, x):
        total = x.copy()
        if getattr(self.node, "recurrent", None) is not None:
            back = self.node.recurrent.astype(int).astype(object) @ self.sent.ravel()
            total = total + back.reshape(total.shape)
        out = np.zeros(total.shape, dtype=object)
        for place in np.ndindex(*total.shape):
            out[place] = self.neurons[place].step(int(total[place]))
        self.sent = out
        return out

    @property
    def membranes(self):
        # A synapse without neurons gives what it received in this step.
        bare = not hasattr(self.node, "threshold") and self.node.beta == self.node.alpha == 0
        state = (lambda neuron: neuron.u) if bare else (lambda neuron: neuron.v)
        return np.vectorize(state, otypes=[np.int64])(self.neurons)


def step_node(node, values, x, states):
    kind = type(node).__name__.removesuffix("Node")
    if kind == "Convolution":
        return convolve(node, x[0])
    if kind == "Dense":
        flat = node.weight.astype(int).astype(object) @ x[0]
        return flat if node.bias is None else flat + node.bias.astype(int).astype(object)
    if kind == "Upsample":
        return x[0].repeat(node.factor[0], axis=1).repeat(node.factor[1], axis=2)
    if kind == "Pool":
        return pool(node, x[0])
    if kind == "Norm":
        each = node.gain.astype(int).astype(object).reshape(-1, *[1] * (x[0].ndim - 1))
        return x[0] * each
    if kind == "Flatten":
        return x[0].reshape(-1)
    if kind == "Add":
        return sum(x[1:], x[0])
    if kind == "Concat":
        return np.concatenate(x)
    if kind == "Slice":
        return x[0][list(node.channels)]
    if node.name not in states:
        states[node.name] = Population(node, x[0].shape)
    return states[node.name].step(x[0])


def run(graph, inputs):
    """Run ``{name: [T, B, ...]}``; return spikes and membranes by node, each ``[T, B, ...]``."""
    steps, samples = next(iter(inputs.values())).shape[:2]
    spikes, membranes = {}, {}
    for b in range(samples):
        states = {}
        for t in range(steps):
            values = {
                name: given[t, b].astype(int).astype(object) for name, given in inputs.items()
            }
            for node in graph.nodes:
                if node.name in values:
                    continue
                values[node.name] = step_node(
                    node, values, [values[name] for name in node.inputs], states
                )
            for name, state in states.items():
                shape = (steps, samples, *state.sent.shape)
                spikes.setdefault(name, np.zeros(shape, np.uint8))[t, b] = state.sent
                kept = membranes.setdefault(name, np.zeros(shape, np.int64))
                kept[t, b] = state.membranes
    return spikes, membranes
