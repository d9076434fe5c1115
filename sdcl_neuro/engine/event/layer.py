"""Some rows of one layer of one sample: states, counts, and how a stretch of steps is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spike_file import Spikes

from . import bits, kernels
from .delivery import AT_ONCE
from .neuron_step import CELL
from .plan import LayerPlan
from .population import LINE_BYTES, RowLayout, aligned
from .vectors import RUN_BYTES

Words = NDArray[np.uint64]
Rows = tuple[int, int]
NOT_KEPT = np.zeros((0, 1, 1, 1), np.uint8)
STREAMED_BYTES = 8 << 20
"""From so many bytes on spikes are written past the caches."""
STEPS_MAX = 1 << 32
"""Steps that a visit's 32 bits tell apart."""


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
    def source(self) -> RowLayout:
        """The population it receives from."""

    @property
    def target(self) -> RowLayout:
        """Its own."""

    @property
    def nbytes(self) -> int:
        """Memory of its states."""

    def reset(self) -> None:
        """Return to a clean state."""

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

    def counts(self) -> list[int]:
        """Return nine, in the order of `totals.COUNTED`."""


class Layer:
    """The rows a band has of one layer: states and counts."""

    def __init__(self, plan: LayerPlan, before: Share, share: Share) -> None:
        self.plan, self.source, self.target = plan, plan.source, plan.target
        height, lanes = share.needed[1] - share.needed[0], plan.target.lanes
        self._voltage = aligned((height, lanes), np.int32)
        self._current = aligned((height if plan.has_current else 0, lanes), np.int32)
        lazy, cells = plan.only_decays, lanes // CELL
        self._asleep = aligned((0 if lazy else height * plan.marks,), np.uint64)
        self._visited = aligned((height * cells if lazy else 0,), np.uint32)
        self._steps = 0
        self._before = aligned((1, 1, plan.target.words), np.uint64)
        self.totals = aligned((12,), np.int64)
        self._span = np.array(
            [*share.needed, share.needed[0], *share.own, plan.tile_rows, plan.target.used],
            np.uint64,
        )
        self._own_before, self._own = (np.array(s.own, np.uint64) for s in (before, share))
        self._states = (self._voltage.reshape(-1), self._current.reshape(-1))
        self._size = np.array([plan.target.octets, plan.target.width], np.uint64)
        self._neurons = (share.own[1] - share.own[0]) * plan.target.width * plan.target.channels
        self.reset()

    def reset(self) -> None:
        """Return to a clean state."""
        if not len(self._visited):  # states of a cell not visited yet are made when it is
            self._voltage[:] = self.plan.rest
        for array in (self._current, self._asleep, self._visited, self._before, self.totals):
            array[...] = 0
        self._steps = 0

    def run(
        self, words: Words, sent: Words, scratch: Scratch, *, rate: float,
        kept: Spikes, sample: int,
    ) -> float:  # fmt: skip
        """Run the layer; see `AnyLayer.run`."""
        if len(self._visited) and self._steps + len(sent) >= STEPS_MAX:
            self._count_anew()
        plan, before = self.plan, int(self.totals[0])
        feed, echo, windows = plan.synapses(rate)
        stream = scratch.stream
        if len(windows[0]):
            stream[:] = 0
        own, counts = self._own, scratch.counts
        self.totals[8:11] += bits.tally(
            *(words, self._own_before, plan.order, plan.classes, plan.fans),
            counts[: plan.source.lanes],
        )
        kernels.advance(
            *(words, words.view(np.uint8), sent, sent.view(np.uint32), self._before),
            *(feed, echo, windows, stream, plan.bias, plan.neuron, self._span),
            *(scratch.spots, scratch.sums(plan)),
            *(scratch.touched[: plan.marks + 1], scratch.reached, *self._states),
            *(self._asleep, self._visited, plan.held, np.uint64(self._steps)),
            self.totals,
        )
        self._steps += len(sent)
        if plan.echo is not None:
            one = plan.classes[:1]
            self.totals[11] += bits.tally(
                sent, own, one, one, plan.echo_fans, counts[: plan.target.lanes]
            )[2]
            self._before[0, 0] = sent[-1, 0] if len(sent) else self._before[0, 0]
        if len(kept):
            size = self._size
            bits.unpack(
                *(sent.view(np.uint8), sent, *size, own, scratch.plane, kept, sample),
                lead_of(kept),
            )
        return (int(self.totals[0]) - before) / max(1, len(sent) * self._neurons)

    @property
    def nbytes(self) -> int:
        """Memory of its states."""
        return self._voltage.nbytes + self._current.nbytes + self._visited.nbytes

    def counts(self) -> list[int]:
        """Return nine, in the order of `totals.COUNTED`."""
        # What cells at rest have missed counts, too.
        waiting = self._settled() if len(self._visited) else 0
        out, clipped, wrapped, moved = self.totals[:4].tolist()
        arrived, operations, used, echoed = self.totals[8:].tolist()
        recurrent, nonzero = 0, used + echoed
        if self.plan.echo is not None:
            fans = self.plan.echo_fans
            recurrent = out * int(fans[0, 0, 0])
            late = np.unpackbits(self._before.view(np.uint8), bitorder="little").astype(bool)
            # The last step's spikes arrive after the end.
            echoed -= int(fans[0, 1][late.reshape(-1)].sum())
        return [
            arrived, out, operations + recurrent, clipped, wrapped, moved + waiting,
            used + echoed, 0, nonzero,
        ]  # fmt: skip

    def _settled(self) -> int:
        """Bring visited cells up to date; return how often those never visited moved."""
        now, plan = np.uint64(self._steps), self.plan
        return int(
            kernels.settle(
                *(self._states[0], self._visited, now, plan.neuron, self._span, plan.held),
                self.totals,
            )
        )

    def _count_anew(self) -> None:
        """Bring all cells up to date and call the step they are in the first."""
        if self._steps:
            self._settled()
            kernels.wake_all(
                self._states[0], self._visited, self._span, self.plan.held, self.totals
            )
            self._visited[:] = 1
            self._steps = 1


def lead_of(spikes: Spikes) -> int:
    """Return where to begin to write spikes ``[T, B, C, H W]`` past the caches, -1 for not at all.

    A large picture's spikes leave the caches before anyone reads them; written past those they need
    not be read from memory first.
    """
    if spikes.shape[3] % LINE_BYTES or spikes.nbytes < STREAMED_BYTES:
        return -1
    return -int(spikes.ctypes.data) % LINE_BYTES


class Scratch:
    """Buffers of a band that hold nothing between layers.

    Attributes:
        spots, touched, reached, counts, plane, stream: see `kernels`, `bits` and `window_kernels`.
    """

    def __init__(self, populations: Sequence[RowLayout], plans: Sequence[LayerPlan]) -> None:
        self._sums = {}
        for dtype in {plan.feed.dtype for plan in plans}:
            size = max(_tile_elements(plan) for plan in plans if plan.feed.dtype is dtype)
            self._sums[dtype] = aligned((size,), dtype)
        most = max([1, *(plan.tile_rows * plan.marks for plan in plans)])
        self.reached = aligned((most,), np.uint64)
        self.touched = aligned((1 + max([1, *(plan.marks for plan in plans)]),), np.uint64)
        widest = max(population.lanes for population in populations)
        self.spots = aligned((widest + AT_ONCE,), np.uint64)
        self.stream = aligned((max([0, *(p.windows.stream_bytes for p in plans)]),), np.uint8)
        self.counts = aligned((widest,), np.uint8)
        octets = max(p.octets * p.height * p.width for p in populations)
        self.plane = aligned((octets,), np.uint8)

    def sums(self, plan: LayerPlan) -> NDArray[np.int16] | NDArray[np.int32]:
        """Return zeros for the sums of a tile."""
        return self._sums[plan.feed.dtype]


def _tile_elements(plan: LayerPlan) -> int:
    return plan.tile_rows * (plan.target.lanes + RUN_BYTES)
