"""A convolution over precomputed places, twice: in plain torch, and compiled for a CPU.

The compiled one keeps its samples in the cache and has a backward pass of its own. The plain one
runs everywhere else, on a GPU, in other types than float32 and float64, and whenever torch looks
on: `compiled` tells when.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils import _python_dispatch as dispatch

from ..threads import even_parts, in_threads

COMPILED_TYPES = (torch.float32, torch.float64)


def compiled(*tensors: Tensor) -> bool:
    """Whether numba's loops may take these tensors.

    Not on another device, and not while torch traces: to export (torch.onnx, torch.export), to
    compile, under torch.jit.trace, or under a dispatch mode (counting FLOPs, fake tensors). A graph
    would hold their result as a constant. So an export needs no switch: inside it, all of the
    bridge is plain torch.
    """
    watched = (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None  # torch.jit.trace
        or torch.onnx.is_in_onnx_export()
        or dispatch._get_current_dispatch_mode() is not None
    )
    return not watched and all(
        tensor.device.type == "cpu" and type(tensor) in (Tensor, torch.nn.Parameter)
        for tensor in tensors
    )


def gathered_convolution(features: Tensor, weight: Tensor, index: Tensor) -> Tensor:
    """Convolve samples that an index names.

    Args:
        features: ``[N, C, h, w]``.
        weight: ``[C_out, C, k, k]``.
        index: int32 ``[N, h * w, k * k]``, where each tap reads in the flattened map; ``h * w``
            reads zero. It has no gradient.

    Returns:
        ``[N, C_out, h, w]``; channels lie last in memory.
    """
    alike = features.dtype == weight.dtype and features.dtype in COMPILED_TYPES
    if alike and compiled(features, weight, index):
        result: Tensor = _Gathered.apply(features, weight, index)
        return result
    return plain_convolution(features, weight, index)


def plain_convolution(features: Tensor, weight: Tensor, index: Tensor) -> Tensor:
    """The same in operations of torch, all of which ONNX knows."""
    batch, channels, height, width = features.shape
    cells = height * width
    rows = torch.cat(
        [features.flatten(2).transpose(1, 2), features.new_zeros(batch, 1, channels)], 1
    )
    start = torch.arange(batch, device=index.device).view(-1, 1, 1) * (cells + 1)
    samples = rows.reshape(-1, channels).index_select(0, (index + start).flatten())
    mixed = samples.view(batch * cells, -1) @ by_tap(weight)
    return mixed.view(batch, height, width, -1).permute(0, 3, 1, 2)


def by_tap(weight: Tensor) -> Tensor:
    """``[C_out, C, k, k]`` to ``[k * k * C, C_out]``."""
    return weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])


def _rows(maps: Tensor) -> Tensor:
    """``[N, C, h, w]`` to ``[N, h * w, C]``, contiguous; a view where channels lie last already."""
    from . import kernels

    batch, channels = maps.shape[:2]
    if not maps.is_contiguous() or channels == 1:
        return maps.permute(0, 2, 3, 1).contiguous().view(batch, -1, channels)
    given = maps.view(batch, channels, -1)
    rows = given.new_empty(batch, given.shape[2], channels)
    source, target = given.numpy(), rows.numpy()

    def work(first: int, last: int) -> None:
        kernels.channels_last(source, first, last, target)

    in_threads(work, even_parts(batch, torch.get_num_threads()))
    return rows


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, index: Tensor) -> Tensor:
        from . import kernels

        batch, _, height, width = features.shape
        rows = _rows(features.detach())
        taps = by_tap(weight.detach()).contiguous()
        ctx.save_for_backward(rows, taps, index)
        ctx.shapes = features.shape, weight.shape
        out = rows.new_empty(batch, height * width, len(weight))
        given, made = (rows.numpy(), index.numpy(), taps.numpy()), out.numpy()

        def work(first: int, last: int) -> None:
            kernels.convolve(*given, first, last, made)

        in_threads(work, even_parts(batch, torch.get_num_threads()))
        return out.view(batch, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        from . import kernels

        rows, taps, index = ctx.saved_tensors
        shape, (outputs, inputs, k, _) = ctx.shapes
        batch, channels, height, width = shape
        wants_rows, wants_weight = ctx.needs_input_grad[:2]
        slopes = _rows(slope)
        turned = taps.T.contiguous() if wants_rows else taps.new_empty(0, 0)
        to_rows = torch.zeros_like(rows) if wants_rows else rows.new_empty(batch, 0, 0)
        to_weight = rows.new_zeros(batch, *taps.shape) if wants_weight else rows.new_empty(0, 0, 0)
        given = (rows.numpy(), index.numpy(), turned.numpy(), slopes.numpy())
        made = (to_rows.numpy(), to_weight.numpy())

        def work(first: int, last: int) -> None:
            kernels.convolve_backward(*given, first, last, *made)

        in_threads(work, even_parts(batch, torch.get_num_threads()))
        features = to_rows.view(batch, height, width, channels) if wants_rows else None
        weight = to_weight.sum(0).view(k, k, inputs, outputs) if wants_weight else None
        return (
            None if features is None else features.permute(0, 3, 1, 2),
            None if weight is None else weight.permute(3, 2, 0, 1),
            None,
        )
