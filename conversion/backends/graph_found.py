"""Find the graph behind a model; asked before every run, so nothing heavy is loaded here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdcl_neuro.network.spec import IntNetwork

from ..lowering.graph.nodes import FloatGraph

if TYPE_CHECKING:
    from ..model import Model

KEY = "graph"
"""Where a chain's ``meta`` says how the graph lies in it; `lowering.graph.account.KEY`."""


def graph_model(thing: Any) -> Model | None:
    """Return the model of a graph, given as a description or a chain; None for anything else."""
    from ..model import Model
    from ..model_reading import as_model

    if isinstance(thing, FloatGraph):
        return as_model(thing)
    if isinstance(thing, IntNetwork) and thing.meta.get(KEY) is not None:
        return Model(integer=thing)
    if isinstance(thing, Model):
        chain = thing.integer
        if thing.graph is not None or (chain is not None and chain.meta.get(KEY) is not None):
            return thing
    return None
