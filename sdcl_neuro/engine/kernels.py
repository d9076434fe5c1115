"""The event-driven kernels, compiled by numba on first use and kept in its cache.

Every argument has one fixed type, so that each function is compiled once. Arithmetic is in 32
bits, which is what makes it fast: a decay's product ``|x| k`` of up to 43 bits is never formed,
since ``(|x| k) >> 12 = (|x| >> 12) k + ((|x| & 4095) k >> 12)`` exactly. Additions wrap as the
32-bit registers of Lava's models do. The order of events never matters to an integer sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

SKIP = 64


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock; cached on disk where a folder can be written."""
    kernel: Callable[..., Any]
    try:
        kernel = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # numba found no place for its cache; the result is the same
        kernel = numba.njit(function, nogil=True)
    return kernel


@compiled
def collect(values, channels, events, counts):  # type: ignore[no-untyped-def]
    """List the non-zero elements of one step, renumbered channels last; return how many.

    Args:
        values: uint8 ``[N]`` in torch's order.
        channels: C of a ``(C, H, W)`` population; 1 if it needs no renumbering.
        events, counts: int32 ``[>= N]``, filled with indices and values.
    """
    size = values.shape[0]
    plane = size // channels
    found = 0
    for start in range(0, size, SKIP):
        block = values[start : min(start + SKIP, size)]
        seen = np.uint8(0)
        for j in range(block.shape[0]):
            seen = np.uint8(seen | block[j])
        if seen:
            for j in range(block.shape[0]):
                if block[j]:
                    index = start + j
                    events[found] = (index % plane) * channels + index // plane
                    counts[found] = block[j]
                    found += 1
    return found


@compiled
def scatter(events, counts, geometry, rows, runs, weight, target):  # type: ignore[no-untyped-def]
    """Add the weights behind each event to `target`, int32 ``[H_out W_out C_out]``."""
    row_start, row_output, row_tap = rows
    run_start, run_output, run_tap, run_length = runs
    channels, width = geometry[0], geometry[1]
    out_width, out_channels = geometry[2], geometry[3]
    kernel_rows, kernel_columns, group_inputs = geometry[4], geometry[5], geometry[6]
    group_outputs = out_channels // (channels // group_inputs)
    for e in range(events.shape[0]):
        pixel, channel = events[e] // channels, events[e] % channels
        y, x = pixel // width, pixel % width
        offset = (channel // group_inputs) * group_outputs
        for r in range(row_start[y], row_start[y + 1]):
            out_row = row_output[r] * out_width
            tap_row = (channel * kernel_rows + row_tap[r]) * kernel_columns
            for c in range(run_start[x], run_start[x + 1]):
                length = run_length[c] * group_outputs
                first = (out_row + run_output[c]) * out_channels + offset
                tap = (tap_row + run_tap[c]) * group_outputs
                if counts[e] == 1:
                    for j in range(length):
                        target[first + j] += weight[tap + j]
                else:
                    for j in range(length):
                        target[first + j] += counts[e] * weight[tap + j]


@compiled
def scatter_delayed(events, counts, weight, delay, ring, slot):  # type: ignore[no-untyped-def]
    """Add a dense layer's weights to the slots of `ring`, ``[slots, N]``, their delays say."""
    slots, neurons = ring.shape
    for e in range(events.shape[0]):
        first = events[e] * neurons
        for j in range(neurons):
            target = slot + delay[events[e], j]
            if target >= slots:
                target -= slots
            ring[target, j] += counts[e] * weight[first + j]


@compiled
def decay(value, kept):  # type: ignore[no-untyped-def]
    """``value kept / 4096`` rounded towards zero, all in int32."""
    size = np.int32(abs(value))
    high = np.int32(np.int32(size >> np.int32(12)) * kept)
    low = np.int32(np.int32(np.int32(size & np.int32(4095)) * kept) >> np.int32(12))
    total = np.int32(high + low)
    return np.int32(-total) if value < 0 else total


@compiled
def update(activation, current, voltage, bias, neuron, flags):  # type: ignore[no-untyped-def]
    """One step of a population, `fixed_point`'s equations; clears `activation`.

    Returns:
        Neurons whose membrane was clipped, neurons whose current wrapped.
    """
    kept_current, kept_voltage, threshold = neuron[0], neuron[1], neuron[2]
    if neuron[4]:
        for n in range(activation.shape[0]):
            activation[n] = np.int32(np.int32(activation[n] << np.int32(8)) >> np.int32(8))
    limit, top = np.int32(1 << 23), np.int32((1 << 23) - 1)
    clipped, wrapped = np.int32(0), np.int32(0)
    for n in range(activation.shape[0]):
        u = np.int32(activation[n] << np.int32(6))
        activation[n] = np.int32(0)
        if kept_current:
            u = np.int32(decay(current[n], kept_current) + u)
        above, below = np.int32(u > limit), np.int32(u <= -limit)
        u = np.int32(u + np.int32(np.int32(below - above) << np.int32(24)))
        wrapped = np.int32(wrapped + above + below)
        if kept_current:
            current[n] = u
        v = np.int32(decay(voltage[n], kept_voltage) + u)
        if neuron[3]:
            v = np.int32(v + bias[n])
        w = min(max(v, np.int32(-top)), top)
        clipped = np.int32(clipped + np.int32(w != v))
        fired = w > threshold
        voltage[n] = np.int32(0) if fired else w
        flags[n] = np.uint8(fired)
    return clipped, wrapped


@compiled
def advance(  # type: ignore[no-untyped-def]
    starts, events, counts,
    geometry, rows, runs, weight, recurrent, delay, bias, neuron, fan,
    slot, ring, current, voltage, flags, sent_starts, sent, sent_counts, totals,
):  # fmt: skip
    """Run one layer of one sample over a stretch of steps.

    Args:
        starts: int64 ``[T + 1]``; step t receives ``events[starts[t] : starts[t + 1]]``.
        events, counts: int32, input indices (channels last) and values.
        geometry to fan: see `plan.Plan`.
        slot: row of `ring` that holds the first step's activation.
        ring: int32 ``[slots, N]``, activations to come.
        current, voltage: int32 ``[N]``, the states, left as the next stretch needs them.
        flags: uint8 ``[T, N]``, written: which neurons fired.
        sent_starts, sent, sent_counts: as the first three, written: the spikes sent.
        totals: int64 ``[5]``, added to: spikes in, spikes out, synops, saturations, wraps.

    Returns:
        The slot of the step after the last.
    """
    for t in range(starts.shape[0] - 1):
        now, values = events[starts[t] : starts[t + 1]], counts[starts[t] : starts[t + 1]]
        if delay.shape[0]:
            scatter_delayed(now, values, weight, delay, ring, slot)
        else:
            scatter(now, values, geometry, rows, runs, weight, ring[slot])
        clipped, wrapped = update(ring[slot], current, voltage, bias, neuron, flags[t])
        slot = (slot + 1) % ring.shape[0]
        first = sent_starts[t]
        found = collect(flags[t], 1, sent[first:], sent_counts[first:])
        sent_starts[t + 1] = first + found
        if recurrent.shape[0]:
            for e in range(first, first + found):
                for j in range(recurrent.shape[1]):
                    ring[slot, j] += recurrent[sent[e], j]
        totals[0] += now.shape[0]
        totals[1] += found
        for e in range(now.shape[0]):
            totals[2] += fan[now[e]]
        totals[2] += found * recurrent.shape[0]
        totals[3] += clipped
        totals[4] += wrapped
    return slot
