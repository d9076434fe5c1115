"""Graphs with forms that no chain computes exactly, their thresholds set on data.

As for chains (`approximation`): from the first population to the last, the threshold of each that
was approximated is sought by bisection so that on calibration data it sends as many spikes as in
the original, given what those before it send by now; what that achieves is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.notes import NOT_CHECKED, Note, with_notes
from sdcl_neuro.network.spec import Shape

from .approximation import BISECTIONS, FACTOR_MAX, agreement
from .graph_modules import apply_node, run_nodes
from .lowering.approximate import Approximation
from .lowering.graph.approximate import Loosened, loosen
from .lowering.graph.inputs import take_inputs
from .lowering.graph.nodes import FloatGraph, Node, PopulationNode
from .lowering.graph.populations import DEPTH_MAX
from .lowering.graph.shapes import shapes_of
from .parity.certificate import PairParity
from .parity.judge import layer_parity, verdict_of
from .parity.source import about_spikes
from .parity.source_check import (
    DESCRIPTION,
    SourceCheck,
    checks_of,
    digest_of,
    versions_of_today,
    with_check,
)


def approximate_graph(
    graph: FloatGraph,
    calibration: object,
    departures: Mapping[str, Approximation] | None = None,
) -> FloatGraph:
    """Replace what no chain computes exactly, and say what that changed; the same if nothing is.

    Args:
        graph: the description.
        calibration: spikes ``[T, B, ...]``, or ``{input: spikes}``.
        departures: population to how its original resets, where that is not the chip's way.

    Returns:
        The description. ``meta["approximate"]`` has an entry for each population, as
        `approximation.recalibrate` gives it; ``stands_for`` is the node whose spikes are compared
        with the original's.

    Raises:
        InputError: for calibration data of another shape, or without a spike.
    """
    departures = departures or {}
    loose = loosen(graph, depth=DEPTH_MAX, departures=departures)
    if not loose.words:
        return graph
    given = take_inputs(graph, calibration, where="calibration")
    if not any(values.any() for values in given.values()):
        raise InputError("no spike at all", where="calibration", hint="give data of the task")
    inputs = {name: torch.from_numpy(values).float() for name, values in given.items()}
    with torch.no_grad():
        wanted = {
            node.name: gave
            for node, _, gave in run_nodes(graph, inputs, departures)
            if isinstance(node, PopulationNode)
        }
        before = _sent(loose.graph, inputs, loose)
        found, after = _matched(loose, inputs, wanted)
    notes = [
        _note(graph, found, loose, name, (wanted[name], before[name], after[name]))
        for name in wanted
    ]
    found = replace(found, meta={**found.meta, "approximate": notes})
    return _compared(graph, found, wanted, after, next(iter(given.values())))


def _sent(graph: FloatGraph, inputs: Mapping[str, Tensor], loose: Loosened) -> dict[str, Tensor]:
    """Map a population to the spikes that stand for it."""
    gave = {node.name: out for node, _, out in run_nodes(graph, inputs)}
    names = [node.name for node in graph.populations]
    return {name: gave[loose.stands.get(name, name)] for name in names}


def _matched(
    loose: Loosened, inputs: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[FloatGraph, dict[str, Tensor]]:
    """Return the graph with thresholds that keep rates, and what stands for each population by
    then.

    A max pooling behind the last neurons is not part of the network.
    """
    shapes, values = shapes_of(loose.graph), dict(inputs)
    nodes: list[Node] = []
    places = {node.name: node for node in loose.graph.nodes}
    for node in loose.graph.nodes:
        if node.name not in values:
            if isinstance(node, PopulationNode) and node.name in loose.words:
                pool = places[loose.stands[node.name]] if node.name in loose.stands else None
                node = _rate_kept(node, pool, values, shapes, float(wanted[node.name].sum()))
            values[node.name] = apply_node(
                node, [values[n] for n in node.inputs], shapes[node.name]
            )
        nodes.append(node)
    read = {name for node in nodes for name in node.inputs}
    ends = set(loose.stands.values()) - read  # left to whoever reads the spikes
    graph = replace(loose.graph, nodes=tuple(node for node in nodes if node.name not in ends))
    return graph, {name: values[loose.stands.get(name, name)] for name in wanted}


def _rate_kept(
    node: PopulationNode,
    pool: Node | None,
    values: Mapping[str, Tensor],
    shapes: Mapping[str, Shape],
    wanted: float,
) -> PopulationNode:
    """Return the population with its thresholds multiplied so that it sends nearest to `wanted`
    spikes.
    """
    read = [values[name] for name in node.inputs]

    def sent(factor: float) -> float:
        gave = apply_node(_scaled(node, factor), read, shapes[node.name])
        if pool is not None:
            gave = apply_node(pool, [gave], shapes[pool.name])
        return float(gave.sum())

    return _scaled(node, _nearest(sent, wanted))


def _nearest(sent: Callable[[float], float], wanted: float) -> float:
    """Return the factor at which nearest to `wanted` spikes are sent; 1 if none are wanted."""
    if wanted == 0:
        return 1.0
    low, high, middle = 1 / FACTOR_MAX, FACTOR_MAX, 1.0
    tried = {middle: sent(middle)}
    for _ in range(BISECTIONS):
        if tried[middle] == wanted:
            break
        low, high = (middle, high) if tried[middle] > wanted else (low, middle)
        middle = sqrt(low * high)
        tried[middle] = sent(middle)
    return min(tried, key=lambda f: (abs(tried[f] - wanted), abs(f - 1)))


def _scaled(node: PopulationNode, factor: float) -> PopulationNode:
    threshold = np.asarray(node.threshold * factor, np.float32).astype(np.float64)
    return replace(node, threshold=np.asarray(threshold))


def _note(
    graph: FloatGraph,
    found: FloatGraph,
    loose: Loosened,
    name: str,
    spikes: tuple[Tensor, Tensor, Tensor],
) -> dict[str, Any]:
    original, before, after = spikes
    old, new = (each[name] for each in (graph, found))
    assert isinstance(old, PopulationNode)
    assert isinstance(new, PopulationNode)
    return {
        "name": name,
        "approximated": list(loose.words.get(name, ())),
        "stands_for": loose.stands.get(name, name),
        "threshold_before": float(old.threshold.mean()),
        "threshold": float(new.threshold.mean()),
        "spikes": int(original.sum()),
        **agreement(original, before, "_before"),
        **agreement(original, after, "_after"),
    }


def _compared(
    graph: FloatGraph,
    found: FloatGraph,
    wanted: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    given: Any,
) -> FloatGraph:
    """State the outcome as the source's, which is a figure: what was approximated is not equal."""
    checks, _ = checks_of(graph)
    source = checks[0].source if checks else str(graph.meta.get("source", "the graph"))
    layers = [
        layer_parity(index, name, *(v[name].to(torch.uint8).numpy() for v in (wanted, after)))
        for index, name in enumerate(wanted)
    ]
    holds, verdict = verdict_of("agreement", layers, None)
    about = about_spikes(given, "given")
    pair = PairParity((source, DESCRIPTION), "agreement", holds, verdict, tuple(layers), about)
    differ, compared = (
        sum(getattr(layer, n) for layer in layers) for n in ("mismatches", "compared")
    )
    why = f"approximated on request, {differ:,} of {compared:,} neuron steps differ"
    if checks:
        why += f"; before that, source and description: {checks[0].pair.verdict}"
    meta = with_notes(found.meta, NOT_CHECKED, [Note(f"equality with {source}", why)])
    found = replace(found, meta=meta)
    return with_check(found, SourceCheck(source, digest_of(found), versions_of_today(), pair))
