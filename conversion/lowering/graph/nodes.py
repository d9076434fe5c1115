"""The float description of a network as a graph of nodes, one class a kind.

Shapes are of one time step, without time and batch: ``(C, H, W)`` or ``(N,)``; what acts along a
line has a height of one. Every node computes in each step from what the nodes it reads give in
the same step; only populations and read-outs keep a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.content import ByContent, Result
from sdcl_neuro.network.spec import Convolution, Pair, Shape

Array = NDArray[np.float64]
PoolKind = Literal["sum", "average", "max"]


@dataclass(frozen=True, eq=False)
class Node(Result):
    """What all nodes have.

    Attributes:
        name: unique in the graph.
        inputs: names of the nodes it reads, in order.
    """

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Spikes from outside, binary; it reads nothing."""

    shape: Shape = ()


@dataclass(frozen=True, eq=False)
class ConvolutionNode(Node):
    """``y = W * x + b``, as torch's Conv2d, or as its ConvTranspose2d.

    Attributes:
        weight: ``[C_out, C_in / groups, kH, kW]``; transposed ``[C_in, C_out / groups, kH, kW]``.
        bias: ``[C_out]`` or None.
        geometry: stride, padding, dilation and groups.
        transposed: whether it is a transposed convolution.
        output_padding: of a transposed convolution, rows and columns added at the far border.
    """

    weight: Array
    bias: Array | None = None
    geometry: Convolution = field(default_factory=Convolution)
    transposed: bool = False
    output_padding: Pair = (0, 0)


@dataclass(frozen=True, eq=False)
class DenseNode(Node):
    """``y = W x + b`` over a flat input; weight ``[N_out, N_in]``, bias ``[N_out]`` or None."""

    weight: Array
    bias: Array | None = None


@dataclass(frozen=True, eq=False)
class UpsampleNode(Node):
    """Nearest neighbours: every row and column ``factor`` times."""

    factor: Pair = (2, 2)


@dataclass(frozen=True, eq=False)
class PoolNode(Node):
    """Pooling channel by channel, as torch places its windows.

    Attributes:
        kind: ``sum``, ``average`` or ``max``.
        kernel, stride, padding, dilation: (vertical, horizontal); dilation for ``max`` only.
        ceil: whether a last, truncated window counts.
        count_padding: whether an average divides by the padding's elements, too.
        size: height and width behind an adaptive pooling, whose windows follow from it; then
            kernel, stride and padding mean nothing.
        divisor: what a sum is divided by besides.
    """

    kind: PoolKind = "average"
    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil: bool = False
    count_padding: bool = True
    size: Pair | None = None
    divisor: float = 1.0


@dataclass(frozen=True, eq=False)
class NormNode(Node):
    """``y[c] = gain[c] x[c] + shift[c]``: batch norm with its running statistics, or a scale."""

    gain: Array = field(default_factory=lambda: np.ones(1))
    shift: Array = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True, eq=False)
class FlattenNode(Node):
    """``(C, H, W)`` to ``(N,)``, in torch's order."""


@dataclass(frozen=True, eq=False)
class AddNode(Node):
    """The sum of all it reads, which have one shape; a node read twice counts twice."""


@dataclass(frozen=True, eq=False)
class ConcatNode(Node):
    """Channels of all it reads, one after another."""


@dataclass(frozen=True, eq=False)
class SliceNode(Node):
    """Some channels of what it reads, in the order given."""

    channels: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class PopulationNode(Node):
    """Leaky integrate-and-fire neurons that reset to zero (`spec.FloatNeuron`).

    Attributes:
        beta, alpha, threshold: each broadcasts to the population's shape.
        recurrent: ``[N, N]`` of spikes one step later, in torch's flat order; None without.
        drive: added to the membranes in each step, past the current; broadcasts; None is zero.
        scale: integer weight per unit of float weight, if training fixed it.
        clips: whether training clipped the weights before it as the chip does, taps that fall on
            one synapse added up.
        hidden: whether it is not a layer of the user's, but takes input counts apart.
    """

    beta: Array = field(default_factory=lambda: np.zeros(()))
    threshold: Array = field(default_factory=lambda: np.ones(()))
    alpha: Array = field(default_factory=lambda: np.zeros(()))
    recurrent: Array | None = None
    drive: Array | None = None
    scale: float | None = None
    clips: bool = False
    hidden: bool = False


@dataclass(frozen=True, eq=False)
class ReadoutNode(Node):
    """Neurons that never fire and whose membranes are read: ``i = alpha i + x; v = beta v + i``.

    Attributes:
        beta, alpha: decays per step; both 0 for a synapse without neurons.
        scale, clips: as for a population.
    """

    beta: float = 0.0
    alpha: float = 0.0
    scale: float | None = None
    clips: bool = False


@dataclass(frozen=True, eq=False)
class FloatGraph(ByContent):
    """A network as a graph.

    Attributes:
        nodes: every node after those it reads.
        outputs: names of populations and read-outs, in the order in which the network gives them.
        meta: plain JSON values; never changes arithmetic.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Input))

    @property
    def populations(self) -> tuple[PopulationNode, ...]:
        """The spiking layers, in order: ``layer_0``, ``layer_1`` and so on."""
        return tuple(n for n in self.nodes if isinstance(n, PopulationNode) and not n.hidden)

    @property
    def readouts(self) -> tuple[ReadoutNode, ...]:
        """The read-outs, in order: ``readout_0`` and so on."""
        return tuple(node for node in self.nodes if isinstance(node, ReadoutNode))

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __str__(self) -> str:
        from .table import render

        return render(self)

    def to_svg(self, path: Path | str | None = None) -> str:
        """Draw the graph: a row for each node, lines for what it sends.

        Args:
            path: file to write the picture to as well; None writes none.

        Returns:
            One ``<svg>`` element, which is also a whole file, for light and dark screens.
        """
        from sdcl_neuro.network.graph_picture import graph_svg

        from .picture import picture_nodes

        return graph_svg(picture_nodes(self), path=path)

    def _repr_svg_(self) -> str:
        return self.to_svg()
