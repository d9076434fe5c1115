"""A small lossless video with a person-like patch that moves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT, COUNT, FPS = 320, 288, 14, 10


@pytest.fixture(scope="session")
def pictures():
    """RGB frames ``[14, 288, 320, 3]``."""
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    patch = rng.integers(0, 256, (200, 90, 3), dtype=np.uint8)
    film = np.repeat(scene[None], COUNT, axis=0)
    for k in range(COUNT):
        film[k, 40:240, 10 + 9 * k : 100 + 9 * k] = patch
    return film


@pytest.fixture(scope="session")
def film(tmp_path_factory, pictures):
    """Path of a video of `pictures`; lossless FFV1, but for the colour space."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), FPS, (WIDTH, HEIGHT)
    )
    assert writer.isOpened()
    for frame in pictures:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path
