"""STAM: two neighbouring time steps become one, by temporal then spatial reference attention.

After PSTA (Wang et al., ICCV 2021), as the SDCL paper uses it in Section 3.5. Widths at the paper's
C = 1024 are 256 = C/4 and 128 = C/8; at smaller C they are the same fractions, at least 16.

As in the published code, theta is followed by a ReLU, the gates' linear layers have biases
(2,630,020 parameters at C = 1024), and in training the batch norms of relation, joint embedding and
spatial weight normalise step i and step i + 1 each by its own statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import conv_bn_relu

MIN_WIDTH = 16


def reduced(channels: int, factor: int) -> int:
    """Return `channels` over `factor`, at least 16."""
    return max(MIN_WIDTH, channels // factor)


def affinity(left: Tensor, right: Tensor) -> Tensor:
    """Return every cell of one map times every cell of another: ``[N, c, h, w]`` to ``[N, hw,
    hw]``.
    """
    return left.flatten(2).transpose(1, 2) @ right.flatten(2)


def _gate(channels: int, *, inputs: int) -> nn.Sequential:
    """Return a channel weight in (0, 1) from a vector: ``[N, inputs] -> [N, channels]``."""
    hidden = reduced(channels, 8)
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, channels),
        nn.Sigmoid(),
    )


def _to_weight(inputs: int) -> nn.Sequential:
    """Return a spatial weight in (0, 1) from a map: ``[N, inputs, h, w] -> [N, 1, h, w]``."""
    return nn.Sequential(nn.Conv2d(inputs, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())


class TemporalAttention(nn.Module):
    """How much of each of two steps to take, judged by the two together."""

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        inner = reduced(channels, 8)
        self.query = conv_bn_relu(channels, inner)
        self.key = conv_bn_relu(channels, inner)
        self.relation = conv_bn_relu(2 * cells, inner)
        self.joint = conv_bn_relu(2 * inner, inner)
        self.weight = _to_weight(2 * inner)
        self.theta = nn.Linear(channels, inner, bias=False)
        self.gate = _gate(channels, inputs=2 * inner)

    def forward(self, pair: Tensor, embedded: Tensor, pooled: Tensor) -> Tensor:
        """Weight and add two steps.

        Args:
            pair: ``[N, 2, C, h, w]``, steps i and i + 1.
            embedded: ``[N, 2, C/8, h, w]``.
            pooled: ``[N, 2, C]``.

        Returns:
            ``relu(c_i a_i x_i + c_{i+1} a_{i+1} x_{i+1}) ** 2``, ``[N, C, h, w]``.
        """
        flat = pair.flatten(0, 1)
        query = self.query(flat).unflatten(0, pair.shape[:2])
        key = self.key(flat).unflatten(0, pair.shape[:2])
        size = pair.shape[-2:]
        forth = affinity(query[:, 0], key[:, 1])  # A01 [N, hw of i, hw of i+1]
        back = affinity(query[:, 1], key[:, 0])  # A10 [N, hw of i+1, hw of i]
        # As maps over a step's own cells: its own axis last, the other step's cells as channels.
        first = torch.cat([forth.transpose(1, 2), back], 1).unflatten(2, size)
        second = torch.cat([back.transpose(1, 2), forth], 1).unflatten(2, size)
        vector = torch.relu(self.theta(pooled))  # [N, 2, C/8]
        weighted = []
        for step, own in enumerate((first, second)):  # one after the other: see the module
            relation = self.relation(own)  # [N, C/8, h, w]
            joint = self.joint(_exchanged(embedded, step))
            where = self.weight(torch.cat([joint, relation], 1))  # [N, 1, h, w]
            what = self.gate(_exchanged(vector, step))  # [N, C]
            weighted.append(what[..., None, None] * where * pair[:, step])
        total: Tensor = torch.relu(weighted[0] + weighted[1]) ** 2
        return total


def _exchanged(steps: Tensor, first: int) -> Tensor:
    """Map ``[N, 2, c, ...]`` to ``[N, 2c, ...]``, step `first` in front of the other."""
    return torch.cat([steps[:, first], steps[:, 1 - first]], 1)


class SpatialAttention(nn.Module):
    """How much of each cell and channel of a step to take, judged by the step alone."""

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        inner = reduced(channels, 8)
        self.query = conv_bn_relu(channels, inner)
        self.key = conv_bn_relu(channels, inner)
        self.relation = conv_bn_relu(2 * cells, inner)
        self.joint = conv_bn_relu(2 * inner, inner)
        self.weight = _to_weight(inner)
        self.gate = _gate(channels, inputs=channels)

    def forward(self, pair: Tensor, embedded: Tensor, pooled: Tensor) -> Tensor:
        """Return arguments as `TemporalAttention`'s; ``relu(g_i s_i x_i + ...)``, ``[N, C, h,
        w]``.
        """
        flat = pair.flatten(0, 1)  # [2N, C, h, w]
        own = affinity(self.query(flat), self.key(flat))  # S [2N, hw, hw]
        both = torch.cat([own.transpose(1, 2), own], 1).unflatten(2, pair.shape[-2:])
        both = both.unflatten(0, pair.shape[:2])  # [N, 2, 2hw, h, w]
        weighted = []
        for step in range(2):  # one after the other: see the module
            relation = self.relation(both[:, step])
            where = self.weight(self.joint(torch.cat([embedded[:, step], relation], 1)))
            what = self.gate(pooled[:, step])  # [N, C]
            weighted.append(what[..., None, None] * where * pair[:, step])
        return torch.relu(weighted[0] + weighted[1])


class Stam(nn.Module):
    """Two neighbouring steps to one: ``[N, 2, C, h, w] -> [N, C, h, w]``.

    Args:
        channels: C.
        cells: h * w, which the affinities make a number of channels.
    """

    def __init__(self, channels: int, *, cells: int) -> None:
        super().__init__()
        middle, inner = reduced(channels, 4), reduced(channels, 8)
        self.embed = nn.Sequential(conv_bn_relu(channels, middle), conv_bn_relu(middle, inner))
        self.temporal = TemporalAttention(channels, cells)
        self.spatial = SpatialAttention(channels, cells)
        self.bottleneck = nn.Sequential(
            conv_bn_relu(channels, middle),
            conv_bn_relu(middle, middle, kernel=3),
            conv_bn_relu(middle, channels),
        )

    def forward(self, pair: Tensor) -> Tensor:
        """Map steps i and i + 1 ``[N, 2, C, h, w]`` to one ``[N, C, h, w]``."""
        embedded = self.embed(pair.flatten(0, 1)).unflatten(0, pair.shape[:2])
        pooled = pair.mean((3, 4))  # [N, 2, C]
        taken = self.temporal(pair, embedded, pooled) + self.spatial(pair, embedded, pooled)
        condensed: Tensor = self.bottleneck(taken)
        return condensed


class ResidualPair(nn.Module):
    """STAM's plain alternative: the two steps' sum through a bottleneck. ``[N, 2, C, h, w]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = reduced(channels, 4)
        self.bottleneck = nn.Sequential(
            conv_bn_relu(channels, middle),
            conv_bn_relu(middle, middle, kernel=3),
            conv_bn_relu(middle, channels),
        )

    def forward(self, pair: Tensor) -> Tensor:
        """Map steps i and i + 1 ``[N, 2, C, h, w]`` to one ``[N, C, h, w]``."""
        condensed: Tensor = self.bottleneck(pair.sum(1))
        return condensed
