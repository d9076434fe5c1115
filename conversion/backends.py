"""The backends, one vocabulary everywhere, and the one function that runs any of them.

Exact pairs are snntorch-int, loihi and lava. norse and snntorch compute in float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from ..errors import InputError
from ..record import Record

# Name: "module:function", imported when it is asked for.
BACKENDS: dict[str, str] = {
    "snntorch": "snntorch_run:run_float",
    "snntorch-int": "snntorch_run:run_integer",
    "loihi": "loihi:run",
    "lava": "lava:run",
    "norse": "norse:run",
}

Backend = Callable[..., Record]


def backend(name: str) -> Backend:
    """The function behind a backend's name: ``run(model, spikes, *, layers, device)``."""
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}", mend=f"use one of {', '.join(BACKENDS)}")
    module, function = BACKENDS[name].split(":")
    return cast(Backend, getattr(import_module(f".{module}", __package__), function))


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
        spikes: uint8 ``[T, B, *input_shape]``; every sample starts from a clean state.
        backend: a name in `BACKENDS`.
        layers: indices of the layers whose spikes to keep; None keeps all.
        device: ``cpu`` or a GPU as torch names it; Lava knows the CPU only.
        options: what only this backend takes, for example ``timeout_s`` for Lava.

    Returns:
        The record; its activity is counted wherever the spikes of all layers are known.
    """
    function = _backend(backend)
    from .model_file import as_model

    model = as_model(thing)
    record = function(model, spikes, layers=layers, device=device, **options)
    if record.activity or model.integer is None or len(record.spikes) < len(model.integer.layers):
        return record
    import numpy as np

    from ..activity import count_activity

    counted = count_activity(model.integer, np.asarray(spikes, np.uint8), record.spikes)
    return replace(record, activity=counted)


_backend = backend  # `run` has an argument of that name
