"""From camera frames to what the frame branch takes in."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from sdcl_neuro.devices import moved
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

FRAME_SIZE = (256, 128)  # (height, width), paper, input
# Channel statistics of ImageNet on a scale of 0 to 1, RGB (torchvision's documentation).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@public
def normalise(frames: NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """Resize to 256x128 and normalise by ImageNet's statistics.

    Resizing is bilinear between pixel centres without antialiasing, rounded to whole grey values
    (OpenCV's ``INTER_LINEAR`` to one grey value); a frame of the right size is left as it is.

    Args:
        frames: uint8 ``[N, H, W, 3]``, RGB.
        device: where to, else the frames' own; the bytes travel (a quarter of the floats), as
            `devices.moved` has it.

    Returns:
        float32 ``[N, 3, 256, 128]``.

    Raises:
        InputError: another type or shape.
    """
    sized = _sized(frames)
    if device is None or device.type == "cpu":
        return _looked_up(np.ascontiguousarray(sized))
    return normalised(moved(_writable(sized), device))


def frame_bytes(frames: NDArray[np.uint8]) -> Tensor:
    """Resize frames as `normalise` does, to uint8 ``[N, 256, 128, 3]`` in the host's memory."""
    return _writable(_sized(frames))


def normalised(frames: Tensor) -> Tensor:
    """Map uint8 ``[N, 256, 128, 3]`` to float32 ``[N, 3, 256, 128]`` by ImageNet's
    statistics.
    """
    if frames.device.type == "cpu":
        return _looked_up(frames.contiguous().numpy())
    pixels = frames.permute(0, 3, 1, 2).float() / 255
    mean, std = _statistics(frames.device)
    return ((pixels - mean) / std).contiguous()


def _sized(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return frames that were checked, of the right size."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise InputError(
            f"frames are {frames.dtype} {frames.shape}",
            where="normalise",
            hint="give uint8 [N, H, W, 3], RGB, with at least one frame",
        )
    return frames if frames.shape[1:3] == FRAME_SIZE else _resized(frames)


def _writable(frames: NDArray[np.uint8]) -> Tensor:
    """Return a tensor; np.require copies an array that may not be written, of which torch warns."""
    return torch.from_numpy(np.require(frames, requirements=["C", "W"]))


def _looked_up(frames: NDArray[np.uint8]) -> Tensor:
    from .image_kernel import look_up

    made = torch.empty(len(frames), 3, *FRAME_SIZE)
    look_up(frames.reshape(len(frames), -1, 3), _table(), made.numpy().reshape(len(frames), 3, -1))
    return made


@cache
def _table() -> NDArray[np.float32]:
    """Return normalised value of each grey value: ``[3, 256]``, a row a channel."""
    mean, std = _statistics(torch.device("cpu"))
    grey = torch.arange(256).view(1, 1, 1, -1).float() / 255
    table: NDArray[np.float32] = ((grey - mean) / std).view(3, 256).numpy()
    return table


@cache
def _statistics(device: torch.device) -> tuple[Tensor, ...]:
    """Return `MEAN` and `STD`, each ``[1, 3, 1, 1]``: sent once, since this thread waits for
    that.
    """
    with torch.inference_mode(mode=False):
        return tuple(torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))


def _resized(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    given = torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    resized = interpolate(given.float(), FRAME_SIZE, mode="bilinear", align_corners=False)
    return resized.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
