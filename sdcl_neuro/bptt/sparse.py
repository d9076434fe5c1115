"""Weight gradients of a convolution from spikes: work in proportion to the spikes.

A spike at (y, x) of channel c touches, in each kernel row that it lies under, a run of neighbouring
outputs. With gradients channels last and the kernel's columns stored in the order of the outputs,
both sides of a run are contiguous: one addition of vectors a run.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy import uint64
from numpy.typing import NDArray
from torch import Tensor

from .kernels import compiled
from .lanes import LANES, add_lanes, lowest_bit, spiking_lanes
from .workers import share


@compiled
def collect_gradient(first, last, spikes, drive, reach, strides, shape):  # type: ignore[no-untyped-def]
    """Weight gradient of images `first` to `last`, flat ``[Ci, kh, kw, Co]`` in `runs`' order.

    Args:
        spikes: float32, flat ``[n, Ci, H W]``.
        drive: float32, flat ``[n, h w Co]``: the gradient of the sums.
        reach: uint32 ``[H W, 4]``, of `reached`.
        strides: uint64: of a kernel's rows, of the output's rows.
        shape: uint64: Ci, H W, kh kw Co, h w Co.
    """
    channels, plane, taps, outputs = shape[0], shape[1], shape[2], shape[3]
    found = np.zeros(channels * taps, np.float32)
    for n in range(uint64(first), uint64(last)):
        for channel in range(channels):
            start = (n * channels + channel) * plane
            for place in range(uint64(0), plane, uint64(LANES)):
                bits = spiking_lanes(spikes, start + place)
                while bits:
                    position = place + lowest_bit(bits)
                    bits &= bits - uint64(1)
                    factor = spikes[start + position]
                    rows, length = uint64(reach[position, 0]), uint64(reach[position, 1])
                    to = channel * taps + uint64(reach[position, 2])
                    begin = n * outputs + uint64(reach[position, 3])
                    for _ in range(rows):
                        for done in range(uint64(0), length, uint64(LANES)):
                            add_lanes(found, to + done, drive, begin + done, factor)
                        to += strides[0]
                        begin += strides[1]
    return found


@lru_cache(maxsize=64)
def runs(
    size: int, outputs: int, kernel: int, stride: int, padding: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Along one axis: which outputs an input reaches, and through which taps.

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
    """What an input pixel reaches in ``[h, w, Co]``, through what of ``[kh, kw, Co]``.

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
    """Whether `weight_gradient` can take ``[..., Ci, H, W]`` like these, faster than torch.

    The constants are nanoseconds on one core with AVX-512: to look at a pixel, to begin with a
    spike, to add `LANES` floats, and a dense tap of torch's.
    """
    fits = (
        spikes.device.type == "cpu"
        and spikes.dtype == weight.dtype == torch.float32
        and spikes.is_contiguous()
        and weight.shape[0] % LANES == 0
        and spikes.shape[-2:].numel() % LANES == 0
    )
    if not fits:
        return False
    taps = weight[:, 0].numel() / (stride[0] * stride[1])
    rate = float(torch.count_nonzero(spikes)) / spikes.numel()
    return 0.2 + rate * (13 + 1.1 * taps / LANES) < taps / 26


def weight_gradient(
    spikes: Tensor, drive: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """What ``conv2d``'s backward pass gives for the weight.

    Args:
        spikes: ``[n, Ci, H, W]``, contiguous, mostly zeros.
        drive: gradient of the output, ``[n, h, w, Co]``, contiguous.
        weight: ``[Co, Ci, kh, kw]``; only its shape matters.
    """
    count, inputs, height, width = spikes.shape
    rows, columns, channels = drive.shape[1:]
    kernel = (weight.shape[2], weight.shape[3])
    reach, row_taps, column_taps = reached(
        (height, width), (rows, columns), kernel, stride, padding, channels
    )
    shape = (inputs, height * width, kernel[0] * kernel[1] * channels, rows * columns * channels)
    parts = share(
        collect_gradient, count, spikes.view(-1).numpy(), drive.view(-1).numpy(), reach,
        np.array([kernel[1] * channels, columns * channels], np.uint64),
        np.array(shape, np.uint64), work=spikes.numel(),
    )  # fmt: skip
    stored = sum(parts[1:], parts[0]).reshape(inputs, *kernel, channels)
    found = np.empty_like(stored)
    found[:, row_taps[:, None], column_taps[None, :]] = stored
    return torch.from_numpy(found).permute(3, 0, 1, 2)
