"""Delivery of spikes to the sums of the neurons they reach; see `kernels`."""

from __future__ import annotations

from numpy import uint64

from sdcl_neuro.compiling import inlined
from sdcl_neuro.compiling.bit_words import count_ones, lowest_bit

from .neuron_step import CELL
from .vectors import RUN_BYTES, add_run

AT_ONCE = 3
"""Places in a word that `find` writes at once."""
BLOCK = uint64(8)
"""Words that `find` passes over at once where no bit is set: a cache line."""


@inlined
def find(words, t, y, log, spots):  # type: ignore[no-untyped-def]
    """List the groups of channels of a row in which any spikes.

    A row's few spikes lie where no processor foresees; words are therefore taken apart without a
    branch for each: `AT_ONCE` places are written, whether there are so many or not.

    Args:
        words: uint64 ``[T, H, words]``.
        t, y: which step and row.
        log: log2 of the channels of a group.
        spots: uint64, written: the number of each group's first bit in the row.

    Returns:
        How many there are.
    """
    one, found, size = uint64(1), uint64(0), uint64(words.shape[2])
    for begin in range(uint64(0), size, BLOCK):
        end, some = min(begin + BLOCK, size), uint64(0)
        for w in range(begin, end):
            some |= words[t, y, w]
        if some == uint64(0):
            continue
        for w in range(begin, end):
            groups = words[t, y, w]
            if log:
                groups |= groups >> one
                if log == one:
                    groups &= uint64(0x5555555555555555)
                else:
                    groups |= groups >> uint64(2)
                    if log == uint64(2):
                        groups &= uint64(0x1111111111111111)
                    else:
                        groups = (groups | groups >> uint64(4)) & uint64(0x0101010101010101)
            count, first = count_ones(groups), w << uint64(6)
            place = found
            for _ in range(AT_ONCE):
                spots[place] = first + lowest_bit(groups)
                groups &= groups - one
                place += one
            while groups:
                spots[place] = first + lowest_bit(groups)
                groups &= groups - one
                place += one
            found += count
    return found


@inlined
def all_of(word, cells):  # type: ignore[no-untyped-def]
    """Return a word of a row's marks in which those of all cells are set."""
    return ~uint64(0) >> (uint64(64) - min(uint64(64), cells - (word << uint64(6))))


@inlined
def mark(  # type: ignore[no-untyped-def]
    spots, found, columns, rows, low, high, shape, top, cells, touched, reached
):
    """Set the bits of the cells that spikes of one row reach; arguments as in `deliver`.

    Args:
        spots, found: which groups of channels spike, and how many.
        cells: of an output row.
    """
    one, marks = uint64(1), uint64(touched.shape[0]) - uint64(1)
    if marks == one:
        near = uint64(0)
        for i in range(found):
            near |= columns[4, spots[i] >> uint64(3)]
        for r in range(low, high):
            reached[rows[0, r] - top] |= near
        return
    if shape[3]:
        for k in range(marks if found else uint64(0)):
            touched[k] = all_of(k, cells)
    else:
        for i in range(found):
            octet = spots[i] >> uint64(3)
            touched[columns[3, octet]] |= columns[4, octet]
            touched[columns[3, octet] + one] |= columns[5, octet]
    for k in range(marks):
        if touched[k]:
            for r in range(low, high):
                reached[(rows[0, r] - top) * marks + k] |= touched[k]
            touched[k] = uint64(0)


@inlined
def deliver(  # type: ignore[no-untyped-def]
    words,
    t,
    y,
    columns,
    rows,
    low,
    high,
    table,
    shape,
    top,
    stride,
    spots,
    received,
    touched,
    reached,
):
    """Add the weights that the spikes of one row deliver to the tile they reach.

    Args:
        words: uint64 ``[T, H, words]``.
        t, y: which step and row.
        columns: uint64 ``[6, octets of a row]``; of each: the first lane it reaches, where its
            weights lie, how many runs they are, the word of `touched` in which its cells begin,
            and their bits in this word and the next.
        rows: uint64 ``[2, n]``: output row, and tap.
        low, high: of `rows`, those to serve.
        table: int16 or int32, the weights' sums.
        shape: uint64 ``[4]``: log2 of the channels of a group; elements of a tap's row; of a
            pattern; whether an octet's cells lie in more than two words: then all count as reached.
        top: the tile's first row.
        stride: elements of a row of `received`.
        spots: uint64, scratch for `find`.
        received: as `table`, flat, the tile's sums.
        touched: uint64, scratch: a bit for each cell of an output row, and a word more; zeros, left
            so.
        reached: uint64, for each row of the tile such bits; those of the cells reached are set.
    """
    lanes, one = uint64(RUN_BYTES // table.itemsize), uint64(1)
    log, tap_size, pattern_size = shape[0], shape[1], shape[2]
    group_size = one << log
    select = (one << group_size) - one
    found = find(words, t, y, log, spots)
    cells = (stride - uint64(RUN_BYTES)) // uint64(CELL)
    mark(spots, found, columns, rows, low, high, shape, top, cells, touched, reached)
    for i in range(found):
        spot = spots[i]
        octet, group = spot >> uint64(3), (spot & uint64(7)) >> log
        pattern = words[t, y, spot >> uint64(6)] >> (spot & uint64(63)) & select
        place, runs = columns[0, octet], columns[2, octet]
        source = columns[1, octet] + ((group << group_size) + pattern) * pattern_size
        for r in range(low, high):
            target = (rows[0, r] - top) * stride + place
            start = source + rows[1, r] * tap_size
            for v in range(runs):
                add_run(received, target + v * lanes, table, start + v * lanes)


@inlined
def deliver_rows(  # type: ignore[no-untyped-def]
    words, t, first, last, feed, top, bottom, stride, spots, received, touched, reached
):
    """Deliver what the rows from ``first`` on send to the tile of the rows from ``top`` on."""
    columns, rows, starts, _, table, shape = feed
    one = uint64(1)
    for y in range(first, last):
        low, high = starts[y], starts[y + one]
        while low < high and rows[0, low] < top:
            low += one
        while high > low and rows[0, high - one] >= bottom:
            high -= one
        if low < high:
            deliver(
                words, t, y, columns, rows, low, high, table, shape, top, stride, spots, received,
                touched, reached,
            )  # fmt: skip
