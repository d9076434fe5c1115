"""Layers that `kernels` does not serve: counts instead of spikes at the input, and axonal delays.

They work on lists of events, one layer at a time and whole (`listed_kernels`).
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

from ..totals import COUNTED
from . import bits, listed_kernels
from .layer import Scratch, Words
from .listed_plan import ListedPlan
from .population import RowLayout


class ListedLayer:
    """States and counts of one layer of one sample; takes the place of `layer.Layer`."""

    def __init__(self, plan: ListedPlan, source: Shape, target: Shape, *, graded: bool) -> None:
        self._plan, self.graded = plan, graded
        self.source, self.target = RowLayout.of(source), RowLayout.of(target)
        neurons = prod(target)
        self._current, self._voltage = np.zeros((2, neurons), dtype=np.int32)
        self._ring = np.zeros((plan.slots, neurons), dtype=np.int32)
        words = -(-neurons // listed_kernels.WORD)
        self._flags = np.zeros(words * listed_kernels.WORD, dtype=np.uint8)
        self._totals = np.zeros(len(COUNTED), dtype=np.int64)
        self._slot, self._fresh = 0, 1

    def reset(self) -> None:
        """Return to a clean state."""
        for array in (self._current, self._voltage, self._ring, self._flags, self._totals):
            array[...] = 0
        self._slot, self._fresh = 0, 1

    def run(
        self, words: Words, sent: Words, scratch: Scratch, *, rate: float,
        kept: NDArray[np.uint8], sample: int,
    ) -> float:  # fmt: skip
        """Run the layer; see `layer.AnyLayer.run`."""
        del rate
        received = np.empty((len(words), 1, *_flat(self.source)), np.uint8)
        bits.unpack(
            *(words.view(np.uint8), words, *_sizes(self.source), scratch.plane, received, 0, -1)
        )
        return self.run_counts(received, 0, sent, scratch, kept=kept, sample_kept=sample)

    def run_counts(
        self, spikes: NDArray[np.uint8], sample: int, sent: Words, scratch: Scratch, *,
        kept: NDArray[np.uint8], sample_kept: int,
    ) -> float:  # fmt: skip
        """Return the same from spikes or counts, uint8 ``[T, B, C, H W]``."""
        steps, samples, channels, pixels = spikes.shape
        events = _Events.empty(steps, channels * pixels, graded=self.graded)
        flat = spikes.reshape(steps, samples, channels * pixels)
        whole = flat.shape[2] % listed_kernels.WORD == 0 and not self.graded
        as_words = flat.view(np.uint64) if whole else np.zeros((steps, samples, 0), np.uint64)
        listed_kernels.gather(flat, as_words, sample, channels, *events)
        fired = _Events.empty(steps, len(self._voltage))
        self._slot = listed_kernels.advance(
            *events,
            *self._plan.arguments(),
            *(self._fresh if steps else 0, self._slot),
            *(self._ring, self._current, self._voltage),
            *(self._flags, self._flags.view(np.uint64)),
            *(fired.starts, fired.indices, self._totals),
        )
        self._fresh = 0 if steps else self._fresh
        dense = np.zeros((steps, 1, *_flat(self.target)), np.uint8)
        flat = dense.reshape(steps, 1, len(self._voltage))
        listed_kernels.place(fired.starts, fired.indices, self.target.channels, flat, 0)
        found = bits.pack(
            *(dense, 0, *_sizes(self.target), scratch.plane, sent.view(np.uint8), sent)
        )
        if len(kept):
            kept[:, sample_kept] = dense[:, 0]
        return int(found) / max(1, dense.size)

    @property
    def nbytes(self) -> int:
        """Memory of its states."""
        return self._current.nbytes + self._voltage.nbytes + self._ring.nbytes

    def counts(self) -> list[int]:
        """Return nine, in the order of `totals.COUNTED`."""
        counted = self._totals.copy()
        accumulates = COUNTED.index("accumulates")
        counted[COUNTED.index("synops_nonzero")] = counted[accumulates : accumulates + 2].sum()
        if self._plan.recurrent.size:
            # The last step's spikes arrive after the end.
            fired = self._flags[: len(self._voltage)].astype(bool)
            counted[accumulates] -= self._plan.recurrent_used[fired].sum()
        found: list[int] = counted.tolist()
        return found


class _Events(NamedTuple):
    """Events of a stretch of steps: offsets by step, indices (channels last), values.

    There is room for every neuron in every step. Binary events have no values.
    """

    starts: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.int32]

    @classmethod
    def empty(cls, steps: int, neurons: int, *, graded: bool = False) -> _Events:
        """Return room to be filled."""
        room = steps * neurons
        return cls(
            np.zeros(steps + 1, dtype=np.int64),
            np.empty(room, dtype=np.int32),
            np.empty(room if graded else 0, dtype=np.int32),
        )


def _flat(population: RowLayout) -> tuple[int, int]:
    return population.channels, population.height * population.width


def _sizes(population: RowLayout) -> tuple[np.uint64, np.uint64, NDArray[np.uint64]]:
    """Return what `bits.pack` and `bits.unpack` are told of a population, all of its rows."""
    rows = np.array([0, population.height], np.uint64)
    return np.uint64(population.octets), np.uint64(population.width), rows
