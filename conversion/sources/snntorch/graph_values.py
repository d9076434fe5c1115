"""Values that pass through a user's forward, followed to the nodes of a graph.

Every tensor that comes from the input is known by the node that gives it and by the step that it
belongs to. Operations that only change how a tensor is laid out keep the node; those that compute
give a new one. The same operation on the same nodes in a later step is the same node: so a loop
over time, unrolled as it runs, folds back into one graph, and a forward that mixes steps shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from torch import Tensor

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Shape

from ...lowering.approximate import Approximation
from ...lowering.graph.nodes import FlattenNode, Node
from ...lowering.graph.shapes import Misfit, shape_behind
from .graph_refresh import Origins

Step = int | None
"""The step that a value belongs to; None for one that holds all steps."""

CHAIN_MEND = "compute with the modules and operations that the support table lists"


@dataclass(frozen=True)
class Value:
    """What a tensor holds.

    Attributes:
        node: the node that gives it.
        step: see `Step`.
        state: whether it is a neuron's state, not its spikes.
        batch_first: whether the samples' axis stands before that of the steps.
        stacked: nodes that were stacked along a new axis in front of their own.
    """

    node: str
    step: Step = None
    state: bool = False
    batch_first: bool = False
    stacked: tuple[str, ...] = ()


@dataclass
class Recording:
    """The graph found so far.

    Attributes:
        steps, samples: of the run.
        nodes: in the order in which they were found.
        shapes: of every node.
        origins: where the nodes' numbers come from.
        refusals: operations that have no place in a graph, by the node that would read them.
        approximate: whether populations may reset otherwise than the chip's.
        departures: population to how it resets, where that is not the chip's way.
    """

    steps: int
    samples: int
    approximate: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    departures: dict[str, Approximation] = field(default_factory=dict)
    _values: dict[int, Value | str] = field(default_factory=dict)
    _alive: list[Tensor] = field(default_factory=list)
    _known: dict[Any, str] = field(default_factory=dict)

    def of(self, tensor: Any) -> Value | str | None:
        """Return a tensor's value; words where an operation lost it; None for what no input
        reaches.
        """
        return self._values.get(id(tensor)) if isinstance(tensor, Tensor) else None

    def set(self, tensor: Tensor, value: Value | str) -> None:
        """Note what a tensor holds; it is kept alive, so that no other gets its identity."""
        self._values[id(tensor)] = value
        self._alive.append(tensor)

    def put(self, key: Any, name: str, make: Any, inputs: Sequence[str]) -> str:
        """Return the node for `key`, made if it is new.

        Args:
            key: what is computed, apart from its inputs.
            name: for a new node; a number is added where it is taken.
            make: takes name and inputs, gives a node.
            inputs: names of the nodes it reads.

        Raises:
            Misfit: the shapes do not fit.
        """
        whole = (key, tuple(inputs))
        if whole in self._known:
            return self._known[whole]
        free, count = name, 1
        while free in self.nodes:
            count += 1
            free = f"{name}_{count}"
        node = make(free, tuple(inputs))
        self.shapes[free] = shape_behind(node, [self.shapes[each] for each in inputs])
        self.nodes[free] = node
        self._known[whole] = free
        return free

    def laid_out(self, value: Value, shape: Shape) -> Value | None:
        """Return the same value in a tensor of another shape, in the same order; None if it is
        mixed up.

        Leading axes are steps and samples, one behind another or as one, or samples alone.
        """
        own = self.shapes[value.node]
        bare = tuple(n for n in own if n != 1)
        for kept in range(len(shape) + 1):
            lead, tail = shape[:kept], shape[kept:]
            if prod(lead) != self.wanted(value):
                continue
            if tail == own or (tail and tuple(n for n in tail if n != 1) == bare):
                if len(own) == 3 and len(tail) == 1:
                    break  # (N, 1, 1) flattened
                return value
        for kept in range(len(shape)):
            lead, tail = shape[:kept], shape[kept:]
            if prod(lead) == self.wanted(value) and tail == (prod(own),):
                name = self.put("flatten", f"{value.node}.flat", FlattenNode, [value.node])
                return replace(value, node=name)
        return None

    def wanted(self, value: Value) -> int:
        """Return how often the node's shape is in a tensor."""
        return self.samples * self.steps if value.step is None else self.samples


def known(recording: Recording, tensor: Any) -> Value:
    """Return the value of a tensor that has to have one."""
    value = recording.of(tensor)
    if isinstance(value, str):
        raise Misfit(value, CHAIN_MEND)
    if value is None:
        raise Misfit("a tensor that does not come from the input", CHAIN_MEND)
    if value.state:
        what = "a neuron's state, which the chip does not send"
        raise Misfit(what, "use its spikes, or a read-out at the end")
    return value


__all__ = ["CHAIN_MEND", "Misfit", "Recording", "Step", "Value", "known"]
