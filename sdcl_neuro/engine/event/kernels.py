"""The event-driven kernels, compiled by numba on first use and kept in its cache.

Spikes travel between layers as bits. A population of shape ``(C, H, W)`` is kept channels last: a
row of pixels is a row of bits, each pixel's channels filled up to a multiple of eight (an octet),
each row to a multiple of 64 (a word). Words of a stretch of steps are uint64 ``[T, H, words]``. A
row of neurons has one lane for each bit of its words.

Work is in proportion to the spikes, and small:

- A spike's synapses along a row lie in one run of weights, added 64 bytes at a time, in 16 bits
  where the sums provably fit.
- Channels of one pixel that spike together are looked up together: tables hold the sum of the
  weights for every pattern of a group of 1, 2, 4 or 8 channels. The busier a layer, the more this
  saves: eight channels that are all active cost one run, not eight.
- Where so many spike that most sums change anyway, each neuron looks up what it sees of the input
  instead (`window_kernels`).
- A layer is worked on in tiles of rows, all steps of a stretch before the next tile, so that a
  tile's states stay in the second cache.
- A cell of neurons without bias that receives nothing only decays and cannot fire: it is visited
  when something arrives. Then the steps that it missed are made up in registers, truncation by
  truncation, until all of it is at rest. So the time of a step follows the active area.
- Neurons with a bias or a current of their own are visited in every step, but for cells in which
  nothing changed: those will not change in the next step either, if they receive nothing.

Every argument has one fixed type but the weights (int16 or int32), so that each function is
compiled once or twice. Positions are unsigned: a signed index may mean "from the end" to numba,
and a mixture of both would become a float. Integer sums are exact in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import int64, uint32, uint64

from sdcl_neuro.compiling import inlined, lean
from sdcl_neuro.compiling.bit_words import count_ones, lowest_bit

from .neuron_step import CELL, catch_up, step_clipped, step_full, step_plain
from .vectors import RUN_BYTES, add_run
from .window_kernels import lay_out, sum_windows

PLAIN, CLIPPED, FULL = 0, 1, 2
"""Kinds of neuron step, `plan.Plan.neuron`'s last entry."""
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
        columns: uint64 ``[5, octets of a row]``; of each: the first lane it reaches, where its
            weights lie, how many runs they are, the first cell they touch and the one after the
            last.
        rows: uint64 ``[2, n]``: output row, and tap.
        low, high: of `rows`, those to serve.
        table: int16 or int32, the weights' sums.
        shape: uint64 ``[3]``: log2 of the channels of a group; elements of a tap's row; of a
            pattern.
        top: the tile's first row.
        stride: elements of a row of `received`.
        spots: uint64, scratch for `find`.
        received: as `table`, flat, the tile's sums.
        touched: uint64, scratch: a bit for each cell of an output row; zeros, left so.
        reached: uint64, for each row of the tile such bits; those of the cells reached are set.
    """
    lanes, one = uint64(RUN_BYTES // table.itemsize), uint64(1)
    log, tap_size, pattern_size = shape[0], shape[1], shape[2]
    group_size = one << log
    select = (one << group_size) - one
    for i in range(find(words, t, y, log, spots)):
        spot = spots[i]
        octet, group = spot >> uint64(3), (spot & uint64(7)) >> log
        pattern = words[t, y, spot >> uint64(6)] >> (spot & uint64(63)) & select
        place, runs = columns[0, octet], columns[2, octet]
        source = columns[1, octet] + ((group << group_size) + pattern) * pattern_size
        for cell in range(columns[3, octet], columns[4, octet]):
            touched[cell >> uint64(6)] |= one << (cell & uint64(63))
        for r in range(low, high):
            target = (rows[0, r] - top) * stride + place
            start = source + rows[1, r] * tap_size
            for v in range(runs):
                add_run(received, target + v * lanes, table, start + v * lanes)
    marks = uint64(touched.shape[0])
    for k in range(marks):
        if touched[k]:
            for r in range(low, high):
                reached[(rows[0, r] - top) * marks + k] |= touched[k]
            touched[k] = uint64(0)


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


def _row_update(step: Any) -> Callable[..., Any]:
    """A function that advances a row of neurons by one step of the given kind, cell by cell.

    Args of the function:
        received, place: the row's sums, from ``place`` on.
        voltage, current, position: int32, states, from ``position`` on.
        bias: int32 ``[lanes]``.
        neuron: int32 ``[5]``, see `plan.LayerPlan`.
        reached, base: from ``base`` on a bit for each cell that received something.
        asleep, bed: from ``bed`` on a bit for each that cannot change unless it does; written.
        halves, t, row: uint32 ``[T, H, cells]``, who fired is written.
        totals, found: int64, added to from ``found`` on: fired, clipped, wrapped, moved.
    """

    @inlined
    def update(  # type: ignore[no-untyped-def]
        received, place, voltage, current, position, bias, neuron, reached, base, asleep, bed,
        halves, t, row, totals, found,
    ):  # fmt: skip
        one, cells = uint64(1), uint64(halves.shape[2])
        kept_current, kept, threshold, unused = neuron[0], neuron[1], neuron[2], neuron[3]
        spikes, clips, wraps, moves = uint64(0), uint64(0), uint64(0), uint64(0)
        for cell in range(cells):
            word, mark = cell >> uint64(6), one << (cell & uint64(63))
            if asleep[bed + word] & ~reached[base + word] & mark:
                halves[t, row, cell] = uint32(0)
                continue
            n = cell * uint64(CELL)
            fired, moved, clipped, wrapped, other = step(
                received, place + n, voltage, current, position + n, bias, n,
                kept_current, kept, threshold, unused,
            )  # fmt: skip
            halves[t, row, cell] = uint32(fired)
            spikes += count_ones(fired)
            moves += count_ones(moved)
            clips += count_ones(clipped)
            wraps += count_ones(wrapped)
            if moved | clipped | wrapped | other | (reached[base + word] & mark):
                asleep[bed + word] &= ~mark
            else:
                asleep[bed + word] |= mark
        totals[found] += int64(spikes)
        totals[found + one] += int64(clips)
        totals[found + uint64(2)] += int64(wraps)
        totals[found + uint64(3)] += int64(moves)

    return update


def _cell_update(step: Any) -> Callable[..., Any]:
    """A function that advances those cells of a row that received something, by one step.

    Args of the function:
        received, place, voltage, current, position, bias, neuron, reached, base, halves, t, row,
            totals, found: as in `_row_update`.
        visited, visits: uint32, from ``visits`` on the step in which each cell was visited last.
        now: this step, counted from 1.
    """

    @inlined
    def update(  # type: ignore[no-untyped-def]
        received, place, voltage, current, position, bias, neuron, reached, base, visited, visits,
        now, halves, t, row, totals, found,
    ):  # fmt: skip
        one = uint64(1)
        kept_current, kept, threshold, unused = neuron[0], neuron[1], neuron[2], neuron[3]
        spikes, clips, moves = uint64(0), uint64(0), uint64(0)
        for word in range((uint64(halves.shape[2]) + uint64(63)) >> uint64(6)):
            marks = reached[base + word]
            while marks:
                cell = (word << uint64(6)) + lowest_bit(marks)
                marks &= marks - one
                n = cell * uint64(CELL)
                missed = (now - uint64(visited[visits + cell]) - one) & uint64(0xFFFFFFFF)
                visited[visits + cell] = uint32(now)
                if missed:
                    moves += catch_up(voltage, position + n, kept, threshold, missed)
                fired, moved, clipped, _, _ = step(
                    received, place + n, voltage, current, position + n, bias, n,
                    kept_current, kept, threshold, unused,
                )  # fmt: skip
                halves[t, row, cell] = uint32(fired)
                spikes += count_ones(fired)
                moves += count_ones(moved)
                clips += count_ones(clipped)
        totals[found] += int64(spikes)
        totals[found + one] += int64(clips)
        totals[found + uint64(3)] += int64(moves)

    return update


_update_plain, _update_clipped, _update_full = map(
    _row_update, (step_plain, step_clipped, step_full)
)
_visit_plain, _visit_clipped = map(_cell_update, (step_plain, step_clipped))


@lean
def advance(  # type: ignore[no-untyped-def]
    words, flags, sent, halves, before, feed, echo, windows, stream, bias, neuron, span,
    spots, received, touched, reached, voltage, current, asleep, visited, begun, totals,
):  # fmt: skip
    """Run some rows of one layer of one sample over a stretch of steps.

    Args:
        words, flags: the input's bits, uint64 ``[T, H_in, words]``, and the same memory as uint8.
        sent, halves: the layer's own, uint64 ``[T, H, words]`` and the same memory as uint32,
            written.
        before: uint64 ``[1, 1, words]``, the spikes of the step before, of a recurrent layer.
        feed: columns, rows, starts, reach, table, shape; see `plan.Synapses`.
        echo: the same of the recurrent synapses; an empty table if there are none.
        windows: table, starts, taps, shape; see `windows.Windows`. With an empty table spikes
            are delivered, else neurons look them up.
        stream: uint8, scratch for `window_kernels.lay_out`.
        bias, neuron: see `plan.LayerPlan`.
        span: uint64 ``[7]``: first row, the row after the last, the row `voltage` begins with,
            the first row to count and the one after the last, rows of a tile, lanes in use.
        spots: uint64, scratch for `find`: a row's bits and `AT_ONCE`.
        received, touched, reached: scratch of a tile, zeros, left so; see `deliver`.
        voltage, current: int32, states; `current` may be empty where the neuron has none.
        asleep: uint64, a bit for each cell of each row of `voltage`, of neurons that are visited in
            every step.
        visited: uint32, a step for each cell of each row of `voltage`, of all other neurons.
        begun: steps that were run before these.
        totals: int64 ``[8]``, added to: spikes, clipped, wrapped, moved; the rest is scratch.
    """
    reach = feed[3]
    first_row, end_row, base_row, count_from, count_to = span[0], span[1], span[2], span[3], span[4]
    lanes = uint64(halves.shape[2]) * uint64(CELL)
    stride = lanes + uint64(RUN_BYTES)
    steps, zero, one = uint64(words.shape[0]), uint64(0), uint64(1)
    cells, marks = uint64(halves.shape[2]), uint64(touched.shape[0])
    for tile in range((end_row - first_row + span[5] - one) // span[5]):
        top = first_row + tile * span[5]
        bottom = min(top + span[5], end_row)
        first, last = reach[0, top], reach[1, top]
        for row in range(top, bottom):
            first, last = min(first, reach[0, row]), max(last, reach[1, row])
        for t in range(steps):
            if windows[0].shape[0]:
                lay_out(words, flags, t, first, last, windows[3], stream)
                sum_windows(*windows, stream, top, bottom, stride, received)
                for row in range(bottom - top):
                    for cell in range(cells):
                        word = row * marks + (cell >> uint64(6))
                        reached[word] |= one << (cell & uint64(63))
            else:
                deliver_rows(
                    words, t, first, last, feed, top, bottom, stride, spots, received, touched,
                    reached,
                )  # fmt: skip
            if echo[4].shape[0]:
                source, step = (sent, t - one) if t else (before, zero)
                deliver(
                    source, step, zero, echo[0], echo[1], zero, one, echo[4], echo[5],
                    zero, stride, spots, received, touched, reached,
                )  # fmt: skip
            for row in range(top, bottom):
                place = (row - top) * stride
                base, bed = (row - top) * marks, (row - base_row) * marks
                some = zero
                for k in range(marks):
                    some |= reached[base + k]
                if some:
                    for n in range(span[6], stride):  # what runs left beyond the last pixel
                        received[place + n] = 0
                found = uint64(0) if row >= count_from and row < count_to else uint64(4)
                position, visits = (row - base_row) * lanes, (row - base_row) * cells
                if visited.shape[0]:
                    for w in range(uint64(sent.shape[2])):
                        sent[t, row, w] = zero
                    if some and neuron[4] == PLAIN:
                        _visit_plain(
                            received, place, voltage, current, position, bias, neuron, reached,
                            base, visited, visits, begun + t + one, halves, t, row, totals, found,
                        )  # fmt: skip
                    elif some:
                        _visit_clipped(
                            received, place, voltage, current, position, bias, neuron, reached,
                            base, visited, visits, begun + t + one, halves, t, row, totals, found,
                        )  # fmt: skip
                elif neuron[4] == PLAIN:
                    _update_plain(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                elif neuron[4] == CLIPPED:
                    _update_clipped(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                else:
                    _update_full(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                if some:
                    for k in range(marks):
                        reached[base + k] = zero


@lean
def settle(voltage, visited, now, neuron, span, totals):  # type: ignore[no-untyped-def]
    """Make up what all cells have missed, so that states and counts are those of step ``now``.

    Args:
        voltage, visited, neuron, span, totals: as in `advance`.
        now: the last step, counted from 1.
    """
    first_row, base_row, count_from, count_to = span[0], span[2], span[3], span[4]
    rows = span[1] - first_row
    cells = uint64(visited.shape[0]) // max(rows, uint64(1))
    for row in range(first_row, first_row + rows):
        found = uint64(0) if row >= count_from and row < count_to else uint64(4)
        moves = uint64(0)
        for cell in range(cells):
            place = (row - base_row) * cells + cell
            missed = (now - uint64(visited[place])) & uint64(0xFFFFFFFF)
            if missed:
                moves += catch_up(voltage, place * uint64(CELL), neuron[1], neuron[2], missed)
                visited[place] = uint32(now)
        totals[found + uint64(3)] += int64(moves)
