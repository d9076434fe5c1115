"""Two backends' runs of a graph's chain, compared under the names of the graph's own layers.

Every neuron of the chain is compared: those of the graph's layers one by one, the membranes of its
read-outs step by step, and the neurons that only relay or pool all together in one more entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import SpikesLike

from ..backends.graph_run import FLOAT, pack, run_chain, run_graph
from ..lowering.graph.account import Account
from ..lowering.graph.inputs import split_inputs
from ..model import Model
from ..quantisation.graphs import graph_of
from .cause import AGREES, find_cause
from .certificate import LayerParity, PairKind, PairParity
from .judge import layer_parity

Array = NDArray[Any]
RELAYS = "relays and pooling"


def graph_record(model: Model, spikes: Array, backend: str) -> Record:
    """Return a backend's run: of the chain with all its layers, or of the float graph itself."""
    if backend == FLOAT:
        return run_graph(model, spikes, backend=backend)
    count = len(model.need_integer().layers)
    return run_chain(model, spikes, backend=backend, layers=range(count))


def joined_inputs(model: Model, given: Mapping[str, SpikesLike]) -> NDArray[np.uint8]:
    """Return the inputs of a graph as one array: their channels one after another, or as the
    chain's.

    Raises:
        InputError: the model is not a graph's, or an input is missing or of another shape.
    """
    account = None if model.integer is None else graph_of(model.integer)
    if account is None:
        what = "inputs by name for a network that is not a graph with chip integers"
        raise InputError(what, where=model.where, hint="give one array [T, B, ...]")
    shapes = {tensor.name: tensor.shape for tensor in account.inputs}
    parts = split_inputs(shapes, given, message_bits=model.need_integer().message_bits)
    if len({shape[1:] for shape in shapes.values()}) == 1:
        return np.concatenate([parts[name] for name in shapes], axis=2)
    return account.pack(parts)


def compare_graph(
    model: Model,
    account: Account,
    spikes: Array,
    records: tuple[Record, Record],
    kind: PairKind,
    layers: Sequence[int],
) -> PairParity:
    """Compare two runs; see `certificate.PairParity`.

    Args:
        model: of the graph.
        account: where its tensors lie in the chain.
        spikes: the input.
        records: of `graph_record`.
        kind: what the outcome is worth.
        layers: of the graph, which to compare; read-outs and relays only if all are.
    """
    first, second = records
    names = (first.backend, second.backend)
    rows = [
        layer_parity(
            index, account.layers[index].name, *(_spikes(account, r, index) for r in records)
        )
        for index in layers
    ]
    if len(layers) == len(account.layers):
        count = len(account.layers)
        for index, tensor in enumerate(account.readouts):
            membranes = [record.readouts[index] for record in records]
            if kind != "exact":
                membranes = [record.readout(index) for record in records]
            rows.append(layer_parity(count + index, f"readout_{index} ({tensor.name})", *membranes))
        if FLOAT not in names:
            ours, theirs = (_relays(model.need_integer(), account, r) for r in records)
            rows.append(layer_parity(count + len(account.readouts), RELAYS, ours, theirs))
    if kind == "exact":
        rows = _explained(model, account, spikes, records, rows)
    clipped = sum(sum(record.saturations.values()) for record in records)
    holds, verdict = _verdict(kind, rows, clipped)
    return PairParity(names, kind, holds, verdict, tuple(rows))


def _spikes(account: Account, record: Record, index: int) -> Array:
    if record.backend == FLOAT:
        return record.spikes[index]
    return account.layers[index].read(record.spikes)


def _relays(net: IntNetwork, account: Account, record: Record) -> Array:
    """Return spikes ``[T, B, N]`` of all neurons that are in none of the graph's layers."""
    parts = []
    for index, layer in enumerate(net.layers):
        own = np.zeros(layer.neurons, bool)
        for tensor in (*account.layers, *account.readouts):
            for part in tensor.parts:
                if part.layer == index:
                    own[part.layout.neurons(part.place)] = True
        spikes = record.spikes[index]
        parts.append(spikes.reshape(*spikes.shape[:2], -1)[:, :, ~own])
    return np.concatenate(parts, axis=2)


def _explained(
    model: Model,
    account: Account,
    spikes: Array,
    records: tuple[Record, Record],
    rows: Sequence[LayerParity],
) -> list[LayerParity]:
    """Add the cause, looked for in the first layer of the chain that differs."""
    if not any(row.mismatches for row in rows):
        return list(rows)
    net, (first, second) = model.need_integer(), records
    index = next(
        (
            k
            for k in range(len(net.layers))
            if k in second.spikes and (first.spikes[k] != second.spikes[k]).any()
        ),
        None,
    )
    words = "the membranes differ, the spikes do not"
    if index is not None:
        before = pack(account, spikes, net) if index == 0 else second.spikes[index - 1]
        names = find_cause(net.layers[index], before, second.spikes[index])
        words = "unknown" if names == (AGREES,) else " or ".join(names)
        words = f"{words}, in layer {index} of the chain ({net.layers[index].name})"
    return [
        row if row.first is None else replace(row, first=replace(row.first, cause=words))
        for row in rows
    ]


def _verdict(kind: PairKind, rows: Sequence[LayerParity], clipped: int) -> tuple[bool | None, str]:
    mismatches = sum(row.mismatches for row in rows)
    extent = f"{mismatches:,} of {sum(row.compared for row in rows):,} neuron steps"
    if kind != "exact":
        spikes = sum(max(row.spikes) for row in rows)
        return None, f"agreement only, no verdict: {extent} differ, against {spikes:,} spikes"
    if mismatches:
        return False, f"DIFFERENT, {extent} differ"
    if clipped:
        what = f"read-outs were clipped in {clipped:,} neuron steps, their values are wrong"
        return False, f"{what}; quantise with calibration data that reach as far"
    return True, f"equal, {extent} differ"


__all__ = ["RELAYS", "compare_graph", "graph_record", "joined_inputs"]
