"""Compiled parser of lines of numbers: whole ones stay exact, however many digits they have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.compiling import compiled

VALUE_MAX = (1 << 63) // 10 - 1
"""A mantissa up to here takes one digit more; later ones are left out."""

Bytes = NDArray[np.uint8]


@compiled
def parse(
    data: Bytes,
    place_of: NDArray[np.int64],
    columns: int,
    mantissa: NDArray[np.int64],
    exponent: NDArray[np.int64],
    lines: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Read complete lines; blanks, commas and semicolons split, # and % begin remarks.

    Args:
        data: lines, each with its end.
        place_of: ``[columns]``, where a column goes, 0 to 3, or -1 to leave it out.
        columns: numbers that each line must have.
        mantissa, exponent: ``[N, 4]``, filled: a value is mantissa * 10**exponent.
        lines: ``[1]``, the number of lines passed.

    Returns:
        Rows filled; where a line that is none begins, or -1; and how many numbers it has, or -1
        for something else than a number.
    """
    row, i, size = 0, 0, data.size
    while i < size:
        begin, column = i, 0
        while True:
            while i < size and (
                data[i] == 32 or data[i] == 9 or data[i] == 13 or data[i] == 44 or data[i] == 59
            ):
                i += 1
            if i >= size or data[i] == 10:
                break
            if column == 0 and (data[i] == 35 or data[i] == 37):
                while i < size and data[i] != 10:
                    i += 1
                break
            ends, value, power = number(data, i)
            if ends < 0:
                return row, begin, -1
            if column < columns and place_of[column] >= 0:
                mantissa[row, place_of[column]] = value
                exponent[row, place_of[column]] = power
            column += 1
            i = ends
        i += 1
        if column == columns:
            row += 1
        elif column:
            return row, begin, column
        lines[0] += 1
    return row, -1, 0


@compiled
def number(data: Bytes, i: int) -> tuple[int, int, int]:
    """End, mantissa and exponent of the number or truth value at `i`; end -1 if it is neither."""
    word = word_value(data, i)
    if word[0] > 0:
        return word[0], word[1], 0
    negative = data[i] == 45
    if negative or data[i] == 43:
        i += 1
    value, power, seen, point = 0, 0, 0, False
    while i < data.size:
        c = int(data[i])
        if c == 46 and not point:
            point = True
        elif 48 <= c <= 57:
            seen += 1
            if value <= VALUE_MAX:
                value = value * 10 + (c - 48)
                power -= 1 if point else 0
            elif not point:
                power += 1
        else:
            break
        i += 1
    if seen == 0:
        return -1, 0, 0
    if i < data.size and (data[i] == 101 or data[i] == 69):
        i += 1
        down = i < data.size and data[i] == 45
        if i < data.size and (data[i] == 45 or data[i] == 43):
            i += 1
        raised, first = 0, i
        while i < data.size and 48 <= data[i] <= 57 and raised < 1000:
            raised = raised * 10 + int(data[i]) - 48
            i += 1
        if i == first:
            return -1, 0, 0
        power += -raised if down else raised
    if i < data.size and not is_end(data[i]):
        return -1, 0, 0
    # 3.0000 is 3: what is whole is kept as such.
    while power < 0 and value % 10 == 0 and value != 0:
        value //= 10
        power += 1
    if value == 0:
        power = 0
    while power > 0 and value <= VALUE_MAX:
        value *= 10
        power -= 1
    return i, -value if negative else value, power


@compiled
def is_end(c: int) -> bool:
    """Return whether a byte may follow a number: blank, tab, line's end, comma or semicolon."""
    return c == 32 or c == 9 or c == 10 or c == 13 or c == 44 or c == 59


@compiled
def word_value(data: Bytes, i: int) -> tuple[int, int]:
    """End and value of true, false, on and off in any case at `i`; 0 and 0 if none is there."""
    length = 0
    while i + length < data.size and length < 6 and not is_end(data[i + length]):
        length += 1
    c = [0, 0, 0, 0, 0, 0]
    for k in range(length):
        c[k] = int(data[i + k]) | 32
    if length == 4 and c[0] == 116 and c[1] == 114 and c[2] == 117 and c[3] == 101:
        return i + 4, 1
    if length == 2 and c[0] == 111 and c[1] == 110:
        return i + 2, 1
    if length == 3 and c[0] == 111 and c[1] == 102 and c[2] == 102:
        return i + 3, 0
    if length == 5 and c[0] == 102 and c[1] == 97 and c[2] == 108 and c[3] == 115 and c[4] == 101:
        return i + 5, 0
    return 0, 0
