"""What the relays of a graph's chain cost on a chip: its cores, neurons and synapses, and without.

Without relays each layer of the chain is placed by itself with the graph's own neurons only, and
with the inputs that these read, as if every neuron could send to every layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.network.activity import nonzero_fan_out
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spec import IntLayer, IntNetwork

from .lowering.graph.account import Account
from .quantisation.graph_costs import cheaper_forms
from .quantisation.graphs import graph_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerCost:
    """One layer of a chain, with its relays and without.

    Attributes:
        name: of the layer.
        neurons, own_neurons: all, and those that neither relay nor pool.
        synapses, own_synapses: at weights that are not zero, of all and of those neurons.
        cores, own_cores: None where the chip's profile does not know its cores.
    """

    name: str
    neurons: int
    own_neurons: int
    synapses: int
    own_synapses: int
    cores: int | None
    own_cores: int | None


@dataclass(frozen=True)
class RelayCosts:
    """What relays and pooling take of a chip; prints itself.

    Attributes:
        hw: the chip.
        layers: of the chain, in order.
        cheaper: forms of the network that would take clearly fewer neurons.
    """

    hw: str
    layers: tuple[LayerCost, ...]
    cheaper: tuple[str, ...]

    def total(self, name: str) -> int | None:
        """Return sum of a column of `LayerCost` over the layers; None where a layer's is
        unknown.
        """
        column = [getattr(layer, name) for layer in self.layers]
        return None if None in column else sum(column)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: totals, every layer, and the warnings."""
        names = ("neurons", "synapses", "cores")
        totals = {name: self.total(name) for name in names}
        totals |= {f"own_{name}": self.total(f"own_{name}") for name in names}
        layers = [asdict(layer) for layer in self.layers]
        return {**totals, "layers": layers, "warnings": list(self.cheaper)}

    def __str__(self) -> str:
        lines = [f"relays and pooling on {self.hw}, without them and with them:"]
        for name, unit in (("neurons", ""), ("synapses", " without zeros"), ("cores", "")):
            before, after = self.total(f"own_{name}"), self.total(name)
            if before is not None and after is not None:
                growth = f" ({after / before:.2f} times)" if before else ""
                lines.append(f"  {name + unit:<22} {before:>12,} -> {after:>12,}{growth}")
            else:
                lines.append(f"  {name + unit:<22} unknown: the profile does not know its cores")
        for layer in self.layers:
            if layer.neurons == layer.own_neurons:
                continue
            cores = ""
            if layer.cores is not None and layer.own_cores is not None:
                cores = f", {layer.own_cores:,} -> {layer.cores:,} cores"
            lines.append(
                f"  {layer.name}: {layer.own_neurons:,} -> {layer.neurons:,} neurons, "
                f"{layer.own_synapses:,} -> {layer.synapses:,} synapses{cores}"
            )
        return "\n".join([*lines, *(f"  warning: {text}" for text in self.cheaper)])


@public
def relay_costs(
    net: IntNetwork,
    hw: str | Path | HardwareProfile,
    *,
    placed: Fit | None = None,
    shared_kernels: bool | None = None,
) -> RelayCosts | None:
    """Compare the chain of a graph with the graph's own neurons alone; None if it is not a graph.

    Args:
        net: the chain.
        hw: a profile, its name, or the path of a TOML file.
        placed: the fit of the chain; None places it.
        shared_kernels: as of `sdcl_neuro.hardware.placement.fit`.

    Returns:
        Neurons, synapses and cores with the relays and without; prints itself.

    Raises:
        InputError: there is no such profile, or it holds no neurons.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network
        >>> conversion.relay_costs(random_network(0), "loihi2") is None  # a chain relays nothing
        True
    """
    account = graph_of(net)
    if account is None:
        return None
    found = fit(net, hw, shared_kernels=shared_kernels) if placed is None else placed
    masks = own_neurons(net, account)
    costs = []
    for layer, mask, entry in zip(net.layers, masks, found.layers, strict=True):
        own = _restricted(layer, mask)
        cores: int | None = 0
        if own is not None:
            alone = IntNetwork(own.in_shape, (own,), message_bits=net.message_bits)
            cores = fit(alone, hw, shared_kernels=shared_kernels).layers[0].cores
        costs.append(
            LayerCost(
                layer.name,
                layer.neurons,
                int(mask.sum()),
                _synapses(layer),
                0 if own is None else _synapses(own),
                entry.cores,
                cores,
            )
        )
    return RelayCosts(found.hw, tuple(costs), cheaper_forms(net))


def own_neurons(net: IntNetwork, account: Account) -> list[Mask]:
    """Return per layer ``[neurons]`` which of them are the graph's own, not relays or pooling."""
    masks = [np.zeros(layer.neurons, bool) for layer in net.layers]
    for tensor in (*account.layers, *account.readouts):
        for part in tensor.parts:
            masks[part.layer][part.layout.neurons(part.place)] = True
    return masks


def _restricted(layer: IntLayer, own: Mask) -> IntLayer | None:
    """Return a layer with some of its outputs, and the inputs that these read; None without any."""
    if not own.any():
        return None
    if layer.convolution is None:
        rows = np.flatnonzero(own)
        weight = layer.weight[rows]
        read = np.flatnonzero((weight != 0).any(0))
        weight = weight[:, read if len(read) else [0]]
        kept = _picker(rows)
        return replace(
            layer,
            weight=weight,
            in_shape=(weight.shape[1],),
            out_shape=(len(rows),),
            bias=kept(layer.bias),
            recurrent_weight=None
            if layer.recurrent_weight is None
            else layer.recurrent_weight[np.ix_(rows, rows)],
            delay=None,  # chains of graphs have none
        )
    channels = np.flatnonzero(own.reshape(layer.out_shape).any((1, 2)))
    weight = layer.weight[channels]
    read = np.flatnonzero((weight != 0).any((0, 2, 3)))
    weight = weight[:, read if len(read) else [0]]
    return replace(
        layer,
        weight=np.ascontiguousarray(weight),
        in_shape=(weight.shape[1], *layer.in_shape[1:]),
        out_shape=(len(channels), *layer.out_shape[1:]),
        bias=_picker(channels)(layer.bias),
    )


def _picker(rows: NDArray[np.int64]) -> Callable[[Any], Any]:
    return lambda values: None if values is None else values[rows]


def _synapses(layer: IntLayer) -> int:
    """Return synapses at weights that are not zero, recurrent ones included."""
    recurrent = layer.recurrent_weight
    own = 0 if recurrent is None else int(np.count_nonzero(recurrent))
    return int(nonzero_fan_out(layer).sum()) + own


__all__ = ["LayerCost", "RelayCosts", "own_neurons", "relay_costs"]
