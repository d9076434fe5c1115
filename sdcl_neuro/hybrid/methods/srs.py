"""SRS-Net, "Simple and Effective: Spatial Rescaling" (Wang et al., TNNLS 2020): an image network.

A parameter-free rescaling before pooling supervises stages 1 to 3; the last map is read in six
horizontal stripes. Frames go through it one by one; what classifiers see, and the stripes, are
averaged over the clip.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Output

from .backbone import BackbonePlan
from .head import LossPlan, MethodHead, Shape, classifiers, pooled, scored, unit

STRIPES = 6
SIDES = 3
TINY = 1e-12
"""Under the rescaling's sum: a map without any activation stays zero."""


class SideFeature(nn.Module):
    """SpaRs, mean over the cells, 1x1 convolution: ``[N, C, h, w] -> [N, c]``."""

    def __init__(self, channels: int, last: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, last // 8, 1, bias=False)
        nn.init.kaiming_normal_(self.reduce.weight, mode="fan_out")

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        mean = maps.mean(1, keepdim=True)
        rescaled = maps * (mean / (mean.sum((2, 3), keepdim=True) + TINY))
        said: Tensor = self.reduce(rescaled.mean((2, 3), keepdim=True))
        return said.flatten(1)


BACKBONE = BackbonePlan(side=SideFeature)


class SrsHead(MethodHead):
    """Six stripes, ten classifiers: three of the sides, six of the stripes, one of their mean."""

    plan = LossPlan(triplet="none", joined="sum")

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        height = shape.size[0]
        if height < STRIPES:
            raise InputError(
                f"a map of {height} rows for {STRIPES} stripes",
                where="srs",
                hint=f"use a frame branch whose map has {STRIPES} rows or more",
            )
        self.channels, narrow = shape.channels, shape.channels // 8
        self.size = STRIPES * shape.channels
        self.stride = height // STRIPES
        self.window = height - self.stride * (STRIPES - 1)
        self.drop = nn.Dropout(0.5)
        self.reduce = nn.Conv2d(shape.channels, narrow, 1, bias=False)
        nn.init.kaiming_normal_(self.reduce.weight, mode="fan_out")
        self.norm = nn.BatchNorm2d(narrow)
        count = SIDES + STRIPES + 1
        self.classifiers = classifiers([narrow] * count, shape.identities, bias=True)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`; the embedding is the six stripes, each of length 1."""
        main, sides = maps[:, :, : self.channels], maps[:, :, self.channels :, 0, 0].mean(1)
        stripes = torch.stack(
            [
                pooled(main[:, :, :, k * self.stride : k * self.stride + self.window])
                for k in range(STRIPES)
            ],
            3,
        )  # [B, T, C, 6]
        embedding = unit(stripes.mean(1).transpose(1, 2)).flatten(1)
        flat = stripes.flatten(0, 1)[..., None]  # [B * T, C, 6, 1]
        reduced = torch.relu(self.norm(self.reduce(self.drop(flat))))[..., 0]
        seen = reduced.unflatten(0, maps.shape[:2]).mean(1)  # [B, c, 6]
        narrow = seen.shape[1]
        inputs = [sides[:, k * narrow : (k + 1) * narrow] for k in range(SIDES)]
        inputs += [seen[:, :, k] for k in range(STRIPES)] + [seen.mean(2)]
        layers = list(zip(self.classifiers, inputs, strict=False))
        return Output(embedding, (embedding,), scored(layers), (embedding,))
