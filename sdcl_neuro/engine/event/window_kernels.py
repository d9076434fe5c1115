"""Sums by target: each neuron looks up its window of the input's bits (`windows`)."""

from __future__ import annotations

from numpy import uint8, uint64

from sdcl_neuro.compiling import lean

from .vectors import sum_patterns


@lean
def lay_out(words, flags, t, first, last, shape, stream):  # type: ignore[no-untyped-def]
    """Write rows of bits as streams, each between margins of zeros.

    Args:
        words, flags: uint64 and uint8 ``[T, H_in, ...]``, the same memory.
        t, first, last: which step, and rows.
        shape: uint64 ``[9]``: bits of a pixel in the stream; bytes of the margin before a row, and
            of a row with its margins; first bit of a row's first window, and from one window to the
            next; chunks of a window, bits of a chunk; lanes of a pixel, and pixels, of the target.
        stream: uint8, flat, the rows; margins are zeros already.
    """
    pixel, margin, row_bytes = shape[0], shape[1], shape[2]
    if pixel >= uint64(8):
        for y in range(first, last):
            place = y * row_bytes + margin
            for n in range(uint64(flags.shape[2])):
                stream[place + n] = flags[t, y, n]
        return
    one, byte = uint64(1), uint64(8)
    # Fields of `pixel` bits, one in each byte, are moved together: in pairs, fours, eights.
    ones = ~uint64(0)
    single = ones // uint64(255) * ((one << pixel) - one)
    double = ones // uint64(65535) * ((one << (uint64(2) * pixel)) - one)
    fourfold = ones // uint64(4294967295) * ((one << (uint64(4) * pixel)) - one)
    eightfold = (one << (byte * pixel)) - one
    for y in range(first, last):
        place = y * row_bytes + margin
        for w in range(uint64(words.shape[2])):
            word = words[t, y, w]
            if word:
                word &= single
                word = (word | word >> (byte - pixel)) & double
                word = (word | word >> (uint64(16) - uint64(2) * pixel)) & fourfold
                word = (word | word >> (uint64(32) - uint64(4) * pixel)) & eightfold
            for n in range(pixel):
                stream[place + n] = uint8(word >> (byte * n))
            place += pixel


@lean
def sum_windows(table, starts, taps, shape, stream, top, bottom, stride, received):  # type: ignore[no-untyped-def]
    """Write the sums of some rows of neurons.

    Args:
        table, starts, taps, shape: see `windows.Windows`.
        stream: uint8, see `lay_out`.
        top, bottom: first row, and the one after the last.
        stride: elements of a row of `received`.
        received: as `table`, flat, the sums of the rows from `top` on.
    """
    begin, advance, chunks, chunk, lanes = shape[3], shape[4], shape[5], shape[6], shape[7]
    one = uint64(1)
    for row in range(top, bottom):
        low, high = starts[row], starts[row + one]
        place, bit = (row - top) * stride, begin
        for _ in range(shape[8]):
            lane = uint64(0)
            while lane < lanes:
                lane += sum_patterns(
                    received, place + lane, table, lane, lanes - lane, stream, bit,
                    taps, low, high, chunks, chunk, lanes,
                )  # fmt: skip
            place += lanes
            bit += advance
