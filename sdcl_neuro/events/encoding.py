"""From events to spike tensors, on the one time base of the package.

Frame f owns the events of ``(t[f-1], t[f]]``, cut into K bins of equal length: bin k is
``(t[f-1] + k L / K, t[f-1] + (k + 1) L / K]`` with ``L = t[f] - t[f-1]``. It is causal: nothing
after a frame's own time reaches its bins. Edges are compared in integers, without rounding. Events
before the first interval and after the last frame belong to no frame and are left out.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.compiling.threads import in_threads
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public
from sdcl_neuro.processors import processors

from .array import Events

COUNT_MAX = 255
MAX_BYTES = 8 << 30
# Fewer events are binned before a second thread has started.
EVENTS_A_THREAD = 1 << 18


@public
def encode(
    events: Events,
    *,
    frame_times_us: ArrayLike,
    bins: int,
    start_us: int | None = None,
    binary: bool = True,
    max_bytes: int = MAX_BYTES,
    out: NDArray[np.uint8] | None = None,
    threads: int | None = None,
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
        out: a contiguous array of the result's shape to overwrite and return. Memory that was
            used before is several times faster than fresh memory.
        threads: at most so many; `sdcl_neuro.processors.processors` by default. The
            result is the same for any number.

    Returns:
        uint8 ``[T, 2, H, W]`` with ``T = F * K``; channel 0 is OFF, 1 is ON.

    Raises:
        InputError: times that do not ascend, a count above 255, a tensor above `max_bytes`, or
            another `out` than described.
    """
    from . import binning

    edges = step_edges(frame_times(frame_times_us), bins, start_us)
    shape = (len(edges) - 1, 2, events.height, events.width)
    if np.prod([float(n) for n in shape]) > max_bytes:
        raise InputError(
            f"a tensor of {shape} has more than {max_bytes / 2**30:.1f} GiB",
            hint="crop the events to a smaller size, encode fewer frames at a time, or in pieces "
            "(sdcl_neuro.events.StreamEncoder)",
        )
    spikes = np.zeros(shape, np.uint8) if out is None else _checked(out, shape)
    bounds = np.empty(len(edges), np.int64)
    binning.bounds_of(events.array, edges, bounds)
    fill(spikes, events, bounds, binary=binary, clear=out is not None, threads=threads)
    return spikes


def fill(
    spikes: NDArray[np.uint8],
    events: Events,
    bounds: NDArray[np.int64],
    *,
    binary: bool,
    clear: bool = False,
    first: int = 0,
    threads: int | None = None,
) -> None:
    """Put events ``bounds[i]`` to ``bounds[i + 1]`` into step i of `spikes` ``[T, 2, H, W]``.

    What is there stays, unless `clear`; errors count the events from `first`.

    Raises:
        InputError: a count above 255.
    """
    from . import binning

    flat = spikes.reshape(len(spikes), -1)
    full: list[int] = []

    def work(low: int, high: int) -> None:
        if clear:
            flat[low:high] = 0
        if binary:
            binning.mark(events.array, bounds, low, high, events.width, flat)
        else:
            full.append(binning.count(events.array, bounds, low, high, events.width, flat))

    in_threads(work, _parts(bounds, threads or processors()))
    wrong = [event for event in full if event >= 0]
    if wrong:
        raise InputError(
            f"event {first + min(wrong)} is the {COUNT_MAX + 1}th in its cell, at most "
            f"{COUNT_MAX} are counted",
            hint="use more bins per frame, or binary=True",
        )


def _parts(bounds: NDArray[np.int64], threads: int) -> list[tuple[int, int]]:
    """Return stretches of steps with about the same number of events, one for each thread."""
    number = int(bounds[-1] - bounds[0])
    threads = max(1, min(threads, number // EVENTS_A_THREAD))
    shares = bounds[0] + np.arange(1, threads) * number // threads
    edges = [0, *np.searchsorted(bounds, shares).tolist(), len(bounds) - 1]
    return list(itertools.pairwise(edges))


def _checked(out: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    fits = out.shape == shape and out.dtype == np.uint8
    if not (fits and out.flags.c_contiguous and out.flags.writeable):
        raise InputError(
            f"out is {out.dtype} of shape {out.shape}",
            hint=f"give a contiguous, writable uint8 array of shape {shape}",
        )
    return out


def frame_times(values: ArrayLike) -> NDArray[np.int64]:
    """Return frame times as int64 ``[F]``; InputError unless they are integers that strictly
    ascend.
    """
    times = np.asarray(values)
    if times.ndim != 1 or not len(times) or not np.issubdtype(times.dtype, np.integer):
        raise InputError(
            f"frame times are {times.dtype} of shape {times.shape}",
            hint="give at least one whole number of microseconds, in one dimension",
        )
    wide = times.astype(np.int64)
    stuck = np.flatnonzero(np.diff(wide) <= 0)
    if len(stuck):
        index = int(stuck[0]) + 1
        raise InputError(
            f"frame {index} at {wide[index]} us does not come after frame {index - 1} at "
            f"{wide[index - 1]} us",
            hint="give strictly ascending frame times",
        )
    return wide


def step_edges(times: NDArray[np.int64], bins: int, start_us: int | None) -> NDArray[np.int64]:
    """Return edges ``[F * K + 1]`` in whole microseconds: step i owns the events in ``(e[i], e[i +
    1]]``.

    ``t <= t0 + k L / K`` holds for a whole t where ``t <= t0 + floor(k L / K)``, so nothing is
    rounded. Without a start, the first frame's steps lie between equal edges.

    Raises:
        InputError: no bins, a start that is not before the first frame, or frames too far apart.
    """
    if bins < 1:
        raise InputError(f"{bins} bins per frame", hint="give at least one")
    start = int(times[0]) if start_us is None else start_us
    if start_us is not None and start_us >= times[0]:
        raise InputError(
            f"the first frame's interval starts at {start_us} us, its frame is at {times[0]} us",
            hint="give a start before the first frame",
        )
    if (int(times[-1]) - start) * bins >= 1 << 62:
        raise InputError("frames too far apart to bin exactly", hint="check the unit of the times")
    before = np.concatenate([[np.int64(start)], times])
    shares = np.diff(before)[:, None] * np.arange(bins) // bins  # [F, K]
    edges: NDArray[np.int64] = np.append((before[:-1, None] + shares).ravel(), before[-1])
    return edges
