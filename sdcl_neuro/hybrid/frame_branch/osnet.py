"""OSNet (Zhou et al., ICCV 2019), under torchreid's parameter names, so its weights load."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Width = Literal["x0_25", "x1_0"]

# Channels of conv1 to conv4 (torchreid `models/osnet.py`: osnet_x0_25, osnet_x1_0).
CHANNELS: dict[str, tuple[int, int, int, int]] = {
    "x0_25": (16, 64, 96, 128),
    "x1_0": (64, 256, 384, 512),
}
EMBEDDING = 512
_BRANCHES = "abcd"  # branch n has n + 1 light convolutions: receptive fields 3, 5, 7, 9


class ConvBn(nn.Module):
    """Convolution without bias, batch norm, and ReLU unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, inputs, h, w] -> [N, outputs, h', w']``."""
        y: Tensor = self.bn(self.conv(x))
        return y if self.linear else torch.relu(y)


class LightConv(nn.Module):
    """A 1x1 convolution, then a 3x3 one per channel, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False, groups=outputs)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, inputs, h, w] -> [N, outputs, h, w]``."""
        return torch.relu(self.bn(self.conv2(self.conv1(x))))


class Gate(nn.Module):
    """The aggregation gate that the four branches share: a weight in (0, 1) for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C, h, w]``, weighted."""
        pooled = x.mean((2, 3), keepdim=True)
        weight = torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))
        return x * weight


class Block(nn.Module):
    """The omni-scale block: four branches of growing receptive field, gated, added, residual."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.conv1 = ConvBn(inputs, middle)
        self.conv2a = LightConv(middle, middle)
        for count, letter in enumerate(_BRANCHES[1:], 2):
            chain = nn.Sequential(*(LightConv(middle, middle) for _ in range(count)))
            self.add_module(f"conv2{letter}", chain)
        self.gate = Gate(middle)
        self.conv3 = ConvBn(middle, outputs, linear=True)
        self.downsample = ConvBn(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, inputs, h, w] -> [N, outputs, h, w]``."""
        entry = self.conv1(x)
        branches = [self.gate(getattr(self, f"conv2{letter}")(entry)) for letter in _BRANCHES]
        joined = self.conv3(torch.stack(branches).sum(0))
        return torch.relu(joined + (x if self.downsample is None else self.downsample(x)))


def _stage(inputs: int, outputs: int, *, halve: bool) -> nn.Sequential:
    blocks: list[nn.Module] = [Block(inputs, outputs), Block(outputs, outputs)]
    if halve:
        blocks.append(nn.Sequential(ConvBn(outputs, outputs), nn.AvgPool2d(2, stride=2)))
    return nn.Sequential(*blocks)


class OSNet(nn.Module):
    """Frames to maps and embeddings.

    Attributes:
        channels: C of the map: 128 for x0.25, 512 for x1.0.
        ignored: prefixes of a weight file's names that the module has no use for.
    """

    ignored = ("classifier.",)

    def __init__(self, width: Width = "x0_25") -> None:
        super().__init__()
        first, second, third, last = CHANNELS[width]
        self.width = width
        self.channels = last
        self.conv1 = ConvBn(3, first, 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(first, second, halve=True)
        self.conv3 = _stage(second, third, halve=True)
        self.conv4 = _stage(third, last, halve=False)
        self.conv5 = ConvBn(last, last)
        self.fc = nn.Sequential(nn.Linear(last, EMBEDDING), nn.BatchNorm1d(EMBEDDING), nn.ReLU())

    def forward(self, frames: Tensor) -> Tensor:
        """Map ``[N, 3, 256, 128]``, ImageNet-normalised RGB, to maps ``[N, C, 16, 8]``."""
        x = self.maxpool(self.conv1(frames))  # [N, ., 64, 32]
        x = self.conv3(self.conv2(x))  # [N, ., 16, 8]
        features: Tensor = self.conv5(self.conv4(x))
        return features

    def embed(self, maps: Tensor) -> Tensor:
        """Turn maps ``[N, C, 16, 8]`` into torchreid's embedding ``[N, 512]``, after its ReLU."""
        embedding: Tensor = self.fc(maps.mean((2, 3)))
        return embedding
