"""What every level ends in, and what comes out of the whole: BNNeck, classifier, `Output`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class Output:
    """Output of the bridge for B tracklets.

    Attributes:
        embedding: ``[B, C]``, the last level's feature behind its BNNeck: compared by cosine. With
            a gate, the frame branch's own feature and that one: `BridgeConfig.embedding_size`.
        level_features: ``[B, C]`` for each level, before the BNNeck: for a triplet loss; with a
            gate the embedding, too.
        logits: ``[B, identities]`` for each level, for cross-entropy; empty without classes.
        necked: ``[B, C]`` for each level, behind the BNNeck: for a triplet loss by cosine; with a
            gate the embedding, too.
        extra: ``[B, ...]`` by name, what losses of a method's own are computed from.
    """

    embedding: Tensor
    level_features: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]
    necked: tuple[Tensor, ...] = ()
    extra: Mapping[str, Tensor] = field(default_factory=dict)


class Head(nn.Module):
    """BNNeck and classifier of one level (Luo et al., CVPRW 2019): ``[B, C]`` in."""

    def __init__(self, channels: int, identities: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(channels)
        # The neck's point: no shift between the feature and what it is compared by.
        self.neck.bias.requires_grad_(False)
        # With a bias, as the published code has it.
        self.classifier = nn.Linear(channels, identities) if identities else None
        if self.classifier is not None:
            nn.init.normal_(self.classifier.weight, std=0.001)
            nn.init.zeros_(self.classifier.bias)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the normalised feature ``[B, C]`` and the logits ``[B, identities]``, if any."""
        normalised: Tensor = self.neck(feature)
        return normalised, None if self.classifier is None else self.classifier(normalised)


def judge(heads: Iterable[nn.Module], features: tuple[Tensor, ...]) -> Output:
    """Return each level's feature ``[B, C]`` through its own head."""
    judged = [head(feature) for head, feature in zip(heads, features, strict=True)]
    logits = tuple(logit for _, logit in judged if logit is not None)
    necked = tuple(normalised for normalised, _ in judged)
    return Output(necked[-1], level_features=features, logits=logits, necked=necked)
