"""What `transfer` does with a graph: lay it out as a chain, and say what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal, spelled
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from .lowering.graph.nodes import FloatGraph
from .lowering.graph.prices import Cure
from .model import Model
from .quantisation.effect import measure_effect
from .quantisation.graph_costs import cheaper_forms, describe_growth
from .quantisation.rounding import quantize
from .targets.table import Target


def graph_options(model: Model, relays: Cure | None, growth: float | None) -> dict[str, Any]:
    """Options of a graph as `quantize` takes them; those left out are not in it.

    Raises:
        InputError: one is given for a network that is not a graph, or out of range.
    """
    given = {"relays": relays, "growth": growth}
    wanted = {name: value for name, value in given.items() if value is not None}
    if wanted and model.graph is None:
        name = next(iter(wanted))
        what = "the network is not a graph, so nothing is relayed in it"
        where = spelled(python=name, command=f"--{name}")
        raise InputError(what, where=where, hint="leave it out")
    if growth is not None and not growth >= 1:
        where = spelled(python="growth", command="--growth")
        raise InputError(f"growth is {growth:g}", where=where, hint="give 1 or more")
    return wanted


def prepare_graph(
    model: Model,
    graph: FloatGraph,
    calibration: Spikes | None,
    target: Target,
    wanted: Mapping[str, Any],
) -> tuple[IntNetwork, dict[str, Any]]:
    """The chain of a graph, and the fields of `Transfer` that say how it came about.

    Raises:
        InputError: calibration where nothing is left to scale.
        NetworkRefused: the graph has no chain, or the target takes no integers.
    """
    if not target.integer:
        what = "a graph of layers, which is written only as the chain that it becomes"
        raise NetworkRefused([Refusal("network", what, "write OUT.net")])
    integer = model.integer
    if integer is not None and calibration is not None:
        what = "there is nothing to calibrate, training has fixed every scale"
        raise InputError(what, where="--calibrate", hint="leave it out")
    if integer is None or wanted:
        integer = quantize(graph, calibration=calibration, **wanted)
    return integer, {
        "folded": (*map(str, integer.meta.get("lowered", ())), *describe_growth(integer)),
        "rounded": tuple(integer.meta.get("quantisation", ())),
        "effect": measure_effect(graph, integer, calibration),
        "cheaper": cheaper_forms(integer),
    }
