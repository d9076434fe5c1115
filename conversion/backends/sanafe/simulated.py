"""SANA-FE's times, energies and messages in the form that a profile shows next to its model."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.profiling.simulated import SimulatedRun, SimulatedSample

from .backend import Performance, simulate
from .job import PROFILE

US_PER_S = 1e6
UJ_PER_J = 1e6


def simulated(
    net: IntNetwork,
    spikes: SpikesLike,
    *,
    sanafe: str | Path | None = None,
    timeout_s: float | None = None,
) -> SimulatedRun:
    """Run a network in SANA-FE; return what every step of every sample costs there.

    Arguments and errors as for `backend.run`.
    """
    found = simulate(net, spikes, layers=(), sanafe=sanafe, timeout_s=timeout_s)
    samples = tuple(_sample(one) for one in found.performance)
    return SimulatedRun("SANA-FE", found.version, PROFILE, found.cores, samples)


def _sample(one: Performance) -> SimulatedSample:
    return SimulatedSample(
        time_us=tuple(US_PER_S * value for value in one.time_s),
        energy_uj={
            part: tuple(UJ_PER_J * value for value in values)
            for part, values in one.energy_j.items()
        },
        messages=one.messages,
        hops=one.hops,
        synops=one.synops,
    )
