"""Graphs written as NIR and read without our metadata: which spikes differ, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from random_graphs import random_graph

from sdcl_neuro import conversion
from sdcl_neuro.conversion.graph_modules import run_nodes
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.conversion.targets.nir.writer import build_graph
from sdcl_neuro.errors import NetworkRefused


@dataclass
class Ties:
    """Counts over many graphs.

    Attributes:
        graphs, spikes, differing: how many.
        margins: of the first difference of each sample, ``|membrane - threshold| / threshold``.
    """

    graphs: int = 0
    spikes: int = 0
    differing: int = 0
    margins: list[float] = field(default_factory=list)

    def add(self, seed: int) -> None:
        """Write a random graph as NIR, read it by NIR's own words, and run both in float64."""
        graph, _ = random_graph(seed)
        if not graph.outputs:
            return
        try:
            written = build_graph(graph, dt=1e-3)
            written.metadata = {"dt": 1e-3}
            read = conversion.from_nir(written, dt=1e-3, compare=False)
        except NetworkRefused:
            return
        if not isinstance(read, FloatGraph):
            return
        rng = np.random.default_rng(seed)
        given = {
            node.name: torch.from_numpy((rng.random((12, 2, *node.shape)) < 0.3).astype(float))
            for node in graph.inputs
        }
        ours = {node.name: (received, gave) for node, received, gave in run_nodes(graph, given)}
        theirs = {node.name: gave for node, _, gave in run_nodes(read, given)}
        names = [node.name for node in graph.populations]
        self.graphs += 1
        first = {}
        for name in names:
            gave = ours[name][1]
            differ = gave != theirs[name].reshape(gave.shape)
            self.spikes += int(gave.sum())
            self.differing += int(differ.sum())
            for step, sample, *where in differ.nonzero().tolist():
                known = first.get(sample)
                # Of a step, what differs first has received the same.
                if known is None or step < known[1] or (step == known[1] and name == known[0]):
                    first.setdefault(sample, (name, step, []))
                    if step < first[sample][1]:
                        first[sample] = (name, step, [])
                    first[sample][2].append(tuple(where))
        for sample, (name, step, places) in first.items():
            margin = margins(graph[name], *(values[:, sample] for values in ours[name]), step)
            self.margins += [float(margin[where]) for where in places]


def margins(node, received, sent, step):
    """How far each membrane is from its threshold in a step, as a share of the threshold."""
    shape = received.shape[1:]
    beta, alpha, threshold = (
        torch.from_numpy(np.array(np.broadcast_to(v, shape), float))
        for v in (node.beta, node.alpha, node.threshold)
    )
    drive = 0.0 if node.drive is None else torch.from_numpy(np.asarray(node.drive))
    current = membrane = before = torch.zeros(shape, dtype=torch.float64)
    for index in range(step + 1):
        now = received[index]
        if node.recurrent is not None:
            fed = torch.from_numpy(node.recurrent) @ before.reshape(-1)
            now = now + fed.reshape(now.shape)
        current = alpha * current + now
        membrane = beta * membrane * (1 - before) + current + drive
        before = sent[index]
    return ((membrane - threshold) / threshold).abs()
