"""Where the taps of a deformable kernel read, as an index into the flattened map.

int32 ``[N, k * k, h * w]``; ``h * w`` stands for a cell outside the map, which is zero.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .gathering import compiled
from .offsets import kernel_grid, nearest_event_offsets, neighbourhood, traceable_event_offsets
from .turns import in_turns


def sampling_index(offsets: Tensor, k: int) -> Tensor:
    """The index that offsets mean.

    Args:
        offsets: whole numbers ``[N, h, w, k*k, 2]``, (dy, dx), as of `nearest_event_offsets`.
        k: side of the kernel.
    """
    batch, height, width = offsets.shape[:3]
    device = offsets.device
    y = torch.arange(height, device=device).view(1, -1, 1, 1)
    x = torch.arange(width, device=device).view(1, 1, -1, 1)
    grid = kernel_grid(k).to(device)
    row, column = y + grid[:, 0] + offsets[..., 0], x + grid[:, 1] + offsets[..., 1]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = torch.where(inside, row * width + column, height * width)
    return index.view(batch, height * width, -1).transpose(1, 2).to(torch.int32).contiguous()


def nearest_event_index(active: Tensor, k: int, *, window: int = 8) -> Tensor:
    """The index of `nearest_event_offsets`: on a CPU by a search ring by ring, which is compiled.

    On another device, and while torch traces (see `gathering.compiled`), by operations of torch.
    Those that `torch.onnx` can trace have no shape that depends on the events.

    Args:
        active: bool ``[N, h, w]``, cells with at least one event.
        k, window: as for `nearest_event_offsets`.
    """
    if compiled(active):
        return _searched(active, k, window)
    traced = active.device.type == "cpu"
    find = traceable_event_offsets if traced else nearest_event_offsets
    return sampling_index(find(active, k, window=window), k)


def _searched(active: Tensor, k: int, window: int) -> Tensor:
    from . import search_kernel

    maps, height, width = active.shape
    ball, rank = _ball(window, height, width)
    grid = kernel_grid(k).to(torch.int32).numpy()
    index = torch.empty(maps, k * k, height * width, dtype=torch.int32)
    cells, found = active.contiguous().view(torch.uint8).numpy(), index.numpy()

    def work(first: int, last: int) -> None:
        search_kernel.find_nearest(cells, ball, grid, rank, first, last, found)

    in_turns(work, maps, work=index.numel())
    return index


@lru_cache(maxsize=32)
def _ball(window: int, height: int, width: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Displacements ``[K, 2]``, nearest first, and the place of each among all, row by row."""
    ball = np.array(neighbourhood(window, height, width), np.int32)
    rank = np.empty(len(ball), np.int32)
    rank[np.lexsort((ball[:, 1], ball[:, 0]))] = np.arange(len(ball))
    return ball, rank
