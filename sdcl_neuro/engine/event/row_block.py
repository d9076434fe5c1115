"""A band of rows through several layers: its buffers, and how it is run.

A band owns some rows of each layer and computes those around them that it needs, so that bands of
one sample never wait for one another between layers. Only what a band owns is counted and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spike_file import Spikes

from . import bits
from .layer import NOT_KEPT, AnyLayer, Layer, Scratch, Share, Words
from .listed import ListedLayer
from .plan import LayerPlan
from .population import RowLayout, aligned


def shares(plans: Sequence[LayerPlan], count: int) -> list[list[Share]]:
    """Return each row block's rows of the input and of every layer's population."""
    populations = [plans[0].source, *(plan.target for plan in plans)]
    bands = []
    for band in range(count):
        own = [(p.height * band // count, p.height * (band + 1) // count) for p in populations]
        needed = own[-1:]
        for plan, rows in zip(reversed(plans), reversed(own[:-1]), strict=True):
            first, last = needed[0]
            reach = plan.feed.reach[:, first:last].astype(np.int64)
            low, high = int(reach[0].min(initial=rows[0])), int(reach[1].max(initial=rows[1]))
            needed = [(min(low, rows[0]), max(high, rows[1])), *needed]
        bands.append([Share(n, o) for n, o in zip(needed, own, strict=True)])
    return bands


class RowBlock:
    """States and buffers of a band; one at a time may be run."""

    def __init__(
        self,
        layers: Sequence[AnyLayer],
        rows: Sequence[Share],
        *,
        steps: int,
        last: Words | None = None,
    ) -> None:
        self._rows, self._layers = rows, layers
        populations = [layers[0].source, *(layer.target for layer in layers)]
        tiled = [layer.plan for layer in layers if isinstance(layer, Layer)]
        self._scratch = Scratch(populations, tiled)
        self._words = [buffer(population, steps) for population in populations]
        if last is not None:
            self._words[-1] = last

    @property
    def last(self) -> Words:
        """Bits of the last layer's spikes."""
        return self._words[-1]

    def reset(self) -> None:
        """Return to a clean state."""
        for layer in self._layers:
            layer.reset()

    def run(self, spikes: Spikes | Words, sample: int, kept: Mapping[int, Spikes]) -> None:
        """Run a stretch of no more steps than there is room for.

        Args:
            spikes: uint8 ``[T, B, C, H W]``; or the sample's bits, ``[T, H, words]``.
            sample: which of B.
            kept: by position in the band's layers, where to write a layer's spikes.
        """
        steps, first = len(spikes), self._layers[0]
        begin = 0
        if spikes.dtype == np.uint64:
            words, rate = cast(Words, spikes), _rate(cast(Words, spikes), first.source)
        elif isinstance(first, ListedLayer) and first.graded:
            begin, words = 1, self._words[1][:steps]
            rate = first.run_counts(
                *(cast(Spikes, spikes), sample, words, self._scratch),
                kept=kept.get(0, NOT_KEPT), sample_kept=sample,
            )  # fmt: skip
        else:
            words = self._words[0][:steps]
            rate = self._pack(cast(Spikes, spikes), sample, words)
        for index in range(begin, len(self._layers)):
            sent = self._words[index + 1][:steps]
            wanted = kept.get(index, NOT_KEPT)
            rate = self._layers[index].run(
                words, sent, self._scratch, rate=rate, kept=wanted, sample=sample
            )
            words = sent

    def _pack(self, spikes: Spikes, sample: int, words: Words) -> float:
        """Turn the rows that are needed into bits; return the share that spikes."""
        source, rows = self._layers[0].source, self._rows[0].needed
        found = bits.pack(
            *(spikes, sample, np.uint64(source.octets), np.uint64(source.width)),
            *(np.array(rows, np.uint64), self._scratch.plane, words.view(np.uint8), words),
        )
        inputs = len(spikes) * (rows[1] - rows[0]) * source.width * source.channels
        return int(found) / max(1, inputs)

    @property
    def nbytes(self) -> int:
        """Memory of states and bits."""
        states = sum(layer.nbytes for layer in self._layers)
        return states + sum(words.nbytes for words in self._words)

    def counts(self) -> NDArray[np.int64]:
        """Return int64 ``[layers, 9]``, of the own rows."""
        return np.array([layer.counts() for layer in self._layers], np.int64)


def buffer(population: RowLayout, steps: int) -> Words:
    """Return room for the bits of a population, zeros."""
    return aligned((steps, population.height, population.words), np.uint64)


def _rate(words: Words, population: RowLayout) -> float:
    neurons = population.channels * population.height * population.width
    return int(np.bitwise_count(words).sum()) / max(1, len(words) * neurons)
