"""Random graphs in the chip's own integers: adds, concats, skips, pools, strides, branches."""

from __future__ import annotations

import numpy as np

from sdcl_neuro.conversion.lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
    SliceNode,
    UpsampleNode,
)
from sdcl_neuro.conversion.lowering.graph.shapes import Misfit, shape_behind
from sdcl_neuro.network.spec import Convolution

BETAS = [1 - d / 4096 for d in (0, 400, 1500, 4095)]


class Drawing:
    """A graph under construction; `spikes` are nodes that send spikes, `sums` do not."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.shapes, self.spikes, self.counts = [], {}, [], {}
        self.thresholds = self.rng.choice(
            [10, 20, 40, 80, 250, 300, 700], 2, p=[0.15, 0.2, 0.2, 0.15, 0.1, 0.1, 0.1]
        )
        self.betas = self.rng.choice(BETAS, 2, replace=False)

    def put(self, node_class, inputs, **fields):
        name = f"{node_class.__name__.removesuffix('Node').lower()}{len(self.nodes)}"
        node = node_class(name, tuple(inputs), **fields)
        self.shapes[name] = shape_behind(node, [self.shapes[i] for i in inputs])
        self.nodes.append(node)
        return name

    def even(self, shape, largest=36):
        half = largest // 2
        weight = 2.0 * self.rng.integers(-half, half + 3, shape).clip(-half, half)
        weight.reshape(-1)[0] = 8
        return weight

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def images(self, like=None):
        found = [n for n in self.spikes if len(self.shapes[n]) == 3]
        if like is not None:
            found = [n for n in found if self.shapes[n][1:] == self.shapes[like][1:]]
        return found

    def joined(self):
        """An image of spikes: one node's, several joined or added, a slice of it, enlarged."""
        name = self.pick(self.images()[-4:])
        others = [n for n in self.images(like=name) if n != name]
        if others and self.chance(0.4):
            name = self.put(ConcatNode, [name, self.pick(others)])
        same = [n for n in others if self.shapes[n] == self.shapes[name]]
        if same and self.chance(0.5):
            name = self.put(AddNode, [name, self.pick(same)])
        if self.shapes[name][0] > 1 and self.chance(0.2):
            count = int(self.rng.integers(1, self.shapes[name][0]))
            channels = self.rng.permutation(self.shapes[name][0])[:count]
            name = self.put(SliceNode, [name], channels=tuple(int(c) for c in channels))
        if max(self.shapes[name][1:]) <= 6 and self.chance(0.15):
            name = self.put(UpsampleNode, [name], factor=(2, 2))
        if min(self.shapes[name][1:]) > 3 and self.chance(0.15):
            stride = int(self.rng.integers(1, 3))
            name = self.put(
                PoolNode,
                [name],
                kind="sum",
                kernel=(2, 2),
                stride=(stride,) * 2,
                padding=(int(self.rng.integers(0, 2)),) * 2,
                ceil=bool(self.chance(0.3)),
            )
        return name

    def convolved(self, name, outputs, *, like=None):
        shape = self.shapes[name]
        while True:
            kernel = tuple(int(k) for k in self.rng.integers(1, 4, 2))
            stride = (
                (1, 1) if self.chance(0.6) else tuple(int(s) for s in self.rng.integers(1, 3, 2))
            )
            dilation = (1, 1) if self.chance(0.8) else (2, 1)
            padding = tuple(k // 2 for k in kernel)
            if self.chance(0.15):
                padding = (0, 0)
            groups = 1
            if shape[0] == outputs and outputs > 1 and self.chance(0.2):
                groups = outputs
            transposed = max(shape[1:]) <= 4 and self.chance(0.3)
            geometry = Convolution(stride, padding, dilation, groups)
            shape_w = (outputs, shape[0] // groups, *kernel)
            if transposed:
                shape_w = (shape[0], outputs // groups, *kernel)
            bias = None
            if self.chance(0.3):
                bias = self.rng.integers(-15, 16, outputs).astype(float)
            try:
                return self.put(
                    ConvolutionNode,
                    [name],
                    weight=self.even(shape_w),
                    bias=bias,
                    geometry=geometry,
                    transposed=transposed,
                )
            except (Misfit, ValueError):
                continue

    def population(self, name, *, recurrent=False, alpha=0.0):
        shape = self.shapes[name]
        channels = (shape[0], *[1] * (len(shape) - 1))
        beta = np.full(channels, self.pick(self.betas))
        threshold = np.full(channels, float(self.pick(self.thresholds)))
        if shape[0] > 1 and not recurrent and self.chance(0.25):
            beta = self.rng.choice(self.betas, channels)
        weight = None
        if recurrent:
            weight = self.even((int(np.prod(shape)),) * 2)
        name = self.put(
            PopulationNode,
            [name],
            beta=beta,
            threshold=threshold,
            alpha=np.asarray(alpha),
            recurrent=weight,
            scale=1.0,
        )
        self.spikes.append(name)
        return name


def random_graph(seed, *, blocks=None):
    """Draw a graph and its input, ``(FloatGraph, {name: spikes})``."""
    d = Drawing(seed)
    size = [int(n) for n in d.rng.choice([4, 6, 8, 8, 5, 7], 2)]
    for _ in range(2 if d.chance(0.25) else 1):
        shape = (int(d.rng.integers(1, 3)), *size)
        d.spikes.append(d.put(Input, [], shape=shape))
    for _ in range(int(d.rng.integers(2, 6)) if blocks is None else blocks):
        block(d)
    end(d)
    ends = outputs(d)
    graph = FloatGraph(tuple(d.nodes), ends)
    steps, samples = 5, 1
    given = {
        n.name: (d.rng.random((steps, samples, *n.shape)) < 0.35).astype(np.uint8)
        for n in graph.inputs
    }
    return graph, given


def block(d):
    if d.chance(0.25):
        name = d.pick(d.images())
        if min(d.shapes[name][1:]) >= 3:
            kernel = tuple(int(k) for k in d.rng.integers(2, 4, 2))
            stride = tuple(int(s) for s in d.rng.integers(1, 3, 2))
            d.spikes.append(
                d.put(
                    PoolNode,
                    [name],
                    kind="max",
                    kernel=kernel,
                    stride=stride,
                    padding=tuple(int(d.rng.integers(0, k // 2 + 1)) for k in kernel),
                    ceil=bool(d.chance(0.3)),
                )
            )
            return
    outputs_ = int(d.rng.integers(1, 4))
    current = d.convolved(d.joined(), outputs_)
    if d.chance(0.2):
        current = d.put(NormNode, [current], gain=d.rng.choice([1.0, 2.0, -1.0], outputs_))
    for other in reversed(d.images()):
        same = d.shapes[other][1:] == d.shapes[current][1:]
        if same and d.chance(0.4):
            weight = d.even((outputs_, d.shapes[other][0], 1, 1))
            extra = d.put(ConvolutionNode, [other], weight=weight)
            current = d.put(AddNode, [current, extra])
            break
    d.population(current)


def end(d):
    names = [d.pick(d.spikes[1:] or d.spikes)]
    if d.chance(0.6):
        last = d.spikes[-1]
        if last not in names:
            names.append(last)
        flat = [d.put(FlattenNode, [n]) for n in names]
        joined = flat[0] if len(flat) == 1 else d.put(ConcatNode, flat)
        weight = d.even((int(d.rng.integers(2, 5)), d.shapes[joined][0]))
        bias = d.rng.integers(-9, 9, len(weight)).astype(float) if d.chance(0.3) else None
        slow = d.chance(0.2)
        dense = d.put(DenseNode, [joined], weight=weight, bias=None if slow else bias)
        if d.chance(0.35):
            d.put(
                ReadoutNode,
                [dense],
                scale=1.0,
                beta=float(d.pick([0.0, BETAS[0], BETAS[1]])),
                alpha=0.5 if slow else 0.0,
            )
        else:
            d.population(dense, recurrent=d.chance(0.4), alpha=0.5 if slow else 0.0)


def outputs(d):
    read = {name for node in d.nodes for name in node.inputs}
    ends = [
        n.name
        for n in d.nodes
        if isinstance(n, PopulationNode | ReadoutNode) and n.name not in read
    ]
    # Max pooling and sums that no one reads are no output; the generator drops them.
    keep = set(ends)
    for node in reversed(d.nodes):
        if node.name in keep:
            keep.update(node.inputs)
    d.nodes = [n for n in d.nodes if n.name in keep or isinstance(n, Input)]
    return tuple(ends)
