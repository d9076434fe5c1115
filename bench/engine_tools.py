"""The engine as tools of a race (`engine_case`): each sets a network up and runs it on one input.

Timed is a whole call: from uint8 spikes ``[T, B, 2, H, W]`` in memory to the last layer's, uint8,
in memory.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from engine_case import Call, prepared
from engine_networks import DECAY, network, spikes_at

from sdcl_neuro.compiling import lean
from sdcl_neuro.engine.event.neuron_step import CELL, step_plain


def ours(every_layer: bool = False, **case: Any) -> Call:
    """The engine, by its own choice of path."""
    from sdcl_neuro.engine import run_network

    net, spikes = prepared(**case)
    layers = None if every_layer else [len(net.layers) - 1]

    def call() -> Any:
        record = run_network(net, spikes, layers=layers)
        return {f"layer_{index}": values for index, values in record.spikes.items()}

    return call


def delivering(**case: Any) -> Call:
    """The engine as if no layer had windows to look up: every spike is delivered."""
    from math import inf

    from sdcl_neuro.engine.event.windows import Windows

    # Plans compare this with the cost of delivering, and take the lower.
    Windows.nanoseconds = property(lambda windows: inf)  # type: ignore[assignment]
    return ours(**case)


def ours_stepping(**case: Any) -> Call:
    """The engine's steps alone, as Lava's are counted: no start-up, nothing read out."""
    from harness import Timed

    from sdcl_neuro.engine import run_network

    net, spikes = prepared(**case)

    def call() -> Any:
        record = run_network(net, spikes, layers=())
        return Timed(record.elapsed_s, 0)

    return call


def neurons_alone(neurons: int, steps: int = 16) -> Call:
    """The floor: the engine's own update of so many neurons, states in the first cache.

    Nothing is received, sent or counted; a block of 4,096 neurons is advanced again and again.
    """
    from harness import Timed

    block = 4096
    states = [np.zeros(block, np.int32) for _ in range(2)]
    received, bias = np.zeros(block, np.int16), np.zeros(block, np.int32)

    def call() -> Any:
        began = perf_counter()
        _update(received, *states, bias, DECAY, steps * neurons // block)
        return Timed(perf_counter() - began, 0)

    return call


@lean
def _update(received, voltage, current, bias, decay, times):  # type: ignore[no-untyped-def]
    kept = np.int32(4096 - decay)
    for _ in range(times):
        for cell in range(np.uint64(voltage.shape[0] // CELL)):
            n = cell * np.uint64(CELL)
            step_plain(
                received, n, voltage, current, n, bias, n,
                np.int32(0), kept, np.int32(64000), np.int32(0),
            )  # fmt: skip


def file_to_file(steps: int, samples: int, folder: str) -> Call:
    """`run` from file to file on the paper's network; see `write_recording`."""
    from pathlib import Path

    from sdcl_neuro.engine import run_file

    net = network("paper", 0.02, thresholds=RECORDED)
    place = Path(folder)

    def call() -> Any:
        record = run_file(net, place / f"{steps}x{samples}.h5", place / "out.h5", layers=[1])
        return int(record.activity[1].spikes_out.sum())

    return call


RECORDED = (2000, 2000)


def write_recording(steps: int, samples: int, folder: str) -> None:
    """A file of random spikes, written in pieces."""
    from pathlib import Path

    import h5py

    from sdcl_neuro.network.spike_file import h5_layout

    shape = (steps, samples, 2, 128, 64)
    with h5py.File(Path(folder) / f"{steps}x{samples}.h5", "w") as file:
        dataset = file.create_dataset("spikes", shape=shape, dtype=np.uint8, **h5_layout(shape))
        part = spikes_at(0.02, steps=min(steps, 64), samples=1)
        for sample in range(samples):
            for start in range(0, steps, len(part)):
                stop = min(start + len(part), steps)
                dataset[start:stop, sample] = part[: stop - start, 0]
