"""The bridge itself: frame maps and event features in, one embedding of the tracklet out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError
from .config import BridgeConfig
from .fusion import Fusion
from .layers import conv_bn_relu
from .mapping import EventMapping
from .pyramid import Aggregation


@dataclass(frozen=True)
class Output:
    """What the bridge says of B tracklets.

    Attributes:
        embedding: ``[B, C]``, the last level's feature behind its BNNeck: compared by cosine.
        level_features: ``[B, C]`` for each level, before the BNNeck: for a triplet loss.
        logits: ``[B, identities]`` for each level, for cross-entropy; empty without classes.
    """

    embedding: Tensor
    level_features: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]


class Head(nn.Module):
    """BNNeck and classifier of one level (Luo et al., CVPRW 2019): ``[B, C]`` in."""

    def __init__(self, channels: int, identities: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(channels)
        # The neck's point: no shift between the feature and the classifier's hyperplanes.
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(channels, identities, bias=False) if identities else None
        if self.classifier is not None:
            nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor | None]:
        """The normalised feature ``[B, C]`` and the logits ``[B, identities]``, if any."""
        normalised: Tensor = self.neck(feature)
        return normalised, None if self.classifier is None else self.classifier(normalised)


class Bridge(nn.Module):
    """Deformable mapping, fusion, pyramid and heads, as `config` switches them."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_entry = (
            conv_bn_relu(config.frame_channels, config.channels) if config.uses_frames else None
        )
        self.event_entry = EventMapping(config) if config.uses_events else None
        self.fusion = None if config.fusion == "none" else Fusion(config)
        self.pyramid = Aggregation(config)
        self.heads = nn.ModuleList(
            Head(config.channels, config.identities) for _ in range(config.levels)
        )

    def forward(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Fuse B tracklets of F frames.

        Args:
            frame_maps: ``[B, F, frame_channels, *map_size]``; ignored for ``inputs="e"``.
            event_features: ``[B, F, event_channels, *event_size]``; ignored for ``inputs="v"``.
            event_counts: ``[B, F, H, W]``, events per pixel of each frame's interval; they say
                where the deformable mapping samples, and may be None without its layers.

        Raises:
            InputError: an input that `config` needs is absent or of another shape.
        """
        frames = self._enter_frames(frame_maps)
        events = self._enter_events(event_features, event_counts)
        if frames is not None and events is not None:
            if frames.shape[:2] != events.shape[:2]:
                raise InputError(
                    f"frames are [B, F] = {tuple(frames.shape[:2])}, "
                    f"events {tuple(events.shape[:2])}",
                    where="Bridge",
                    mend="give both for the same tracklets and frames",
                )
            if self.fusion is not None:
                shape = frames.shape[:2]
                pair = self.fusion(frames.flatten(0, 1), events.flatten(0, 1))
                frames, events = (side.unflatten(0, shape) for side in pair)
        features = self.pyramid(frames, events)
        judged = [head(feature) for head, feature in zip(self.heads, features, strict=True)]
        logits = tuple(logit for _, logit in judged if logit is not None)
        return Output(embedding=judged[-1][0], level_features=features, logits=logits)

    def set_projection(self, event_to_frame: Tensor) -> None:
        """Set T_e-f of Eq. 12 in both directions.

        Args:
            event_to_frame: ``[2, 3]``, the affine map from a point (x, y) of the event plane to the
                frame plane, both running from -1 to 1 over the map's edges.

        Raises:
            InputError: there is no alignment to set it for.
        """
        if self.fusion is None or self.config.fusion != "alignment":
            raise InputError(
                f"fusion {self.config.fusion!r} projects nothing",
                where="Bridge.set_projection",
                mend="set fusion='alignment'",
            )
        if event_to_frame.shape != (2, 3) or not event_to_frame[:, :2].det().abs() > 0:
            raise InputError(
                f"{event_to_frame.tolist()} is no affine map that can be undone",
                where="Bridge.set_projection",
                mend="give [2, 3] with a determinant other than zero",
            )
        with torch.no_grad():
            self.fusion.set_projection(event_to_frame)

    def _enter_frames(self, maps: Tensor | None) -> Tensor | None:
        if self.frame_entry is None:
            return None
        config = self.config
        maps = _checked(maps, "frame_maps", (config.frame_channels, *config.map_size))
        entered: Tensor = self.frame_entry(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return entered

    def _enter_events(self, features: Tensor | None, counts: Tensor | None) -> Tensor | None:
        if self.event_entry is None:
            return None
        config = self.config
        features = _checked(features, "event_features", (config.event_channels, *config.event_size))
        batch, frames = features.shape[:2]
        if counts is None and config.deformable_layers == 0:
            counts = features.new_zeros(batch, frames, 1, 1)
        elif counts is not None and any(
            given < cells for given, cells in zip(counts.shape[2:], config.event_size, strict=False)
        ):
            raise InputError(
                f"event_counts of {tuple(counts.shape[2:])} pixels are coarser than the event map",
                where="Bridge",
                mend=f"give at least {config.event_size}",
            )
        if counts is None or counts.ndim != 4 or counts.shape[:2] != features.shape[:2]:
            raise InputError(
                f"event_counts is {'absent' if counts is None else tuple(counts.shape)}",
                where="Bridge",
                mend=f"give [{batch}, {frames}, H, W]",
            )
        mapped = self.event_entry(features.flatten(0, 1), counts.flatten(0, 1))
        entered: Tensor = mapped.unflatten(0, (batch, frames))
        return entered


def _checked(value: Tensor | None, name: str, shape: tuple[int, int, int]) -> Tensor:
    if value is None or value.ndim != 5 or tuple(value.shape[2:]) != shape:
        raise InputError(
            f"{name} is {'absent' if value is None else tuple(value.shape)}",
            where="Bridge",
            mend=f"give [B, F, {', '.join(map(str, shape))}]",
        )
    return value
