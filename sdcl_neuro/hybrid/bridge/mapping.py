"""Event deformable mapping: convolutions that sample at events (paper, Section 3.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import BridgeConfig
from .gathering import gathered_convolution
from .layers import conv_bn_relu
from .offsets import active_cells
from .sampling import nearest_event_index


class DeformableConvolution(nn.Module):
    """A convolution whose taps read where an index says: ``[N, C_in, h, w] -> [N, C_out, h, w]``.

    With the index of zero offsets it is ``nn.Conv2d`` with zero padding and without bias.
    Differentiable in the features and the weight; the index has no gradient.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Conv2d

    def forward(self, features: Tensor, index: Tensor) -> Tensor:
        """Apply to features ``[N, C_in, h, w]`` with an index of `sampling`."""
        return gathered_convolution(features, self.weight, index)


class DeformableLayer(nn.Module):
    """A deformable convolution, batch norm, ReLU; keeps the shape ``[N, C, h, w]``."""

    def __init__(self, channels: int, *, kernel: int) -> None:
        super().__init__()
        self.conv = DeformableConvolution(channels, channels, kernel=kernel)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor, index: Tensor) -> Tensor:
        """Apply with the index that all layers share."""
        return functional.relu(self.bn(self.conv(features, index)))


class EventMapping(nn.Module):
    """Event features to the frame map's size: ``[N, Ce, h, w] -> [N, C, *map_size]``.

    `config.deformable_layers` deformable layers at the event map's own resolution, all with the
    same sampling points, then one convolution whose kernel and stride are the ratio of the sizes.
    """

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.kernel, self.window = config.kernel, config.window
        self.layers = nn.ModuleList(
            DeformableLayer(config.event_channels, kernel=config.kernel)
            for _ in range(config.deformable_layers)
        )
        (height, width), (rows, columns) = config.event_size, config.map_size
        ratio = (height // rows, width // columns)
        self.entry = conv_bn_relu(
            config.event_channels, config.channels, kernel=ratio, stride=ratio
        )

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """Map event features.

        Args:
            features: float ``[N, Ce, h, w]``, the spikes of a frame's bins, averaged.
            counts: ``[N, H, W]``, events per pixel of the event branch's input.
        """
        height, width = features.shape[-2:]
        if self.layers:
            active = active_cells(counts, (height, width))
            index = nearest_event_index(active, self.kernel, window=self.window)
            for layer in self.layers:
                features = layer(features, index)
        mapped: Tensor = self.entry(features)
        return mapped
