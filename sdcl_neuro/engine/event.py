"""The event path: work in proportion to the spikes, one sample at a time, samples in threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec import IntNetwork, Shape
from ..spike_file import Spikes
from .check import largest_input
from .plan import Plan, plan_layer
from .totals import TOTALS, Outcome

_CHUNK_ELEMENTS = 1 << 22


@dataclass
class _Population:
    """Mutable states of one layer while one sample runs through it."""

    plan: Plan
    shape: Shape
    current: NDArray[np.int32]
    voltage: NDArray[np.int32]
    ring: NDArray[np.int32]
    totals: NDArray[np.int64]
    slot: int = 0


@dataclass(frozen=True)
class _Events:
    """Events of a stretch of steps: offsets by step, indices (channels last), values."""

    starts: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.int32]

    @classmethod
    def empty(cls, steps: int, neurons: int) -> _Events:
        """Room for every neuron in every step; pages that stay unused cost nothing."""
        room = steps * neurons
        return cls(
            np.zeros(steps + 1, dtype=np.int64),
            np.empty(room, dtype=np.int32),
            np.empty(room, dtype=np.int32),
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
        index: np.empty((steps, samples, *net.layers[index].out_shape), dtype=np.uint8)
        for index in keep
    }
    totals = np.zeros((len(net.layers), samples, TOTALS), dtype=np.int64)
    _prepare(net, plans, spikes)

    def work(sample: int) -> None:
        _run_sample(net, plans, spikes, sample, kept=kept, totals=totals, chunk=chunk)

    began = perf_counter()
    workers = min(samples, len(os.sched_getaffinity(0)))
    if workers == 1:
        for sample in range(samples):
            work(sample)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(samples)))
    return Outcome(kept, totals, perf_counter() - began)


def _plans(net: IntNetwork) -> list[Plan]:
    sources = [net.input_shape, *(layer.out_shape for layer in net.layers)]
    largest = [largest_input(net)] + [1] * len(net.layers)
    return [
        plan_layer(layer, source, bound)
        for layer, source, bound in zip(net.layers, sources, largest, strict=False)
    ]


def _prepare(net: IntNetwork, plans: list[Plan], spikes: Spikes) -> None:
    """Load or compile the kernels before the clock starts, on a stretch of no steps."""
    totals = np.zeros((len(plans), 1, TOTALS), dtype=np.int64)
    population = _population(plans[0], net.layers[0].out_shape, totals[0, 0])
    _gather(spikes[:0, 0], net.input_shape)
    _advance(population, _Events.empty(0, 1))
    from . import kernels

    kernels.collect(np.zeros(1, np.uint8), 1, np.empty(1, np.int32), np.empty(1, np.int32))


def _population(plan: Plan, shape: Shape, totals: NDArray[np.int64]) -> _Population:
    neurons = prod(shape)
    return _Population(
        plan,
        shape,
        current=np.zeros(neurons, dtype=np.int32),
        voltage=np.zeros(neurons, dtype=np.int32),
        ring=np.zeros((plan.slots, neurons), dtype=np.int32),
        totals=totals,
    )


def _run_sample(
    net: IntNetwork,
    plans: list[Plan],
    spikes: Spikes,
    sample: int,
    *,
    kept: dict[int, Spikes],
    totals: NDArray[np.int64],
    chunk: int,
) -> None:
    populations = [
        _population(plan, layer.out_shape, totals[index, sample])
        for index, (plan, layer) in enumerate(zip(plans, net.layers, strict=True))
    ]
    for start in range(0, len(spikes), chunk):
        stretch = slice(start, start + chunk)
        events = _gather(spikes[stretch, sample], net.input_shape)
        for index, population in enumerate(populations):
            events, flags = _advance(population, events)
            if index in kept:
                kept[index][stretch, sample] = _torch_order(flags, population.shape)


def _gather(values: Spikes, shape: Shape) -> _Events:
    """List the events of ``[steps, *shape]`` by step."""
    from . import kernels

    steps, neurons = len(values), prod(shape)
    events = _Events.empty(steps, neurons)
    for t in range(steps):
        first = events.starts[t]
        events.starts[t + 1] = first + kernels.collect(
            values[t].reshape(-1), _channels(shape), events.indices[first:], events.values[first:]
        )
    return events


def _advance(population: _Population, events: _Events) -> tuple[_Events, Spikes]:
    """Run one layer over a stretch of steps; return its events and uint8 ``[steps, N]``."""
    from . import kernels

    steps, neurons = len(events.starts) - 1, prod(population.shape)
    sent = _Events.empty(steps, neurons)
    flags = np.empty((steps, neurons), dtype=np.uint8)
    population.slot = kernels.advance(
        *(events.starts, events.indices, events.values),
        *population.plan.arguments(),
        *(population.slot, population.ring, population.current, population.voltage),
        *(flags, sent.starts, sent.indices, sent.values, population.totals),
    )
    return sent, flags


def _channels(shape: Shape) -> int:
    return 1 if len(shape) == 1 else int(shape[0])


def _torch_order(flags: Spikes, shape: Shape) -> NDArray[Any]:
    """``[steps, H W C]`` as ``[steps, C, H, W]``; flat populations stay as they are."""
    if len(shape) == 1:
        return flags
    channels, height, width = shape
    return flags.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
