"""From events to spike tensors, on the one time base of the package.

Frame f owns the events of ``(t[f-1], t[f]]``, cut into K bins of equal length: bin k is
``(t[f-1] + k L / K, t[f-1] + (k + 1) L / K]`` with ``L = t[f] - t[f-1]``. It is causal: nothing
after a frame's own time reaches its bins. Edges are compared in integers, without rounding. Events
before the first interval and after the last frame belong to no frame and are left out.
"""

from __future__ import annotations

from typing import Any

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
    times = frame_times(frame_times_us)
    if bins < 1:
        raise InputError(f"{bins} bins per frame", mend="give at least one")
    shape = (len(times) * bins, 2, events.height, events.width)
    if np.prod([float(n) for n in shape]) > max_bytes:
        raise InputError(
            f"a tensor of {shape} has more than {max_bytes / 2**30:.1f} GiB",
            mend="crop the events to a smaller size, or encode fewer frames at a time",
        )
    step, owned = _steps(events.array["t"], times, bins, start_us)
    place = ((step * 2 + owned_field(events, "p", owned)) * events.height) + owned_field(
        events, "y", owned
    )
    place = place * events.width + owned_field(events, "x", owned)
    flat = np.zeros(int(np.prod(shape)), np.uint8)
    if binary:
        flat[place] = 1
    else:
        _count(flat, place, shape)
    return flat.reshape(shape)


def owned_field(events: Events, name: str, owned: slice) -> NDArray[np.int64]:
    """One field of the events that belong to a frame, wide enough for index arithmetic."""
    return events.array[name][owned].astype(np.int64)


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


def _steps(
    t: NDArray[np.int64], times: NDArray[np.int64], bins: int, start_us: int | None
) -> tuple[NDArray[np.int64], slice]:
    """Time step of each event that a frame owns, and which events those are."""
    edges = times if start_us is None else np.concatenate([[np.int64(start_us)], times])
    if start_us is not None and start_us >= times[0]:
        raise InputError(
            f"the first frame's interval starts at {start_us} us, its frame is at {times[0]} us",
            mend="give a start before the first frame",
        )
    if int(np.diff(edges).max(initial=0)) * bins >= 1 << 62:
        raise InputError("frames too far apart to bin exactly", mend="check the unit of the times")
    bounds = np.searchsorted(t, edges, side="right")
    owned = slice(int(bounds[0]), int(bounds[-1]))
    interval = np.repeat(np.arange(len(edges) - 1), np.diff(bounds))
    length = np.diff(edges)[interval]
    since = t[owned] - edges[interval]
    # since is in 1..length, so this is ceil(since * K / length) - 1, exactly.
    bin_of = (since * bins - 1) // length
    first = len(times) - (len(edges) - 1)
    return (interval + first) * bins + bin_of, owned


def _count(flat: NDArray[np.uint8], place: NDArray[np.int64], shape: tuple[int, ...]) -> None:
    cells, counts = np.unique(place, return_counts=True)
    if len(counts) and int(counts.max()) > COUNT_MAX:
        worst = int(np.argmax(counts))
        index: Any = tuple(int(i) for i in np.unravel_index(cells[worst], shape))
        raise InputError(
            f"{int(counts[worst])} events in cell {index} (step, polarity, y, x), at most "
            f"{COUNT_MAX} can be counted",
            mend="use more bins per frame, or binary=True",
        )
    flat[cells] = counts
