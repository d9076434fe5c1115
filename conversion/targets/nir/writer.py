"""Networks written as NIR, the intermediate representation of Norse, Sinabs, snnTorch and others.

A layer becomes a synapse (Conv2d, or Affine behind a Flatten) and a population: LIF; IF where
nothing leaks; CubaLIF where the current lasts. All reset to ``v_reset`` = 0. A recurrent layer is a
cycle: its population feeds an Affine that feeds it. The step is stored as metadata ``dt``, for NIR
itself has none; constants take the form that the reader named reads right (`forms`).

Linear is never written: Norse 1.1.0 imports it without its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal, spelled
from sdcl_neuro.files import atomic_path, file_sha256
from sdcl_neuro.files.hdf5_writing import hdf5_sink
from sdcl_neuro.network.arguments import kind_of, need_path, public
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntNetwork
from sdcl_neuro.network.spec_convert import dequantize

from ...lowering.graph.nodes import FloatGraph
from .claim import make_claim
from .forms import ReaderForm, form_of, step_for
from .graph_claim import graph_claim
from .graph_writer import graph_nodes
from .populations import population
from .weights import Array, gain_of, spread, stored_weight


@public
def to_nir(
    net: FloatNetwork | IntNetwork | FloatGraph,
    path: Path | str,
    *,
    dt: float | None = None,
    reader: str | None = None,
) -> str:
    """Write a network as a NIR file, whole or not at all.

    An integer network is written as the float network it means, with its integers as metadata.

    Args:
        net: the network, a chain or a graph.
        path: where to; an existing file is replaced.
        dt: length of one step in seconds; None takes the reader's, else the one that the network
            was read with (``meta["dt_s"]``), else 1e-3.
        reader: the library that is to read the file right, a name in `forms.FORMS`; None writes
            NIR's own words.

    Returns:
        The file's SHA-256.

    Raises:
        NetworkRefused: NIR cannot say what the network means, or the reader would get it wrong,
            every reason at once.
        InputError: `dt` is not positive, or not the step that the reader takes.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> net = conversion.from_snntorch(module, sample)
        >>> len(conversion.to_nir(net, "model.nir", dt=1e-3))  # SHA-256
        64
    """
    import nir

    given: object = net
    if not isinstance(given, FloatNetwork | IntNetwork | FloatGraph):
        hint = "describe it first: conversion.from_snntorch(module, sample)"
        if isinstance(given, str | Path):
            hint = "the network comes first, the path second"
        what = f"expected a network, got {kind_of(given)}"
        raise InputError(what, where="to_nir", hint=hint)
    path = need_path(path, "to_nir", "name the file, OUT.nir", to_write=True)
    graph = build_graph(net, dt=dt, reader=reader)
    with atomic_path(path) as temporary, hdf5_sink(temporary) as sink:
        nir.write(sink, graph)
    return file_sha256(path)


def written_step(
    net: FloatNetwork | IntNetwork | FloatGraph,
    *,
    dt: float | None = None,
    reader: str | None = None,
) -> tuple[float, str]:
    """Return the step in seconds that `to_nir` writes for, and where it comes from."""
    known = net.meta.get("dt_s")
    if not isinstance(known, float) or not 0 < known < np.inf:
        known = None
    return step_for(form_of(reader), dt, known)


def build_graph(
    net: FloatNetwork | IntNetwork | FloatGraph,
    *,
    dt: float | None = None,
    reader: str | None = None,
) -> Any:
    """Return the ``nir.NIRGraph`` of a network; arguments and errors as for `to_nir`."""
    import nir

    form = form_of(reader)
    step, _ = written_step(net, dt=dt, reader=reader)
    if not (isfinite(step) and step > 0):
        raise InputError(f"dt is {step} s", hint="give a positive step in seconds")
    if isinstance(net, FloatGraph):
        if reader is not None:
            what = f"a graph with branches, which is written in NIR's own words, not for {reader}"
            hint = spelled(python="leave reader out", command="leave --for out")
            raise NetworkRefused([Refusal("network", what, hint)])
        made, joints = graph_nodes(net, step)
        claim = graph_claim(net, dt=step)
        return nir.NIRGraph(made, joints, metadata=claim, type_check=False)
    exact = dequantize(net) if isinstance(net, IntNetwork) else net
    problems = _refusals(exact, form)
    if problems:
        raise NetworkRefused(problems)
    nodes: dict[str, Any] = {"input": nir.Input(np.array(net.input_shape))}
    edges: list[tuple[str, str]] = []
    last = "input"
    for index, layer in enumerate(exact.layers):
        chain = _layer_nodes(layer, index, dt=step, form=form)
        nodes |= chain
        for name in chain:
            edges.append((last, name))
            last = name
        if layer.recurrent_weight is not None:
            name = f"recurrent_{index}"
            nodes[name] = _affine(layer.recurrent_weight, None, gain_of(layer.neuron, form))
            edges += [(last, name), (name, last)]
    nodes["output"] = nir.Output(np.array(exact.layers[-1].out_shape))
    edges.append((last, "output"))
    metadata = make_claim(net, dt=step, reader=reader, form=form)
    # NIR 1.0.8 computes shapes of kernels that are not square wrongly; ours are checked above.
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _refusals(net: FloatNetwork, form: ReaderForm) -> list[Refusal]:
    """Return why a network cannot be said in NIR."""
    found: list[Refusal] = []
    if not net.layers:
        found.append(Refusal("network", "it has no layers", "give it one"))
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        neuron = layer.neuron
        if not (0 <= neuron.beta <= 1 and 0 <= neuron.alpha < 1):
            what = f"beta {neuron.beta} or alpha {neuron.alpha} is not a decay per step"
            found.append(Refusal(where, what, "give decays in [0, 1], alpha below 1"))
        elif not _finite(layer, form):
            what = "a weight or the threshold is not finite, or beyond float32"
            found.append(Refusal(where, what, "train the network again"))
        elif neuron.beta == 1 and neuron.alpha > 0:
            what = "NIR has no integrator (beta 1) after a synaptic current"
            found.append(Refusal(where, what, "use beta < 1, or alpha 0"))
        else:
            found += [Refusal(where, *reason) for reason in _not_read(layer, form)]
    return found


def _not_read(layer: FloatLayer, form: ReaderForm) -> Iterator[tuple[str, str]]:
    """Yield what a layer has that the reader gets wrong, and what to change."""
    biased = layer.bias is not None and bool(layer.bias.any()) and layer.neuron.alpha > 0
    found = {
        "bias after a current": (biased, "a bias after a synaptic current", "remove the bias"),
        "recurrence": (layer.recurrent_weight is not None, "recurrent weights", "remove them"),
        "current": (layer.neuron.alpha > 0, "a synaptic current", "use alpha 0"),
        "beta 0": (layer.neuron.beta == 0, "a membrane that keeps nothing", "use beta above 0"),
    }
    for name in form.refuses:
        has, what, hint = found[name]
        if has:
            yield f"{what}, which {form.library} does not read", hint


def _finite(layer: FloatLayer, form: ReaderForm) -> bool:
    arrays = (layer.weight, layer.bias, layer.recurrent_weight)
    with np.errstate(over="ignore"):
        stored = [stored_weight(a, gain_of(layer.neuron, form)) for a in arrays if a is not None]
    return isfinite(layer.neuron.threshold) and all(np.isfinite(a).all() for a in stored)


def _layer_nodes(layer: FloatLayer, index: int, *, dt: float, form: ReaderForm) -> dict[str, Any]:
    """Return a layer's nodes in order, without its recurrence."""
    import nir

    gain, nodes = gain_of(layer.neuron, form), {}
    # Behind a synaptic current a bias goes straight to the membrane, which NIR calls v_leak.
    bias = layer.bias if layer.neuron.alpha == 0 else None
    if layer.kind == "conv":
        nodes[f"synapse_{index}"] = _conv(layer, bias, gain)
    else:
        if len(layer.in_shape) > 1:
            # Counted from the end, it is right whether or not a reader counts the batch.
            first = -len(layer.in_shape)
            nodes[f"flatten_{index}"] = nir.Flatten(np.array(layer.in_shape), first, -1)
        nodes[f"synapse_{index}"] = _affine(layer.weight, bias, gain)
    nodes[f"neurons_{index}"] = population(layer, dt, form)
    return nodes


def _affine(weight: Array, bias: Array | None, gain: float) -> Any:
    import nir

    offset = np.zeros(len(weight), np.float32) if bias is None else bias
    return nir.Affine(stored_weight(weight, gain), stored_weight(offset, gain))


def _conv(layer: FloatLayer, bias: Array | None, gain: float) -> Any:
    """Return a convolution; groups are spread over all channels, because readers stumble over them.

    NIR 1.0.8's own check takes a kernel's channels for the input's, Norse 1.1.0 too.
    """
    import nir

    geometry, weight = layer.convolution, layer.weight
    if geometry is None:
        raise InputError("a convolution has no geometry", where=layer.name, hint="give one")
    if geometry.groups > 1:
        weight = spread(weight, geometry.groups)
    offset = np.zeros(len(weight), np.float32) if bias is None else bias
    return nir.Conv2d(
        input_shape=tuple(layer.in_shape[1:]),
        weight=stored_weight(weight, gain),
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=1,
        bias=stored_weight(offset, gain),
    )
