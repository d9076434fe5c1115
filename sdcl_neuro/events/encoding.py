"""From events to spike tensors, on the one time base of the package.

Frame f owns the events of ``(t[f-1], t[f]]``, cut into K bins of equal length: bin k is
``(t[f-1] + k L / K, t[f-1] + (k + 1) L / K]`` with ``L = t[f] - t[f-1]``. It is causal: nothing
after a frame's own time reaches its bins. Edges are compared in integers, without rounding. Events
before the first interval and after the last frame belong to no frame and are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .array import Events

COUNT_MAX = 255
MAX_BYTES = 8 << 30


def encode(
    events: Events,
    *,
    frame_times_us: ArrayLike,
    bins: int,
    start_us: int | None = None,
    binary: bool = True,
    max_bytes: int = MAX_BYTES,
) -> NDArray[np.uint8]:
    """Bin events into a spike tensor.

    Args:
        events: any number of them, also none.
        frame_times_us: ``[F]`` integers in microseconds, strictly ascending.
        bins: K, time steps per frame.
        start_us: where the first frame's interval begins (it is ``(start_us, t[0]]``); without
            it, the first frame's K bins are empty.
        binary: a spike where there is at least one event; else the number of events (graded
            input, which needs `message_bits` in the network).
        max_bytes: refuse to make a larger tensor than this.

    Returns:
        uint8 ``[T, 2, H, W]`` with ``T = F * K``; channel 0 is OFF, 1 is ON.

    Raises:
        InputError: times that do not ascend, a count above 255, or a tensor above `max_bytes`.
    """
    from . import kernels

    times = frame_times(frame_times_us)
    if bins < 1:
        raise InputError(f"{bins} bins per frame", mend="give at least one")
    shape = (len(times) * bins, 2, events.height, events.width)
    if np.prod([float(n) for n in shape]) > max_bytes:
        raise InputError(
            f"a tensor of {shape} has more than {max_bytes / 2**30:.1f} GiB",
            mend="crop the events to a smaller size, or encode fewer frames at a time",
        )
    edges, first = _edges(times, bins, start_us)
    bounds = np.searchsorted(events.array["t"], edges, side="right")
    spikes = np.zeros(shape, np.uint8)
    array = events.array
    fields = (array["t"], array["x"], array["y"], array["p"])
    full = kernels.bin_events(*fields, edges, bounds, bins, first, binary, spikes)
    if full >= 0:
        raise InputError(
            f"event {full} is the {COUNT_MAX + 1}th in its cell, at most {COUNT_MAX} are counted",
            mend="use more bins per frame, or binary=True",
        )
    return spikes


def frame_times(values: ArrayLike) -> NDArray[np.int64]:
    """Frame times as int64 ``[F]``; InputError unless they are integers that strictly ascend."""
    times = np.asarray(values)
    if times.ndim != 1 or not len(times) or not np.issubdtype(times.dtype, np.integer):
        raise InputError(
            f"frame times are {times.dtype} of shape {times.shape}",
            mend="give at least one whole number of microseconds, in one dimension",
        )
    wide = times.astype(np.int64)
    stuck = np.flatnonzero(np.diff(wide) <= 0)
    if len(stuck):
        index = int(stuck[0]) + 1
        raise InputError(
            f"frame {index} at {wide[index]} us does not come after frame {index - 1} at "
            f"{wide[index - 1]} us",
            mend="give strictly ascending frame times",
        )
    return wide


def _edges(
    times: NDArray[np.int64], bins: int, start_us: int | None
) -> tuple[NDArray[np.int64], int]:
    """Edges of the intervals that own events, and the frame that owns the first of them."""
    if start_us is None:
        edges, first = times, 1
    elif start_us >= times[0]:
        raise InputError(
            f"the first frame's interval starts at {start_us} us, its frame is at {times[0]} us",
            mend="give a start before the first frame",
        )
    else:
        edges, first = np.concatenate([[np.int64(start_us)], times]), 0
    if (int(edges[-1]) - int(edges[0])) * bins >= 1 << 62:
        raise InputError("frames too far apart to bin exactly", mend="check the unit of the times")
    return edges, first
