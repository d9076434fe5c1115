"""The one building block that every part of the bridge shares."""

from __future__ import annotations

from torch import nn


def conv_bn_relu(
    inputs: int,
    outputs: int,
    *,
    kernel: int | tuple[int, int] = 1,
    stride: tuple[int, int] = (1, 1),
) -> nn.Sequential:
    """Return a convolution without bias, batch norm, ReLU: ``[N, inputs, h, w] -> [N, outputs, h',
    w']``.

    An odd square `kernel` is padded to keep the size at stride 1; a pair is not padded.
    """
    padding = kernel // 2 if isinstance(kernel, int) else 0
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
