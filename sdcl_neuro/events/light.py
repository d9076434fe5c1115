"""Intensity as a simulated pixel sees it: linear light from sRGB, then its logarithm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Log intensity is counted in units of 2**-LOG_BITS, linear intensity in 1/65535.
LOG_BITS = 20
LINEAR_MAX = 65535
# Rec. 709 luminance of linear R, G, B (ITU-R BT.709-6, item 3.2), in 1/65536; they sum to 65536.
LUMINANCE = (13933, 46871, 4732)


def linear_of_srgb() -> NDArray[np.uint16]:
    """Return linear intensity ``[256]`` of an sRGB value, 0 to 65535 (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    table: NDArray[np.uint16] = np.rint(linear * LINEAR_MAX).astype(np.uint16)
    return table


def linear_intensity(frame: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return linear intensity, or luminance, ``[H, W]``, 0 to 65535, of a grey or RGB frame."""
    linear = linear_of_srgb().astype(np.int64)[frame]
    return linear if frame.ndim == 2 else (linear @ np.array(LUMINANCE) + 32768) >> 16


def log_levels(eps: float) -> NDArray[np.int32]:
    """Log intensity in units of 2**-20, ``[65536]``, by linear intensity."""
    linear = np.arange(LINEAR_MAX + 1) / LINEAR_MAX
    table: NDArray[np.int32] = np.rint(np.log(linear + eps) * (1 << LOG_BITS)).astype(np.int32)
    return table
