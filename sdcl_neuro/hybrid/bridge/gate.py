"""The gate that lets the bridge in beside the frame branch's own feature, from zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .heads import Output


class Gated(nn.Module):
    """``own + g * fused``, both of unit length, the shorter one filled up with zeros.

    Own is the frame maps' mean over cells and frames, what a frame branch alone is compared by. The
    scalar g is 0 at first: cosines are then exactly those of the frame branch, whatever the bridge
    says. The bridge learns by its own heads meanwhile, and g by a triplet loss on the sum.

    Args:
        size: dimension of the result, `BridgeConfig.embedding_size`.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, frame_maps: Tensor, fused: Output) -> Output:
        """Frame maps ``[B, F, C, h, w]`` and what the bridge says, to what both say."""
        own = self._filled(frame_maps.mean((1, 3, 4)))
        joined = own + self.gate * self._filled(fused.embedding)
        return Output(joined, (*fused.level_features, joined), fused.logits)

    def _filled(self, feature: Tensor) -> Tensor:
        unit = functional.normalize(feature)
        return functional.pad(unit, (0, self.size - unit.shape[1]))
