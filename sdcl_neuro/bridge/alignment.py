"""Cross feature alignment: deformable cross attention from one side to the other (Eqs. 12, 13)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossFeatureAlignment(nn.Module):
    """One direction: each own cell samples the other map at a few learned points.

    ``own_i + sum over M heads of W_m [sum over I points of A_mi W'_m other(R_i + dR_mi)]``

    with R_i the own cell's centre projected on the other's plane (Eq. 12), A the softmax over a
    head's points of an MLP of the query, dR predicted from the query, and the query Q_i the
    elementwise product of the two maps at i. Values are sampled bilinearly; outside the map they
    are zero. All W'_m are one 1x1 convolution C -> C, all W_m another.

    Attributes:
        projection: buffer ``[2, 3]``, the affine map from own to other plane, in coordinates
            (x, y) that run from -1 to 1 over each map's edges; the identity for simulated events
            and for a camera that records both.
    """

    projection: Tensor

    def __init__(self, channels: int, *, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.value = nn.Conv2d(channels, channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)
        self.offset = nn.Conv2d(channels, heads * points * 2, 1)
        hidden = max(16, channels // 4)
        self.score = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, heads * points, 1)
        )
        self.register_buffer("projection", torch.eye(3)[:2].clone())
        self._spread_points()

    def _spread_points(self) -> None:
        """Start as Deformable DETR does: head m looks in its own direction, point i at i cells."""
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)  # [M, 2]
        direction = direction / direction.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, -1, 1)
        with torch.no_grad():
            self.offset.weight.zero_()
            self.offset.bias = nn.Parameter((direction[:, None] * steps).flatten())

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Own and other map, both ``[N, C, h, w]``, to the new own map ``[N, C, h, w]``."""
        batch, channels, height, width = own.shape
        query = own * other
        grid = self._sampling_grid(self.offset(query))  # [N*M, hw, I, 2]
        score = self.score(query).reshape(batch * self.heads, self.points, height * width)
        score = score.softmax(1).transpose(1, 2)[:, None]  # [N*M, 1, hw, I]
        value = self.value(other).reshape(-1, channels // self.heads, height, width)
        sampled = functional.grid_sample(value, grid, mode="bilinear", align_corners=False)
        mixed = (sampled * score).sum(-1).view(batch, channels, height, width)
        written: Tensor = own + self.output(mixed)
        return written

    def _sampling_grid(self, offset: Tensor) -> Tensor:
        """Offsets ``[N, M*I*2, h, w]`` in cells to points for ``grid_sample``."""
        batch, _, height, width = offset.shape
        like = self.projection  # its type and device
        y = (torch.arange(height).to(like) + 0.5) * (2 / height) - 1
        x = (torch.arange(width).to(like) + 0.5) * (2 / width) - 1
        cell = torch.stack([x.repeat(height), y.repeat_interleave(width)], -1)  # [hw, 2]
        reference = cell @ self.projection[:, :2].T + self.projection[:, 2]
        scale = offset.new_tensor([2 / width, 2 / height])
        shift = offset.reshape(batch * self.heads, self.points, 2, height * width)
        shift = shift.permute(0, 3, 1, 2) * scale  # [N*M, hw, I, 2]
        return reference[None, :, None] + shift
