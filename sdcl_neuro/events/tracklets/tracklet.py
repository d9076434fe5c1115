"""A tracklet: some frames of one person, and the events that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

# Height and width of a frame crop: what person Re-ID networks take (facts of the paper, section 1).
CROP_SIZE = (256, 128)


@public_class
@dataclass(frozen=True, eq=False)
class Tracklet:
    """What the hybrid network takes as one sample.

    Attributes:
        name: unique within its set, for example ``p3-arriving-0``.
        person: identity, or the track's id where identities are not known.
        camera: camera number (for the demo, the segment: see `plan_segments`).
        frames: uint8 RGB ``[F, 256, 128, 3]``, the person cut out.
        spikes: uint8 ``[F*K, 2, h, w]``, binary; channel 0 OFF, 1 ON; frame f owns steps
            ``f*K`` to ``(f+1)*K - 1``, the interval before it.
        times_us: int64 ``[F]``, of the frames.
        boxes: int64 ``[F, 4]``, left, top, width, height in the video's pixels.
        segment: ``arriving``, ``standing``, ``leaving``, or empty.
        indices: int64 ``[F]``, of the frames in the video, from 0.

    Raises:
        InputError: arrays whose shapes do not fit each other.
    """

    name: str
    person: int
    camera: int
    frames: NDArray[np.uint8]
    spikes: NDArray[np.uint8]
    times_us: NDArray[np.int64]
    boxes: NDArray[np.int64]
    segment: str = ""
    indices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        count = len(self.times_us)
        fits = (
            count > 0
            and self.frames.shape == (count, *CROP_SIZE, 3)
            and self.spikes.ndim == 4
            and self.spikes.shape[1] == 2
            and len(self.spikes) > 0
            and len(self.spikes) % count == 0
            and self.boxes.shape == (count, 4)
            and len(self.indices) in (0, count)
        )
        if not fits:
            raise InputError(
                f"frames {self.frames.shape}, spikes {self.spikes.shape}, {count} times and boxes "
                f"{self.boxes.shape} do not fit each other",
                where=f"tracklet {self.name}",
                hint="give F frames [F,256,128,3] and spikes [F*K,2,h,w]",
            )

    @property
    def bins(self) -> int:
        """K, time steps per frame."""
        return len(self.spikes) // len(self.times_us)

    def __str__(self) -> str:
        steps, _, rows, columns = self.spikes.shape
        return (
            f"{self.name}: person {self.person}, camera {self.camera}, {len(self.times_us)} "
            f"frames, {steps} steps of {rows}x{columns}, {int(self.spikes.sum()):,} spikes"
        )
