"""OSNet (Zhou et al., ICCV 2019) frame by frame, averaged: an image network on a video."""

from __future__ import annotations

from torch import Tensor

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.hybrid.bridge.heads import Head as Neck

from .head import MethodHead, Shape, pooled


class MeanHead(MethodHead):
    """The mean over cells and frames, a BNNeck and a classifier."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.size = shape.channels
        self.neck = Neck(shape.channels, shape.identities)

    def forward(self, maps: Tensor) -> Output:
        """See `MethodHead`."""
        feature = pooled(maps).mean(1)
        normed, logits = self.neck(feature)
        return Output(normed, (feature,), () if logits is None else (logits,), (normed,))
