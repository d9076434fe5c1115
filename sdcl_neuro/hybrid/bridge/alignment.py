"""Cross feature alignment: deformable cross attention from one side to the other (Eqs. 12, 13)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .point_sampling import mixed_samples

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""Own and other plane are one. Not torch.eye: without values (on the device ``meta``) that one
operation loads torch's decompositions, for over a second."""


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
        self.register_buffer("projection", torch.tensor(IDENTITY))
        self._spread_points()

    def _spread_points(self) -> None:
        """Start as Deformable DETR does: head m looks in its own direction, point i at i cells."""
        if self.projection.is_meta:
            return  # no values to begin with
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)  # [M, 2]
        direction = direction / direction.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, -1, 1)
        with torch.no_grad():
            self.offset.weight.zero_()
            self.offset.bias = nn.Parameter((direction[:, None] * steps).flatten())

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map own and other map, both ``[N, C, h, w]``, to the new own map ``[N, C, h, w]``."""
        batch, _, height, width = own.shape
        query = own * other
        score = self.score(query).reshape(batch, self.heads, self.points, height * width).softmax(2)
        mixed = mixed_samples(self.value(other), self.offset(query), score, self.projection)
        written: Tensor = own + self.output(mixed)
        return written
