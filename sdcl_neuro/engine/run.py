"""`run_network`: check, choose a path, run, and put the record together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from .check import check_input, check_layers, check_memory, check_network
from .totals import Outcome, activity

Path = Literal["auto", "event", "reference"]
PATHS: tuple[Path, ...] = ("auto", "event", "reference")


def run_network(
    net: IntNetwork,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
    path: Path = "auto",
    chunk: int | None = None,
) -> Record:
    """Run a network in Loihi's exact integers; every sample starts from a clean state.

    Args:
        net: the network; the arithmetic is that of `sdcl_neuro.network.fixed_point`.
        spikes: ``[T, B, *input_shape]``, uint8 or convertible without loss; 0 or 1, or counts
            below 2 ** message_bits.
        layers: indices of the layers whose spikes to keep; None keeps all. The activity is
            always counted for every layer.
        device: ``cpu``, or a GPU as torch names it (``cuda``, ``cuda:1``).
        path: ``event`` (numba, CPU only; work in proportion to the spikes where they are few),
            ``reference`` (torch, dense), or ``auto``: ``event`` on the CPU, else ``reference``.
            The results are equal.
        chunk: time steps worked on at once; None bounds the memory. It never changes the result.

    Returns:
        The record. Spikes of layer k at step t are caused by the input at step t. `elapsed_s`
        covers the steps only, not the layout of the weights nor a first compilation.

    Raises:
        InputError: a network or input that cannot be run as given.
        EnvironmentFault: the device is not there.
    """
    entry = check_network(net)
    values = check_input(net, spikes)
    keep = check_layers(net, layers)
    steps, samples = values.shape[:2]
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}, not a positive number of steps")
    if path not in PATHS:
        raise InputError(f"unknown path {path!r}", hint=f"use one of {', '.join(PATHS)}")
    check_memory(net, steps=steps, samples=samples, keep=keep)
    outcome: Outcome
    if device == "cpu" and path != "reference":
        from .event.machine import machine_of
        from .event.stream import run_event

        library = "numba"
        outcome = run_event(net, machine_of(net, entry), values, keep=keep, chunk=chunk)
    elif path == "event":
        raise InputError(f"the event path runs on the CPU, not on {device!r}", hint="use 'auto'")
    else:
        from sdcl_neuro.devices import named_device

        from .dense import run_reference

        library = "torch"
        outcome = run_reference(net, values, keep=keep, device=named_device(device), chunk=chunk)
    return record_of(net, outcome, steps=steps, samples=samples, library=library)


def record_of(
    net: IntNetwork, outcome: Outcome, *, steps: int, samples: int, library: str
) -> Record:
    """Return an outcome as the record of a run in which `library` did the work."""
    return Record(
        backend="loihi",
        steps=steps,
        samples=samples,
        input_shape=tuple(net.input_shape),
        spikes=outcome.kept,
        activity=activity(net, outcome, steps=steps),
        elapsed_s=outcome.elapsed_s,
        versions=versions_of("sdcl-neuro", "numpy", library),
    )
