"""A graph reduced to units: groups of neurons that one layer of a chip can hold.

A unit is a population, or those of its channels that share their decays and threshold; or the
neurons of a max pooling of spikes, which fire where any spike in their window does; or a
read-out. What it reads is spikes of earlier units, through kernels in which every synapse stands
once: taps that fall on the same synapse have been added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import FloatNeuron, Shape

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
UnitKind = Literal["spiking", "or", "readout"]


@dataclass(frozen=True)
class Afferent:
    """Synapses from one node's spikes.

    Attributes:
        source: the node.
        of: its channels that are read, ``[C_in]``.
        weight: ``[C_out, C_in, J, L]``, float, or integer once it is rounded.
        rows, columns: ``[H_out, J]`` and ``[W_out, L]``: the input that a tap of an output reads,
            -1 for none; no two taps of an output read the same.
    """

    source: str
    of: Indices
    weight: NDArray[Any]
    rows: Indices
    columns: Indices


@dataclass(frozen=True)
class Unit:
    """A group of neurons with one neuron model.

    Attributes:
        name: unique.
        node: the node of the graph it is, or is a part of.
        kind: what its neurons do.
        channels: of the node, ``[C]``.
        size: height and width.
        afferents: one for each node it reads.
        neuron: decays and threshold; of a read-out without meaning but for the decays.
        bias: ``[C]``, or ``[C, H, W]`` where it differs within a channel; None is zero.
        recurrent: ``[N, N]``, of its own spikes a step before; None without.
        scale: integer weight per unit of float weight, if training fixed it.
        clips: whether training clipped its weights as the chip does.
    """

    name: str
    node: str
    kind: UnitKind
    channels: Indices
    size: tuple[int, int]
    afferents: tuple[Afferent, ...]
    neuron: FloatNeuron
    bias: NDArray[Any] | None = None
    recurrent: NDArray[Any] | None = None
    scale: float | None = None
    clips: bool = False

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return len(self.channels) * prod(self.size)


@dataclass(frozen=True)
class Sender:
    """A node that is given out: an input, a population, a max pooling, a read-out.

    Attributes:
        size: ``(C, H, W)``, flat ones ``(N, 1, 1)``.
        shape: as the user has it.
    """

    name: str
    size: tuple[int, int, int]
    shape: Shape


@dataclass(frozen=True)
class Units:
    """A reduced graph.

    Attributes:
        inputs: the graph's inputs.
        senders: name to sender, inputs included.
        units: in an order in which everything is read after it was sent.
        populations, readouts: names of the nodes, as `FloatGraph` orders them.
        outputs: names of the nodes that the network gives.
        bare: read-outs that are synapses without neurons.
        notes: what was folded or expanded, in words.
    """

    inputs: tuple[Sender, ...]
    senders: dict[str, Sender]
    units: tuple[Unit, ...]
    populations: tuple[str, ...]
    readouts: tuple[str, ...]
    outputs: tuple[str, ...]
    bare: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
