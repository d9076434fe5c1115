"""A method behind the bridge's call: maps, and events by one spatial fusion, to an embedding."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import BridgeConfig, Output
from sdcl_neuro.hybrid.bridge.checks import checked, same_tracklets
from sdcl_neuro.hybrid.bridge.psta import SpatialFusion

from .head import LossPlan, Shape
from .table import METHODS, check_frames


class MethodBridge(nn.Module):
    """Called as `Bridge` is; fusion, mapping and pyramid of `config` do not count.

    `config.channels` are those of the frame network's map, `config.frame_channels` those of all
    that the method's backbone gives; events are fused into the former, once, before the head.

    Args:
        kind: of `METHODS`.
        config: its sizes.

    Raises:
        InputError: a map or a number of frames that the method cannot take.
    """

    def __init__(self, kind: str, config: BridgeConfig) -> None:
        super().__init__()
        check_frames(kind, config.frames)
        self.kind, self.config = kind, config
        self.fusion = SpatialFusion(config) if config.inputs == "v+e" else None
        shape = Shape(config.channels, config.map_size, config.frames, config.identities)
        self.head = METHODS[kind].head(shape)

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.head.size

    @property
    def plan(self) -> LossPlan:
        """How it is trained."""
        return self.head.plan

    def forward(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Return arguments as `Bridge`'s; where events are does not matter.

        Raises:
            InputError: an input that `config` needs is absent or of another shape.
        """
        config = self.config
        given, name = (
            (frame_maps, "frame_maps") if config.uses_frames else (event_features, "event_features")
        )
        maps = checked(given, name, (config.frame_channels, *config.map_size))
        self._check(maps.shape[1])
        if self.fusion is not None:
            shape = (config.event_channels, *config.event_size)
            events = checked(event_features, "event_features", shape)
            same_tracklets(maps, events)
            main, rest = maps[:, :, : config.channels], maps[:, :, config.channels :]
            fused = self.fusion(main.flatten(0, 1), events.flatten(0, 1)).view(main.shape)
            maps = fused if not rest.shape[2] else torch.cat([fused, rest], 2)
        said: Output = self.head(maps)
        return said

    def _check(self, frames: int) -> None:
        if frames == self.config.frames:
            return
        check_frames(self.kind, frames)
        if METHODS[self.kind].fixed:
            raise InputError(
                f"{METHODS[self.kind].title} was built for {self.config.frames} frames, not "
                f"{frames}",
                where="clip.frames",
                hint="its weights depend on it: train one for this length",
            )

    def extra_losses(self, extra: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """See `MethodHead`."""
        return self.head.extra_losses(extra, labels)

    def extra_logits(self, extra: Mapping[str, Tensor]) -> Tensor | None:
        """See `MethodHead`."""
        return self.head.extra_logits(extra)
