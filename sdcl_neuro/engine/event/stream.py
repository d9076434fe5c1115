"""The event path: work in proportion to the spikes, samples or bands of rows in threads."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes
from sdcl_neuro.processors import processors

from ..totals import TOTALS, Outcome
from . import threads
from .buffer_pool import BufferPool
from .machine import Machine, Workers

_pool = BufferPool()


def run_event(
    net: IntNetwork,
    machine: Machine,
    spikes: Spikes,
    *,
    keep: Sequence[int],
    chunk: int | None = None,
) -> Outcome:
    """Run checked spikes ``[T, B, *input_shape]`` through a checked network, event by event.

    Args:
        net: the network.
        machine: made of it.
        spikes: contiguous uint8.
        keep: the layers whose spikes are wanted.
        chunk: steps worked on at a time; None bounds the memory of a chunk.
    """
    steps, samples = spikes.shape[:2]
    kept = _room(net, keep, steps, samples)
    totals = np.zeros((len(net.layers), samples, TOTALS), dtype=np.int64)
    wide = _wide(net, spikes)
    stretch = min(steps, chunk or steps)
    waiting = iter(range(samples))

    def work(team: Workers) -> None:
        """Take samples until none waits; one thread at a time can take the next."""
        used = False  # a team comes clean
        for sample in waiting:
            if used:
                team.reset()
            used = True
            for start in range(0, steps, stretch):
                now = slice(start, start + stretch)
                team.run(wide[now], sample, {k: values[now] for k, values in kept.items()})
            totals[:, sample] = team.counts()

    count = machine.bands(samples, steps)
    workers = 1 if count > 1 else min(samples, processors())
    teams = [machine.take(count) for _ in range(workers)]
    teams[0].warm(wide, kept)
    began = perf_counter()
    threads.together([(work, (team,)) for team in teams])
    elapsed = perf_counter() - began
    for team in teams:
        machine.give(team)
    return Outcome(_shaped(net, kept), totals, elapsed)


class EventStream:
    """A run in pieces: states are kept from one piece to the next.

    Args:
        net: a checked network.
        machine: made of it.
        samples: of every piece.
        keep: the layers whose spikes are wanted.
    """

    def __init__(
        self, net: IntNetwork, machine: Machine, samples: int, *, keep: Sequence[int]
    ) -> None:
        self._net, self._keep, self._samples = net, keep, samples
        self._machine = machine
        self._teams: list[Workers] = []
        self.elapsed_s = 0.0

    def advance(self, spikes: Spikes) -> dict[int, NDArray[np.uint8]]:
        """Run checked spikes ``[T, B, *input_shape]`` on; return the kept layers' spikes."""
        kept = _room(self._net, self._keep, len(spikes), self._samples)
        wide = _wide(self._net, spikes)
        if not self._teams:
            count = self._machine.bands(self._samples, len(spikes))
            self._teams = [self._machine.take(count) for _ in range(self._samples)]
            self._teams[0].warm(wide, kept)
        waiting = iter(enumerate(self._teams))

        def work() -> None:
            for sample, team in waiting:
                team.run(wide, sample, kept)

        began = perf_counter()
        if len(self._teams[0].bands) > 1:
            work()
        else:
            workers = min(self._samples, processors())
            threads.together([(work, ()) for _ in range(workers)])
        self.elapsed_s += perf_counter() - began
        return _shaped(self._net, kept)

    def totals(self) -> NDArray[np.int64]:
        """Return int64 ``[layers, B, 9]`` of all pieces so far, the last axis as `COUNTED`."""
        return np.stack([team.counts() for team in self._teams], axis=1)

    def close(self) -> None:
        """Hand the states back; the counts are lost."""
        for team in self._teams:
            self._machine.give(team)
        self._teams = []


def _wide(net: IntNetwork, spikes: Spikes) -> Spikes:
    """Return uint8 ``[T, B, C, H W]`` that can be written to.

    A read-only array is another type to numba, and would compile everything again.
    """
    shape = (*spikes.shape[:2], net.input_shape[0], -1)
    return np.require(spikes, requirements=["C", "W"]).reshape(shape)


def _room(
    net: IntNetwork, keep: Sequence[int], steps: int, samples: int
) -> dict[int, NDArray[np.uint8]]:
    """Return room for the spikes of layers, uint8 ``[T, B, C, H W]``; all of it gets written."""
    shapes = {index: net.layers[index].out_shape for index in keep}
    return {
        index: _pool.take((steps, samples, shape[0], prod(shape[1:])))
        for index, shape in shapes.items()
    }


def _shaped(net: IntNetwork, kept: dict[int, NDArray[np.uint8]]) -> dict[int, NDArray[np.uint8]]:
    return {
        index: values.reshape(*values.shape[:2], *net.layers[index].out_shape)
        for index, values in kept.items()
    }
