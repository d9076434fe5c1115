"""Compiled decoders of EVT 2, EVT 3 and DAT words, with the clock's state carried along.

EVT 3 has 16-bit words: the upper four bits are the type. A time is 12 bits of TIME_HIGH above 12
bits of TIME_LOW and so wraps after 2**24 us, 16.8 s; a row, and a base column, hold until the next.
EVT 2 has 32-bit words with 28 bits of TIME_HIGH above six bits in each event.

A camera repeats TIME_HIGH all the time; a file written by other programs may hold it only where it
changes, so that a gap of seconds is one step. Steps back happen too, by a few units, where a word
was delayed. Of the two ways round the clock, back is taken for at most `back` units, else forward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

HIGH, LOW, ROW, BASE, POLARITY, TIMED, WRAPS, EARLY = range(8)
"""Places in the state: unwrapped high part, low part, row, base column and polarity of vectors,
whether a time was seen, wraps so far, events before the first time."""
STATE_SIZE = 8
VECTOR_12, VECTOR_8 = 12, 8

Words = NDArray[Any]
State = NDArray[np.int64]
Column = NDArray[Any]


@compiled
def unwrapped(new: int, old: int, bits: int, back: int) -> int:
    """Return the count with the low `bits` of `new` that follows `old`; steps back only up to
    `back`.
    """
    size = 1 << bits
    step = (new - old) & (size - 1)
    if size - step <= back and old + step - size >= 0:
        step -= size
    return old + step


@compiled
def evt3_events(words: Words) -> int:
    """Return how many events the words hold."""
    count = 0
    for i in range(words.size):
        kind = words[i] >> 12
        if kind == 2:
            count += 1
        elif kind == 4 or kind == 5:
            bits = int(words[i]) & (0xFFF if kind == 4 else 0xFF)
            while bits:
                count += bits & 1
                bits >>= 1
    return count


@compiled
def evt3(words: Words, state: State, back: int, t: State, x: Column, y: Column, p: Column) -> int:
    """Decode the words into columns as long as `evt3_events` says; return how many were filled."""
    high, low, row = state[HIGH], state[LOW], state[ROW]
    base, polarity, timed = state[BASE], state[POLARITY], state[TIMED]
    count = 0
    for i in range(words.size):
        word = int(words[i])
        kind, value = word >> 12, word & 0xFFF
        if kind == 8:
            if timed == 0:
                high, low, timed = value, 0, 1
            elif value != high & 0xFFF:
                after = unwrapped(value, high, 12, back)
                state[WRAPS] += (after >> 12) - (high >> 12)
                # The low part that follows belongs to it; the one before does not.
                high, low = after, 0
        elif kind == 6:
            low = value
        elif kind == 0:
            row = value & 0x7FF
        elif kind == 3:
            base, polarity = value & 0x7FF, value >> 11
        elif kind == 2 or kind == 4 or kind == 5:
            bits, first, on = 1, value & 0x7FF, value >> 11
            if kind != 2:
                width = VECTOR_12 if kind == 4 else VECTOR_8
                bits, first, on = value & ((1 << width) - 1), base, polarity
                base += width
            while bits:
                if bits & 1 and timed == 0:
                    state[EARLY] += 1
                elif bits & 1:
                    t[count], x[count] = high << 12 | low, min(first, 65535)
                    y[count], p[count] = row, on
                    count += 1
                first += 1
                bits >>= 1
    state[HIGH], state[LOW], state[ROW] = high, low, row
    state[BASE], state[POLARITY], state[TIMED] = base, polarity, timed
    return count


@compiled
def evt2(words: Words, state: State, back: int, t: State, x: Column, y: Column, p: Column) -> int:
    """Decode the words into columns as long as the words; return how many were filled."""
    high, timed = state[HIGH], state[TIMED]
    count = 0
    for i in range(words.size):
        word = int(words[i])
        kind = word >> 28
        if kind == 8:
            value = word & 0xFFFFFFF
            if timed == 0:
                high, timed = value, 1
            else:
                after = unwrapped(value, high, 28, back)
                state[WRAPS] += (after >> 28) - (high >> 28)
                high = after
        elif kind <= 1 and timed == 0:
            state[EARLY] += 1
        elif kind <= 1:
            t[count] = high << 6 | word >> 22 & 0x3F
            x[count], y[count], p[count] = word >> 11 & 0x7FF, word & 0x7FF, kind
            count += 1
    state[HIGH], state[TIMED] = high, timed
    return count


@compiled
def unwrap_times(times: Words, state: State, bits: int, back: int, out: State) -> None:
    """Turn times of `bits` bits into counts that go on where they wrap."""
    last, timed = state[HIGH], state[TIMED]
    for i in range(times.size):
        value = int(times[i])
        after = value if timed == 0 else unwrapped(value, last, bits, back)
        if timed:
            state[WRAPS] += (after >> bits) - (last >> bits)
        out[i], last, timed = after, after, 1
    state[HIGH], state[TIMED] = last, timed
