"""Preparation of frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch import normalise


def test_values() -> None:
    frames = np.zeros((1, 256, 128, 3), dtype=np.uint8)
    frames[0, 3, 5] = 255, 0, 51  # red, green, blue
    found = normalise(frames)
    assert found.shape == (1, 3, 256, 128)
    assert found.dtype == torch.float32
    wanted = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    torch.testing.assert_close(found[0, :, 3, 5], wanted)


def test_resizing_is_bilinear_between_centres() -> None:
    """Twice as large: each new pixel is 3/4 of its own old one and 1/4 of the next, per axis."""
    ramp = np.arange(128, dtype=np.uint8)[:, None, None] * np.ones((1, 64, 3), dtype=np.uint8)
    found = normalise(ramp[None])[0, 0, :, 0] * 0.229 + 0.485
    steps = torch.arange(256) / 2 - 0.25
    wanted = steps.clamp(0, 127)
    assert (found * 255 - wanted).abs().max() <= 0.51  # rounded to whole grey values
    assert found.diff().min() >= -1e-6


def test_right_size_is_untouched() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), dtype=np.uint8)
    back = normalise(frames) * torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    back = (back + torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) * 255
    assert np.array_equal(back.round().to(torch.uint8).permute(0, 2, 3, 1).numpy(), frames)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 256, 128, 3), dtype=np.float32),
        np.zeros((256, 128, 3), dtype=np.uint8),
        np.zeros((1, 3, 256, 128), dtype=np.uint8),
        np.zeros((0, 256, 128, 3), dtype=np.uint8),
        np.zeros((1, 0, 128, 3), dtype=np.uint8),
    ],
)
def test_wrong_frames(frames: np.ndarray) -> None:
    with pytest.raises(InputError, match="give uint8"):
        normalise(frames)


def test_read_only_frames() -> None:
    frames = np.zeros((1, 256, 128, 3), dtype=np.uint8)
    frames.setflags(write=False)
    assert normalise(frames).shape == (1, 3, 256, 128)
