"""Populations and read-outs of NIR as nodes of a graph, neuron by neuron.

A population's gain is taken out of its threshold instead of being multiplied into the weights
before it, so that it may differ from neuron to neuron: a neuron all of whose numbers are divided by
one gain fires the same spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

from ...lowering.approximate import Approximation
from ...lowering.graph.nodes import Node, NormNode, PopulationNode, ReadoutNode
from ...lowering.graph.shapes import Misfit
from ...lowering.populations import Unsupported
from .inline import StoredNode
from .lowering import departure_of
from .neurons import Neurons, read_neurons
from .step import StatedStep
from .synapse_nodes import Inputs, as_image
from .synapses import read_synapse
from .values import Refuse
from .writers import Writer

Array = NDArray[np.float64]
READOUTS = ("LI", "CubaLI")
_CONSTANTS = ("tau", "r", "tau_mem", "tau_syn", "w_in")


@dataclass
class Populations:
    """Reads populations.

    Attributes:
        row: who wrote the file.
        step: its step.
        nodes: all nodes of the file.
        loops: recurrent synapse to the population that it leads from and to.
        refuse: takes what is wrong.
        approximate: whether a reset may be another than the chip's.
        departures: population to how it resets, where that is not the chip's way.
    """

    row: Writer
    step: StatedStep
    nodes: Mapping[str, StoredNode]
    loops: Mapping[str, str]
    refuse: Refuse
    approximate: bool = False
    departures: dict[str, Approximation] = field(default_factory=dict)

    def population(self, node: StoredNode, inputs: Inputs, shape: Shape) -> list[Node]:
        """Return the neurons of a population; nothing where their values cannot be read."""
        found = self._constants(node, shape)
        if found is None:
            return []
        first, beta, alpha, gain = found
        departure = self._departure(first, gain)
        if departure is not None:
            self.departures[node.name] = departure
        reset, leak, fires = (
            as_image(v, shape).astype(np.float64)
            for v in (first.reset, first.leak, first.threshold)
        )
        threshold = (fires - reset).astype(np.float32)
        if self.row.inclusive:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        drive = (1.0 - beta) * (leak - reset) / gain
        recurrent, fed = self._recurrence(node)
        if fed is not None:
            drive = drive + fed.reshape(shape)
        made = PopulationNode(
            node.name,
            inputs,
            beta=beta,
            alpha=alpha,
            threshold=threshold.astype(np.float64) / gain,
            recurrent=recurrent,
            drive=drive if np.any(drive) else None,
        )
        return [made]

    def readout(self, node: StoredNode, inputs: Inputs, shape: Shape) -> list[Node]:
        """Return LI and CubaLI: a membrane that is read, its gain in the weights before it."""
        plain = replace(
            node,
            type="LIF" if node.type == "LI" else "CubaLIF",
            fields={**node.fields, "v_threshold": np.asarray(1.0)},
        )
        found = self._constants(plain, shape)
        if found is None:
            return []
        first, beta, alpha, gain = found
        if beta.size > 1 or first.leak.any():
            raise Misfit("constants that differ, or a v_leak", "give a read-out one of each")
        before: list[Node] = []
        if float(gain) != 1:
            before = [NormNode(f"{node.name}.gain", inputs, gain=gain.reshape(1))]
            inputs = (before[0].name,)
        return [*before, ReadoutNode(node.name, inputs, beta=float(beta), alpha=float(alpha))]

    def _departure(self, neurons: Neurons, gain: Array) -> Approximation | None:
        """Return how its reset differs from the chip's, in the units of its own membrane."""
        try:
            found = departure_of(neurons, self.row, approximate=self.approximate)
        except Unsupported as unsupported:
            raise Misfit(*_joined(unsupported)) from None
        if found is None or not found.rest:
            return found
        if gain.size > 1:
            what = "v_reset is not zero, and its constants differ from neuron to neuron"
            raise Misfit(what, "use a reset to zero, or one tau and r for all")
        return replace(found, rest=found.rest / float(gain))

    def _recurrence(self, node: StoredNode) -> tuple[Array | None, Array | None]:
        """Return matrix and bias of what a population sends itself; None for each that it lacks."""
        loops = [name for name, owner in self.loops.items() if owner == node.name]
        if not loops:
            return None, None
        if len(loops) > 1:
            raise Misfit(f"{len(loops)} recurrences", "add them up")
        found = read_synapse(self.nodes[loops[0]], self.refuse)
        if found is None or found.convolution is not None:
            raise Misfit("a recurrence that is not a matrix", "use a Linear or Affine")
        bias = None if found.bias is None else found.bias.astype(np.float64)
        return found.weight.astype(np.float64), bias

    def _constants(
        self, node: StoredNode, shape: Shape
    ) -> tuple[Neurons, Array, Array, Array] | None:
        """Return constants of a population; decays and gain ``[*shape]`` or one number each."""
        refuse = self.refuse
        stored = {key: node.fields[key] for key in _CONSTANTS if node.fields.get(key) is not None}
        whole = {}
        for key, values in stored.items():
            try:
                whole[key] = np.broadcast_to(as_image(values, shape), shape).ravel()
            except ValueError:
                what = f"a constant has the shape {list(np.shape(values))}"
                hint = "give one value, or one for each neuron"
                raise Misfit(f"{what}, the population {list(shape)}", hint) from None
        if not whole:
            return None
        rows, which = np.unique(np.stack(list(whole.values()), 1), axis=0, return_inverse=True)
        read: list[Neurons] = []
        for row in rows:
            fields = {**node.fields, **dict(zip(whole, (np.asarray(v) for v in row), strict=True))}
            neurons = read_neurons(
                replace(node, fields=fields), self.step.nominal, refuse, whole=self.step.whole
            )
            if neurons is None:
                return None
            if neurons.gain == 0:
                raise Misfit("its time constant is infinite, no input reaches it", "shorten it")
            read.append(neurons)
        parts = [np.array([getattr(n, name) for n in read]) for name in ("beta", "alpha", "gain")]
        if self.row.library == "snntorch":
            # snnTorch's decays were float32 before they became time constants.
            parts[:2] = [part.astype(np.float32).astype(np.float64) for part in parts[:2]]
        spread = [
            part.reshape(()) if len(read) == 1 else part[which.ravel()].reshape(shape)
            for part in parts
        ]
        return read[0], spread[0], spread[1], spread[2]


def _joined(unsupported: Unsupported) -> tuple[str, str]:
    whats = dict.fromkeys(what for what, *_ in unsupported.reasons)
    return "; ".join(whats), "; ".join(dict.fromkeys(hint for _, hint, _ in unsupported.reasons))
