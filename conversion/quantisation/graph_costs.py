"""What the chain of a graph takes beyond the graph itself: layers, neurons, weights, latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sdcl_neuro.network.spec import IntNetwork

from ..lowering.graph.account import KEY

WORTH_SAYING = 0.1
"""A cheaper form is named where it would save at least so large a share of the chain's neurons."""


def describe_growth(net: IntNetwork) -> list[str]:
    """Return what the chain of a graph takes, as a whole and layer by layer, in words; for
    `OUT.json`.
    """
    account = net.meta.get(KEY)
    if account is None:
        return []
    neurons = sum(layer.neurons for layer in net.layers)
    relayed = sum(account["relayed"])
    spiking = len(account["layers"]) + len(account["readouts"])
    lines = [
        f"graph: {spiking} layers became a chain of {len(net.layers)}; its answer comes "
        f"{len(net.layers)} steps after the input",
        f"graph: {neurons:,} neurons, {relayed:,} of them relay or pool "
        f"({neurons / max(1, neurons - relayed):.2f} times the graph's own)",
    ]
    weights = zeros = 0
    for index, (layer, extra) in enumerate(zip(net.layers, account["relayed"], strict=True)):
        empty = int(np.count_nonzero(layer.weight == 0))
        weights, zeros = weights + layer.weight.size, zeros + empty
        lines.append(
            f"graph: layer {index} ({layer.name}): {layer.neurons:,} neurons, {extra:,} of them "
            f"relay or pool; {layer.weight.size:,} weights, {empty:,} of them zero"
        )
    lines.append(f"graph: {weights:,} weights as netx stores them, {zeros:,} of them zero")
    for entry in account["prices"]:
        lines.append(
            f"graph: layer {entry['layer']} relays at a threshold of {entry['threshold']:,}: "
            f"{entry['chosen']} (a ceiling of the scale costs {entry['ceiling_bits']:,} bits of "
            f"weights, {entry['copies']} copies {entry['copies_bits']:,} bits of memory)"
        )
    return lines


def cheaper_forms(net: IntNetwork) -> tuple[str, ...]:
    """Return forms of the network that would take clearly fewer neurons, each with what it
    saves.
    """
    account = net.meta.get(KEY)
    return () if account is None else tuple(_cheaper(net, account))


def _cheaper(net: IntNetwork, account: Mapping[str, Any]) -> Iterator[str]:
    neurons = sum(layer.neurons for layer in net.layers)
    for entry in account.get("pooled", ()):
        saved, layer = entry["neurons"], entry.get("layer")
        words = f"{saved:,} neurons"
        known = isinstance(layer, int) and 0 <= layer < len(net.layers)
        if known and net.layers[layer].neurons == account["relayed"][layer]:
            saved = net.layers[layer].neurons
            words += f" and a layer, past which {saved - entry['neurons']:,} others are relayed"
        if saved >= WORTH_SAYING * neurons:
            yield (
                f"{entry['name']}: max pooling takes {words}, of the chain's {neurons:,} neurons; "
                "average pooling takes none, it folds into the weights, and so does a stride of "
                "the synapse"
            )
    for entry in account["layers"]:
        layers = len({part["layer"] for part in entry["parts"]})
        if layers > 1 and sum(account["relayed"]) >= WORTH_SAYING * neurons:
            yield (
                f"{entry['name']}: its decays take {layers} layers, past which other spikes are "
                "relayed; one beta and one alpha take one"
            )
