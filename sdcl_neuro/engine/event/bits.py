"""Spikes as bits: packed, unpacked and counted."""

from __future__ import annotations

from numpy import int64, uint8, uint64

from sdcl_neuro.compiling import inlined, lean
from sdcl_neuro.compiling.bit_words import count_ones

from .vectors import (
    add_flags,
    flush,
    gather_flags,
    mark_bytes,
    read_bytes,
    spread_flags,
    stream_bytes,
)


@lean
def pack(spikes, sample, octets, width, rows, plane, flags, words):  # type: ignore[no-untyped-def]
    """Turn one sample's spikes into bits; return how many there are in the rows.

    Args:
        spikes: uint8 ``[T, B, C, H W]``, zero or not.
        sample: which of B.
        octets: of a pixel.
        width: W.
        rows: uint64 ``[2]``, the first row to pack and the one after the last.
        plane: uint8 ``[octets H W]``, scratch.
        flags, words: uint8 and uint64 ``[T, H, ...]``, the same memory, written.
    """
    channels, start = uint64(spikes.shape[2]), rows[0] * width
    size, found = (rows[1] - rows[0]) * width, uint64(0)
    whole = size & ~uint64(63)
    for t in range(uint64(spikes.shape[0])):
        if spikes.shape[3] == 1:  # the channels of a single pixel lie side by side
            line = spikes[t, sample].reshape(-1)
            full = channels >> uint64(6)
            for w in range(full):
                words[t, 0, w] = gather_flags(line, w << uint64(6))
            if full < uint64(words.shape[2]):
                words[t, 0, full] = uint64(0)
            for n in range(full << uint64(6), channels):
                bit = uint64(1) if line[n] else uint64(0)
                words[t, 0, full] |= bit << (n & uint64(63))
        else:
            plane[: octets * size] = uint8(0)
            for c in range(channels):
                line, value = spikes[t, sample, c], uint8(uint64(1) << (c & uint64(7)))
                first = (c >> uint64(3)) * size
                for n in range(uint64(0), whole, uint64(64)):
                    mark_bytes(plane, first + n, line, start + n, value)
                for n in range(whole, size):
                    plane[first + n] |= value if line[start + n] else uint8(0)
            if octets == uint64(1):  # told apart: side by side in both, so copied in vectors
                for y in range(rows[0], rows[1]):
                    first = y * width - start
                    for x in range(width):
                        flags[t, y, x] = plane[first + x]
            for q in range(octets if octets > uint64(1) else uint64(0)):
                for y in range(rows[0], rows[1]):
                    first = q * size + y * width - start
                    for x in range(width):
                        flags[t, y, x * octets + q] = plane[first + x]
        for y in range(rows[0], rows[1]):
            for w in range(uint64(words.shape[2])):
                found += count_ones(words[t, y, w])
    return found


@lean
def unpack(  # type: ignore[no-untyped-def]
    flags, words, octets, width, rows, plane, spikes, sample, lead
):
    """Write bits as spikes, uint8 ``[T, B, C, H W]``; the other way of `pack`.

    Args:
        flags, words, octets, width, rows, plane, spikes, sample: as of `pack`.
        lead: -1; or to write past the caches, where H W is a multiple of a cache line: bytes of
            `spikes` before its first whole one.
    """
    channels, start = uint64(spikes.shape[2]), rows[0] * width
    size = (rows[1] - rows[0]) * width
    whole = size & ~uint64(63)
    for t in range(uint64(spikes.shape[0])):
        if spikes.shape[3] == 1:
            line = spikes[t, sample].reshape(-1)
            full = channels >> uint64(6)
            for w in range(full):
                spread_flags(line, w << uint64(6), words[t, 0, w])
            for n in range(full << uint64(6), channels):
                line[n] = uint8((words[t, 0, full] >> (n & uint64(63))) & uint64(1))
            continue
        if octets == uint64(1):
            for y in range(rows[0], rows[1]):
                first = y * width - start
                for x in range(width):
                    plane[first + x] = flags[t, y, x]
        for q in range(octets if octets > uint64(1) else uint64(0)):
            for y in range(rows[0], rows[1]):
                first = q * size + y * width - start
                for x in range(width):
                    plane[first + x] = flags[t, y, x * octets + q]
        for c in range(channels):
            line, shift = spikes[t, sample, c], c & uint64(7)
            bit, first = uint8(uint64(1) << shift), (c >> uint64(3)) * size
            begin = uint64(0)
            if lead >= 0:
                begin = min((uint64(lead) - start) & uint64(63), size)
                for n in range(begin):
                    line[start + n] = (plane[first + n] >> uint8(shift)) & uint8(1)
                whole = begin + ((size - begin) & ~uint64(63))
                for n in range(begin, whole, uint64(64)):
                    stream_bytes(line, start + n, plane, first + n, bit)
            else:
                for n in range(begin, whole, uint64(64)):
                    read_bytes(line, start + n, plane, first + n, bit)
            for n in range(whole, size):
                line[start + n] = (plane[first + n] >> uint8(shift)) & uint8(1)
    if lead >= 0:
        flush()


@lean
def tally(words, rows, order, classes, fans, counts):  # type: ignore[no-untyped-def]
    """Count spikes and what they reach: at most 255 steps.

    Args:
        words: uint64 ``[T, H, words]``.
        rows: uint64 ``[2]``, those to count.
        order: uint64 ``[H]``, all rows, those of a class together.
        classes: uint64 ``[H]``, which row of `fans` describes a row of pixels.
        fans: int32 ``[classes, 2, lanes]``: synapses of each input, and those of non-zero weight.
        counts: uint8 ``[lanes]``, scratch.

    Returns:
        Spikes, synaptic operations, operations at weights that are not zero.
    """
    spikes, operations, used = int64(0), int64(0), int64(0)
    steps, kind, counted = uint64(words.shape[0]), classes[0], uint64(0)
    counts[:] = uint8(0)
    for i in range(uint64(order.shape[0])):
        y = order[i]
        if y < rows[0] or y >= rows[1]:
            continue
        if classes[y] != kind or counted + steps > uint64(255):
            found = weigh(counts, fans, kind)
            spikes, operations, used = spikes + found[0], operations + found[1], used + found[2]
            kind, counted = classes[y], uint64(0)
        for t in range(steps):
            for w in range(uint64(words.shape[2])):
                if words[t, y, w]:
                    add_flags(counts, w << uint64(6), words[t, y, w])
        counted += steps
    found = weigh(counts, fans, kind)
    return spikes + found[0], operations + found[1], used + found[2]


@inlined
def weigh(counts, fans, kind):  # type: ignore[no-untyped-def]
    """Return what `tally` returns, of rows of one kind that were counted; zeros are left of
    them.
    """
    spikes, operations, used = int64(0), int64(0), int64(0)
    for lane in range(uint64(counts.shape[0])):
        times = int64(counts[lane])
        spikes += times
        operations += times * int64(fans[kind, 0, lane])
        used += times * int64(fans[kind, 1, lane])
    counts[:] = uint8(0)
    return spikes, operations, used
