"""The alignment's samples at points between cells, summed: in plain torch, and compiled for a CPU.

The compiled one samples and sums in one pass, so that no tensor of all samples comes about. When
which of the two runs is as in `gathering`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from sdcl_neuro.devices import constant
from sdcl_neuro.errors import InputError

from .gathering import COMPILED_TYPES, compiled, rows_of
from .turns import in_turns

_Arrays = tuple[Any, Any, Any, Any]


def mixed_samples(value: Tensor, offset: Tensor, score: Tensor, projection: Tensor) -> Tensor:
    """Return the inner sum of Eq. 13: each head's channels at its points, times the points' scores.

    Values between cells are bilinear; outside the map they are zero.

    Args:
        value: ``[N, C, h, w]``, head by head.
        offset: ``[N, M*I*2, h, w]``, (x, y) in cells, from where a cell's centre is projected to.
        score: ``[N, M, I, h * w]``.
        projection: ``[2, 3]``, affine, from a point (x, y) of the own map to the other, both
            running from -1 to 1 over the edges. It has no gradient.

    Returns:
        ``[N, C, h, w]``.

    Raises:
        InputError: on a CPU, shapes that do not go together.
    """
    given = (value, offset, score)
    alike = value.dtype in COMPILED_TYPES and all(x.dtype == value.dtype for x in given)
    if alike and compiled(*given, projection):
        result: Tensor = _Mixed.apply(*given, projection)
        return result
    return plain_mixed_samples(*given, projection)


def plain_mixed_samples(value: Tensor, offset: Tensor, score: Tensor, projection: Tensor) -> Tensor:
    """Return the same by torch's ``grid_sample``, which ONNX knows."""
    batch, channels, height, width = value.shape
    heads = score.shape[1]
    grid = _grid(offset, heads * batch, score.shape[2], projection)  # [N*M, hw, I, 2]
    parts = value.reshape(-1, channels // heads, height, width)
    sampled = functional.grid_sample(parts, grid, mode="bilinear", align_corners=False)
    weight = score.flatten(0, 1).transpose(1, 2)[:, None]  # [N*M, 1, hw, I]
    return (sampled * weight).sum(-1).view(batch, channels, height, width)


def _grid(offset: Tensor, maps: int, points: int, projection: Tensor) -> Tensor:
    """Map offsets in cells to points for ``grid_sample``: ``[maps, h * w, I, 2]``."""
    height, width = offset.shape[2:]
    cell = _centres(height, width, projection)
    reference = cell @ projection[:, :2].T + projection[:, 2]
    scale = constant((2 / width, 2 / height), offset)
    shift = offset.reshape(maps, points, 2, height * width)
    shift = shift.permute(0, 3, 1, 2) * scale  # [N*M, hw, I, 2]
    return reference[None, :, None] + shift


def _centres(height: int, width: int, like: Tensor) -> Tensor:
    """Return centres (x, y) of a map's cells, ``[h * w, 2]``, from -1 to 1 over its edges."""
    if like.device.type == "cuda":
        return _kept_centres(height, width, like.dtype, like.device)
    y = (torch.arange(height).to(like) + 0.5) * (2 / height) - 1
    x = (torch.arange(width).to(like) + 0.5) * (2 / width) - 1
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], -1)


@cache
def _kept_centres(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a GPU's, sent once: this thread would wait for every further copy."""
    with torch.inference_mode(mode=False):
        return _centres(height, width, torch.empty(0, dtype=dtype)).to(device)


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, value: Tensor, offset: Tensor, score: Tensor, projection: Tensor
    ) -> Tensor:
        from . import point_kernels

        ctx.save_for_backward(value, offset, score, projection)
        _check(value, offset, score)
        batch, channels, height, width = value.shape
        rows = rows_of(value.detach())
        out = torch.empty_like(rows)
        given = (*_arrays(rows, offset, score, projection), (height, width))
        made = out.view(-1).numpy()

        def work(first: int, last: int) -> None:
            point_kernels.mix(*given, first, last, made)

        in_turns(work, batch * score.shape[1], work=rows.numel() * score.shape[2])
        return out.view(batch, height, width, channels).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        from . import point_kernels

        value, offset, score, projection = ctx.saved_tensors
        batch, channels, height, width = value.shape
        rows, slopes = rows_of(value), rows_of(slope).view(-1).numpy()
        to_rows = torch.zeros_like(rows)
        to_offset = torch.empty_like(offset, memory_format=torch.contiguous_format)
        to_score = torch.empty_like(score, memory_format=torch.contiguous_format)
        given = (*_arrays(rows, offset, score, projection), (height, width), slopes)
        places = to_offset.view(*score.shape[:3], 2, -1)
        made = (to_rows.view(-1).numpy(), places.numpy(), to_score.numpy())

        def work(first: int, last: int) -> None:
            point_kernels.mix_backward(*given, first, last, *made)

        in_turns(work, batch * score.shape[1], work=rows.numel() * score.shape[2])
        to_value = to_rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return to_value, to_offset, to_score, None


def _check(value: Tensor, offset: Tensor, score: Tensor) -> None:
    """Raise InputError unless the shapes match: the loops would leave the arrays."""
    batch, channels, height, width = value.shape
    heads, points = score.shape[1:3]
    fits = score.shape == (batch, heads, points, height * width) and channels % heads == 0
    if not fits or offset.shape != (batch, heads * points * 2, height, width):
        raise InputError(
            f"values {tuple(value.shape)}, offsets {tuple(offset.shape)} and scores "
            f"{tuple(score.shape)} do not go together",
            where="alignment",
            hint="give two maps of one shape, whose channels are a multiple of the heads",
        )


def _arrays(rows: Tensor, offset: Tensor, score: Tensor, projection: Tensor) -> _Arrays:
    """Return what the loops take, in their order."""
    places = offset.detach().contiguous().view(*score.shape[:3], 2, -1)
    weights = score.detach().contiguous()
    affine = projection.detach().double().contiguous()
    return rows.view(-1).numpy(), places.numpy(), weights.numpy(), affine.numpy()
