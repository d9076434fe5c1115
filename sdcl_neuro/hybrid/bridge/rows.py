"""Parts of the bridge for inference alone: maps as rows of channels, ``[N, h * w, C]``.

A 1x1 convolution is then one matrix product without a copy, batch norms are part of the weights,
and convolutions over concatenated maps are sums of products, so that nothing is concatenated.
The weights are copies; there is no training mode and there are no gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights


def folded_weights(layers: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Return weight ``[C_out, C_in, k, k]`` and bias of a convolution and the norm after it."""
    conv, norm = layers[0], layers[1]
    assert isinstance(conv, nn.Conv2d)
    return folded(conv.weight, conv.bias, norm)


def folded(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return a weight and a bias with the batch norm after them, both copies."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    fused = fuse_conv_bn_weights(
        weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return fused[0].detach().clone(), fused[1].detach().clone()


class Product(nn.Module):
    """Rows times a weight, plus a bias; then ReLU where asked for: ``[..., C_in] -> [..., C_out]``.

    Args:
        weight: ``[C_out, C_in]``.
        bias: ``[C_out]``, or None.
        relu: whether a ReLU follows.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, *, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        self.register_buffer("weight", weight.detach().flatten(1).contiguous())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def forward(self, rows: Tensor) -> Tensor:
        """Multiply rows."""
        product = functional.linear(rows, self.weight, self.bias)
        return product.relu_() if self.relu else product

    @classmethod
    def of(cls, layers: nn.Module) -> Product:
        """Make it of a 1x1 convolution or a linear layer, alone or with batch norm and ReLU."""
        if isinstance(layers, nn.Sequential):
            weight, bias = folded_weights(layers)
            return cls(weight, bias, relu=isinstance(layers[-1], nn.ReLU))
        assert isinstance(layers, nn.Conv2d | nn.Linear)
        return cls(layers.weight, layers.bias)


class TwoProducts(nn.Module):
    """A 1x1 convolution over two maps' channels, the maps given apart.

    Args:
        weight: ``[C_out, C_first + C_second]``.
        bias: ``[C_out]``.
        first: C_first.
        relu: whether a ReLU follows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, first: int, relu: bool) -> None:
        super().__init__()
        flat = weight.flatten(1)
        self.relu = relu
        self.first = Product(flat[:, :first], bias)
        self.second = Product(flat[:, first:], None)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map rows ``[..., C_first]`` and ``[..., C_second]`` to ``[..., C_out]``."""
        total: Tensor = self.first(first) + self.second(second)
        return total.relu_() if self.relu else total


class SquareConvolution(nn.Module):
    """A 3x3 convolution with batch norm and ReLU on rows of channels, ``[N, h * w, C]``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: nn.Sequential, size: tuple[int, int]) -> None:
        super().__init__()
        weight, bias = folded_weights(layers)
        self.size = size
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Convolve maps given as rows."""
        made = functional.conv2d(as_maps(rows, self.size), self.weight, self.bias, padding=1)
        return as_rows(made).relu_()


def as_maps(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``[N, h * w, C]`` as ``[N, C, h, w]``, channels last in memory: a view."""
    maps: Tensor = rows.unflatten(1, size).permute(0, 3, 1, 2)
    return maps


def as_rows(maps: Tensor) -> Tensor:
    """Return ``[N, C, h, w]`` as ``[N, h * w, C]``, contiguous; a view where channels lie last."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2).contiguous()
