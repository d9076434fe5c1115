"""A NIR graph run by its own words, in float64: what a description of it is compared with.

Small and apart from the lowering on purpose: nothing is folded, scaled or reordered. Each node does
in each step what its equation says, by forward Euler at the stated step; edges into one node add
up; what closes a cycle arrives one step later. Only a writer's units (`dialects`) are shared with
the reader, and those are proved against the writers themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spike_checks import check_spikes
from sdcl_neuro.network.spike_file import SpikesLike

from ...targets.nir.claim import KEY
from .claim import form_of_claim
from .dialects import row_of, translate
from .file import Tree
from .graph import open_tree
from .inline import StoredNode, contract, inline
from .memory import NirGraphLike
from .reference_nodes import POPULATIONS, Context, Dense, ReferencePopulation, make_unit
from .step import StatedStep, find_step

Spikes = NDArray[np.uint8]
Edges = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ReferenceRun:
    """What a graph's populations did.

    Attributes:
        names: of the populations, from the input on.
        spikes: of each, uint8 ``[T, B, *shape]``.
        margins: of each, how far the membrane was above the threshold (below, if negative) when
            it was compared with it, float64 of the same shape; empty unless asked for.
        outputs: what arrives at each node of type Output, float64 ``[T, B, *shape]``.
        step: the step it was run at.
    """

    names: tuple[str, ...]
    spikes: tuple[Spikes, ...]
    margins: tuple[NDArray[np.float64], ...]
    outputs: Mapping[str, NDArray[np.float64]]
    step: StatedStep


@public
def reference_run(
    source: Path | str | NirGraphLike,
    spikes: SpikesLike | Mapping[str, SpikesLike],
    *,
    dt: float | None = None,
    writer: str | None = None,
    margins: bool = False,
) -> ReferenceRun:
    """Run a NIR graph by its own words in float64, step by step.

    Args:
        source: a path, or a ``nir.NIRGraph`` in memory.
        spikes: ``[T, B, *input_shape]``, binary or counts; of several inputs, ``{name: spikes}``.
        dt, writer: as for `graph.from_nir`.
        margins: also keep how near each membrane came to its threshold.

    Returns:
        Spikes ``[T, B, *shape]`` of every population, in order, and the values of its outputs.

    Raises:
        NetworkRefused: a node that is none of NIR's, or no step.
        InputError: not a graph, or spikes of another shape.
    """
    tree, where = open_tree(source)
    nodes, edges, step, context = _prepared(tree, dt, writer, where)
    graph = _Graph(nodes, edges, context)
    given = spikes if isinstance(spikes, Mapping) else dict.fromkeys(graph.inputs[:1], spikes)
    if sorted(given) != sorted(graph.inputs):
        what = f"spikes for {', '.join(given) or 'no input'}; its inputs are {graph.inputs}"
        raise InputError(what, where=where, hint="give {name: spikes} with these names")
    frames = {name: _frames(values, nodes[name]) for name, values in given.items()}
    named = [name for name in graph.order if nodes[name].type in POPULATIONS]
    kept: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in named}
    near: dict[str, list[NDArray[np.float64]]] = {name: [] for name in named}
    ends = [name for name in graph.order if nodes[name].type == "Output"]
    sent: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ends}
    with torch.no_grad(), warnings.catch_warnings():
        # Torch says that it copies the input there, which changes nothing.
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
        for index in range(min(map(len, frames.values()))):
            outputs = graph.step({name: each[index] for name, each in frames.items()})
            for name in ends:
                sent[name].append(outputs[name].numpy())
            for name in named:
                kept[name].append(outputs[name].to(torch.uint8).numpy())
                if margins:
                    near[name].append(graph.units[name].margin.numpy())
    return ReferenceRun(
        tuple(named),
        tuple(np.stack(kept[name]) for name in named),
        tuple(np.stack(near[name]) for name in named) if margins else (),
        {name: np.stack(values) for name, values in sent.items()},
        step,
    )


def _frames(spikes: Any, node: StoredNode) -> torch.Tensor:
    """Return spikes ``[T, B, *shape]`` of an input; along a line as that, or with a height of
    one.
    """
    array = np.asarray(spikes)
    if array.ndim == 4:
        return _tensor(check_spikes(array[:, :, :, None])[:, :, :, 0])
    checked = check_spikes(spikes)
    line = np.asarray(node.fields.get("shape", ())).size == 2 and checked.ndim == 5
    return _tensor(checked[:, :, :, 0] if line else checked)


def _tensor(spikes: Spikes) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(spikes)).double()


def _prepared(
    tree: Tree, dt: float | None, writer: str | None, where: str
) -> tuple[dict[str, StoredNode], Edges, StatedStep, Context]:
    """Return nodes in NIR's own words and edges, subgraphs in place, and the step."""
    metadata = tree.get("metadata")
    if isinstance(metadata, Mapping) and KEY in metadata:
        writer = form_of_claim(metadata).reads_as
    problems: list[Refusal] = []
    nodes, edges = inline(tree, "", problems)
    edges = contract(nodes, edges)
    row = row_of(writer)
    step = find_step(nodes.values(), metadata, dt=dt, writer=writer, refuse=problems.append)
    if problems or step is None:
        raise NetworkRefused(problems, where=where)
    context = Context(step.nominal, step.whole, row)
    translated = {name: translate(node, row, context.dt) for name, node in nodes.items()}
    return translated, edges, step, context


class _Graph:
    """Nodes in the order in which a step evaluates them, and what closes their cycles."""

    def __init__(self, nodes: Mapping[str, StoredNode], edges: Edges, context: Context) -> None:
        self.inputs = [name for name, node in nodes.items() if node.type == "Input"]
        self.order, late = _order(self.inputs, edges)
        reached = set(self.order)
        self._before = {
            name: [(a, (a, name) in late) for a, b in edges if b == name and a in reached]
            for name in self.order
        }
        self.units = {name: make_unit(nodes[name], context) for name in self.order}
        self._last: dict[str, torch.Tensor] = {}

    def step(self, frames: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return every node's output in one step, for inputs ``[B, *input_shape]`` by name."""
        outputs: dict[str, torch.Tensor] = {}
        for name in self.order:
            if name in self.inputs:
                outputs[name] = frames[name]
                continue
            arriving = [self._arriving(outputs, a, late) for a, late in self._before[name]]
            total = sum(value for value in arriving if value is not None)
            outputs[name] = self.units[name](torch.as_tensor(total))
        self._last = outputs
        return outputs

    def _arriving(
        self, outputs: Mapping[str, torch.Tensor], name: str, late: bool
    ) -> torch.Tensor | None:
        if not late:
            return outputs[name]
        return self._last[name] if self._last else self._before_first(name)

    def _before_first(self, name: str) -> torch.Tensor | None:
        """Return what a node that closes a cycle sends into the first step: silence, and its
        bias.
        """
        unit = self.units[name]
        if isinstance(unit, ReferencePopulation):
            return None
        arriving = [self._before_first(source) for source, _ in self._before[name]]
        known = [value for value in arriving if value is not None]
        if known:
            return unit(torch.as_tensor(sum(known)))
        return unit.number("bias")[None] if isinstance(unit, Dense) else None


def _order(inputs: Sequence[str], edges: Edges) -> tuple[list[str], set[tuple[str, str]]]:
    """Return nodes reached from the inputs, each after what it needs; and the edges that close
    cycles.
    """
    behind: dict[str, list[str]] = {}
    for source, target in edges:
        behind.setdefault(source, []).append(target)
    late: set[tuple[str, str]] = set()
    done: list[str] = []
    seen: set[str] = set()
    for start in inputs:
        stack, path = [(start, iter(behind.get(start, ())))], {start}
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            target = next(rest, "")
            if not target:
                stack.pop()
                path.discard(name)
                done.append(name)
            elif target in path:
                late.add((name, target))
            elif target not in seen:
                seen.add(target)
                path.add(target)
                stack.append((target, iter(behind.get(target, ()))))
    return done[::-1], late
