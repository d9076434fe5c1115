"""The event path: work in proportion to the spikes, one sample at a time, samples in threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..spec import IntNetwork, Shape
from ..spike_file import Spikes
from . import kernels
from .check import largest_input
from .plan import Plan, plan_layer
from .totals import COUNTED, TOTALS, Outcome

_CHUNK_ELEMENTS = 1 << 22


@dataclass
class _Population:
    """Mutable states of one layer while one sample runs through it."""

    plan: Plan
    shape: Shape
    current: NDArray[np.int32]
    voltage: NDArray[np.int32]
    ring: NDArray[np.int32]
    flags: NDArray[np.uint8]
    totals: NDArray[np.int64]
    slot: int = 0
    fresh: int = 1


@dataclass(frozen=True)
class _Events:
    """Events of a stretch of steps: offsets by step, indices (channels last), values.

    There is room for every neuron in every step; pages that stay unused cost nothing. Binary
    events have no values.
    """

    starts: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.int32]

    @classmethod
    def empty(cls, steps: int, neurons: int, *, graded: bool = False) -> _Events:
        """Room to be filled."""
        room = steps * neurons
        return cls(
            np.zeros(steps + 1, dtype=np.int64),
            np.empty(room, dtype=np.int32),
            np.empty(room if graded else 0, dtype=np.int32),
        )


def run_event(
    net: IntNetwork, spikes: Spikes, *, keep: Sequence[int], chunk: int | None = None
) -> Outcome:
    """Run checked spikes ``[T, B, *input_shape]`` through a checked network, event by event.

    Args:
        net: the network.
        spikes: contiguous uint8.
        keep: the layers whose spikes are wanted.
        chunk: steps worked on at a time; None bounds the memory of a chunk.
    """
    steps, samples = spikes.shape[:2]
    plans = _plans(net)
    widest = max([prod(net.input_shape), *(layer.neurons for layer in net.layers)])
    chunk = min(steps, chunk or max(1, _CHUNK_ELEMENTS // widest))
    kept = {
        index: np.zeros((steps, samples, net.layers[index].neurons), dtype=np.uint8)
        for index in keep
    }
    totals = np.zeros((len(net.layers), samples, TOTALS), dtype=np.int64)
    # A read-only array is another type to numba, and would compile everything again.
    flat = np.require(spikes, requirements=["C", "W"]).reshape(steps, samples, -1)
    _prepare(net, plans, flat)

    def work(sample: int) -> None:
        populations = _populations(net, plans, totals[:, sample])
        for start in range(0, steps, chunk):
            stretch = slice(start, start + chunk)
            part = {index: values[stretch] for index, values in kept.items()}
            _run_stretch(net, populations, flat[stretch], sample, kept=part)
        _not_arrived(populations)

    began = perf_counter()
    workers = min(samples, _processors())
    if workers == 1:
        for sample in range(samples):
            work(sample)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(samples)))
    elapsed = perf_counter() - began
    shaped = {
        index: values.reshape(steps, samples, *net.layers[index].out_shape)
        for index, values in kept.items()
    }
    return Outcome(shaped, totals, elapsed)


def _not_arrived(populations: list[_Population]) -> None:
    """Take the recurrent spikes of the last step out of `accumulates`: they arrive too late."""
    for population in populations:
        if not population.plan.recurrent.size:
            continue
        fired = population.flags[: len(population.current)].astype(bool)
        late = population.plan.recurrent_used[fired].sum()
        population.totals[COUNTED.index("accumulates")] -= late


def _plans(net: IntNetwork) -> list[Plan]:
    sources = [net.input_shape, *(layer.out_shape for layer in net.layers)]
    largest = [largest_input(net)] + [1] * len(net.layers)
    return [
        plan_layer(layer, source, bound)
        for layer, source, bound in zip(net.layers, sources, largest, strict=False)
    ]


def _prepare(net: IntNetwork, plans: list[Plan], spikes: Spikes) -> None:
    """Load or compile the kernels before the clock starts, on a stretch of no steps."""
    totals = np.zeros((len(plans), len(spikes[0]), TOTALS), dtype=np.int64)
    kept = {0: spikes[:0]}
    _run_stretch(net, _populations(net, plans, totals[:, 0]), spikes[:0], 0, kept=kept)


def _populations(
    net: IntNetwork, plans: list[Plan], totals: NDArray[np.int64]
) -> list[_Population]:
    return [
        _population(plan, layer.out_shape, own)
        for plan, layer, own in zip(plans, net.layers, totals, strict=True)
    ]


def _population(plan: Plan, shape: Shape, totals: NDArray[np.int64]) -> _Population:
    neurons = prod(shape)
    return _Population(
        plan,
        shape,
        current=np.zeros(neurons, dtype=np.int32),
        voltage=np.zeros(neurons, dtype=np.int32),
        ring=np.zeros((plan.slots, neurons), dtype=np.int32),
        flags=np.zeros(-(-neurons // kernels.WORD) * kernels.WORD, dtype=np.uint8),
        totals=totals,
    )


def _run_stretch(
    net: IntNetwork,
    populations: list[_Population],
    spikes: Spikes,
    sample: int,
    *,
    kept: dict[int, Spikes],
) -> None:
    """Run one sample through a stretch, uint8 ``[steps, B, N]``; write the same of each layer."""
    events = _Events.empty(len(spikes), spikes.shape[2], graded=net.message_bits > 0)
    whole = spikes.shape[2] % kernels.WORD == 0 and not net.message_bits
    kernels.gather(
        spikes,
        spikes.view(np.uint64) if whole else np.zeros((*spikes.shape[:2], 0), np.uint64),
        sample,
        _channels(net.input_shape),
        *(events.starts, events.indices, events.values),
    )
    for index, population in enumerate(populations):
        events = _advance(population, events)
        if index in kept:
            channels = _channels(population.shape)
            kernels.place(events.starts, events.indices, channels, kept[index], sample)


def _advance(population: _Population, events: _Events) -> _Events:
    """Run one layer over a stretch of steps; return the spikes it sends."""
    sent = _Events.empty(len(events.starts) - 1, prod(population.shape))
    population.slot = kernels.advance(
        *(events.starts, events.indices, events.values),
        *population.plan.arguments(),
        *(population.fresh, population.slot),
        *(population.ring, population.current, population.voltage),
        *(population.flags, population.flags.view(np.uint64)),
        *(sent.starts, sent.indices, population.totals),
    )
    population.fresh = 0
    return sent


def _processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _channels(shape: Shape) -> int:
    return 1 if len(shape) == 1 else int(shape[0])
