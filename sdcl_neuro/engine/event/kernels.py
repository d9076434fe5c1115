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

from numpy import int64, uint32, uint64

from sdcl_neuro.compiling import lean

from .delivery import all_of, deliver, deliver_rows
from .neuron_step import CELL, catch_up
from .row_updates import update_clipped, update_full, update_plain, visit_clipped, visit_plain
from .vectors import RUN_BYTES
from .window_kernels import lay_out, sum_windows

PLAIN, CLIPPED, FULL = 0, 1, 2
"""Kinds of neuron step, `plan.LayerPlan.neuron`'s last entry."""


@lean
def advance(  # type: ignore[no-untyped-def]
    words, flags, sent, halves, before, feed, echo, windows, stream, bias, neuron, span,
    spots, received, touched, reached, voltage, current, asleep, visited, held, begun, totals,
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
        visited: uint32, a step for each cell of each row of `voltage`, of all other neurons; zero
            for one never visited, whose states need not be there.
        held: uint32 ``[cells]``, neurons of each cell of a row.
        begun: steps that were run before these; with these fewer than 2**32.
        totals: int64 ``[8]``, added to: spikes, clipped, wrapped, moved; the rest is scratch.
    """
    reach = feed[3]
    first_row, end_row, base_row, count_from, count_to = span[0], span[1], span[2], span[3], span[4]
    lanes = uint64(halves.shape[2]) * uint64(CELL)
    stride = lanes + uint64(RUN_BYTES)
    steps, zero, one = uint64(words.shape[0]), uint64(0), uint64(1)
    cells, marks = uint64(halves.shape[2]), uint64(touched.shape[0]) - one
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
                    for k in range(marks):
                        reached[row * marks + k] = all_of(k, cells)
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
                        visit_plain(
                            received, place, voltage, current, position, bias, neuron, reached,
                            base, visited, visits, held, begun + t + one, halves, t, row,
                            totals, found,
                        )  # fmt: skip
                    elif some:
                        visit_clipped(
                            received, place, voltage, current, position, bias, neuron, reached,
                            base, visited, visits, held, begun + t + one, halves, t, row,
                            totals, found,
                        )  # fmt: skip
                elif neuron[4] == PLAIN:
                    update_plain(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                elif neuron[4] == CLIPPED:
                    update_clipped(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                else:
                    update_full(
                        received, place, voltage, current, position, bias, neuron, reached, base,
                        asleep, bed, halves, t, row, totals, found,
                    )  # fmt: skip
                if some:
                    for k in range(marks):
                        reached[base + k] = zero


@lean
def settle(voltage, visited, now, neuron, span, held, totals):  # type: ignore[no-untyped-def]
    """Make up what visited cells have missed, so that states and counts are those of step ``now``.

    Args:
        voltage, visited, neuron, span, held, totals: as in `advance`.
        now: the last step, counted from 1.

    Returns:
        How often membranes of the cells to count moved that were never visited: once each, in the
        first step. `totals` leaves them out.
    """
    first_row, base_row, count_from, count_to = span[0], span[2], span[3], span[4]
    rows, waiting = span[1] - first_row, uint64(0)
    cells = uint64(visited.shape[0]) // max(rows, uint64(1))
    for row in range(first_row, first_row + rows):
        counted = row >= count_from and row < count_to
        moves = uint64(0)
        for cell in range(cells):
            place = (row - base_row) * cells + cell
            last = uint64(visited[place])
            if last == uint64(0):
                if counted:
                    waiting += uint64(held[cell])
            elif last < now:
                moves += catch_up(voltage, place * uint64(CELL), neuron[1], neuron[2], now - last)
                visited[place] = uint32(now)
        totals[(uint64(0) if counted else uint64(4)) + uint64(3)] += int64(moves)
    return waiting if now else uint64(0)


@lean
def wake_all(voltage, visited, span, held, totals):  # type: ignore[no-untyped-def]
    """Make the states of all cells that were never visited, after at least one step.

    Args:
        voltage, visited, span, held, totals: as in `advance`.
    """
    first_row, base_row, count_from, count_to = span[0], span[2], span[3], span[4]
    rows = span[1] - first_row
    cells = uint64(visited.shape[0]) // max(rows, uint64(1))
    for row in range(first_row, first_row + rows):
        found = uint64(0) if row >= count_from and row < count_to else uint64(4)
        for cell in range(cells):
            place = (row - base_row) * cells + cell
            if visited[place] == uint32(0):
                visited[place] = uint32(1)
                for n in range(place * uint64(CELL), (place + uint64(1)) * uint64(CELL)):
                    voltage[n] = 0
                totals[found + uint64(3)] += int64(held[cell])
