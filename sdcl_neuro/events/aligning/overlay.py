"""A picture by which a person can judge an alignment: events drawn over frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path

from ..alignment import Fitted
from ..array import Events
from ..frames import VideoFrames

SHOWN = 6
HALF_WINDOW = 0.25  # of a frame interval, on each side of the frame's time
ON, OFF = (40, 40, 230), (230, 90, 20)  # blue-green-red


def draw_overlay(path: Path | str, video: VideoFrames, events: Events, fitted: Fitted) -> None:
    """Draw the events around six frames over them: ON red, OFF blue; written as PNG.

    The frames are those around which most events lie, spread over the recording.
    """
    cv2 = need("cv2", "drawing an overlay")

    times = np.array([time for _, time, _ in video], np.int64)
    half = int(HALF_WINDOW * float(np.median(np.diff(times))))
    stamps = events.array["t"]
    counts = np.searchsorted(stamps, times + half - fitted.shift_us) - np.searchsorted(
        stamps, times - half - fitted.shift_us
    )
    wanted = {
        int(part[np.argmax(counts[part])])
        for part in np.array_split(np.arange(len(times)), SHOWN)
        if len(part)
    }
    tiles = []
    width, height = video.size
    for index, time, frame in video:
        if index not in wanted:
            continue
        around = events.slice(time - half - fitted.shift_us, time + half - fitted.shift_us)
        seen = fitted.view.crop(around, (0.0, 0.0, float(width), float(height)), (height, width))
        grey = frame.mean(2) * 0.6 + 90
        tile = np.repeat(grey[..., None], 3, 2).astype(np.uint8)
        for polarity, colour in ((0, OFF), (1, ON)):
            part = seen.array[seen.array["p"] == polarity]
            tile[part["y"], part["x"]] = colour
        label = f"frame {index}, {time / 1e6:.3f} s"
        cv2.putText(tile, label, (6, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1)
        tiles.append(tile)
    blank = np.full((height, width, 3), 255, np.uint8)
    tiles += [blank] * (-len(tiles) % 3)
    rows = [np.hstack(tiles[k : k + 3]) for k in range(0, len(tiles), 3)]
    good, data = cv2.imencode(".png", np.vstack(rows))
    if not good:
        raise ValueError("OpenCV could not write a PNG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
