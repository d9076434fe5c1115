"""ResNet-50 (He et al., CVPR 2016) with last stride 1, under torchvision's parameter names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPANSION = 4
# Width and blocks of layer1 to layer4; the last stage keeps its size (last stride 1), as is usual
# in re-identification (Sun et al., ECCV 2018) and as the paper's code has it.
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 1))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which has the stride: torchvision's version 1.5), 1x1, with a residual."""

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, inputs, h, w] -> [N, 4 * width, h / stride, w / stride]``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """Frames to maps.

    Attributes:
        channels: C of the map, 2048.
        ignored: prefixes of a weight file's names that the module has no use for.
    """

    ignored = ("fc.",)
    channels = STAGES[-1][0] * EXPANSION

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for number, (width, blocks, stride) in enumerate(STAGES, 1):
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Bottleneck(inputs, width, stride=stride if block == 0 else 1))
                inputs = width * EXPANSION
            self.add_module(f"layer{number}", stage)

    def forward(self, frames: Tensor) -> Tensor:
        """Map ``[N, 3, 256, 128]``, ImageNet-normalised RGB, to maps ``[N, 2048, 16, 8]``."""
        x: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(frames))))  # [N, 64, 64, 32]
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x
