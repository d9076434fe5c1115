"""Two backends' spikes side by side, layer by layer, with the first difference and its cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.arguments import check_indices
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ..backends.table import BACKENDS
from ..model import Model
from ..quantisation.graphs import graph_of
from .cause import AGREES, faulty_membrane, find_cause
from .certificate import FirstMismatch, LayerParity, PairKind, PairParity
from .graphs import compare_graph, graph_record
from .judge import count, first_mismatch, verdict_of
from .layer_rules import membrane_at
from .rounding import LayerRounding, explain_mismatches

Spikes = NDArray[np.uint8]
Windows = Mapping[int, tuple[int, int]]


class PairRuns:
    """Runs each backend once and keeps its record.

    Attributes:
        model, spikes: what is run, on what.
        graph: where a graph's layers lie in its chain; None compares layer k as layer k.
        chain: whether layer k of the records is layer k of the model's integers.
        names, shapes: of the layers that the records count.
        layers: indices of those to compare.
    """

    def __init__(
        self,
        model: Model,
        spikes: Spikes,
        *,
        layers: Sequence[int] | None,
        run: Callable[..., Record],
    ) -> None:
        self.model, self.spikes, self.run = model, spikes, run
        self.chain = True
        self.graph = None if model.integer is None else graph_of(model.integer)
        if self.graph is None:
            known = model.integer if model.integer is not None else model.need_float()
            self.names = [layer.name for layer in known.layers]
            self.shapes = [layer.out_shape for layer in known.layers]
        else:
            self.names = [tensor.name for tensor in self.graph.layers]
            self.shapes = [tensor.shape for tensor in self.graph.layers]
        self.layers = list(check_indices(layers, len(self.names)))
        self._records: dict[str, Record] = {}

    def keep(self, record: Record) -> None:
        """Take spikes that were recorded elsewhere for the run of their backend."""
        self._records[record.backend] = record

    def record(self, backend: str) -> Record:
        """Return a backend's record, with all layers but where that is slow."""
        if backend not in self._records and self.graph is not None:
            self._records[backend] = graph_record(self.model, self.spikes, backend)
        if backend not in self._records:
            layers = self.layers if BACKENDS[backend].slow_layers else None
            record = self.run(self.model, self.spikes, backend=backend, layers=layers)
            self._records[backend] = record
        return self._records[backend]


def compare(
    runs: PairRuns, one: str, two: str, kind: PairKind, *, windows: Windows | None = None
) -> PairParity:
    """Compare two backends on the layers asked for; see `certificate.PairParity`.

    Args:
        runs: of both.
        one, two: the one compared with, and the other.
        kind: what the outcome is worth.
        windows: first step and the one after the last that the other has of a layer, and equals the
            one compared with elsewhere; layers that are not named are left out. None is all steps.
    """
    first, second = runs.record(one), runs.record(two)
    if runs.graph is not None:
        return compare_graph(
            runs.model, runs.graph, runs.spikes, (first, second), kind, runs.layers
        )
    rounding: tuple[LayerRounding, ...] | None = None
    if kind == "float" and not _equal(runs.layers, first, second):
        net = runs.model.need_float()
        rounding = explain_mismatches(net, runs.spikes, first.spikes, second.spikes)
    layers = []
    for index in runs.layers if windows is None else sorted(windows):
        ours, theirs = first.spikes[index], second.spikes[index]
        start, stop = (0, len(ours)) if windows is None else windows[index]
        differ = ours != theirs
        mismatches = int(np.count_nonzero(differ))
        found = first_mismatch(differ, ours, theirs) if mismatches else None
        if found is not None and kind == "exact":
            found = _explained(found, runs, index, first, second, windows)
        judged = asdict(rounding[index]) if rounding is not None and mismatches else None
        layers.append(
            LayerParity(
                index=index,
                name=runs.names[index],
                spikes=(count(ours[start:stop]), count(theirs[start:stop])),
                compared=ours[0].size * (stop - start),
                mismatches=mismatches,
                first=found,
                rounding=judged,
            )
        )
    holds, verdict = verdict_of(kind, layers, rounding)
    return PairParity((one, two), kind, holds, verdict, tuple(layers))


def _equal(layers: Sequence[int], first: Record, second: Record) -> bool:
    return all(np.array_equal(first.spikes[k], second.spikes[k]) for k in layers)


def _explained(
    found: FirstMismatch,
    runs: PairRuns,
    index: int,
    first: Record,
    second: Record,
    windows: Windows | None,
) -> FirstMismatch:
    """Add the cause, and both sides' membranes as far as they can be computed."""
    net = runs.model.integer if runs.chain else None
    ours, theirs = _received(runs, index, first, first), _received(runs, index, second, first)
    if not isinstance(net, IntNetwork) or ours is None or theirs is None:
        return replace(found, cause="unknown")
    layer, place = net.layers[index], (found.step, found.sample, *found.neuron)
    stop = _recorded_until(index, windows)
    ours, theirs, sent = ours[:stop], theirs[:stop], second.spikes[index][:stop]
    if found.step >= len(theirs):
        return replace(found, cause="unknown: what the layer received is not known so far")
    names = find_cause(layer, theirs, sent)
    if names == (AGREES,):
        other: float | None = membrane_at(layer, theirs, place)
    else:
        other = faulty_membrane(names[0], layer, theirs, place)
    membranes = (membrane_at(layer, ours, place), other)
    cause = _words(runs, index, names, second)
    if windows is not None and index > 0 and index - 1 not in windows:
        cause += f" (if layer {index - 1}, which was not recorded, sent what ours does)"
    return replace(found, cause=cause, membranes=membranes)


def _recorded_until(index: int, windows: Windows | None) -> int | None:
    """Return the step up to which a layer and what it received were recorded; None is to the
    end.
    """
    known = [] if windows is None else [windows[k][1] for k in (index - 1, index) if k in windows]
    return min(known) if known else None


def _received(runs: PairRuns, index: int, side: Record, otherwise: Record) -> Spikes | None:
    """Return what a side's layer received; a layer that was not read out is taken to be as on
    ours.
    """
    if index == 0:
        return runs.spikes
    return side.spikes.get(index - 1, otherwise.spikes.get(index - 1))


def _words(runs: PairRuns, index: int, names: tuple[str, ...], second: Record) -> str:
    if names == (AGREES,):
        if index > 0 and index - 1 in second.spikes:
            return f"follows from layer {index - 1} ({runs.names[index - 1]})"
        return "unknown: our own layer differs from a second implementation of its arithmetic"
    return " or ".join(names)
