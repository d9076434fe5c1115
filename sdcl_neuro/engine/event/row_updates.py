"""Rows of neurons advanced by one step, cell by cell; see `kernels`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import int64, uint32, uint64

from sdcl_neuro.compiling import inlined
from sdcl_neuro.compiling.bit_words import count_ones, lowest_bit

from .delivery import all_of
from .neuron_step import CELL, catch_up, step_clipped, step_first, step_full, step_plain

MANY = uint64(2)
"""Where more than one cell in so many of a row receives something, the whole row is visited: then
the processor foresees which cells missed a step."""


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
        held: uint32 ``[cells]``, neurons of each cell.
        now: this step, counted from 1.
    """

    @inlined
    def update(  # type: ignore[no-untyped-def]
        received, place, voltage, current, position, bias, neuron, reached, base, visited, visits,
        held, now, halves, t, row, totals, found,
    ):  # fmt: skip
        one, cells, arrived = uint64(1), uint64(halves.shape[2]), uint64(0)
        kept_current, kept, threshold, unused = neuron[0], neuron[1], neuron[2], neuron[3]
        spikes, clips, moves = uint64(0), uint64(0), uint64(0)
        words = (cells + uint64(63)) >> uint64(6)
        for word in range(words):
            arrived += count_ones(reached[base + word])
        for word in range(words):
            marks = reached[base + word]
            if MANY * arrived > cells:
                marks = all_of(word, cells)
            while marks:
                cell = (word << uint64(6)) + lowest_bit(marks)
                marks &= marks - one
                n = cell * uint64(CELL)
                last = uint64(visited[visits + cell])
                visited[visits + cell] = uint32(now)
                missed = now - last - one
                if last == uint64(0):
                    fired, moved = step_first(received, place + n, voltage, position + n, threshold)
                    halves[t, row, cell] = uint32(fired)
                    spikes += count_ones(fired)
                    moves += uint64(held[cell])
                    if missed:  # to zero in the first step, and now again
                        moves += count_ones(moved)
                    continue
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


update_plain, update_clipped, update_full = map(_row_update, (step_plain, step_clipped, step_full))
visit_plain, visit_clipped = map(_cell_update, (step_plain, step_clipped))
