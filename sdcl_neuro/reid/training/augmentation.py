"""Random changes of a tracklet: one draw for all its frames and events.

Mirroring and moving are the same for frames and events, in the grid of each: the spikes move by
the nearest whole number of their cells. What leaves is lost, what enters is black, or without
events. An erased rectangle stands still in all frames, as something before the camera would; the
event camera is another sensor, so the events stay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.frame_branch.images import MEAN

from ..datasets.degradations import degrade
from .settings import Augmentation

Frames = NDArray[np.uint8]
Spikes = NDArray[np.uint8]

# Zhong et al., "Random Erasing Data Augmentation", AAAI 2020: the area's share of the frame, and
# its height over its width (the reciprocal of the upper limit below it).
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = 1 / 0.3
# ImageNet's mean, what the network takes for nothing.
ERASED_COLOUR = np.rint(np.array(MEAN) * 255).astype(np.uint8)
_ATTEMPTS = 100


def augment(
    tracklet: Tracklet, settings: Augmentation, generator: np.random.Generator
) -> tuple[Frames, Spikes]:
    """Return frames ``[F, H, W, 3]`` and spikes ``[F*K, 2, h, w]`` of a changed tracklet,
    contiguous.

    Args:
        tracklet: stays as it is.
        settings: what may change.
        generator: the same draws are made whatever the settings are, so that one switch leaves
            what the others do.
    """
    mirrored, degraded, erased = generator.random(3) < (
        settings.flip,
        settings.degradation,
        settings.erasing,
    )
    down, right = generator.integers(-settings.pad, settings.pad, size=2, endpoint=True)
    kind = generator.random()
    severity = int(generator.integers(settings.severity[0], settings.severity[1], endpoint=True))
    seed = int(generator.integers(1 << 31))
    box = _rectangle(generator, tracklet.frames.shape[1:3])
    frames = tracklet.frames
    if degraded:
        name = settings.kinds[int(kind * len(settings.kinds))]
        frames = degrade(frames, name, severity, seed=seed)
    frames = moved(frames, int(down), int(right), mirrored=bool(mirrored))
    if erased:
        top, left, height, width = box
        frames[:, top : top + height, left : left + width] = ERASED_COLOUR
    rows, columns = tracklet.spikes.shape[2:]
    cells = (
        round(int(down) * rows / tracklet.frames.shape[1]),
        round(int(right) * columns / tracklet.frames.shape[2]),
    )
    last = tracklet.spikes[..., None]
    return frames, moved(
        last.reshape(-1, rows, columns, 1), *cells, mirrored=bool(mirrored)
    ).reshape(tracklet.spikes.shape)


def moved(images: NDArray[np.uint8], down: int, right: int, *, mirrored: bool) -> NDArray[np.uint8]:
    """Return a contiguous copy of ``[N, H, W, C]``, mirrored first, moved then; zero where it was
    not.
    """
    source = images[:, :, ::-1] if mirrored else images
    height, width = images.shape[1:3]
    if abs(down) >= height or abs(right) >= width:
        return np.zeros_like(images)
    if not (down or right):
        return np.ascontiguousarray(source) if mirrored else images.copy()
    result = np.zeros_like(images)
    rows, columns = (_overlap(by, side) for by, side in ((down, height), (right, width)))
    result[:, rows[0], columns[0]] = source[:, rows[1], columns[1]]
    return result


def _overlap(by: int, side: int) -> tuple[slice, slice]:
    """Return where a side moved by `by` lands, and where that comes from."""
    return slice(max(by, 0), side + min(by, 0)), slice(max(-by, 0), side - max(by, 0))


def _rectangle(generator: np.random.Generator, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a rectangle inside `size`."""
    height, width = size
    for _ in range(_ATTEMPTS):
        area = generator.uniform(*ERASED_AREA) * height * width
        aspect = generator.uniform(1 / ERASED_ASPECT, ERASED_ASPECT)
        rows, columns = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < rows < height and 0 < columns < width:
            top = int(generator.integers(height - rows, endpoint=True))
            left = int(generator.integers(width - columns, endpoint=True))
            return top, left, rows, columns
    return 0, 0, height // 4, width // 4
