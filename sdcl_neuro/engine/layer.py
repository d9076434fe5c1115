"""Some rows of one layer of one sample: states, counts, and how a stretch of steps is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..spike_file import Spikes
from . import kernels
from .plan import Plan
from .synapses import Population, aligned
from .vectors import RUN_BYTES

Words = NDArray[np.uint64]
Rows = tuple[int, int]
NOT_KEPT = np.zeros((0, 1, 1, 1), np.uint8)


@dataclass(frozen=True)
class Share:
    """Rows of one population that belong to a band.

    Attributes:
        needed: first row, and the one after the last, that the band computes.
        own: those among them that no other band owns.
    """

    needed: Rows
    own: Rows


class AnyLayer(Protocol):
    """What a band runs: `Layer`, or `listed.ListedLayer`."""

    @property
    def source(self) -> Population:
        """The population it receives from."""

    @property
    def target(self) -> Population:
        """Its own."""

    @property
    def nbytes(self) -> int:
        """Memory of its states."""

    def reset(self) -> None:
        """A clean state."""

    def run(
        self, words: Words, sent: Words, scratch: Scratch, *, rate: float,
        kept: Spikes, sample: int,
    ) -> float:  # fmt: skip
        """Run a stretch; return the share of the own neurons' steps in which they spiked.

        Args:
            words: the input's bits, ``[T, H_in, words]``.
            sent: the same of the layer's spikes, written.
            scratch: the band's.
            rate: share of the inputs that spike, by which look-ups are chosen.
            kept, sample: uint8 ``[T, B, C, H W]`` and which of B to write; or `NOT_KEPT`.
        """

    def counts(self) -> NDArray[np.int64]:
        """int64 ``[8]``, in the order of `totals.COUNTED`."""


class Layer:
    """The rows a band has of one layer: states and counts."""

    def __init__(self, plan: Plan, before: Share, share: Share) -> None:
        self.plan, self.source, self.target = plan, plan.source, plan.target
        self._share = share
        height, lanes = share.needed[1] - share.needed[0], plan.target.lanes
        self._voltage = np.empty((height, lanes), np.int32)
        self._current = np.zeros((height if plan.has_current else 0, lanes), np.int32)
        self._asleep = np.zeros(height, np.uint64)
        self._before = np.zeros((1, 1, plan.target.words), np.uint64)
        self.totals = np.zeros(12, np.int64)
        self._span = np.array(
            [*share.needed, share.needed[0], *share.own, plan.tile_rows, plan.target.used],
            np.uint64,
        )
        self._own_before, self._own = (np.array(s.own, np.uint64) for s in (before, share))
        self.reset()

    def reset(self) -> None:
        """A clean state."""
        self._voltage[:] = self.plan.rest
        for array in (self._current, self._asleep, self._before, self.totals):
            array[...] = 0

    def run(
        self, words: Words, sent: Words, scratch: Scratch, *, rate: float,
        kept: Spikes, sample: int,
    ) -> float:  # fmt: skip
        """As `AnyLayer.run`."""
        plan = self.plan
        feed = plan.feed.arguments(rate)
        echo = (*feed[:4], feed[4][:0], feed[5])  # type: ignore[index]
        if plan.echo is not None:
            echo = plan.echo.arguments(0.0)
        before = int(self.totals[0])
        source, own = plan.source, self._own
        tally = kernels.tally(
            words, self._own_before, plan.classes, plan.fans, scratch.counts[: source.lanes]
        )
        self.totals[8:11] += tally
        kernels.advance(
            *(words, sent, sent.view(np.uint32), self._before),
            *(feed, echo, plan.bias, plan.neuron, self._span),
            *(scratch.sums(plan), scratch.reached),
            *(self._voltage.reshape(-1), self._current.reshape(-1), self._asleep, self.totals),
        )
        if plan.echo is not None:
            counts = scratch.counts[: plan.target.lanes]
            self.totals[11] += kernels.tally(sent, own, plan.classes[:1], plan.echo_fans, counts)[2]
            self._before[0, 0] = sent[-1, 0] if len(sent) else self._before[0, 0]
        if len(kept):
            size = np.array([plan.target.octets, plan.target.width], np.uint64)
            kernels.unpack(sent.view(np.uint8), sent, *size, own, scratch.plane, kept, sample)
        neurons = (self._share.own[1] - self._share.own[0]) * plan.target.width
        updates = len(sent) * neurons * plan.target.channels
        return (int(self.totals[0]) - before) / max(1, updates)

    @property
    def nbytes(self) -> int:
        """Memory of its states."""
        return self._voltage.nbytes + self._current.nbytes

    def counts(self) -> NDArray[np.int64]:
        """int64 ``[8]``, in the order of `totals.COUNTED`."""
        out, clipped, wrapped, moved = self.totals[:4].tolist()
        arrived, operations, used, echoed = self.totals[8:].tolist()
        recurrent = 0
        if self.plan.echo is not None:
            fans = self.plan.echo_fans
            recurrent = out * int(fans[0, 0, 0])
            late = np.unpackbits(self._before.view(np.uint8), bitorder="little").astype(bool)
            # The last step's spikes arrive after the end.
            echoed -= int(fans[0, 1][late.reshape(-1)].sum())
        return np.array(
            [arrived, out, operations + recurrent, clipped, wrapped, moved, used + echoed, 0]
        )


class Scratch:
    """Buffers of a band that hold nothing between layers.

    Attributes:
        reached, counts, plane: see `kernels`.
    """

    def __init__(self, populations: Sequence[Population], plans: Sequence[Plan]) -> None:
        self._sums = {}
        for dtype in {plan.feed.dtype for plan in plans}:
            size = max(_tile_elements(plan) for plan in plans if plan.feed.dtype is dtype)
            self._sums[dtype] = aligned((size,), dtype)
        self.reached = np.zeros(max([1, *(plan.tile_rows for plan in plans)]), np.uint64)
        self.counts = np.zeros(max(p.lanes for p in populations), np.uint8)
        self.plane = np.zeros(max(p.octets * p.height * p.width for p in populations), np.uint8)

    def sums(self, plan: Plan) -> NDArray[np.int16] | NDArray[np.int32]:
        """Zeros for the sums of a tile."""
        return self._sums[plan.feed.dtype]


def _tile_elements(plan: Plan) -> int:
    return plan.tile_rows * (plan.target.lanes + RUN_BYTES)
