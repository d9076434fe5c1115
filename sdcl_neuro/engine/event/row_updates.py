"""Rows of neurons advanced by one step, cell by cell; see `kernels`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import int32, int64, uint32, uint64

from sdcl_neuro.compiling import inlined
from sdcl_neuro.compiling.bit_words import count_ones, lowest_bit

from .neuron_step import CELL, catch_up, step_clipped, step_full, step_plain


@inlined
def wake(voltage, place, rest, lane, missed, held):  # type: ignore[no-untyped-def]
    """Make the states of a cell that was never visited; return how often its membranes moved.

    In the first step all of them do, from what they are before it to zero, and then none does.

    Args:
        voltage, place: int32, written from ``place`` on.
        rest, lane: int32, membranes before the first step, from ``lane`` on.
        missed: steps without input that went by.
        held: neurons of the cell.
    """
    if missed == uint64(0):
        for i in range(uint64(CELL)):
            voltage[place + i] = rest[lane + i]
        return uint64(0)
    for i in range(uint64(CELL)):
        voltage[place + i] = int32(0)
    return held


def _row_update(step: Any) -> Callable[..., Any]:
    """Return a function that advances a row of neurons by one step of the given kind, cell by cell.

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
    """Return a function that advances those cells of a row that received something, by one step.

    Args of the function:
        received, place, voltage, current, position, bias, neuron, reached, base, halves, t, row,
            totals, found: as in `_row_update`.
        visited, visits: uint32, from ``visits`` on the step in which each cell was visited last;
            zero for one that was never visited, whose states are not there yet.
        rest: int32 ``[lanes]``, a row of membranes before the first step.
        held: uint32 ``[cells]``, neurons of each cell.
        now: this step, counted from 1.
    """

    @inlined
    def update(  # type: ignore[no-untyped-def]
        received, place, voltage, current, position, bias, neuron, reached, base, visited, visits,
        rest, held, now, halves, t, row, totals, found,
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
                last = uint64(visited[visits + cell])
                visited[visits + cell] = uint32(now)
                missed = now - last - one
                if last == uint64(0):
                    moves += wake(voltage, position + n, rest, n, missed, uint64(held[cell]))
                elif missed:
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


update_plain, update_clipped, update_full = map(_row_update, (step_plain, step_clipped, step_full))
visit_plain, visit_clipped = map(_cell_update, (step_plain, step_clipped))
