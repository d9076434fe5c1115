"""The backends, one vocabulary everywhere, and the one function that runs any of them.

Exact pairs are snntorch-int, loihi and lava. norse and snntorch compute in float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.activity import count_activity
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spike_file import check_spikes

if TYPE_CHECKING:
    from ..model import Model

# Name: "module:function", imported when it is asked for.
BACKENDS: dict[str, str] = {
    "snntorch": "snntorch_run:run_float",
    "snntorch-int": "snntorch_run:run_integer",
    "loihi": "loihi:run",
    "lava": "lava.backend:run",
    "norse": "norse:run",
}


def backend_function(name: str) -> Callable[..., Record]:
    """The function behind a backend's name: ``run(model, spikes, *, layers, device)``.

    Raises:
        InputError: there is no such backend.
    """
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}", mend=f"use one of {', '.join(BACKENDS)}")
    module, function = BACKENDS[name].split(":")
    return cast(Callable[..., Record], getattr(import_module(f".{module}", __package__), function))


def run(
    thing: Any,
    spikes: object,
    *,
    backend: str = "loihi",
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    **options: Any,
) -> Record:
    """Run a network on spikes.

    Args:
        thing: a model, a network description, a user's snnTorch module, or the path of either.
        spikes: uint8 ``[T, B, *input_shape]``; every sample starts from a clean state. For a
            network with several inputs, ``{name: spikes}``.
        backend: a name in `BACKENDS`.
        layers: indices of the layers whose spikes to keep; None keeps all.
        device: ``cpu`` or a GPU as torch names it; Lava knows the CPU only.
        options: what only this backend takes, for example ``timeout_s`` for Lava.

    Returns:
        The record; its activity is counted wherever the spikes of all layers are known. Of a
        graph, spikes and read-outs are those of its own layers, and the activity is that of the
        chain's, which the chip has to bear.
    """
    from .graph_run import graph_model, run_graph

    function = backend_function(backend)
    known_graph = graph_model(thing)
    if known_graph is not None:
        return run_graph(
            known_graph, spikes, backend=backend, layers=layers, device=device, **options
        )
    values = check_spikes(spikes)
    model = _model(thing, values)
    if graph_model(model) is not None:
        return run_graph(model, values, backend=backend, layers=layers, device=device, **options)
    record = function(model, values, layers=layers, device=device, **options)
    known = model.integer
    if record.activity or known is None or len(record.spikes) < len(known.layers):
        return record
    return replace(record, activity=count_activity(known, values, record.spikes))


def _model(thing: Any, spikes: NDArray[np.uint8]) -> Model:
    from ..model import Model, as_model

    if isinstance(thing, str | Path) and Path(thing).suffix == ".net":
        from ..targets.netx.reader import from_netx

        # Files without an input layer do not say what they take; the spikes do.
        return Model(Path(thing), integer=from_netx(thing, input_shape=spikes.shape[2:]))
    return as_model(thing, sample=spikes)
