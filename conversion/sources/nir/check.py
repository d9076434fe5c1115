"""Compare a NIR graph, run by its own definitions in float64, with the description read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.notes import NOT_CHECKED, Note, with_notes
from sdcl_neuro.network.random_input import RandomInput
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spec_convert import dequantize

from ...graph_modules import run_nodes
from ...lowering.graph.inputs import take_inputs
from ...lowering.graph.nodes import FloatGraph
from ...parity.certificate import LayerParity, PairKind, PairParity
from ...parity.judge import layer_parity, verdict_of
from ...parity.source import about_spikes, compare_source
from ...parity.source_check import (
    DESCRIPTION,
    SourceCheck,
    digest_of,
    versions_of_today,
    with_check,
)
from .reference import ReferenceRun, reference_run

Spikes = NDArray[np.uint8]
Net = TypeVar("Net", bound=FloatNetwork | IntNetwork | FloatGraph)

RANDOM = RandomInput(steps=24, samples=2, rate=0.3)
"""The input where none is given."""
DIFFERENT_MAX = 0.002
"""Share of a graph's neurons that rounding may move; a chain's are judged one by one."""


def check_nir(
    net: Net,
    source: Any,
    spikes: Spikes | Mapping[str, Spikes] | None = None,
    *,
    dt: float | None = None,
    writer: str | None = None,
) -> Net:
    """Run a NIR graph by its own definitions, compare it with its description, keep the outcome.

    Args:
        net: what was read.
        source: the path, or the ``nir.NIRGraph``, that it was read from.
        spikes: uint8 ``[T, B, *input_shape]``, of several inputs ``{name: spikes}``; None draws
            `RANDOM`.
        dt, writer: as it was read.

    Returns:
        The network; ``meta["source_checks"]`` has the outcome, ``meta["not_checked"]`` the reason
        where there is none.
    """
    name = f"nir {source.name if isinstance(source, Path) else _name(source)}"
    try:
        check = _check(net, source, spikes, name, dt=dt, writer=writer)
        if check.pair.kind == "agreement":
            net = _noted(net, f"equality with {name}", _figure(check.pair))
        return with_check(net, check)
    except (InputError, _Unlike) as error:
        return _noted(net, f"{name} in float64", getattr(error, "what", str(error)))


def _noted(net: Net, what: str, why: str) -> Net:
    return replace(net, meta=with_notes(net.meta, NOT_CHECKED, [Note(what, why)]))


def _figure(pair: PairParity) -> str:
    differ = sum(layer.mismatches for layer in pair.layers)
    compared = sum(layer.compared for layer in pair.layers)
    return f"approximated on request, {differ:,} of {compared:,} neuron steps differ"


class _Unlike(Exception):
    """The reference's populations are not those of the description."""


def _name(source: Any) -> str:
    return Path(source).name if isinstance(source, str) else "graph in memory"


def _check(
    net: Net,
    source: Any,
    spikes: Spikes | Mapping[str, Spikes] | None,
    name: str,
    *,
    dt: float | None,
    writer: str | None,
) -> SourceCheck:
    given = str(RANDOM) if spikes is None else "given"
    if isinstance(net, FloatGraph):
        return _check_graph(net, source, spikes, name, given=given, dt=dt, writer=writer)
    if isinstance(spikes, Mapping):
        raise _Unlike("it has one input, and spikes were given by name")
    values = RANDOM.draw(net.input_shape) if spikes is None else spikes
    run = reference_run(source, values, dt=dt, writer=writer)
    floating = dequantize(net) if isinstance(net, IntNetwork) else net
    if len(run.spikes) != len(floating.layers):
        what = f"it has {len(run.spikes)} populations, its description {len(floating.layers)}"
        raise _Unlike(what)
    kind: PairKind = "agreement" if _approximated(net) else "float"
    check = compare_source(floating, run.spikes, values, source=name, given=given, kind=kind)
    return replace(check, network_sha256=digest_of(net))


def _approximated(net: FloatNetwork | IntNetwork | FloatGraph) -> bool:
    """Return whether anything in it was approximated on request."""
    return any(note.get("approximated") for note in net.meta.get("approximate", ()))


def _check_graph(
    net: FloatGraph,
    source: Any,
    spikes: Spikes | Mapping[str, Spikes] | None,
    name: str,
    *,
    given: str,
    dt: float | None,
    writer: str | None,
) -> SourceCheck:
    if spikes is None:
        values: dict[str, Spikes] = {node.name: RANDOM.draw(node.shape) for node in net.inputs}
    else:
        values = take_inputs(net, spikes)
    several = len(values) > 1
    first = next(iter(values.values()))
    run = reference_run(source, values if several else first, dt=dt, writer=writer)
    layers = _graph_layers(net, run, values)
    about = about_spikes(first, given)
    if _approximated(net):
        pair = PairParity(
            (name, DESCRIPTION), "agreement", *verdict_of("agreement", layers, None), layers, about
        )
        return SourceCheck(name, digest_of(net), versions_of_today(), pair)
    differ = any(layer.mismatches for layer in layers)
    beyond = any(layer.mismatches > DIFFERENT_MAX * layer.compared for layer in layers)
    holds, verdict = verdict_of("float", layers, None) if beyond or not differ else (
        True,
        f"equal but for {sum(layer.mismatches for layer in layers):,} neuron steps, fewer than "
        f"{DIFFERENT_MAX:.1%} of a layer's",
    )  # fmt: skip
    pair = PairParity((name, DESCRIPTION), "float", holds, verdict, layers, about)
    return SourceCheck(name, digest_of(net), versions_of_today(), pair)


def _graph_layers(
    net: FloatGraph, run: ReferenceRun, values: Mapping[str, Spikes]
) -> tuple[LayerParity, ...]:
    """Return every population, by its name, run in float64 on both sides."""
    own = dict(zip(run.names, run.spikes, strict=True))
    names: Sequence[str] = [node.name for node in net.populations]
    missing = [name for name in names if name not in own]
    if missing:
        raise _Unlike(f"{', '.join(missing)} is not a population of the graph itself")
    inputs = {name: torch.from_numpy(each).double() for name, each in values.items()}
    layers = []
    with torch.no_grad():
        for node, _, gave in run_nodes(net, inputs):
            if node.name not in names:
                continue
            ours, theirs = own[node.name].reshape(gave.shape), gave.to(torch.uint8).numpy()
            layers.append(layer_parity(names.index(node.name), node.name, ours, theirs))
    return tuple(layers)
