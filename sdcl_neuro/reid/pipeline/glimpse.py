"""What a page and a gallery need of a tracklet, a few kilobytes in place of half a megabyte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.extras import need

from .entry_pictures import decoded, thumbnail

QUALITY = 95
"""Of JPEG: a thumbnail takes about 5 kB."""


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A tracklet's names and times, its middle picture in small, and that picture's events.

    Attributes:
        name, person, camera, segment: as the tracklet has them.
        times_us: int64 ``[F]``, of the frames.
        indices: int64 ``[F]``, of the frames in the video, from 0.
        input_spikes: spikes of all its events.
        crop: the middle picture at full size as a JPEG file, where it is to be kept.
    """

    name: str
    person: int
    camera: int
    segment: str
    times_us: NDArray[np.int64]
    indices: NDArray[np.int64]
    input_spikes: int
    _picture: bytes
    _events: NDArray[np.uint8]
    _shape: tuple[int, ...]
    crop: bytes | None = None

    @classmethod
    def of(cls, tracklet: Tracklet, *, keep_crop: bool = False) -> Glimpse:
        """Look at a tracklet, which need not be kept."""
        count = len(tracklet.frames)
        frame = tracklet.frames[count // 2]
        bins = tracklet.spikes.reshape(count, -1, *tracklet.spikes.shape[1:])[count // 2]
        return cls(
            tracklet.name,
            tracklet.person,
            tracklet.camera,
            tracklet.segment,
            tracklet.times_us,
            tracklet.indices,
            int(tracklet.spikes.sum(dtype=np.int64)),
            _coded(thumbnail(frame), QUALITY),
            np.packbits(bins),
            bins.shape,
            _coded(frame) if keep_crop else None,
        )

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The middle picture, uint8 RGB at `entry_pictures.THUMBNAIL` size."""
        found = decoded(self._picture)
        assert found is not None  # `of` has written it
        return found

    @property
    def events(self) -> NDArray[np.uint8]:
        """Spikes of the middle picture's events, uint8 ``[K, 2, h, w]``."""
        flat = np.unpackbits(self._events, count=int(np.prod(self._shape)))
        return flat.reshape(self._shape)


def _coded(frame: NDArray[np.uint8], quality: int | None = None) -> bytes:
    """Return an RGB picture as a JPEG file."""
    cv2 = need("cv2", "pictures in a report")
    options = [] if quality is None else [int(cv2.IMWRITE_JPEG_QUALITY), quality]
    good, coded = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), options)
    if not good:
        raise InputError("a picture that cannot be stored as JPEG")
    return bytes(coded.tobytes())
