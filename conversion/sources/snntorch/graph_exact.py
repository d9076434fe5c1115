"""A module that computes in the chip's integers beside the chain that it becomes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.readout import membranes as membranes_of
from sdcl_neuro.network.fixed_point import STATE_SHIFT, decay_towards_zero
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.snn.chip_neuron import ChipNeuron

from ...lowering.graph.account import Tensor as Placed
from ...lowering.graph.nodes import FloatGraph
from ...parity.certificate import LayerParity
from ...parity.judge import layer_parity
from ...quantisation.graphs import graph_of, quantize_graph
from .several_inputs import taken_apart

Spikes = NDArray[np.uint8]


def in_integers(module: nn.Module) -> bool:
    """Return whether a population computes in integers."""
    return isinstance(module, ChipNeuron) and module.mode == "int"


def compare_integers(
    graph: FloatGraph, values: Tensor, own: Mapping[str, Spikes], membranes: Mapping[str, Tensor]
) -> tuple[LayerParity, ...]:
    """Compare what a module sent with what its chain sends, without a tolerance.

    Args:
        graph: the description, with the scales of training.
        values: the input, ``[T, B, ...]``.
        own: population to its spikes, ``[T, B, ...]``.
        membranes: read-out to its membranes in the model's unit.
    """
    chip = quantize_graph(graph)
    account = graph_of(chip)
    assert account is not None
    shapes = {node.name: node.shape for node in graph.inputs}
    parts = taken_apart(values.detach().cpu().flatten(2), shapes)
    packed = account.pack({name: each.numpy().astype(np.uint8) for name, each in parts.items()})
    record = run_network(chip, packed)
    rows = []
    for index, tensor in enumerate(account.layers):
        if tensor.name not in own:
            continue
        theirs = tensor.read(record.spikes)
        rows.append(
            layer_parity(index, tensor.name, own[tensor.name].reshape(theirs.shape), theirs)
        )
    for index, tensor in enumerate(account.readouts):
        if tensor.name not in membranes:
            continue
        before = record.spikes.get(tensor.parts[0].layer - 1, packed)
        integers = _integers(chip, tensor, before)
        unit = tensor.scale * (1 << STATE_SHIFT)
        ours = np.rint(membranes[tensor.name].numpy() * unit).astype(np.int64)
        rows.append(
            layer_parity(
                len(account.layers) + index, tensor.name, ours.reshape(integers.shape), integers
            )
        )
    return tuple(rows)


def _integers(chip: IntNetwork, tensor: Placed, before: Spikes) -> NDArray[np.int64]:
    """Return a read-out's membranes; of a bare synapse without what they keep of the step
    before.
    """
    layer = tensor.parts[0].layer
    whole, _ = membranes_of(chip.layers[layer], before)
    values = tensor.read({layer: whole})
    if tensor.bare:
        kept = decay_towards_zero(values[:-1], chip.layers[layer].neuron.voltage_decay)
        values = values.copy()
        values[1:] -= kept
    return values
