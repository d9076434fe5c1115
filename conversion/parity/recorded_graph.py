"""Which layers a recording of a graph numbers: those of its chain, or the graph's own.

A board records the chain, so that ``layer_0`` is its first layer; ``run --out`` writes the graph's
own layers. Their shapes tell which, and where both fit, the chain is taken.
"""

from __future__ import annotations

from dataclasses import replace

from ..backends.graph_run import pack
from ..lowering.graph.account import KEY, Account
from .compare import PairRuns
from .recorded import RecordedSpikes


def recorded_runs(runs: PairRuns, recording: RecordedSpikes) -> PairRuns:
    """Return the runs as a recording numbers layers; the same for a network that is not a graph.

    Args:
        runs: of the model, with the layers that were asked for.
        recording: spikes recorded elsewhere.
    """
    account = runs.graph
    if account is None:
        return runs
    net = runs.model.need_integer()
    shapes = [layer.out_shape for layer in net.layers]
    known = {index: values.shape[2:] for index, values in recording.layers.items()}
    if all(k < len(shapes) and known[k] in (shapes[k], _flat(shapes[k])) for k in known):
        return _of_chain(runs, account)
    return _of_layers(runs, account)


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    size = 1
    for extent in shape:
        size *= extent
    return (size,)


def _of_chain(runs: PairRuns, account: Account) -> PairRuns:
    """Return the chain as a network of its own, which every backend and cause knows."""
    net = runs.model.need_integer()
    bare = replace(net, meta={key: value for key, value in net.meta.items() if key != KEY})
    wanted = None
    if len(runs.layers) < len(account.layers):
        wanted = sorted({layer for k in runs.layers for layer in account.layers[k].layers})
    return PairRuns(
        replace(runs.model, graph=None, integer=bare),
        pack(account, runs.spikes, net),
        layers=wanted,
        run=runs.run,
    )


def _of_layers(runs: PairRuns, account: Account) -> PairRuns:
    """Return the graph's own layers; causes are looked for in layers of the chain, so none is
    named.
    """
    found = PairRuns(runs.model, runs.spikes, layers=runs.layers, run=runs.run)
    found.graph, found.chain = None, False
    found.shapes = [tensor.shape for tensor in account.layers]
    return found
