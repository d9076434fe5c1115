"""Where a deformable kernel samples: at the nearest events (paper, Eqs. 8 to 11). Not learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

# Candidate cells looked at in one go: bounds the memory of the search to a few tens of megabytes.
_CHUNK = 1 << 22


@lru_cache(maxsize=32)
def neighbourhood(radius: int, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return displacements (dy, dx) within a Manhattan radius, nearest first.

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
    """Return the regular kernel grid m_n: int64 ``[k*k, 2]``, (dy, dx), row by row."""
    span = torch.arange(k) - k // 2
    return torch.cartesian_prod(span, span)


def nearest_event_offsets(active: Tensor, k: int, *, window: int = 8) -> Tensor:
    """Return offsets of a k x k kernel from its regular grid to the N = k*k nearest events.

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
    # On the device meta there are shapes and no events.
    if len(ball) < points or active.is_meta:
        return offsets.view(batch, height, width, points, 2)
    cells = active.nonzero()  # [P, 3]: map, row, column
    pieces = cells.split(max(1, _CHUNK // len(ball)))
    for piece, (nearest, enough) in zip(
        pieces, _search(active, pieces, ball, window=window, points=points), strict=True
    ):
        kept = piece[enough]
        offsets[(kept[:, 0] * height + kept[:, 1]) * width + kept[:, 2]] = nearest - grid
    return offsets.view(batch, height, width, points, 2)


def _search(
    active: Tensor, pieces: Sequence[Tensor], ball: Tensor, *, window: int, points: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return, by piece ``[P, 3]``, displacements ``[P', points, 2]`` of P' cells that see enough.

    The second of each pair is bool ``[P]``, which those are.
    """
    height, width = active.shape[1:]
    # A margin of empty cells replaces every test for the border.
    padded = functional.pad(active, (window, window, window, window)).flatten()
    pitch = width + 2 * window
    steps = ball[:, 0] * pitch + ball[:, 1]  # [K]
    for piece in pieces:
        row = piece[:, 0] * (height + 2 * window) + piece[:, 1] + window
        held = padded[(row * pitch + piece[:, 2] + window)[:, None] + steps]  # [P, K]
        rank = held.cumsum(1, dtype=torch.int32)
        enough = rank[:, -1] >= points
        chosen = (held & (rank <= points))[enough].nonzero()[:, 1].view(-1, points)
        row_by_row = chosen.gather(1, steps[chosen].argsort(1))
        yield ball[row_by_row], enough


def active_cells(counts: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which cells of a coarser map hold an event: ``[N, H, W]`` counts to bool ``[N, h,
    w]``.
    """
    held = (counts > 0).float()
    pixels = held.shape[-2:]
    if pixels == size:
        return held > 0
    if pixels[0] % size[0] == 0 == pixels[1] % size[1]:  # all that ONNX has an operator for
        ratio = (pixels[0] // size[0], pixels[1] // size[1])
        return functional.max_pool2d(held[:, None], ratio, ratio)[:, 0] > 0
    return functional.adaptive_max_pool2d(held, size) > 0
