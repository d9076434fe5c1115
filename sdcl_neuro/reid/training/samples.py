"""What the network sees of a tracklet in one step, loaded, changed at random, and kept.

A sample follows from the settings' seed and its `Request` alone. So it is the same whichever
process loads it, in whichever order, after whichever interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..datasets import Clip, DataSet
from .augmentation import augment
from .settings import Settings


@dataclass(frozen=True)
class Request:
    """One place in one batch.

    Attributes:
        position: in the data set's entries.
        draw: numbers the random draws: the variant, or step and place where there are no variants.
        kept: whether the same request can come again.
    """

    position: int
    draw: tuple[int, ...]
    kept: bool


def requests(
    positions: Sequence[int], *, step: int, settings: Settings, first: int = 0
) -> list[Request]:
    """Return what to load for a batch.

    Args:
        positions: of its tracklets, or of this process' part of it.
        step: the batch's number.
        settings: its `variants` and `seed` count.
        first: place in the batch of the first of `positions`.
    """
    found = []
    for place, position in enumerate(positions, start=first):
        draw: tuple[int, ...] = (step, place)
        if settings.variants:
            generator = np.random.default_rng([settings.seed, 1, step, place])
            draw = (int(generator.integers(settings.variants)),)
        found.append(Request(int(position), draw, bool(settings.variants)))
    return found


@dataclass(frozen=True, eq=False)
class Sample:
    """A tracklet after its random changes.

    Attributes:
        frames: uint8 ``[F, 256, 128, 3]``; None where the network takes none or `maps` is there.
        spikes: uint8 ``[F*K, 2, h, w]``; None where the network takes none.
        maps: ``[F, C, 16, 8]``, of a frame branch that does not learn.
    """

    frames: NDArray[np.uint8] | None
    spikes: NDArray[np.uint8] | None
    maps: Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        arrays = [array.nbytes for array in (self.frames, self.spikes) if array is not None]
        return sum(arrays) + (0 if self.maps is None else self.maps.nbytes)


@dataclass(frozen=True)
class Drawing:
    """Draws samples; small enough to be sent to a worker.

    Attributes:
        data, clip: where tracklets come from, and how they look.
        settings: see `Settings`.
        frames, events: what the network takes.
    """

    data: DataSet
    clip: Clip
    settings: Settings
    frames: bool = True
    events: bool = True

    def draw(self, request: Request) -> Sample:
        """Load one tracklet at a random moment and change it at random."""
        seed = self.settings.seed
        generator = np.random.default_rng([seed, 2, request.position, *request.draw])
        moment = int(generator.integers(1 << 31))
        tracklet = self.data.load(request.position, self.clip, seed=moment)
        frames, spikes = augment(tracklet, self.settings.augmentation, generator)
        return Sample(frames if self.frames else None, spikes if self.events else None)
