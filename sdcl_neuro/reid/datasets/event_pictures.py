"""Events as pictures: one a frame, white ground, red ON, blue OFF, without times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.array import EVENT_DTYPE, unchecked

from .clip import Clip
from .folder import FolderEntry, Size, read_picture

CONTRAST = 64
"""How much more red than blue makes an ON pixel: JPEG rings around every coloured one."""
NOTE = "events are pictures without timestamps: one bin a frame"


@dataclass(frozen=True)
class EventPictureReader:
    """Reads the picked frames' event pictures.

    A pixel is ON where red exceeds blue by more than `CONTRAST`, OFF where blue exceeds red.
    """

    def spikes(
        self, entry: FolderEntry, picked: NDArray[np.int64], clip: Clip, size: Size
    ) -> NDArray[np.uint8]:
        """Return spikes ``[F, 2, h, w]``; a frame without a picture has none.

        Raises:
            InputError: more than one bin a frame, or a damaged picture.
        """
        if clip.bins != 1:
            raise InputError(
                f"{clip.bins} bins a frame of event pictures, which have no times",
                where=entry.name,
                hint="set clip.bins = 1",
            )
        spikes = np.zeros((len(picked), 2, *clip.size), np.uint8)
        for step, frame in enumerate(picked):
            path = entry.event_path(int(frame))
            if path is not None:
                spikes[step] = polarity_planes(read_picture(path), clip.size)
        return spikes


def polarity_planes(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return OFF and ON planes ``[2, h, w]`` of an RGB picture, on a grid of `size` rows and
    columns.
    """
    red, blue = picture[..., 0].astype(np.int16), picture[..., 2].astype(np.int16)
    planes = np.zeros((2, *size), np.uint8)
    for channel, mask in enumerate((blue - red > CONTRAST, red - blue > CONTRAST)):
        rows, columns = np.nonzero(mask)
        array = np.zeros(len(rows), EVENT_DTYPE)
        array["x"], array["y"] = columns, rows
        events = unchecked(array, picture.shape[1], picture.shape[0])
        seen = events.crop((0.0, 0.0, float(events.width), float(events.height)), size).array
        planes[channel, seen["y"], seen["x"]] = 1
    return planes
