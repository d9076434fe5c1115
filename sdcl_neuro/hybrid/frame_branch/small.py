"""A frame branch for a CPU: four plain convolutions, learnt from nothing in minutes.

Ours; it has no published weights. At 30 million multiply-accumulates a frame it costs a third of
the narrowest OSNet, all in dense convolutions, which a CPU computes ten times faster than OSNet's
many light ones.
"""

from __future__ import annotations

from torch import Tensor, nn

from .osnet import ConvBn

# Channels, kernel and stride of each convolution.
LAYERS = ((32, 7, 4), (64, 3, 2), (96, 3, 2), (128, 3, 2))


class SmallNet(nn.Module):
    """Frames to maps of 8 x 4 cells, half the grid of the other networks.

    Attributes:
        channels: C of the map.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs, layers = 3, []
        for outputs, kernel, stride in LAYERS:
            layers.append(ConvBn(inputs, outputs, kernel, stride=stride))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.channels = inputs

    def forward(self, frames: Tensor) -> Tensor:
        """Map ``[N, 3, 256, 128]``, ImageNet-normalised RGB, to maps ``[N, 128, 8, 4]``."""
        maps: Tensor = self.layers(frames)
        return maps
