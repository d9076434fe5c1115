"""What a tracklet of a data set looks like: number of frames, time bins, size of the spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class


@public_class
@dataclass(frozen=True)
class Clip:
    """The shape of the tracklets to load.

    Attributes:
        frames: F; the paper has 4 to 8.
        bins: K, time steps per frame.
        size: rows and columns of the spike tensor.
    """

    frames: int = 8
    bins: int = 4
    size: tuple[int, int] = (64, 32)

    def __post_init__(self) -> None:
        if min(self.frames, self.bins, *self.size) < 1:
            raise InputError(
                f"tracklets of {self.frames} frames, {self.bins} bins and size {self.size}",
                hint="give at least 1 of each",
            )


Pick = Literal["middle", "first"]


def pick_frames(
    count: int, frames: int, *, seed: int | None = None, pick: Pick = "middle"
) -> NDArray[np.int64]:
    """Return one frame of each of `frames` evenly divided chunks of a tracklet of `count`.

    As in the paper's training: at random within each chunk. Without a seed the middle of each
    chunk, or its first frame, so that evaluation is repeatable. Where there are as many frames as
    asked for, none is picked twice; a tracklet of fewer shows some repeatedly.

    Returns:
        int64 ``[frames]``, ascending, each below `count`.

    Raises:
        InputError: nothing to pick from, or nothing to pick.
    """
    if count < 1 or frames < 1:
        raise InputError(f"{frames} frames out of {count}", hint="give at least 1 of each")
    edges = np.arange(frames + 1) * count / frames
    part = np.full(frames, 0.5 if pick == "middle" else 0.0)
    if seed is not None:
        part = np.random.default_rng([seed, count]).random(frames)
        if count >= frames:  # whole frames a chunk, so that two chunks share none
            edges = np.floor(edges)
    picked = np.floor(edges[:-1] + part * np.diff(edges)).astype(np.int64)
    return np.minimum(picked, count - 1)
