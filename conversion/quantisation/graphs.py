"""From a float graph to a chain in the chip's integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.graph_picture import stored
from sdcl_neuro.network.spec import IntNetwork

from ..graph_modules import run_nodes
from ..lowering.graph.account import KEY, Account, make_account, read_account
from ..lowering.graph.inputs import take_inputs
from ..lowering.graph.nodes import FloatGraph, PopulationNode, ReadoutNode
from ..lowering.graph.picture import picture_nodes
from ..lowering.graph.prices import CURES, Cure
from ..lowering.graph.reduce import reduce_graph
from ..lowering.graph.rounding import round_units
from ..lowering.graph.thermometer import with_thermometers
from ..lowering.graph.units import Unit, Units
from ..parity.source_check import bound_to
from ..targets.netx.constraints import refusals

GROWTH_MAX = 64.0
"""Neurons of the chain as a multiple of the graph's own, beyond which it is refused."""


def quantize_graph(
    graph: FloatGraph,
    *,
    calibration: object = None,
    message_bits: int = 0,
    relays: Cure = "auto",
    growth: float = GROWTH_MAX,
) -> IntNetwork:
    """Round a graph to integers and lay it out as the chain that a chip runs.

    Args:
        graph: the description.
        calibration: spikes ``[T, B, ...]``, or ``{input: spikes}``, that show how far currents
            and membranes go.
        message_bits: 0 for binary input spikes; else input counts below 2 ** message_bits.
        relays: how relayed spikes pass a layer whose threshold is above 253: ``ceiling`` lowers
            the layer's scale, ``copies`` sends them several times, ``auto`` takes the cheaper.
        growth: largest number of neurons of the chain, in multiples of the graph's own.

    Returns:
        The chain. ``meta["graph"]`` says where each of the graph's tensors lies in it and what
        relays cost; ``meta["quantisation"]`` has scale and errors of every population.

    Raises:
        NetworkRefused: with every reason why the graph does not fit.
        InputError: for calibration data of another shape.
    """
    if relays not in CURES:
        raise InputError(f"relays is {relays!r}", where="quantize", hint=f"use {', '.join(CURES)}")
    whole = with_thermometers(graph, message_bits)
    units = reduce_graph(whole)
    peaks = None
    if calibration is not None:
        peaks = graph_peaks(whole, units, calibration, message_bits=message_bits)
    rounded = round_units(units, peaks=peaks, cure=relays)
    chain = rounded.chain
    account = make_account(units, rounded) | {"nodes": stored(picture_nodes(graph))}
    shape = chain.layouts[0].shape
    net = IntNetwork(shape, chain.layers, message_bits=message_bits)
    meta: dict[str, Any] = {
        **bound_to(graph.meta, graph, net),
        "lowered": [*graph.meta.get("lowered", ()), *units.notes],
        "quantisation": [dict(note) for note in rounded.notes],
        KEY: account,
    }
    net = replace(net, meta=meta)
    found = [*refusals(net), *_too_large(units, account, growth)]
    if found:
        raise NetworkRefused(found)
    return net


def _too_large(units: Units, account: Mapping[str, Any], growth: float) -> list[Refusal]:
    own = sum(unit.neurons for unit in units.units)
    whole = own + sum(account["relayed"])
    if whole <= growth * own:
        return []
    what = f"{own:,} neurons became {whole:,}, {whole / own:.1f} times, the limit is {growth:g}"
    remedy = "shorten the skips, use relays='ceiling', or allow more with growth=..."
    return [Refusal("graph", what, remedy)]


def graph_of(net: IntNetwork) -> Account | None:
    """Return where the tensors of a graph lie in the chain `net`; None if it is not a graph's."""
    if KEY not in net.meta:
        return None
    return read_account(net.meta, [net.input_shape, *(layer.out_shape for layer in net.layers)])


def graph_peaks(
    graph: FloatGraph, units: Units, calibration: object, *, message_bits: int = 0
) -> dict[str, float]:
    """Map a unit to the largest current or depth of its membrane, in units of its own weights.

    The membrane of a read-out counts in both directions, since nothing resets it.
    """
    given = take_inputs(graph, calibration, where="calibration", message_bits=message_bits)
    inputs = {name: torch.from_numpy(values).float() for name, values in given.items()}
    by_node: dict[str, list[Unit]] = {}
    for unit in units.units:
        by_node.setdefault(unit.node, []).append(unit)
    peaks: dict[str, float] = {}
    with torch.no_grad():
        for node, received, gave in run_nodes(graph, inputs):
            if isinstance(node, PopulationNode):
                extremes = _extremes(node, received, gave)
            elif isinstance(node, ReadoutNode):
                extremes = gave.abs().amax((0, 1))
            else:
                continue
            for unit in by_node[node.name]:
                # The unit's weights have been multiplied, so that its threshold is one number.
                own = getattr(node, "threshold", np.zeros(()))
                own = np.broadcast_to(own, extremes.shape)
                gains = np.divide(unit.neuron.threshold, own, out=np.ones(own.shape), where=own > 0)
                each = extremes.numpy() * gains
                peaks[unit.name] = float(each.reshape(-1, prod(unit.size))[unit.channels].max())
    return peaks


def _extremes(node: PopulationNode, received: Tensor, sent: Tensor) -> Tensor:
    """Return the larger of current and depth of the membrane per neuron, ``[*shape]``."""
    shape = received.shape[2:]
    beta, alpha = (
        torch.from_numpy(np.broadcast_to(v, shape).copy()).to(received)
        for v in (node.beta, node.alpha)
    )
    recurrent = None if node.recurrent is None else torch.from_numpy(node.recurrent).to(received)
    drive: Any = 0.0 if node.drive is None else torch.from_numpy(node.drive).to(received)
    current = membrane = torch.zeros_like(received[0])
    before = torch.zeros_like(sent[0])
    found = torch.zeros(shape)
    for step, spikes in zip(received, sent, strict=True):
        if recurrent is not None:
            step = step + (before.flatten(1) @ recurrent.T).reshape(step.shape)
        current = alpha * current + step
        membrane = beta * membrane * (1 - before) + current + drive
        before = spikes
        found = torch.maximum(found, torch.maximum(current.abs().amax(0), (-membrane).amax(0)))
    return found


__all__ = ["GROWTH_MAX", "graph_of", "graph_peaks", "quantize_graph"]
