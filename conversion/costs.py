"""`profile` for a model in any form: paths, networks and modules alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spike_file import SpikesLike, check_spikes
from sdcl_neuro.profiling import profile as profile_network

from .model import ModelLike, as_model

if TYPE_CHECKING:
    from typing import Unpack

    from sdcl_neuro.network.record import Record
    from sdcl_neuro.profiling import Profile
    from sdcl_neuro.profiling.api import Hardware
    from sdcl_neuro.profiling.simulated import Simulated


SIMULATORS = {"sanafe": "backends.sanafe.simulated:simulated"}
"""Simulator to the function that returns its figures of every step."""


class ProfileOptions(TypedDict, total=False):
    """Keywords of `sdcl_neuro.profiling.profile`, which describes them."""

    hw: Hardware | Sequence[Hardware]
    record: Record | None
    step_us: float | None
    host_us: float | None
    rate_hz: float | None
    device: str
    simulated: Simulated | None


def profile(
    model: ModelLike,
    spikes: SpikesLike | None = None,
    *,
    dt: float | None = None,
    writer: str | None = None,
    simulate: str | None = None,
    sanafe: str | Path | None = None,
    **options: Unpack[ProfileOptions],
) -> Profile:
    """Count what a network does on spikes, and model what that costs.

    Args:
        model: a network, a snnTorch module, what `load` returned, or the path of a model; its
            chip integers are profiled.
        spikes: uint8 ``[T, B, *input_shape]``, or the path of a spike file; not needed beside a
            record.
        dt, writer: step and writer of a ``.nir``; see `conversion.from_nir`.
        simulate: another simulator whose times, energies and messages of every step are shown with
            the model's: ``sanafe``, which simulates Loihi 1 (``loihi1`` among the targets).
        sanafe: the Python interpreter that has SANA-FE; None looks for one.
        options: targets ``hw`` (names as in ``sdcl-neuro hw list``), a ``record`` of an earlier
            run, times of a step, the ``device``; see `sdcl_neuro.profiling.profile`.

    Returns:
        The profile, which prints itself; ``to_json()`` and ``to_html()`` write it.

    Raises:
        InputError: a network whose integers nothing has fixed, input that cannot be used, an
            unknown simulator, or a simulator without its chip among the targets.
        NetworkRefused: the simulator cannot hold the network.
        EnvironmentFault: the simulator is not installed.
    """
    values = None if spikes is None else check_spikes(spikes)
    sample = None if values is None else np.asarray(values)
    found = as_model(model, sample=sample, dt=dt, writer=writer)
    net = found.need_integer()
    if simulate is not None:
        options["simulated"] = _simulator(simulate)(net, values, sanafe=sanafe)
    return profile_network(found, values, **options)


def _simulator(name: str) -> Callable[..., Simulated]:
    """Return the function that runs a simulator."""
    if name not in SIMULATORS:
        raise InputError(
            f"unknown simulator {name!r}", where="simulate", hint=f"use {', '.join(SIMULATORS)}"
        )
    module, function = SIMULATORS[name].split(":")
    found: Callable[..., Simulated] = getattr(import_module(f".{module}", __package__), function)
    return found
