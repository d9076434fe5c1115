"""The network, input and cores on which the engine and its peers race.

Every tool takes the same arguments: ``name``, ``rate`` and ``thresholds`` of the network
(`engine_networks`), ``steps``, ``samples``, ``size``, and the ``cores`` it may use.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba
import recording_tools
from engine_networks import moving_square, network, spikes_at

Call = Callable[[], Any]
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
"""Variables by which numba, oneDNN, torch and MKL use no instruction beyond AVX2."""


def use_cores(count: int) -> None:
    """Bind this process to so many of its cores and let torch and numba use them, no gradients."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    import torch

    torch.set_num_threads(count)
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    torch.set_grad_enabled(False)


def prepared(
    name: str,
    rate: float,
    *,
    thresholds: Any = None,
    steps: int = 16,
    samples: int = 1,
    size: Any = (128, 64),
    cores: int = 2,
    recording: str | None = None,
    active: float | None = None,
) -> tuple[Any, Any]:
    """The network and its input, random, recorded or in a moving square, on the cores given."""
    use_cores(cores)
    if recording is not None:
        return recording_tools.case(recording, name, thresholds, steps)
    size = tuple(size)
    net = network(name, rate, size=size, thresholds=thresholds)
    if active is not None:
        return net, moving_square(rate, active, size=size, steps=steps)
    return net, spikes_at(rate, size=size, steps=steps, samples=samples)


def last_layer(net: Any) -> str:
    """Name of a network's last layer in results."""
    return f"layer_{len(net.layers) - 1}"
