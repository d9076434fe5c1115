"""A graph run as the chain that it became, its results under the user's own layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine.check import check_input
from sdcl_neuro.engine.readout import membranes
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import check_indices
from sdcl_neuro.network.fixed_point import STATE_LIMIT, STATE_SHIFT, decay_towards_zero
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ..lowering.graph.account import Account, Tensor
from ..lowering.graph.inputs import split_inputs, take_inputs
from ..lowering.graph.nodes import FloatGraph, PopulationNode, ReadoutNode
from ..quantisation.graphs import graph_of

if TYPE_CHECKING:
    from ..model import Model

FLOAT = "snntorch"
NEEDS_FLOAT = ("norse",)


def run_graph(
    model: Model,
    spikes: Any,
    *,
    backend: str,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    **options: Any,
) -> Record:
    """Run a graph; arguments as for `run.run`.

    Raises:
        InputError: a layer that is not there, or a backend that knows chains only.
    """
    if backend == FLOAT and model.graph is not None:
        return _run_float(model.graph, spikes, layers=layers, device=device)
    account = _account(model)
    kept = check_indices(layers, len(account.layers))
    needed = {layer for k in kept for layer in account.layers[k].layers}
    record = run_chain(
        model,
        spikes,
        backend=backend,
        layers=sorted(needed),
        readouts=layers is None,
        device=device,
        **options,
    )
    return replace(record, spikes={k: account.layers[k].read(record.spikes) for k in kept})


def run_chain(
    model: Model,
    spikes: Any,
    *,
    backend: str,
    layers: Sequence[int],
    readouts: bool = True,
    device: str = "cpu",
    **options: Any,
) -> Record:
    """Run the chain of a graph, its spikes as they are in the chain.

    Args:
        model: of a graph.
        spikes: the user's, or as the chain takes them.
        backend: one that runs chains of integers.
        layers: of the chain, whose spikes to keep; those that read-outs need are kept too.
        readouts: whether to keep the membranes of the read-outs, under the user's numbers.
        device, options: as for `run.run`.
    """
    from .table import find_backend

    if backend in (FLOAT, *NEEDS_FLOAT):
        what = f"{backend} does not run the chain of a graph"
        raise InputError(what, where=model.where, hint="use loihi, snntorch-int or lava")
    net, account = model.need_integer(), _account(model)
    packed = pack(account, spikes, net)
    tensors = account.readouts if readouts else ()
    places = {tensor.parts[0].layer for tensor in tensors}
    inner: dict[str, Any] = {}
    if backend == "lava" and places:
        inner = {"membranes": sorted(places)}
        needed = {*layers, *places}
    else:
        needed = {*layers, *(layer - 1 for layer in places)} - {-1}
    chain = replace(model, graph=None)
    record = find_backend(backend).load()(
        chain, packed, layers=sorted(needed), device=device, **{**options, **inner}
    )
    values: dict[int, NDArray[np.int64]] = {}
    clipped: dict[int, int] = {}
    for index, tensor in enumerate(tensors):
        values[index], clipped[index] = _readout(net, tensor, packed, record)
    return replace(
        record,
        readouts=values,
        readout_units={k: t.scale * (1 << STATE_SHIFT) for k, t in enumerate(tensors)},
        saturations=clipped,
        readout_names=tuple(tensor.name for tensor in account.readouts),
    )


def _account(model: Model) -> Account:
    account = graph_of(model.need_integer())
    if account is None:
        raise InputError("expected a graph, got a chain", where=model.where, hint="run it as it is")
    return account


def pack(account: Account, spikes: Any, net: IntNetwork) -> NDArray[np.uint8]:
    """Return the chain's input from the user's; as it is where it is the chain's already."""
    given = getattr(spikes, "shape", ())
    several = len({tensor.size[1:] for tensor in account.inputs}) > 1
    if several and tuple(given[2:]) == tuple(net.input_shape):
        return check_input(net, spikes)
    shapes = {tensor.name: tensor.shape for tensor in account.inputs}
    return account.pack(split_inputs(shapes, spikes, message_bits=net.message_bits))


def _readout(
    net: IntNetwork, tensor: Tensor, packed: NDArray[np.uint8], record: Record
) -> tuple[NDArray[np.int64], int]:
    """Return a read-out's membranes ``[T, B, *shape]``, and how often one was clipped."""
    layer = tensor.parts[0].layer
    if layer in record.readouts:
        whole = record.readouts[layer]
        fired = tensor.read(record.spikes)
        low = int((tensor.read({layer: whole}) <= 1 - STATE_LIMIT).sum())
        clipped = int(fired.sum()) + low
    else:
        before = packed if layer == 0 else record.spikes[layer - 1]
        whole, at_limit = membranes(net.layers[layer], before)
        clipped = int(tensor.read({layer: at_limit[None]}).sum())
    values = tensor.read({layer: whole})
    if tensor.bare:
        kept = decay_towards_zero(values[:-1], net.layers[layer].neuron.voltage_decay)
        values = values.copy()
        values[1:] -= kept
    return values, clipped


def _run_float(
    graph: FloatGraph, spikes: Any, *, layers: Sequence[int] | None, device: str
) -> Record:
    """Return the graph itself in float, through snnTorch's neurons."""
    import torch

    from sdcl_neuro.devices import full_float32, named_device, wait_for

    from ..graph_modules import run_nodes

    place = named_device(device)
    given = take_inputs(graph, spikes)
    kept = check_indices(layers, len(graph.populations))
    names = [node.name for node in graph.populations]
    inputs = {name: torch.from_numpy(v).float().to(place) for name, v in given.items()}
    found: dict[int, NDArray[np.uint8]] = {}
    values: dict[int, NDArray[Any]] = {}
    begin = time.perf_counter()
    with torch.no_grad(), full_float32():
        for node, _, gave in run_nodes(graph, inputs):
            if isinstance(node, PopulationNode) and node.name in names:
                if names.index(node.name) in kept:
                    found[names.index(node.name)] = gave.to(torch.uint8).cpu().numpy()
            elif isinstance(node, ReadoutNode) and layers is None:
                values[len(values)] = gave.double().cpu().numpy()
    wait_for(place)
    steps, samples = next(iter(given.values())).shape[:2]
    first = graph.inputs[0].shape
    return Record(
        backend=FLOAT,
        steps=steps,
        samples=samples,
        input_shape=first,
        spikes=found,
        elapsed_s=time.perf_counter() - begin,
        versions=versions_of("snntorch", "torch"),
        readouts=values,
        readout_units=dict.fromkeys(values, 1.0),
    )
