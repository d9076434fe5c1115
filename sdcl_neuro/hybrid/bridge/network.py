"""The bridge itself: frame maps and event features in, one embedding of the tracklet out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from .checks import bridge_inputs
from .config import BridgeConfig
from .fusion import Fusion
from .gate import Gated
from .heads import Head, Output, judge
from .layers import conv_bn_relu
from .mapping import EventMapping
from .pyramid import Aggregation


@public_class
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
        self.gated = Gated(config.embedding_size) if config.gate else None

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
        inputs = bridge_inputs(self.config, frame_maps, event_features, event_counts)
        frames, events = self._enter_frames(inputs[0]), self._enter_events(*inputs[1:])
        if frames is not None and events is not None and self.fusion is not None:
            shape = frames.shape[:2]
            pair = self.fusion(frames.flatten(0, 1), events.flatten(0, 1))
            frames, events = (side.unflatten(0, shape) for side in pair)
        fused = judge(self.heads, self.pyramid(frames, events))
        if self.gated is None or frame_maps is None:
            return fused
        seen = None
        if self.config.uses_events:
            seen = event_features if event_counts is None else event_counts
        gated: Output = self.gated(frame_maps, fused, seen)
        return gated

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.config.embedding_size

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
                hint="set fusion='alignment'",
            )
        if event_to_frame.shape != (2, 3) or not event_to_frame[:, :2].det().abs() > 0:
            raise InputError(
                f"{event_to_frame.tolist()} is not an invertible affine map",
                where="Bridge.set_projection",
                hint="give [2, 3] with a determinant other than zero",
            )
        with torch.no_grad():
            self.fusion.set_projection(event_to_frame)

    def _enter_frames(self, maps: Tensor | None) -> Tensor | None:
        if self.frame_entry is None or maps is None:
            return None
        entered: Tensor = self.frame_entry(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return entered

    def _enter_events(self, features: Tensor | None, counts: Tensor | None) -> Tensor | None:
        if self.event_entry is None or features is None or counts is None:
            return None
        mapped = self.event_entry(features.flatten(0, 1), counts.flatten(0, 1))
        entered: Tensor = mapped.unflatten(0, features.shape[:2])
        return entered
