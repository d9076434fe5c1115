"""Run a network on any backend of the table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, SuspiciousInput
from sdcl_neuro.network.activity import count_activity
from sdcl_neuro.network.arguments import kind_of, public
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spike_checks import check_given

from .table import BACKENDS, BASE, Backend, find_backend

OptionValue: TypeAlias = str | float | Path | Sequence[str] | None
"""What an option of a backend may be."""

if TYPE_CHECKING:
    from sdcl_neuro.network.spike_file import SpikesLike

    from ..model import ModelLike


@public
def run(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike],
    *,
    backend: str = BASE,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    dt: float | None = None,
    writer: str | None = None,
    **options: OptionValue,
) -> Record:
    """Run a network on spikes.

    Args:
        model: a network, a snnTorch module, what `load` returned, or the path of a model.
        spikes: uint8 ``[T, B, *input_shape]``; every sample starts from a clean state. For a
            network with several inputs, ``{name: spikes}``.
        backend: a name in `table.BACKENDS`.
        layers: indices of the layers whose spikes to keep; None keeps all.
        device: ``cpu`` or a GPU as torch names it; Lava knows the CPU only.
        dt, writer: step and writer of a ``.nir``; see `conversion.from_nir`.
        options: what only this backend takes, for example ``timeout_s`` for Lava.

    Returns:
        The record; its activity is counted wherever the spikes of all layers are known. Of a
        graph, spikes and read-outs are those of its own layers, and the activity is that of the
        chain's, which the chip has to bear.

    Raises:
        InputError: an unknown backend, option or layer, or spikes or a network that cannot be used.
        EnvironmentFault: the backend is not installed, or failed.

    Examples:
        >>> from sdcl_neuro import run
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> record = run(net, random_spikes(net, 0), layers=[0])
        >>> record.spikes[0].shape[2:] == net.layers[0].out_shape  # [T, B, *out_shape]
        True
    """
    from .graph_found import graph_model

    if hasattr(model, "ndim"):
        hint = "the model comes first, the spikes second"
        raise InputError(f"expected a model, got {kind_of(model)}", where="run", hint=hint)
    known_graph = graph_model(model)
    if known_graph is None and not isinstance(spikes, Mapping):
        spikes = check_given(spikes)
        _doubt_order(spikes)
    return run_model(
        model if known_graph is None else known_graph,
        spikes,
        backend=backend,
        layers=layers,
        device=device,
        dt=dt,
        writer=writer,
        **options,
    )


def run_model(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike],
    *,
    backend: str = BASE,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    dt: float | None = None,
    writer: str | None = None,
    **options: OptionValue,
) -> Record:
    """Run a network on spikes whose order of axes is known; arguments as of `run`."""
    from ..model_reading import as_model
    from .graph_found import graph_model

    row = find_backend(backend)
    _check_options(row, options)
    function = row.load()
    known_graph = graph_model(model)
    if known_graph is not None:
        from .graph_run import run_graph

        return run_graph(
            known_graph, spikes, backend=backend, layers=layers, device=device, **options
        )
    values: Any = spikes if isinstance(spikes, Mapping) else check_given(spikes)
    found = as_model(model, sample=values, dt=dt, writer=writer)
    if graph_model(found) is not None:
        from .graph_run import run_graph

        return run_graph(found, values, backend=backend, layers=layers, device=device, **options)
    record = function(found, values, layers=layers, device=device, **options)
    known = found.integer
    if record.activity or known is None or len(record.spikes) < len(known.layers):
        return record
    return replace(record, activity=count_activity(known, values, record.spikes))


def _doubt_order(spikes: NDArray[np.uint8]) -> None:
    """Warn where time and samples look exchanged.

    That is one step of many samples, or neighbours along the second axis that share clearly more
    spikes than neighbours along the first: consecutive steps of a recording are alike, samples
    are not. Random spikes are equally unlike along both.
    """
    steps, samples = spikes.shape[:2]
    if steps == 1 < samples:
        said = f"are 1 time step of {samples} samples; if they are one sample"
    elif min(steps, samples) > 1 and _exchanged(spikes):
        said = (
            f"change less from sample to sample than from step to step; if they are [B, T, ...], "
            f"{steps} samples of {samples} steps"
        )
    else:
        return
    warnings.warn(
        f"spikes [T, B, ...] of shape {list(spikes.shape)} {said}, give spikes.swapaxes(0, 1)",
        SuspiciousInput,
        stacklevel=4,  # this function, the verb, its answer to wrong calls
    )


_DOUBTED, _LOOKED_AT, _LEAST_SPIKES = 1.5, 32, 1000


def _exchanged(spikes: NDArray[np.uint8]) -> bool:
    """Return whether neighbours along the second axis share `_DOUBTED` times the spikes of the
    first.
    """
    part = spikes[:_LOOKED_AT, :_LOOKED_AT] != 0
    in_time, in_samples = (
        float(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))
        for one, other in ((part[1:], part[:-1]), (part[:, 1:], part[:, :-1]))
    )
    # Equal samples say nothing, and few spikes may be alike by chance.
    if np.count_nonzero(part) < _LEAST_SPIKES or in_samples == 1:
        return False
    return in_samples > 0.05 and in_samples > _DOUBTED * in_time


def _check_options(row: Backend, options: Mapping[str, OptionValue]) -> None:
    """Refuse an option that this backend does not have."""
    for name in options:
        if name not in row.options:
            others = [other.name for other in BACKENDS.values() if name in other.options]
            what = f"option {name!r} is not one of the backend {row.name!r}"
            known = ("backend", "layers", "device", "dt", "writer", *row.options)
            near = get_close_matches(name, known, n=1)
            if near:
                hint = f"did you mean {near[0]}?"
            elif others:
                hint = f"leave it out, or run on {' or '.join(others)}"
            else:
                hint = f"give only {', '.join(known)}"
            raise InputError(what, hint=hint)
