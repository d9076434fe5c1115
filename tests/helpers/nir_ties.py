"""Graphs written as NIR and read without our metadata: which spikes differ, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from sdcl_neuro import conversion
from sdcl_neuro.conversion.graph_modules import run_nodes
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.conversion.targets.nir.writer import build_graph
from sdcl_neuro.errors import NetworkRefused

from .random_graphs import random_graph


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
        first: dict[int, tuple[int, str]] = {}  # sample to the step and population, in their order
        unlike = {}
        for name in names:
            gave = ours[name][1]
            unlike[name] = gave != theirs[name].reshape(gave.shape)
            self.spikes += int(gave.sum())
            self.differing += int(unlike[name].sum())
            for sample in range(gave.shape[1]):
                steps = unlike[name][:, sample].flatten(1).any(1).nonzero()
                if len(steps) and int(steps[0]) < first.get(sample, (len(gave), ""))[0]:
                    first[sample] = int(steps[0]), name
        for sample, (step, name) in first.items():
            # Until then everything is the same, and so is what this population receives.
            found = margins(graph[name], *(values[:, sample] for values in ours[name]), step)
            self.margins += found[unlike[name][step, sample]].tolist()


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
