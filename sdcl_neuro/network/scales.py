"""How many integer weight units one unit of float weight becomes, layer by layer.

One number scales weights, threshold and bias of a layer alike, so that it changes no spike but
by rounding. The larger it is, the finer the rounding; the chip's widths bound it from above.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .fixed_point import (
    BIAS_MAX,
    BIAS_MIN,
    STATE_LIMIT,
    STATE_SHIFT,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    WEIGHT_MIN,
)

CURRENT_MAX = (STATE_LIMIT >> STATE_SHIFT) - 1
"""Largest sum of integer weights that no register wraps, in either direction."""


def choose_scale(
    weight: ArrayLike,
    *,
    threshold: float,
    bias: ArrayLike | None = None,
    peak: float | None = None,
    margin: float = 1.0,
) -> float:
    """Return the largest scale at which a layer fits the chip; exact in float32.

    Args:
        weight: all float weights of the layer, recurrent ones too, any shape.
        threshold: float, in the weights' unit.
        bias: float, in the weights' unit.
        peak: largest magnitude that a summed input or a membrane reaches, in the weights' unit;
            None leaves it unbounded.
        margin: room for weights that will grow in training, 1 for none.

    Returns:
        A positive number; 1.0 where nothing bounds it (all zero).
    """
    values = np.asarray(weight, dtype=np.float64)
    bounds = [
        _room(WEIGHT_MAX / margin, values.max(initial=0.0)),
        _room(-WEIGHT_MIN / margin, -values.min(initial=0.0)),
        _room(THRESHOLD_MAX / margin, threshold),
    ]
    if bias is not None:
        offsets = np.asarray(bias, dtype=np.float64)
        bounds.append(_room(BIAS_MAX / margin, offsets.max(initial=0.0)))
        bounds.append(_room(-BIAS_MIN / margin, -offsets.min(initial=0.0)))
    if peak is not None:
        bounds.append(_room(CURRENT_MAX, peak))
    smallest = min(bounds)
    # A scale is kept in float32 by whoever casts a module; this one survives that unchanged.
    return float(np.float32(smallest)) if np.isfinite(smallest) else 1.0


def clear_of_powers(weight: ArrayLike, scale: float) -> float:
    """Return a scale at which a matrix without positive weights does not end at a power of two.

    netx shifts such a matrix as far left as its least weight allows and takes 256 for the limit,
    where an inhibitory weight has 8 bits and ends at 255: -128 would be stored as 256 and clipped
    (lava-dl 0.6.0, ``netx/utils.py``, optimize_weight_bits). Below -4 the scale is lowered by one
    even step; a matrix of -2 and -4 alone is left as it is.
    """
    values = np.asarray(weight, dtype=np.float64)
    if values.size == 0 or values.max() > 0 or values.min() == 0:
        return scale
    least = -2 * int(np.rint(values.min() * scale / 2))
    if least < 8 or least & (least - 1):
        return scale
    return float(np.float32((least - 2) / -values.min()))


def _room(limit: float, largest: float) -> float:
    return limit / float(largest) if largest > 0 else float("inf")
