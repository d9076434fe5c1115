"""Tools of test_frame_branch.py: one frame branch, in each of its ahead-of-time forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.demo import clip_path, tracks_path
from sdcl_neuro.events.tracklets import Video, read_mot
from sdcl_neuro.hybrid.frame_branch import OSNet, load_weights, make_frame_branch, normalise
from sdcl_neuro.hybrid.frame_branch.ahead import ahead_of_time

FRAMES = 8
EVERY = 3
"""Of the clip's frames every so many are cut."""


def crops() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Persons of the demo's clip: pictures, whose they are, and from which frame."""
    tracks = read_mot(tracks_path())
    found, persons, when = [], [], []
    for index, _, frame in Video(clip_path()):
        if index % EVERY:
            continue
        for track in tracks:
            if index not in track.indices:
                continue
            x, y, w, h = (int(value) for value in track.box(index))
            cut = frame[max(0, y) : y + h, max(0, x) : x + w]
            if cut.size:
                found.append(np.asarray(normal_size(cut)))
                persons.append(track.identity)
                when.append(index)
    return np.stack(found), np.array(persons), np.array(when)


def normal_size(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    resized: NDArray[np.uint8] = cv2.resize(picture, (128, 256))
    return resized


def made(
    *, network: str, kind: str, weights: str | None = None, embed: bool = False
) -> Callable[[], NDArray[np.float32]]:
    """Eight frames to maps; with `embed`, pooled maps of all crops instead."""
    torch.manual_seed(0)
    branch = make_frame_branch(network).eval()
    if weights is not None:
        load_weights(branch, Path(weights))
    frames = normalise(crops()[0])
    ready = ahead_of_time(branch, kind, calibration=frames[:: max(1, len(frames) // 32)])
    given = frames if embed else frames[:FRAMES]

    def call() -> NDArray[np.float32]:
        with torch.inference_mode():
            maps = torch.cat([ready(part) for part in given.split(FRAMES)])
            return (branch.embed(maps) if isinstance(branch, OSNet) and embed else maps).numpy()

    return call
