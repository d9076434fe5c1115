"""The event-driven kernels, compiled by numba on first use and kept in its cache.

Every argument has one fixed type, so that each function is compiled once. Three things make them
fast, and look odd without this note:

- Arithmetic stays in 32 bits, so that a vector register holds many neurons. A decay's product of
  up to 43 bits is never formed: ``(x k) >> 12 = (x >> 12) k + ((x & 4095) k >> 12)`` exactly.
  Additions wrap as the 32-bit registers of Lava's models do.
- Indices of inner loops are unsigned: a signed one may mean "from the end" to numba, and the test
  for that keeps a loop from being vectorised.
- Spikes are rare, so they are looked for eight at a time, as one word of eight bytes.

The order of events never matters, since integer sums are exact.
"""

from __future__ import annotations

import numpy as np
from numpy import int32, uint8, uint32, uint64

from sdcl_neuro.compiling import compiled

WORD = 8
"""Bytes of a word."""
FIRST_BYTE = 0x0001020304050607
"""Times 2^(8 k), its topmost byte is k."""


@compiled
def collect(words, events, found):  # type: ignore[no-untyped-def]
    """Append the indices of the flags that are 1, given as uint64 words, to `events`."""
    end = uint64(found)
    for i in range(uint64(words.shape[0])):
        word = words[i]
        while word:
            lowest = word & (~word + uint64(1))
            byte = (lowest * uint64(FIRST_BYTE)) >> uint64(56)
            events[end] = int32(uint64(WORD) * i + byte)
            end += uint64(1)
            word ^= lowest
    return end


@compiled
def gather(spikes, words, sample, channels, starts, events, counts):  # type: ignore[no-untyped-def]
    """List one sample's non-zero inputs by step, renumbered channels last.

    Args:
        spikes: uint8 ``[T, B, N]`` in torch's order.
        words: the same memory as uint64 ``[T, B, N / 8]``; ``[T, B, 0]`` for counts, and if N
            is not a multiple of 8.
        sample: which of B.
        channels: C of a ``(C, H, W)`` population; 1 if it needs no renumbering.
        starts: int64 ``[T + 1]``, written: step t has ``events[starts[t] : starts[t + 1]]``.
        events: int32 ``[T N]``, written.
        counts: int32, as `events`, written; ``[0]`` if the spikes are binary.
    """
    plane = uint32(spikes.shape[2] // channels)
    for t in range(spikes.shape[0]):
        first = found = starts[t]
        if words.shape[2]:
            found = np.int64(collect(words[t, sample], events, first))
        else:
            for index in range(spikes.shape[2]):
                if spikes[t, sample, index]:
                    events[found] = index
                    if counts.shape[0]:
                        counts[found] = spikes[t, sample, index]
                    found += 1
        for e in range(first, found):
            channel = uint32(events[e]) // plane
            events[e] = (uint32(events[e]) - channel * plane) * uint32(channels) + channel
        starts[t + 1] = found


@compiled
def place(starts, events, channels, spikes, sample):  # type: ignore[no-untyped-def]
    """Write events into ``spikes``, zeros of uint8 ``[T, B, N]`` in torch's order."""
    plane = spikes.shape[2] // channels
    for t in range(starts.shape[0] - 1):
        for e in range(starts[t], starts[t + 1]):
            spikes[t, sample, (events[e] % channels) * plane + events[e] // channels] = 1


@compiled
def scatter(events, counts, geometry, rows, runs, weight, target):  # type: ignore[no-untyped-def]
    """Add the weights that each event delivers to `target`, int32 ``[H_out W_out C_out]``."""
    row_start, row_output, row_tap = rows
    run_start, run_output, run_tap, run_length = runs
    channels, width, out_width, out_channels = geometry[0], geometry[1], geometry[2], geometry[3]
    kernel_rows, kernel_columns, group_inputs = geometry[4], geometry[5], geometry[6]
    group_outputs = out_channels // (channels // group_inputs)
    one = uint64(1)
    for e in range(events.shape[0]):
        pixel, channel = uint64(events[e]) // channels, uint64(events[e]) % channels
        y, x = pixel // width, pixel % width
        offset = (channel // group_inputs) * group_outputs
        for r in range(row_start[y], row_start[y + one]):
            out_row = row_output[r] * out_width
            tap_row = (channel * kernel_rows + row_tap[r]) * kernel_columns
            for c in range(run_start[x], run_start[x + one]):
                length = run_length[c] * group_outputs
                first = (out_row + run_output[c]) * out_channels + offset
                tap = (tap_row + run_tap[c]) * group_outputs
                if counts.shape[0]:
                    count = counts[e]
                    for j in range(length):
                        target[first + j] += int32(count * weight[tap + j])
                else:
                    for j in range(length):
                        target[first + j] += weight[tap + j]


@compiled
def scatter_delayed(events, counts, weight, delay, ring, slot):  # type: ignore[no-untyped-def]
    """Add a dense layer's weights to the slots of `ring`, ``[slots, N]``, their delays say."""
    slots, neurons = ring.shape
    for e in range(events.shape[0]):
        count = counts[e] if counts.shape[0] else int32(1)
        weights, delays = weight[events[e] * neurons :], delay[events[e]]
        for j in range(neurons):
            target = slot + delays[j]
            if target >= slots:
                target -= slots
            ring[target, j] += int32(count * weights[j])


@compiled
def decay(value, kept):  # type: ignore[no-untyped-def]
    """Return ``value kept / 4096`` rounded towards zero, all in int32."""
    size = int32(value if value >= 0 else -value)
    low = int32(int32(int32(size & int32(4095)) * kept) >> int32(12))
    total = int32(int32(int32(size >> int32(12)) * kept) + low)
    return total if value >= 0 else int32(-total)


@compiled
def limited(value):  # type: ignore[no-untyped-def]
    """Return a membrane clipped to 24 bits."""
    top = int32((1 << 23) - 1)
    value = value if value < top else top
    return value if value > -top else int32(-top)


@compiled
def update_plain(activation, voltage, bias, neuron, flags):  # type: ignore[no-untyped-def]
    """Compute one step of neurons whose current is instantaneous and cannot wrap; see `update`."""
    kept, threshold = neuron[1], neuron[2]
    clipped, moved = int32(0), int32(0)
    for n in range(activation.shape[0]):
        target = int32(int32(decay(voltage[n], kept) + int32(activation[n] << int32(6))) + bias[n])
        membrane = limited(target)
        clipped = int32(clipped + (int32(1) if membrane != target else int32(0)))
        fired = membrane > threshold
        differs = int32(1) if membrane != voltage[n] else int32(0)
        moved = int32(moved + int32(differs | int32(flags[n])))
        voltage[n] = int32(0) if fired else membrane
        flags[n] = uint8(1) if fired else uint8(0)
        activation[n] = int32(0)
    return clipped, int32(0), moved


@compiled
def update(activation, current, voltage, bias, neuron, flags):  # type: ignore[no-untyped-def]
    """Compute one step of neurons, `fixed_point`'s equations; clears `activation`, writes `flags`.

    Returns:
        How many membranes were clipped, how many currents wrapped, and how many membranes moved:
        from what they were before a reset, so that a neuron that fired in the step before has.
    """
    kept_current, kept, threshold, unused_bits = neuron[0], neuron[1], neuron[2], neuron[3]
    limit = int32(1 << 23)
    clipped, wrapped, moved = int32(0), int32(0), int32(0)
    for n in range(activation.shape[0]):
        received = int32(int32(activation[n] << unused_bits) >> unused_bits)
        u = int32(decay(current[n], kept_current) + int32(received << int32(6)))
        above = int32(1) if u > limit else int32(0)
        below = int32(1) if u <= -limit else int32(0)
        u = int32(u + int32(int32(below - above) << int32(24)))
        current[n] = u
        target = int32(int32(decay(voltage[n], kept) + u) + bias[n])
        membrane = limited(target)
        wrapped = int32(wrapped + int32(above + below))
        clipped = int32(clipped + (int32(1) if membrane != target else int32(0)))
        fired = membrane > threshold
        differs = int32(1) if membrane != voltage[n] else int32(0)
        moved = int32(moved + int32(differs | int32(flags[n])))
        voltage[n] = int32(0) if fired else membrane
        flags[n] = uint8(1) if fired else uint8(0)
        activation[n] = int32(0)
    return clipped, wrapped, moved


@compiled
def advance(  # type: ignore[no-untyped-def]
    starts, events, counts,
    geometry, rows, runs, weight, recurrent, delay, bias, neuron, fan, used, recurrent_used,
    fresh, slot, ring, current, voltage, flags, words, sent_starts, sent, totals,
):  # fmt: skip
    """Run one layer of one sample over a stretch of steps.

    Args:
        starts, events, counts: the input's events, as `gather` lists them.
        geometry to recurrent_used: see `plan.LayerPlan`.
        fresh: 1 if the first step is the run's first, else 0.
        slot: row of `ring` that holds the first step's activation.
        ring: int32 ``[slots, N]``, activations to come.
        current, voltage: int32 ``[N]``, the states, left as the next stretch needs them.
        flags, words: uint8, at least N, and the same memory as uint64: who fired in the step
            before; zeros at first.
        sent_starts, sent: as `starts` and `events`, written: the spikes sent.
        totals: int64 ``[9]``, added to, as `totals.COUNTED`; the last is not touched.

    Returns:
        The slot of the step after the last.
    """
    for t in range(starts.shape[0] - 1):
        now = events[starts[t] : starts[t + 1]]
        values = counts[starts[t] : starts[t + 1]] if counts.shape[0] else counts
        activation = ring[slot]
        if delay.shape[0]:
            scatter_delayed(now, values, weight, delay, ring, slot)
        else:
            scatter(now, values, geometry, rows, runs, weight, activation)
        if neuron[4]:
            clipped, wrapped, moved = update_plain(activation, voltage, bias, neuron, flags)
        else:
            clipped, wrapped, moved = update(activation, current, voltage, bias, neuron, flags)
        slot = (slot + 1) % ring.shape[0]
        first = sent_starts[t]
        end = np.int64(collect(words, sent, first))
        sent_starts[t + 1] = end
        if recurrent.shape[0]:
            for e in range(first, end):
                source, target = recurrent[sent[e]], ring[slot]
                for j in range(target.shape[0]):
                    target[j] += source[j]
                totals[6] += recurrent_used[sent[e]]
        totals[0] += now.shape[0]
        totals[1] += end - first
        operations, column = np.int64(0), 6
        for e in range(now.shape[0]):
            totals[2] += fan[now[e]]
            operations += used[now[e]]
        for e in range(values.shape[0]):
            if values[e] > 1:
                column = 7
        totals[column] += operations
        totals[2] += (end - first) * recurrent.shape[0]
        totals[3] += clipped
        totals[4] += wrapped
        totals[5] += current.shape[0] if fresh and t == 0 else moved
    return slot
