"""What `transfer` does with a graph: lay it out as a chain, and say what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdcl_neuro.errors import InputError, spelled
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import InputSpikes

from .lowering.graph.nodes import FloatGraph
from .lowering.graph.prices import Cure
from .model import Model
from .quantisation.effect import measure_effect
from .quantisation.graph_costs import cheaper_forms, describe_growth
from .quantisation.rounding import quantize
from .targets.table import Target


def graph_options(model: Model, relays: Cure | None, growth: float | None) -> dict[str, Any]:
    """Return options of a graph as `quantize` takes them; those left out are not in it.

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
    calibration: InputSpikes | None,
    target: Target,
    wanted: Mapping[str, Any],
) -> tuple[IntNetwork | FloatGraph, dict[str, Any]]:
    """Return the network to write, and the fields of `Transfer` that say how it came about.

    It is the chain of a graph; the graph itself for a target that takes no integers.

    Raises:
        InputError: calibration where nothing is left to scale.
        NetworkRefused: the graph has no chain, or the target takes no integers.
    """
    noted = tuple(graph.meta.get("approximate", ()))
    if not target.integer:
        if wanted:
            name = next(iter(wanted))
            where = spelled(python=name, command=f"--{name}")
            what = f"{target.ending} holds the graph itself, in which nothing is relayed"
            raise InputError(what, where=where, hint="leave it out")
        if calibration is not None and not noted:
            what = "there is nothing to calibrate, only a network going to integers is scaled"
            raise InputError(what, where="--calibrate", hint="leave it out")
        lowered = tuple(map(str, graph.meta.get("lowered", ())))
        return graph, {
            "approximated": noted,
            "folded": lowered,
            "effect": measure_effect(graph, None, calibration),
        }
    integer = model.integer
    if integer is not None and calibration is not None:
        what = "there is nothing to calibrate, training has fixed every scale"
        raise InputError(what, where="--calibrate", hint="leave it out")
    if integer is None or wanted:
        integer = quantize(graph, calibration=calibration, **wanted)
    return integer, {
        "folded": (*map(str, integer.meta.get("lowered", ())), *describe_growth(integer)),
        "approximated": noted,
        "rounded": tuple(integer.meta.get("quantisation", ())),
        "effect": measure_effect(graph, integer, calibration),
        "cheaper": cheaper_forms(integer),
    }
