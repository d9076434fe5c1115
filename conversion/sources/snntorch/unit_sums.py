"""What the synapses of one unit deliver for given spikes: a convolution, or its taps one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...lowering.graph.units import Afferent, Unit

Indices = NDArray[np.int64]
Size = tuple[int, int, int]

_EXACT = 1 << 24
"""Sums of integers below this are exact in float32."""


class UnitSums:
    """Calculates integer sums of an integer unit, its bias included.

    Args:
        unit: rounded.
        sizes: node to its ``(C, H, W)``.
    """

    def __init__(self, unit: Unit, sizes: Mapping[str, Size]) -> None:
        self.channels = torch.from_numpy(np.asarray(unit.channels))
        self.sources = tuple(afferent.source for afferent in unit.afferents)
        reach = sum(np.abs(a.weight).sum((1, 2, 3)) for a in unit.afferents)
        self._dtype = torch.float64 if np.max(reach) >= _EXACT else torch.float32
        self._synapses = [
            _Synapse(afferent, sizes[afferent.source], self._dtype) for afferent in unit.afferents
        ]
        bias = unit.bias
        self._bias = None
        if bias is not None:
            shaped = bias.reshape(-1, 1, 1) if bias.ndim == 1 else bias
            self._bias = torch.from_numpy(np.ascontiguousarray(shaped)).to(self._dtype)

    def __call__(self, spikes: Mapping[str, Tensor]) -> Tensor:
        """Return sums ``[B, C, H, W]`` of each source's spikes ``[B, *size]``."""
        total = None
        for source, synapse in zip(self.sources, self._synapses, strict=True):
            each = synapse(spikes[source].to(self._dtype))
            total = each if total is None else total + each
        assert total is not None
        if self._bias is not None:
            total = total + self._bias.to(total.device)
        return total.to(next(iter(spikes.values())).dtype)


@dataclass
class _Synapse:
    """One afferent."""

    afferent: Afferent
    size: Size
    dtype: torch.dtype
    _weight: Tensor = field(init=False)
    _of: Tensor | None = field(init=False)
    _axes: list[tuple[int, int, int, int]] | None = field(init=False)

    def __post_init__(self) -> None:
        a = self.afferent
        self._weight = torch.from_numpy(np.asarray(a.weight)).to(self.dtype)
        everything = len(a.of) == self.size[0] and (a.of == np.arange(self.size[0])).all()
        self._of = None if everything else torch.from_numpy(np.asarray(a.of))
        axes = [_axis(a.rows, self.size[1]), _axis(a.columns, self.size[2])]
        self._axes = None if None in axes else [axis for axis in axes if axis is not None]

    def __call__(self, spikes: Tensor) -> Tensor:
        weight = self._weight.to(spikes.device)
        x = spikes if self._of is None else spikes[:, self._of.to(spikes.device)]
        if self._axes is not None:
            (sy, top, bottom, dy), (sx, left, right, dx) = self._axes
            padded = functional.pad(x, (left, right, top, bottom))
            return functional.conv2d(padded, weight, None, (sy, sx), 0, (dy, dx))
        rows, columns = (
            torch.from_numpy(np.where(hits < 0, size, hits)).to(x.device)
            for hits, size in (
                (self.afferent.rows, self.size[1]),
                (self.afferent.columns, self.size[2]),
            )
        )
        # A row and a column of zeros stand for taps that read nothing.
        padded = functional.pad(x, (0, 1, 0, 1))
        taken = padded[:, :, rows][:, :, :, :, columns]
        return torch.einsum("bihjwl,oijl->bohw", taken, weight)


def _axis(hits: Indices, size: int) -> tuple[int, int, int, int] | None:
    """Return stride, padding before and after, dilation, where taps ``[outputs, J]`` are a
    kernel's.
    """
    outputs, taps = hits.shape
    for stride in _steps(hits, 0):
        for dilation in _steps(hits, 1):
            grid = stride * np.arange(outputs)[:, None] + dilation * np.arange(taps)
            read = hits >= 0
            starts = (hits - grid)[read]
            if len(starts) and (starts != starts[0]).any():
                continue
            start = int(starts[0]) if len(starts) else 0
            where = grid + start
            inside = (where >= 0) & (where < size)
            if (inside != read).any():
                continue
            after = int(where.max()) + 1 - size
            return stride, -start, after, dilation
    return None


def _steps(hits: Indices, axis: int) -> Sequence[int]:
    """Return distances between neighbours along an axis of the table that both read something."""
    if hits.shape[axis] < 2:
        return (1,)
    ahead, behind = (hits[1:], hits[:-1]) if axis == 0 else (hits[:, 1:], hits[:, :-1])
    both = (ahead >= 0) & (behind >= 0)
    found = np.unique((ahead - behind)[both])
    return tuple(int(step) for step in found if step > 0) or (1,)


__all__ = ["UnitSums"]
