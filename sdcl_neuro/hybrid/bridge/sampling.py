"""Where the taps of a deformable kernel read, as an index into the flattened map.

int32 ``[N, k * k, h * w]``; ``h * w`` stands for a cell outside the map, which is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .gathering import compiled
from .offsets import kernel_grid, neighbourhood
from .turns import in_turns

_AT_ONCE = 1 << 25
"""Displacements looked at in one go, over all cells of a few maps: half a gigabyte at most."""


def sampling_index(offsets: Tensor, k: int) -> Tensor:
    """Return the index that offsets mean.

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
    """Return the index of `nearest_event_offsets`: on a CPU by a search ring by ring, which is
    compiled.

    On another device by operations of torch without a shape that depends on the events, for which
    this thread would wait (`ranked_event_index`); while torch traces on a CPU (see
    `gathering.compiled`), by those that `torch.onnx` knows.

    Args:
        active: bool ``[N, h, w]``, cells with at least one event.
        k, window: as for `nearest_event_offsets`.
    """
    if compiled(active):
        return _searched(active, k, window)
    if active.device.type == "cpu":  # traced
        return traceable_event_index(active, k, window=window)
    return ranked_event_index(active, k, window=window)


def ranked_event_index(active: Tensor, k: int, *, window: int = 8) -> Tensor:
    """Return the index of `nearest_event_offsets`, in some 15 operations whatever the events are.

    Every cell looks at its whole neighbourhood, nearest first. A running count tells which
    displacements are among the first N that hold an event; a second one, row by row, tells the tap
    that each of them belongs to.
    """
    maps, (height, width), taps = len(active), active.shape[1:], k * k
    kept = _ranking(k, window, height, width, active.device)
    if kept is None or active.is_meta:  # on the device meta there are shapes and no events
        return _regular(k, height, width).to(active.device).expand(maps, -1, -1)
    padded = functional.pad(active, (window, window, window, window)).flatten(1)
    size = kept.read.numel()
    pieces = padded.split(max(1, _AT_ONCE // size))
    found = [_ranked(piece, kept, taps) for piece in pieces]
    return found[0] if len(found) == 1 else torch.cat(found)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Tables of `ranked_event_index` on a device.

    Attributes:
        read: ``[K * h * w]``, where each cell reads in the padded map, displacements nearest first.
        order: ``[K]``, the displacements row by row.
        cells: int32 ``[K, h * w]``, the cells at the displacements row by row.
        regular: int32 ``[1, k * k, h * w]``, the index of the regular grid.
    """

    read: Tensor
    order: Tensor
    cells: Tensor
    regular: Tensor


@lru_cache(maxsize=32)
def _ranking(k: int, window: int, height: int, width: int, device: torch.device) -> _Ranking | None:
    """Return tables, sent to a device once; None where no cell can see enough."""
    ball = neighbourhood(window, height, width)
    if len(ball) < k * k:
        return None
    with torch.inference_mode(mode=False):
        steps, rows = torch.tensor(ball), torch.tensor(sorted(ball))  # [K, 2]
        y = torch.arange(height).repeat_interleave(width)  # [hw]
        x = torch.arange(width).repeat(height)
        pitch = width + 2 * window
        read = (steps[:, :1] + y + window) * pitch + steps[:, 1:] + x + window
        cells = (rows[:, :1] + y) * width + rows[:, 1:] + x
        order = torch.tensor([ball.index(point) for point in sorted(ball)])
        tables = (read.flatten(), order, cells.to(torch.int32), _regular(k, height, width))
        return _Ranking(*(table.to(device) for table in tables))


def _regular(k: int, height: int, width: int) -> Tensor:
    return sampling_index(torch.zeros(1, height, width, k * k, 2, dtype=torch.int64), k)


def _ranked(padded: Tensor, kept: _Ranking, taps: int) -> Tensor:
    """Map bool ``[N, h' * w']``, the padded maps, to the index ``[N, k * k, h * w]``."""
    held = padded.index_select(1, kept.read).view(len(padded), *kept.cells.shape)  # [N, K, hw]
    rank = held.cumsum(1, dtype=torch.int32)
    chosen = (held & (rank <= taps)).index_select(1, kept.order)
    tap = chosen.cumsum(1, dtype=torch.int64) - 1
    tap = tap.masked_fill(~chosen, taps)  # those not chosen go to a row that is cut off
    shape = (len(padded), taps + 1, held.shape[2])
    found = torch.zeros(shape, dtype=torch.int32, device=padded.device)
    found.scatter_(1, tap, kept.cells.expand_as(tap))
    enough = held[:, :1] & (rank[:, -1:] >= taps)
    return torch.where(enough, found[:, :taps], kept.regular)


def traceable_event_index(active: Tensor, k: int, *, window: int = 8) -> Tensor:
    """Return the index of `nearest_event_offsets`, without a shape that depends on the events.

    For torch.export and torch.onnx, in a few operators that every runtime has: one TopK takes the N
    nearest events, a second puts them row by row. Every cell looks at its whole neighbourhood, so
    it is slower and takes memory for each of its displacements.
    """
    height, width = active.shape[1:]
    device, taps = active.device, k * k
    ball = neighbourhood(window, height, width)
    regular = sampling_index(torch.zeros(1, height, width, taps, 2, device=device).long(), k)
    if len(ball) < taps:
        return regular.expand(active.shape[0], -1, -1)
    held = _neighbours(active.to(torch.float32), ball)  # [N, K, hw], 1 at an event, nearest first
    urgency = torch.arange(len(ball), 0, -1, dtype=torch.float32, device=device)[:, None]
    nearest = torch.topk(held * urgency, taps, dim=1)
    enough = (nearest.values[:, -1:] > 0) & (held[:, :1] > 0)  # [N, 1, hw]
    row_by_row = sorted(ball)
    order = torch.tensor([float(row_by_row.index(point)) for point in ball], device=device)
    place = _looked_up(order, nearest.indices)  # [N, k*k, hw]
    first_row_first = torch.topk(place, taps, dim=1, largest=False).values.long()
    steps = torch.tensor([y * width + x for y, x in row_by_row], device=device)
    found = torch.arange(height * width, device=device) + _looked_up(steps, first_row_first)
    return torch.where(enough, found.to(torch.int32), regular)


def _neighbours(active: Tensor, ball: tuple[tuple[int, int], ...]) -> Tensor:
    """Map ``[N, h, w]`` to what each cell sees at each displacement: ``[N, K, h * w]``."""
    height, width = active.shape[1:]
    rows, columns = max(y for y, _ in ball), max(x for _, x in ball)
    padded = functional.pad(active, (columns, columns, rows, rows))
    down, right = 2 * rows + 1, 2 * columns + 1
    seen = padded.index_select(1, _shifts(down, height).to(active.device))
    seen = seen.index_select(2, _shifts(right, width).to(active.device))
    seen = seen.view(-1, down, height, right, width).transpose(2, 3)
    chosen = torch.tensor([(y + rows) * right + x + columns for y, x in ball], device=active.device)
    return seen.reshape(-1, down * right, height * width).index_select(1, chosen)


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[index]``, which exported as it stands would become a GatherND."""
    return table.index_select(0, index.flatten()).view(index.shape)


def _shifts(count: int, size: int) -> Tensor:
    """Return indices 0 to size - 1, then 1 to size, and so on, `count` times."""
    return (torch.arange(count)[:, None] + torch.arange(size)).flatten()


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
    """Return displacements ``[K, 2]``, nearest first, and the place of each among all, row by
    row.
    """
    ball = np.array(neighbourhood(window, height, width), np.int32)
    rank = np.empty(len(ball), np.int32)
    rank[np.lexsort((ball[:, 1], ball[:, 0]))] = np.arange(len(ball))
    return ball, rank
