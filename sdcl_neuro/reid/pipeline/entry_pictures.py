"""Small pictures of tracklets and of gallery entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

THUMBNAIL = (128, 64)
"""Height and width of a person's picture, in pixels."""


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop uint8 ``[256, 128, 3]`` at `THUMBNAIL` size."""
    cv2 = need("cv2", "pictures in a report")
    small = cv2.resize(frame, THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def decoded(crop: bytes) -> NDArray[np.uint8] | None:
    """Return a picture that a gallery kept, at `THUMBNAIL` size; None if it cannot be read."""
    cv2 = need("cv2", "pictures of a gallery")
    raw = np.frombuffer(crop, np.uint8)
    found = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    if found is None:
        return None
    return thumbnail(np.ascontiguousarray(found[..., ::-1]))
