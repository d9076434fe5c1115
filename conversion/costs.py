"""`profile` for a model in any form: paths, networks and modules alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of, public
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spike_checks import check_given
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.profiling import profile as profile_network

from .backends.graph_run import pack
from .model import Model, ModelLike
from .model_reading import as_model
from .quantisation.graphs import graph_of

if TYPE_CHECKING:
    from sdcl_neuro.profiling import Profile
    from sdcl_neuro.profiling.api import Hardware
    from sdcl_neuro.profiling.simulated import SimulatedRun


SIMULATORS = {"sanafe": "backends.sanafe.simulated:simulated"}
"""Simulator to the function that returns its figures of every step."""


@public
def profile(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike] | None = None,
    *,
    hw: Hardware | Sequence[Hardware] = ("loihi1", "loihi2"),
    record: Record | None = None,
    step_us: float | None = None,
    host_us: float | None = None,
    rate_hz: float | None = None,
    device: str = "cpu",
    dt: float | None = None,
    writer: str | None = None,
    simulate: str | None = None,
    sanafe: str | Path | None = None,
) -> Profile:
    """Count what a network does on spikes, and model what that costs.

    Args:
        model: a network, a snnTorch module, what `load` returned, or the path of a model; its
            chip integers are profiled.
        spikes: uint8 ``[T, B, *input_shape]``, or the path of a spike file; for a network with
            several inputs, ``{name: spikes}``; not needed with a record.
        hw: targets: names as in ``sdcl-neuro hw list``, paths of TOML files, or profiles.
        record: of an earlier run on these spikes; None runs the engine.
        step_us: time of one step in microseconds, if it is known; None models it.
        host_us: what the host adds to every step in microseconds, if it is known.
        rate_hz: inferences (samples) a second, for the mean power; None leaves that out.
        device: where the engine runs, as torch names it.
        dt, writer: step in seconds and writer of a ``.nir``; see `conversion.from_nir`.
        simulate: another simulator whose times, energies and messages of every step are shown with
            the model's: ``sanafe``, which simulates Loihi 1 (``loihi1`` among the targets).
        sanafe: the Python interpreter that has SANA-FE; None looks for one.

    Returns:
        The profile, which prints itself; ``to_json()`` and ``to_html()`` write it.

    Raises:
        InputError: a network whose integers nothing has fixed, input that cannot be used, an
            unknown simulator, or a simulator without its chip among the targets.
        NetworkRefused: the simulator cannot hold the network.
        EnvironmentFault: the simulator is not installed.

    Examples:
        >>> from sdcl_neuro import profile
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> costs = profile(net, random_spikes(net, 0), hw="loihi2")
        >>> list(costs.targets)
        ['loihi2']
    """
    _check_kinds(spikes, record)
    given: Any = spikes
    if spikes is not None and not isinstance(spikes, Mapping):
        given = check_given(spikes)
    found = as_model(model, sample=given, dt=dt, writer=writer)
    net = found.need_integer()
    values = None if given is None else _chain_input(found, given)
    simulated = None
    if simulate is not None:
        simulated = _simulator(simulate)(net, values, sanafe=sanafe)
    return profile_network(
        found,
        values,
        hw=hw,
        record=record,
        step_us=step_us,
        host_us=host_us,
        rate_hz=rate_hz,
        device=device,
        simulated=simulated,
    )


def _chain_input(model: Model, given: Any) -> NDArray[np.uint8]:
    """Return what a chip receives: of a graph all inputs as the channels of one."""
    net = model.need_integer()
    account = graph_of(net)
    if account is not None:
        return pack(account, given, net)
    if isinstance(given, Mapping):
        what = "inputs by name for a network that is not a graph"
        raise InputError(what, where=model.where, hint="give one array [T, B, ...]")
    values: NDArray[np.uint8] = given
    return values


def _check_kinds(spikes: object, record: object) -> None:
    """Refuse a record in the place of the spikes, and anything else in the place of a record."""
    if isinstance(spikes, Record):
        hint = "name it: profile(model, record=record)"
        raise InputError("expected spikes, got a Record", where="profile", hint=hint)
    if record is not None and not isinstance(record, Record):
        hint = "give what run returned, or the spikes alone"
        raise InputError(f"expected a Record, got {kind_of(record)}", where="record", hint=hint)


def _simulator(name: str) -> Callable[..., SimulatedRun]:
    """Return the function that runs a simulator."""
    if name not in SIMULATORS:
        raise InputError(
            f"unknown simulator {name!r}", where="simulate", hint=f"use {', '.join(SIMULATORS)}"
        )
    module, function = SIMULATORS[name].split(":")
    found: Callable[..., SimulatedRun] = getattr(import_module(f".{module}", __package__), function)
    return found
