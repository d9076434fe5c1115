"""Compiled loop of `images.normalise` on a CPU."""

from __future__ import annotations

import numpy as np
from numpy import uint64
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled


@compiled
def look_up(
    frames: NDArray[np.uint8], table: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Replace each grey value by its channel's entry: ``[N, pixels, 3]`` to ``[N, 3, pixels]``."""
    for n in range(uint64(frames.shape[0])):
        for channel in range(uint64(3)):
            row, made = table[channel], out[n, channel]
            for i in range(uint64(frames.shape[1])):
                made[i] = row[uint64(frames[n, i, channel])]
