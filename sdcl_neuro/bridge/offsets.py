"""Where a deformable kernel samples: at the nearest events (paper, Eqs. 8 to 11). Not learned."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

# Candidate cells looked at in one go: bounds the memory of the search to a few tens of megabytes.
_CHUNK = 1 << 22


@lru_cache(maxsize=32)
def neighbourhood(radius: int, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Displacements (dy, dx) within a Manhattan radius, nearest first.

    Equal Manhattan distances are ordered by Euclidean distance, then by row, then by column.
    Displacements no map of ``height`` x ``width`` can hold are left out.
    """
    rows, columns = min(radius, height - 1), min(radius, width - 1)
    ball = [
        (y, x)
        for y in range(-rows, rows + 1)
        for x in range(-columns, columns + 1)
        if abs(y) + abs(x) <= radius
    ]
    return tuple(sorted(ball, key=lambda p: (abs(p[0]) + abs(p[1]), p[0] ** 2 + p[1] ** 2, p)))


def kernel_grid(k: int) -> Tensor:
    """The regular kernel grid m_n: int64 ``[k*k, 2]``, (dy, dx), row by row."""
    span = torch.arange(k) - k // 2
    return torch.cartesian_prod(span, span)


def nearest_event_offsets(active: Tensor, k: int, *, window: int = 8) -> Tensor:
    """Offsets of a k x k kernel from its regular grid to the N = k*k nearest events.

    For a cell p0 with an event, the N nearest cells p_n that hold events (p0 itself is the first)
    become the sampling points: ``offset_n = p_n - p0 - m_n``, with m_n the regular grid (Eqs. 8 to
    11). Nearness is Manhattan distance; among equals the smaller Euclidean distance, then the
    smaller row, then the smaller column. The N points are given to the taps row by row, left to
    right, so that each tap keeps its side of the kernel: where every cell holds an event, a 3x3
    kernel is the plain one. The offsets are all zero (the regular grid) at a cell without an event
    and at one that sees fewer than N cells with events within `window`.

    Args:
        active: bool ``[B, H, W]``, cells with at least one event.
        k: side of the kernel, odd.
        window: largest Manhattan distance searched, in cells.

    Returns:
        int64 ``[B, H, W, k*k, 2]``, (dy, dx) per tap; a sampled cell p0 + m_n + offset_n of a
        non-zero offset always lies on the map.
    """
    batch, height, width = active.shape
    points = k * k
    ball = torch.tensor(neighbourhood(window, height, width), device=active.device)  # [K, 2]
    grid = kernel_grid(k).to(active.device)
    offsets = torch.zeros(
        batch * height * width, points, 2, dtype=torch.int64, device=active.device
    )
    if len(ball) < points:
        return offsets.view(batch, height, width, points, 2)
    # A margin of empty cells replaces every test for the border.
    pad = window
    padded = functional.pad(active, (pad, pad, pad, pad)).flatten()
    pitch = width + 2 * pad
    steps = ball[:, 0] * pitch + ball[:, 1]  # [K]
    where = active.nonzero()  # [P, 3]
    for cells in where.split(max(1, _CHUNK // len(ball))):
        origin = (cells[:, 0] * (height + 2 * pad) + cells[:, 1] + pad) * pitch + cells[:, 2] + pad
        held = padded[origin[:, None] + steps]  # [P, K]
        rank = held.cumsum(1, dtype=torch.int32)
        enough = rank[:, -1] >= points
        first = (held & (rank <= points))[enough].nonzero()[:, 1].view(-1, points)  # [P', N]
        nearest = ball[_row_by_row(first, ball, pitch)]  # [P', N, 2]
        place = (cells[enough, 0] * height + cells[enough, 1]) * width + cells[enough, 2]
        offsets[place] = nearest - grid
    return offsets.view(batch, height, width, points, 2)


def _row_by_row(chosen: Tensor, ball: Tensor, pitch: int) -> Tensor:
    """Indices into `ball` ``[P, N]``, each row sorted by (dy, dx)."""
    key = ball[:, 0] * pitch + ball[:, 1]
    return chosen.gather(1, key[chosen].argsort(1))


def active_cells(counts: Tensor, size: tuple[int, int]) -> Tensor:
    """Which cells of a coarser map hold an event: ``[N, H, W]`` counts to bool ``[N, h, w]``."""
    held = (counts > 0).float()
    if held.shape[-2:] == size:
        return held > 0
    return functional.adaptive_max_pool2d(held, size) > 0
