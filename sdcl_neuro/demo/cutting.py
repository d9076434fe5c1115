"""The packaged clip as tracklets, at the size an event branch wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Tracklet, Video, cut_plan, plan_segments, read_mot
from sdcl_neuro.events.tracklets.plan import SEGMENT_COUNTS
from sdcl_neuro.network.spec import Pair

from . import clip_path, tracks_path
from .settings import CLIP


def cut_clip(
    *, size: Pair = CLIP.size, counts: Mapping[str, int] = SEGMENT_COUNTS
) -> list[Tracklet]:
    """Return arriving, standing and leaving tracklets of the clip's persons, events simulated.

    Args:
        size: rows and columns of the spike tensor.
        counts: tracklets of each person and segment.
    """
    video, tracks = Video(clip_path()), read_mot(tracks_path())
    plan = plan_segments(tracks, frames=CLIP.frames, stride=CLIP.stride, counts=counts)
    return cut_plan(
        video,
        plan,
        CLIP.simulator or SimulatorConfig(),
        bins=CLIP.bins,
        size=size,
        sensor=CLIP.sensor(video.size),
    )


def stack_spikes(tracklets: Sequence[Tracklet]) -> NDArray[np.uint8]:
    """Return the spikes of tracklets side by side, uint8 ``[T, N, 2, h, w]``."""
    return np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
