"""A convolution over precomputed places, twice: in plain torch, and compiled for a CPU.

The compiled one gathers only where the places are not a plain convolution's, keeps its samples in
the cache, and has a backward pass of its own. The plain one runs everywhere else, on a GPU, in
other types than float32 and float64, and whenever torch looks on: `compiled` tells when.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils import _python_dispatch as dispatch

from sdcl_neuro.errors import InputError

from .turns import in_turns

COMPILED_TYPES = (torch.float32, torch.float64)


def compiled(*tensors: Tensor) -> bool:
    """Return whether numba's loops may take these tensors.

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
        index: int32 ``[N, k * k, h * w]``, where each tap reads in the flattened map; ``h * w``
            reads zero. It has no gradient.

    Returns:
        ``[N, C_out, h, w]``.

    Raises:
        InputError: on a CPU, shapes or a type that do not go together. Places are not checked.
    """
    alike = features.dtype == weight.dtype and features.dtype in COMPILED_TYPES
    if alike and compiled(features, weight, index):
        result: Tensor = _Gathered.apply(features, weight, index)
        return result
    return plain_convolution(features, weight, index)


def plain_convolution(features: Tensor, weight: Tensor, index: Tensor) -> Tensor:
    """Return the same in operations of torch, all of which ONNX knows."""
    channels, height, width = features.shape[1:]
    planes = functional.pad(features.flatten(2), (0, 1))  # behind a plane, what is outside: zero
    places = index.flatten(1).long()[:, None].expand(-1, channels, -1)
    samples = planes.gather(2, places).view(-1, weight[0].numel(), height * width)
    mixed: Tensor = weight.flatten(1) @ samples
    return mixed.view(-1, len(weight), height, width)


def rows_of(maps: Tensor) -> Tensor:
    """Map ``[N, C, h, w]`` to ``[N, h * w, C]``, contiguous; a view where channels lie last
    already.
    """
    return maps.flatten(2).transpose(1, 2).contiguous()


def _check(features: Tensor, weight: Tensor, index: Tensor) -> None:
    """Raise InputError unless the shapes match: the loops would leave the arrays."""
    batch, channels, height, width = features.shape
    taps = weight.shape[2] * weight.shape[3]
    fits = index.shape == (batch, taps, height * width) and index.dtype == torch.int32
    if not fits or channels != weight.shape[1]:
        raise InputError(
            f"an index {tuple(index.shape)} of {index.dtype} for features "
            f"{tuple(features.shape)} and a weight {tuple(weight.shape)}",
            where="deformable convolution",
            hint="make it for maps of this size and this kernel",
        )


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, index: Tensor) -> Tensor:
        from . import kernels

        ctx.save_for_backward(features, weight, index)
        _check(features, weight, index)
        batch, _, height, width = features.shape
        cells, outputs = height * width, len(weight)
        out = features.new_empty(batch, outputs, height, width)
        maps = features.detach().contiguous().view(-1).numpy()
        rows = kernels.tiled(weight.detach().contiguous().view(outputs, -1).numpy())
        places, made = index.contiguous().numpy(), out.view(batch, outputs, cells).numpy()

        def work(first: int, last: int) -> None:
            kernels.convolve(maps, places, rows, width, first, last, made)

        in_turns(work, batch * -(-cells // kernels.STRETCH), work=out.numel())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        from . import backward_kernels, kernels
        from .tile import ROWS

        features, weight, index = ctx.saved_tensors
        batch, channels, height, width = features.shape
        wants_maps, wants_weight = ctx.needs_input_grad[:2]
        taps = weight.detach().flatten(2).numpy()  # [C_out, C, k * k]
        outputs, cells = len(taps), height * width
        turned = kernels.tiled(taps.transpose(1, 0, 2).reshape(channels, -1))
        split = kernels.tiled(taps.reshape(outputs, -1).T)
        maps = features.contiguous().view(-1).numpy()
        slopes = slope.contiguous().view(batch, outputs, cells).numpy()
        to_features = torch.empty_like(features, memory_format=torch.contiguous_format)
        to_maps = to_features.view(batch, channels, cells).numpy()[: batch * wants_maps]
        shape = (batch * wants_weight, -(-outputs // ROWS), taps[0].size, ROWS)
        to_weight = torch.zeros(shape, dtype=weight.dtype)
        given = (maps, index.contiguous().numpy(), turned, split, width, slopes)
        made = (to_maps, to_weight.numpy())

        def work(first: int, last: int) -> None:
            backward_kernels.convolve_backward(*given, first, last, *made)

        in_turns(work, batch, work=slope.numel())
        rows = to_weight.sum(0).transpose(1, 2).reshape(-1, taps[0].size)[:outputs]
        return (
            to_features if wants_maps else None,
            rows.view(weight.shape) if wants_weight else None,
            None,
        )
