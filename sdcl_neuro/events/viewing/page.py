"""A scene as one HTML file that plays it: events and frames lie within, nothing is fetched."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import number_of
from sdcl_neuro.extras import need

from .scene import Picture, Scene

TEMPLATE = "view.html"
FRAMES_MAX, FRAME_WIDTH_MAX, JPEG_QUALITY = 900, 960, 82
BARS = 400
"""Bars in the picture of the event rate."""
USUAL_WINDOW_US = 20_000


def page(
    scene: Scene,
    window_us: int,
    most_events: int,
    width: int,
    advance: Callable[[int], None],
) -> tuple[str, str]:
    """Return the page, and in words what it holds.

    Args:
        scene: what is shown.
        window_us: how long an event stays at first; 0 takes 20 ms.
        most_events: with more, every n-th is kept.
        width: of the frames, in pixels; 0 takes their own, up to 960.
        advance: called with 1 after each frame.
    """
    array = scene.events.array
    step = -(-len(array) // most_events)
    kept = array[::step]
    frames = []
    for time, picture in scene.shown_frames(FRAMES_MAX):
        frames.append((time - scene.start_us, _jpeg(picture, width)))
        advance(1)
    notes = list(scene.notes)
    if step > 1:
        notes.append(f"1 event in {step} is shown: {len(kept):,} of {len(array):,}")
    data = {
        "name": scene.name,
        "width": scene.size[0],
        "height": scene.size[1],
        "duration": scene.end_us - scene.start_us,
        "start": scene.start_us,
        "window": window_us or USUAL_WINDOW_US,
        "count": len(kept),
        "rate": _rates(scene).tolist(),
        "notes": notes,
        "t": _packed(np.diff(kept["t"] - scene.start_us, prepend=0).astype("<u4")),
        "x": _packed(kept["x"].astype("<u2")),
        "y": _packed(kept["y"].astype("<u2")),
        "p": _packed(kept["p"].astype("u1")),
        "frames": frames,
    }
    text = (files(__package__) / TEMPLATE).read_text(encoding="utf-8")
    # Within a script, "</" would end it.
    written = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    said = number_of(len(kept), "event") + (
        f" and {number_of(len(frames), 'frame')}" if frames else ""
    )
    return text.replace("/*DATA*/null", written), said


def _packed(column: NDArray[np.generic]) -> str:
    return base64.b64encode(zlib.compress(column.tobytes(), 6)).decode("ascii")


def _rates(scene: Scene) -> NDArray[np.int64]:
    """Return events in each of `BARS` equal parts."""
    edges = scene.start_us + np.arange(BARS + 1) * (scene.end_us - scene.start_us) // BARS
    places = np.searchsorted(scene.events.array["t"], edges, side="right")
    return np.diff(places)


def _jpeg(picture: Picture, width: int) -> str:
    cv2 = need("cv2", "drawing a view")

    from .drawing import scaled

    wanted = min(width or picture.shape[1], FRAME_WIDTH_MAX, picture.shape[1])
    small = picture if wanted == picture.shape[1] else scaled(picture, wanted)
    quality = [int(cv2.IMWRITE_JPEG_QUALITY), JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return base64.b64encode(data.tobytes()).decode("ascii")
