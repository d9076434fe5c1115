"""Frame branch and bridge as two CUDA graphs, for batches of one shape.

Two, because the spikes may arrive after the frames: the frame branch does not wait for them. The
second graph reads the first one's maps where they lie.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdcl_neuro.cuda_graphs import WARM_UP, GpuRecording, attempted, close, graphs_wanted

SHAPES = 4
"""Shapes of batches that are recorded; each keeps memory for all that lies between its layers."""
EQUAL_WITHIN = 1e-3
"""Of an embedding's norm: what the sums of another algorithm may differ by."""

FrameWork = Callable[[Tensor], Tensor]
Fusing = Callable[[Tensor | None, Tensor | None, Tensor | None], Tensor]


class RecordedBatch:
    """The two recordings of one shape.

    Args:
        frames: uint8 frames to maps; None where that part is not recorded.
        fuse: maps, event features and event counts to embeddings.
        given: a batch, frames or maps first.
    """

    def __init__(self, frames: FrameWork | None, fuse: Fusing, *given: Tensor | None) -> None:
        first, features, counts = given
        self.frames = None
        if frames is not None and first is not None:
            self.frames = GpuRecording(frames, first)
            maps = self.frames.made
            self.bridge = GpuRecording(
                lambda *rest: fuse(maps, *rest), features, counts, after=self.frames
            )
        else:
            self.bridge = GpuRecording(fuse, first, features, counts)

    def maps(self, frames: Tensor) -> Tensor:
        """Replay the frame branch."""
        assert self.frames is not None
        return self.frames.replay(frames)

    def embeddings(
        self, maps: Tensor | None, features: Tensor | None, counts: Tensor | None
    ) -> Tensor:
        """Replay the bridge; the result is a copy."""
        given = (features, counts) if self.frames is not None else (maps, features, counts)
        return self.bridge.replay(*given).clone()


class RecordedShapes:
    """Recordings by shape, made after `WARM_UP` batches of a shape, and what may be recorded.

    Args:
        device: of the dense side.
        frames, fuse: see `RecordedBatch`.
    """

    def __init__(self, device: torch.device, frames: FrameWork | None, fuse: Fusing) -> None:
        self.wanted = graphs_wanted(device)
        self._frames, self._fuse = frames, fuse
        self._seen: dict[tuple[int, ...], int] = {}
        self._ready: dict[tuple[int, ...], RecordedBatch] = {}

    @property
    def takes_frames(self) -> bool:
        """Whether the frame branch is recorded, too."""
        return self._frames is not None

    def find(self, shape: tuple[int, ...]) -> RecordedBatch | None:
        """Return the recordings of a shape, if there are any."""
        return self._ready.get(shape)

    def offer(self, shape: tuple[int, ...], embeddings: Tensor, *given: Tensor | None) -> None:
        """Count a batch that was computed without a recording, and record its shape in time.

        Args:
            shape: of its frames or spikes.
            embeddings: what it gave.
            given: as `RecordedBatch` takes it, on the device.
        """
        self._seen[shape] = seen = self._seen.get(shape, 0) + 1
        if not self.wanted or seen <= WARM_UP or len(self._ready) >= SHAPES:
            return

        def record() -> RecordedBatch | None:
            made = RecordedBatch(self._frames, self._fuse, *given)
            first, features, counts = given
            maps = first
            if made.frames is not None and first is not None:
                maps = made.maps(first)
            again = made.embeddings(maps, features, counts)
            return made if close(again, embeddings, within=EQUAL_WITHIN) else None

        recorded = attempted("the dense side", record)
        if recorded is None:
            self.wanted = False
        else:
            self._ready[shape] = recorded
