"""The packaged clip as tracklets, at the size an event branch wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data import Tracklet, Video, cut_tracklets, read_mot
from ..spec import Pair
from . import clip_path, tracks_path
from .settings import CLIP, SENSOR, DemoSettings


def cut_clip(settings: DemoSettings, *, size: Pair, say: Callable[[str], None]) -> list[Tracklet]:
    """Arriving, standing and leaving tracklets of the clip's six persons, events simulated.

    Args:
        settings: the seed is the simulated sensor's.
        size: rows and columns of the spike tensor.
        say: prints one line about what begins.
    """
    tracks = read_mot(tracks_path())
    say(f"cutting tracklets of {len(tracks)} persons, simulating their events")
    return cut_tracklets(
        Video(clip_path()),
        tracks,
        replace(settings.simulator, seed=settings.seed),
        frames=CLIP.frames,
        bins=CLIP.bins,
        stride=CLIP.stride,
        size=size,
        sensor=SENSOR,
    )


def stack_spikes(tracklets: Sequence[Tracklet]) -> NDArray[np.uint8]:
    """The spikes of tracklets side by side, uint8 ``[T, N, 2, h, w]``."""
    return np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
