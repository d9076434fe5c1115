"""Pictures for the page, and a picture from a stranger read within bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events
from sdcl_neuro.events.alignment import StretchedView, View
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.extras import need

WIDTH = 640
"""Frames are shown at most this wide."""
LARGEST_SIDE = 8192
_QUALITY = 72
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def frame_jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Return a frame uint8 RGB ``[H, W, 3]`` as the page shows it."""
    cv2 = need("cv2", "pictures of a camera")
    height, width = frame.shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    return jpeg(frame)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture uint8 RGB ``[H, W, 3]`` as a JPEG file."""
    cv2 = need("cv2", "pictures of a camera")
    bgr = np.ascontiguousarray(picture[..., ::-1])
    good, data = cv2.imencode(".jpg", bgr, [int(cv2.IMWRITE_JPEG_QUALITY), _QUALITY])
    if not good:
        raise InputError(f"a picture {picture.shape} that cannot be written")
    return bytes(data)


def event_png(events: Events, view: View) -> tuple[bytes, bool]:
    """Return the events of an interval as a picture on a transparent ground: ON blue, OFF orange.

    Returns:
        A PNG file, and whether it covers the frame; else it is the sensor's own view.
    """
    cv2 = need("cv2", "pictures of a camera")
    covers = isinstance(view, StretchedView)
    if isinstance(view, StretchedView):
        events = view.part_of(events)
    width, height = events.width, events.height
    scale = min(1.0, WIDTH / width)
    wide, high = max(1, int(width * scale)), max(1, int(height * scale))
    picture = np.zeros((high, wide, 4), np.uint8)
    array = events.array
    x = np.minimum((array["x"] * scale).astype(np.int64), wide - 1)
    y = np.minimum((array["y"] * scale).astype(np.int64), high - 1)
    # Blue, green, red, opacity, as OpenCV writes them.
    colours = np.array([[52, 128, 237, 255], [235, 158, 64, 255]], np.uint8)
    picture[y, x] = colours[(array["p"] > 0).astype(np.int64)]
    good, data = cv2.imencode(".png", picture, [int(cv2.IMWRITE_PNG_COMPRESSION), 1])
    if not good:
        raise InputError(f"events of {width}x{height} that cannot be drawn")
    return bytes(data), covers


def person_picture(data: bytes) -> NDArray[np.uint8]:
    """Return a picture of a person from a JPEG or PNG file, uint8 RGB ``[256, 128, 3]``.

    Raises:
        InputError: another kind of file, a damaged one, or one past `LARGEST_SIDE`.
    """
    cv2 = need("cv2", "search by picture")
    size = _jpeg_size(data) if data.startswith(_JPEG) else _png_size(data)
    if size is None:
        raise InputError("not a JPEG or PNG file", hint="send one picture of a person")
    if not (8 <= size[0] <= LARGEST_SIDE and 8 <= size[1] <= LARGEST_SIDE):
        raise InputError(
            f"a picture of {size[0]}x{size[1]}", hint=f"send 8 to {LARGEST_SIDE} pixels a side"
        )
    # OpenCV's own bound on pixels was set when it was loaded (extras.MAX_PIXELS).
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        found = None
    if found is None:
        raise InputError("a damaged picture", hint="send a JPEG or PNG file")
    person = cv2.resize(found[..., ::-1], CROP_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(person, np.uint8)


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height that a PNG file claims; None where it is not one."""
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height that a JPEG file claims; None where no frame header is found."""
    place = 2
    while place + 9 < len(data):
        if data[place] != 0xFF:
            return None
        kind = data[place + 1]
        if kind == 0xFF:  # padding
            place += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return (
                int.from_bytes(data[place + 7 : place + 9]),
                int.from_bytes(data[place + 5 : place + 7]),
            )
        elif kind in (0x01, *range(0xD0, 0xD9)):  # without a length
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None
