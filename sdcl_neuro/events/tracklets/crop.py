"""One person cut out of one video frame, and such crops put together to a tracklet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need

from .. import Events, concatenate, encode
from ..alignment import View
from .frame_files import Frame
from .track_rows import Box
from .tracklet import CROP_SIZE, Tracklet


@dataclass(frozen=True)
class Crop:
    """One person in one video frame.

    Attributes:
        box: int64 ``[4]``, left, top, width, height in the video's pixels.
        frame: uint8 RGB ``[256, 128, 3]``.
        events: of the video interval that ends with the frame, on the spike tensor's grid.
    """

    box: NDArray[np.int64]
    frame: Frame
    events: Events


def whole_box(box: Box, picture: tuple[int, int], *, where: str) -> NDArray[np.int64]:
    """Return a box in whole pixels, at least one, so that frame and events agree.

    Args:
        box: left, top, width, height in pixels.
        picture: width and height.
        where: track and frame, for the error.

    Raises:
        InputError: it reaches outside the picture.
    """
    left, top, width, height = box
    x0, y0 = round(left), round(top)
    x1, y1 = max(round(left + width), x0 + 1), max(round(top + height), y0 + 1)
    if x0 < 0 or y0 < 0 or x1 > picture[0] or y1 > picture[1]:
        raise InputError(
            f"box {left:g},{top:g},{width:g},{height:g} reaches outside the picture of "
            f"{picture[0]}x{picture[1]}",
            where=where,
            hint="allow cutting with clip_boxes (--clip-boxes)",
        )
    return np.array([x0, y0, x1 - x0, y1 - y0], dtype=np.int64)


def crop_person(
    frame: Frame, events: Events, box: NDArray[np.int64], size: tuple[int, int], view: View
) -> Crop:
    """Cut a person out of a frame and out of the events of the interval before it.

    Args:
        frame: uint8 RGB ``[H, W, 3]``.
        events: of the whole sensor.
        box: from `whole_box`.
        size: rows and columns of the spike tensor.
        view: how the sensor lies to the frame.
    """
    cv2 = need("cv2", "cutting persons out of frames")

    left, top, width, height = box.tolist()
    shrinks = height > CROP_SIZE[0] and width > CROP_SIZE[1]
    picture = cv2.resize(
        frame[top : top + height, left : left + width],
        CROP_SIZE[::-1],
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    seen = view.crop(events, (left, top, width, height), size)
    return Crop(box, np.asarray(picture, dtype=np.uint8), seen)


def assemble(
    crops: Sequence[tuple[int, Crop]],
    *,
    name: str,
    person: int,
    camera: int,
    start_us: int,
    stride: int,
    bins: int,
    indices: NDArray[np.int64],
    segment: str = "",
) -> Tracklet:
    """Return a tracklet of F frames from the crops of ``F * stride`` video frames in a row.

    Args:
        crops: time in microseconds and crop of each; the last of every `stride` is shown, and
            owns the events of all of them.
        name, person, camera, segment: see `Tracklet`.
        start_us: time of the video frame before the first crop.
        stride: video frames per tracklet frame.
        bins: K, time steps per frame.
        indices: int64 ``[F]``, of the frames shown.
    """
    shown = crops[stride - 1 :: stride]
    times = np.array([time_us for time_us, _ in shown], dtype=np.int64)
    events = concatenate([crop.events for _, crop in crops])
    return Tracklet(
        name=name,
        person=person,
        camera=camera,
        frames=np.stack([crop.frame for _, crop in shown]),
        spikes=encode(events, frame_times_us=times, bins=bins, start_us=start_us),
        times_us=times,
        boxes=np.stack([crop.box for _, crop in shown]),
        segment=segment,
        indices=indices,
    )
