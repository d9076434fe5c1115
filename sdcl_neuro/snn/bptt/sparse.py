"""A convolution's sums and weight gradients from spikes: work in proportion to the spikes.

A spike at (y, x) of channel c touches, in each kernel row that it lies under, a run of neighbouring
outputs. With gradients channels last and the kernel's columns stored in the order of the outputs,
both sides of a run are contiguous: one addition of vectors a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from numpy import uint64
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.compiling.bit_words import lowest_bit

from .kernels import undivided
from .lanes import LANES, add_lanes, spiking_lanes
from .workers import share

PARTIAL = 8
"""Images whose gradients are summed on their own: longer sums round worse in float32."""


@undivided
def follow(first, last, spikes, outputs, kernel, reach, strides, shape, channels_last, forward):  # type: ignore[no-untyped-def]
    """Go from every spike of images `first` to `last` through its taps to its outputs.

    Args:
        spikes: float32, flat ``[n, Ci, H W]``, or ``[n, H W, Ci]`` where `channels_last`.
        outputs: float32, flat ``[n, h w Co]``: the sums, which are added to, or their gradient.
        kernel: float32, flat ``[Ci, kh, kw, Co]`` in `runs`' order: the weights; unused for a
            gradient.
        reach: uint32 ``[H W, 4]``, of `reached`.
        strides: uint64: of a kernel's rows, of the output's rows.
        shape: uint64: Ci, H W, kh kw Co, h w Co.
        channels_last: whether the spikes' channels lie last.
        forward: whether sums are wanted.

    Returns:
        The weights' gradient, as `kernel`; zeros for sums.
    """
    channels, plane, taps, area = shape[0], shape[1], shape[2], shape[3]
    found = np.zeros(uint64(0) if forward else channels * taps, np.float32)
    part = np.zeros_like(found)
    rows_of, row = (plane, channels) if channels_last else (channels, plane)
    for n in range(uint64(first), uint64(last)):
        for outer in range(rows_of):
            start = (n * rows_of + outer) * row
            for place in range(uint64(0), row, uint64(LANES)):
                bits = spiking_lanes(spikes, start + place)
                while bits:
                    inner = place + lowest_bit(bits)
                    bits &= bits - uint64(1)
                    factor = spikes[start + inner]
                    position, channel = (outer, inner) if channels_last else (inner, outer)
                    rows, length = uint64(reach[position, 0]), uint64(reach[position, 1])
                    tap = channel * taps + uint64(reach[position, 2])
                    begin = n * area + uint64(reach[position, 3])
                    for _ in range(rows):
                        for done in range(uint64(0), length, uint64(LANES)):
                            if forward:
                                add_lanes(outputs, begin + done, kernel, tap + done, factor)
                            else:
                                add_lanes(part, tap + done, outputs, begin + done, factor)
                        tap += strides[0]
                        begin += strides[1]
        if (n + uint64(1)) % uint64(PARTIAL) == 0 or n + uint64(1) == uint64(last):
            found += part
            part[:] = 0
    return found


@lru_cache(maxsize=64)
def runs(
    size: int, outputs: int, kernel: int, stride: int, padding: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return along one axis: which outputs an input reaches, and through which taps.

    Returns:
        ``[size, 3]``: how many outputs, the first of them, and the place of its tap. The next
        output's tap has the next place. Second, the tap at each place.
    """
    taps = [tap for phase in range(stride) for tap in range(phase, kernel, stride)[::-1]]
    place = {tap: number for number, tap in enumerate(taps)}
    table = np.zeros((size, 3), np.uint64)
    for position in range(size):
        reached = [
            output
            for output in range(outputs)
            if 0 <= position + padding - stride * output < kernel
        ]
        if reached:
            first = place[position + padding - stride * reached[0]]
            table[position] = len(reached), reached[0], first
    return table, np.array(taps)


@lru_cache(maxsize=64)
def reached(
    size: tuple[int, int], outputs: tuple[int, int], kernel: tuple[int, int],
    stride: tuple[int, int], padding: tuple[int, int], channels: int,
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """Find what an input pixel reaches in ``[h, w, Co]``, through which of ``[kh, kw, Co]``.

    Returns:
        ``[H W, 4]``: rows, length of a run, its begin in the kernel and in the output. Then the
        taps of the kernel's rows and columns in the order of `runs`.
    """
    (rows, row_taps), (columns, column_taps) = (
        runs(*axis) for axis in zip(size, outputs, kernel, stride, padding, strict=True)
    )
    table = np.empty((*size, 4), np.uint32)
    table[..., 0] = rows[:, None, 0]
    table[..., 1] = columns[None, :, 0] * channels
    table[..., 2] = (rows[:, None, 2] * kernel[1] + columns[None, :, 2]) * channels
    table[..., 3] = (rows[:, None, 1] * outputs[1] + columns[None, :, 1]) * channels
    return table.reshape(-1, 4), row_taps, column_taps


def pays(spikes: Tensor, weight: Tensor, stride: tuple[int, int]) -> bool:
    """Return whether a `SparseConvolution` can take ``[n, Ci, H, W]`` like these, faster than
    torch.

    The constants are nanoseconds on one core with AVX-512: to look at a pixel, to begin with a
    spike, to add `LANES` floats, and a dense tap of torch's.
    """
    fits = (
        spikes.device.type == "cpu"
        and spikes.dtype == weight.dtype == torch.float32
        and weight.shape[0] % LANES == 0
        and _row(spikes) % LANES == 0
    )
    if not fits:
        return False
    taps = weight[:, 0].numel() / (stride[0] * stride[1])
    rate = float(torch.count_nonzero(spikes)) / spikes.numel()
    return 0.2 + rate * (13 + 1.1 * taps / LANES) < taps / 26


@dataclass(frozen=True)
class SparseConvolution:
    """Convolution of spikes ``[n, Ci, H, W]``, contiguous or channels last, mostly zeros.

    Outputs are channels last.

    Attributes:
        size: H and W.
        shape: of the weight, ``[Co, Ci, kh, kw]``; Co is a multiple of `LANES`.
        stride, padding: as in torch.
    """

    size: tuple[int, int]
    shape: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @property
    def outputs(self) -> tuple[int, int]:
        """h and w."""
        axes = zip(self.size, self.shape[2:], self.stride, self.padding, strict=True)
        rows, columns = ((size + 2 * pad - tap) // step + 1 for size, tap, step, pad in axes)
        return rows, columns

    def sums(self, spikes: Tensor, stored: Tensor) -> Tensor:
        """Return ``[n, Co, h, w]``; exact where all sums are integers below 2^24."""
        found = torch.zeros(len(spikes), *self.outputs, self.shape[0])
        self._follow(spikes, found, stored, forward=True)
        return found.permute(0, 3, 1, 2)

    def weight_gradient(self, spikes: Tensor, drive: Tensor) -> Tensor:
        """Return the gradient as `stored` has weights, from that of the sums, ``[n, Co, h, w]``."""
        last = drive.permute(0, 2, 3, 1)
        parts = self._follow(spikes, last, torch.zeros(0), forward=False)
        return torch.from_numpy(sum(parts[1:], parts[0]))

    def restored(self, stored: Tensor) -> Tensor:
        """Return ``[Co, Ci, kh, kw]`` of what is `stored`."""
        channels, inputs, *kernel = self.shape
        _, rows, columns = self._reached()
        found = torch.empty(inputs, *kernel, channels)
        found[:, rows[:, None], columns[None, :]] = stored.view(found.shape)
        return found.permute(3, 0, 1, 2)

    def stored(self, weight: Tensor) -> Tensor:
        """Return a weight as `sums` wants it."""
        _, rows, columns = self._reached()
        last = weight.detach().permute(1, 2, 3, 0)
        return last[:, rows[:, None], columns[None, :]].reshape(-1)

    def _reached(self) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
        kernel = (self.shape[2], self.shape[3])
        return reached(self.size, self.outputs, kernel, self.stride, self.padding, self.shape[0])

    def _follow(
        self, spikes: Tensor, outputs: Tensor, stored: Tensor, *, forward: bool
    ) -> list[NDArray[np.float32]]:
        channels, inputs, *kernel = self.shape
        columns = self.outputs[1]
        shape = (inputs, prod(self.size), prod(kernel) * channels, prod(self.outputs) * channels)
        channels_last = not spikes.is_contiguous()
        flat = (spikes.permute(0, 2, 3, 1) if channels_last else spikes).reshape(-1)
        return share(
            follow, len(spikes), flat.numpy(), outputs.reshape(-1).numpy(), stored.numpy(),
            self._reached()[0], np.array([kernel[1] * channels, columns * channels], np.uint64),
            np.array(shape, np.uint64), channels_last, forward, work=spikes.numel(),
        )  # fmt: skip


def _row(spikes: Tensor) -> int:
    """Return elements of ``[n, Ci, H, W]`` that lie together in memory; 1 in a strange layout."""
    if spikes.is_contiguous():
        return spikes.shape[2:].numel()
    return spikes.shape[1] if spikes.is_contiguous(memory_format=torch.channels_last) else 1
