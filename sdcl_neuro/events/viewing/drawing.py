"""One moment as a picture: the events of a window over a frame, or over dark ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from ..array import Events

# RGB; the page of `view.html` has the same.
ON, OFF, GROUND, TEXT = (255, 168, 60), (80, 168, 255), (16, 18, 24), (235, 235, 235)
FRAME_SHARE = 0.65
"""Frames are dimmed to this, so that events stand out on white, too."""
TEXT_SIZE = 0.5


def draw_moment(
    events: Events, until_us: int, window_us: int, frame: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Draw the events of ``(until - window, until]``: ON orange, OFF blue, the later on top.

    Args:
        events: on the picture's pixels.
        until_us, window_us: of the window.
        frame: uint8 RGB ``[H, W, 3]`` of the same size as the events' sensor.

    Returns:
        uint8 RGB ``[H, W, 3]``.
    """
    picture = np.empty((events.height, events.width, 3), np.uint8)
    if frame is None:
        picture[:] = GROUND
    else:
        grey = frame.astype(np.float32).mean(axis=2) * FRAME_SHARE
        picture[:] = grey[..., None].astype(np.uint8)
    seen = events.slice(until_us - window_us, until_us).array
    colours = np.array([OFF, ON], np.uint8)
    picture[seen["y"], seen["x"]] = colours[seen["p"]]
    return picture


def scaled(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return the picture at `width` pixels; enlarged by whole factors without smoothing where it
    fits.
    """
    cv2 = need("cv2", "drawing a view")

    height = max(2, round(picture.shape[0] * width / picture.shape[1]))
    grows = width >= picture.shape[1]
    way = cv2.INTER_NEAREST if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def labelled(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Write a line into the lower left corner, on a dark strip so that it can be read."""
    cv2 = need("cv2", "drawing a view")

    out = picture.copy()
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, 1
    (width, height), base = cv2.getTextSize(text, font, TEXT_SIZE, thick)
    bottom = out.shape[0] - 6
    low = max(0, bottom - height - 4)
    out[low : bottom + base + 1, : width + 12] //= 3
    cv2.putText(out, text, (6, bottom), font, TEXT_SIZE, TEXT, thick, cv2.LINE_AA)
    return out
