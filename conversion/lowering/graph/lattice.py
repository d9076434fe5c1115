"""Tables of linear maps brought to taps: along an axis, each tap of an output reads one input.

A table ``[outputs, J, inputs]`` that repeats itself every `phases` outputs, `stride` inputs
further on, is a kernel: output ``phases y + a`` reads inputs ``stride y + offset``. Upsampling by
u repeats every u outputs, one input on; a strided convolution every output, s inputs on. Whatever
does not repeat, at borders for example, has as many phases as outputs, which is a dense matrix.
Values that fall on the same tap are added up here, before anything is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Hits = NDArray[np.int64]

_RTOL = 1e-12


@dataclass(frozen=True)
class Lattice:
    """Taps that several tables share along one axis.

    Attributes:
        hits: ``[outputs, taps]``, the input that each tap of each output reads; -1 for none.
        spreads: per table ``[J, taps]``, what its old taps give to each new one.
        phases: after how many outputs the taps repeat.
    """

    hits: Hits
    spreads: tuple[Array, ...]
    phases: int


def common_lattice(tables: Sequence[Array]) -> Lattice:
    """Return the smallest lattice on which all tables ``[outputs, J, inputs]`` lie; one always
    exists.
    """
    outputs, _, inputs = tables[0].shape
    for phases in range(1, outputs + 1):
        if outputs % phases:
            continue
        for stride in _strides(tables, phases):
            found = _try(tables, phases, stride, inputs)
            if found is not None:
                return found
    raise AssertionError("one phase an output always fits")


def _strides(tables: Sequence[Array], phases: int) -> list[int]:
    """Return steps by which the tables may repeat, most frequent first."""
    if len(tables[0]) == phases:
        return [max(1, tables[0].shape[2])]
    steps: dict[int, int] = {}
    for table in tables:
        used: NDArray[np.bool_] = np.asarray(table.any(axis=1))  # [outputs, inputs]
        for phase in range(phases):
            rows = used[phase::phases]
            # Both ends, since the border may have cut off the one or the other.
            ends = (rows.argmax(1), rows.shape[1] - 1 - rows[:, ::-1].argmax(1))
            for places in ends:
                reads = np.flatnonzero(rows.any(1))
                both = reads[1:][np.diff(reads) == 1]
                for step in places[both] - places[both - 1]:
                    if step > 0:
                        steps[int(step)] = steps.get(int(step), 0) + 1
    return sorted(steps, key=lambda step: -steps[step]) or [1]


def _try(tables: Sequence[Array], phases: int, stride: int, inputs: int) -> Lattice | None:
    found: list[tuple[int, int]] = []
    values: list[dict[tuple[int, int], Array]] = []
    for table in tables:
        kernel = _kernel(table, phases, stride)
        if kernel is None:
            return None
        values.append(kernel)
        found += [place for place in kernel if place not in found]
    places = sorted(found)
    outputs = len(tables[0])
    hits = np.full((outputs, len(places)), -1)
    for tap, (phase, offset) in enumerate(places):
        where = offset + stride * np.arange(outputs // phases)
        hits[phase::phases, tap] = np.where((where >= 0) & (where < inputs), where, -1)
    spreads = []
    for table, kernel in zip(tables, values, strict=True):
        spread = np.zeros((table.shape[1], len(places)))
        for tap, place in enumerate(places):
            if place in kernel:
                spread[:, tap] = kernel[place]
        spreads.append(spread)
    return Lattice(hits, tuple(spreads), phases)


def _kernel(table: Array, phases: int, stride: int) -> dict[tuple[int, int], Array] | None:
    """Map (phase, offset) to what each tap gives there, where it is not zero; None if it
    differs.
    """
    outputs, _, inputs = table.shape
    count = outputs // phases
    offsets = np.arange(-stride * (count - 1), inputs)
    where = stride * np.arange(count)[:, None] + offsets  # [count, D]
    inside = (where >= 0) & (where < inputs)
    clipped = np.clip(where, 0, inputs - 1)
    kernel: dict[tuple[int, int], Array] = {}
    for phase in range(phases):
        rows = table[phase::phases]  # [count, J, inputs]
        taken = np.take_along_axis(rows, clipped[:, None, :], axis=2)  # [count, J, D]
        mask = inside[:, None, :]
        seen = inside.any(0)  # offsets that some output reads
        low = np.where(seen, np.where(mask, taken, np.inf).min(0), 0.0)
        high = np.where(seen, np.where(mask, taken, -np.inf).max(0), 0.0)
        if (high - low > _RTOL * np.maximum(np.abs(high), np.abs(low))).any():
            return None
        for place in np.flatnonzero(high.any(0)):
            kernel[phase, int(offsets[place])] = high[:, place]
    return kernel
