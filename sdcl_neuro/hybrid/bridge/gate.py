"""Gate that adds the bridge's output to the frame branch's own feature, starting from zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .heads import Output


class Gated(nn.Module):
    """``own + g * fused``, both of unit length, the shorter one filled up with zeros.

    Own is the frame maps' mean over cells and frames, what a frame branch alone is compared by. The
    scalar g is 0 at first: cosines are then exactly those of the frame branch, whatever the bridge
    says. The bridge learns by its own heads meanwhile, and g by a triplet loss on the sum. Of a
    tracklet without a single event nothing is let in, whatever g has become: its embedding is own.

    Args:
        size: dimension of the result, `BridgeConfig.embedding_size`.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, frame_maps: Tensor, fused: Output, events: Tensor | None = None) -> Output:
        """Map frame maps ``[B, F, C, h, w]`` and what the bridge says, to what both say.

        Args:
            frame_maps: see above.
            fused: what the bridge says.
            events: event counts or features ``[B, ...]``, zero where nothing happened; None where
                the bridge takes no events.
        """
        own = self._filled(frame_maps.mean((1, 3, 4)))
        let_in = self.gate * self._filled(fused.embedding)
        if events is not None:
            seen = (events.flatten(1).abs().amax(1, keepdim=True) > 0).to(own.dtype)
            let_in = let_in * seen
        joined = own + let_in
        features, necked = (*fused.level_features, joined), (*fused.necked, joined)
        return Output(joined, features, fused.logits, necked)

    def _filled(self, feature: Tensor) -> Tensor:
        unit = functional.normalize(feature)
        return functional.pad(unit, (0, self.size - unit.shape[1]))
