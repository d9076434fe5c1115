"""What both paths hand back, and how it becomes a record's activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.activity import layer_activity
from sdcl_neuro.network.record import LayerActivity
from sdcl_neuro.network.spec import IntNetwork

COUNTED = (
    "spikes_in", "spikes_out", "synops", "saturations", "wraps",
    "membrane_updates", "accumulates", "multiplies", "synops_nonzero",
)  # fmt: skip
"""The order in which the paths count; the names are `LayerActivity`'s."""
TOTALS = len(COUNTED)


@dataclass(frozen=True)
class Outcome:
    """A path's result.

    Attributes:
        kept: layer index to uint8 ``[T, B, *out_shape]``.
        totals: int64 ``[layers, B, 9]``, the last axis as `COUNTED`.
        elapsed_s: wall-clock seconds of the steps, without set-up.
    """

    kept: dict[int, NDArray[np.uint8]]
    totals: NDArray[np.int64]
    elapsed_s: float


def activity(net: IntNetwork, outcome: Outcome, *, steps: int) -> tuple[LayerActivity, ...]:
    """Return one entry per layer."""
    return tuple(
        layer_activity(
            layer,
            steps=steps,
            **dict(zip(COUNTED, columns, strict=True)),
        )
        for layer, columns in zip(net.layers, outcome.totals.transpose(0, 2, 1).copy(), strict=True)
    )
