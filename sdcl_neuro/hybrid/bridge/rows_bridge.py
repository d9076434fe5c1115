"""The bridge made ready for inference: `rows_bridge(bridge)` says what `bridge` says, faster."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .checks import bridge_inputs, checked, same_tracklets
from .config import BridgeConfig, require_power_of_two
from .gate import Gated
from .heads import Head, Output
from .network import Bridge
from .psta import PstaBridge, SpatialFusion
from .pyramid import PyramidLevel, one_side
from .rows import Product, TwoProducts, as_rows, folded_weights
from .rows_fusion import FusionRows, MappingRows, PatchProduct
from .rows_stam import rows_block


class RowsBridge(nn.Module):
    """A `Bridge` for inference on a CPU; its weights are a copy.

    It is called as the bridge is, and says the same embedding within rounding; there are no
    logits. Inputs are checked as the bridge's own.

    Args:
        bridge: in evaluation or training; left as it is.
        half: multiply in bfloat16: fast where the processor has AMX or AVX512-BF16. What the
            bridge samples, and its last features, stay in float32.
    """

    def __init__(self, bridge: Bridge, *, half: bool = False) -> None:
        super().__init__()
        self.config: BridgeConfig = bridge.config
        size = bridge.config.map_size
        entry, mapping = bridge.frame_entry, bridge.event_entry
        self.frame_entry = None if entry is None else Product.of(entry)
        self.event_entry = None if mapping is None else MappingRows(mapping)
        self.fusion = None if bridge.fusion is None else FusionRows(bridge.fusion, size)
        self.levels = nn.ModuleList(_level(level, size) for level in bridge.pyramid.levels)
        self._type = torch.bfloat16 if half else torch.float32
        self.to(self._type)
        self.necks, self.gated = _necks(bridge.heads), copy.deepcopy(bridge.gated)
        self.requires_grad_(requires_grad=False).eval()

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.config.embedding_size

    @torch.no_grad()
    def forward(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Fuse B tracklets of F frames; arguments and errors as `Bridge`'s."""
        maps, features, counts = bridge_inputs(
            self.config, frame_maps, event_features, event_counts
        )
        frames = events = None
        if self.frame_entry is not None and maps is not None:
            rows = as_rows(maps.flatten(0, 1).to(self._type))
            frames = self.frame_entry(rows)
        if self.event_entry is not None and features is not None and counts is not None:
            events = self.event_entry(features.flatten(0, 1).float(), counts.flatten(0, 1))
        shape = (maps if maps is not None else features).shape[:2]  # type: ignore[union-attr]
        if self.fusion is not None:
            frames, events = self.fusion(frames, events)
        sides = (None if x is None else x.unflatten(0, shape) for x in (frames, events))
        fused = necked(self.necks, self._aggregated(*sides))
        return self._let_in(fused, frame_maps, event_features, event_counts)

    def _aggregated(self, frames: Tensor | None, events: Tensor | None) -> list[Tensor]:
        """Map both sides ``[B, F, hw, C]`` to the pooled feature ``[B, C]`` of each level,
        float32.
        """
        if not self.levels:
            return [one_side(frames, events).mean((1, 2), dtype=torch.float32)]
        given = frames if frames is not None else events
        if given is not None:
            require_power_of_two(given.shape[1], least=2 ** len(self.levels))
        pooled = []
        for level in self.levels:
            frames, events, joint = level(frames, events)
            pooled.append(joint.mean((1, 2), dtype=torch.float32))
        return pooled

    def _let_in(
        self, fused: Output, maps: Tensor | None, features: Tensor | None, counts: Tensor | None
    ) -> Output:
        if not isinstance(self.gated, Gated) or maps is None:
            return fused
        seen = None
        if self.config.uses_events:
            seen = features if counts is None else counts
        gated: Output = self.gated(maps, fused, seen)
        return gated


class _LevelRows(nn.Module):
    """`pyramid.PyramidLevel`: sides ``[B, t, hw, C]``, halved and joined."""

    def __init__(self, level: PyramidLevel, size: tuple[int, int]) -> None:
        super().__init__()
        blocks = (level.frames, level.events, level.joint)
        self.frames, self.events, self.joint = (
            None if block is None else rows_block(block, size) for block in blocks
        )

    def forward(
        self, frames: Tensor | None, events: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """Compute as `PyramidLevel` does."""
        if frames is not None and self.frames is not None:
            frames = _halved(self.frames, frames)
        if events is not None and self.events is not None:
            events = _halved(self.events, events)
        if frames is None or events is None or self.joint is None:
            return frames, events, one_side(frames, events)
        both = torch.stack([frames, events], 2).flatten(0, 1)  # the two side by side in time
        joint = self.joint(both).add_(both[:, 0]).add_(both[:, 1])
        return frames, events, joint.unflatten(0, frames.shape[:2])


def _level(level: nn.Module, size: tuple[int, int]) -> _LevelRows:
    assert isinstance(level, PyramidLevel)
    return _LevelRows(level, size)


def _halved(block: nn.Module, steps: Tensor) -> Tensor:
    """Return ``[B, t, hw, C] -> [B, t/2, hw, C]``, the pair added to what the block says of it."""
    pairs = steps.unflatten(1, (-1, 2)).flatten(0, 1)
    halved: Tensor = block(pairs).add_(pairs[:, 0]).add_(pairs[:, 1])
    return halved.view(steps.shape[0], -1, *halved.shape[1:])


def _necks(heads: nn.ModuleList) -> nn.ModuleList:
    """Return copies of the heads' necks; there are no logits."""
    found = nn.ModuleList()
    for head in heads:
        assert isinstance(head, Head)
        found.append(copy.deepcopy(head.neck))
    return found


def necked(necks: nn.ModuleList, pooled: list[Tensor]) -> Output:
    """Return embedding of pooled features: level k's is the mean of those up to k, after its
    BNNeck.
    """
    sums = torch.stack(pooled).cumsum(0)
    features = tuple(total / count for count, total in enumerate(sums, 1))
    out = tuple(neck(feature) for neck, feature in zip(necks, features, strict=True))
    return Output(out[-1], level_features=features, logits=(), necked=out)


class RowsPstaBridge(nn.Module):
    """A `PstaBridge` for inference on a CPU; as `RowsBridge`."""

    def __init__(self, bridge: PstaBridge, *, half: bool = False) -> None:
        super().__init__()
        self.config: BridgeConfig = bridge.config
        self.entry = Product.of(bridge.entry)
        self.fusion = None if bridge.fusion is None else _SpatialRows(bridge.fusion)
        size = bridge.config.map_size
        self.levels = nn.ModuleList(rows_block(block, size) for block in bridge.pyramid)
        self._type = torch.bfloat16 if half else torch.float32
        self.to(self._type)
        self.necks = _necks(bridge.heads)
        self.requires_grad_(requires_grad=False).eval()

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.config.channels

    @torch.no_grad()
    def forward(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Return arguments and errors as `PstaBridge`'s."""
        config = self.config
        given, name = (
            (frame_maps, "frame_maps") if config.uses_frames else (event_features, "event_features")
        )
        maps = checked(given, name, (config.frame_channels, *config.map_size))
        batch, frames = maps.shape[:2]
        require_power_of_two(frames, least=2 ** len(self.levels))
        steps = self.entry(as_rows(maps.flatten(0, 1).to(self._type)))
        if self.fusion is not None:
            events = checked(
                event_features, "event_features", (config.event_channels, *config.event_size)
            )
            same_tracklets(maps, events)
            steps = self.fusion(steps, events.flatten(0, 1).to(self._type))
        steps = steps.unflatten(0, (batch, frames))
        pooled = []
        for block in self.levels:
            halved = block(steps.unflatten(1, (-1, 2)).flatten(0, 1))
            steps = halved.unflatten(0, (batch, -1))
            pooled.append(steps.mean((1, 2), dtype=torch.float32))
        return necked(self.necks, pooled)


class _SpatialRows(nn.Module):
    """`psta.SpatialFusion`: rows of frames ``[N, hw, C]`` and event features, to rows."""

    def __init__(self, fusion: SpatialFusion) -> None:
        super().__init__()
        self.entry = PatchProduct(fusion.entry)
        weight, bias = folded_weights(fusion.weight)
        self.weight = TwoProducts(weight, bias, first=weight.shape[1] // 2, relu=False)

    def forward(self, frames: Tensor, events: Tensor) -> Tensor:
        """Compute as `SpatialFusion` does."""
        seen = (events.flatten(1).abs().amax(1) > 0).to(frames.dtype)
        entered = self.entry(events) * seen[:, None, None]
        fused: Tensor = frames + self.weight(frames, entered).sigmoid_() * entered
        return fused


AnyRowsBridge = RowsBridge | RowsPstaBridge


def rows_bridge(bridge: nn.Module, *, half: bool = False) -> AnyRowsBridge | None:
    """Make a bridge ready for inference on a CPU.

    Args:
        bridge: of any kind; left as it is.
        half: multiply in bfloat16.

    Returns:
        None for a kind that has no such form: a stand-in for another method.
    """
    if isinstance(bridge, Bridge):
        return RowsBridge(bridge, half=half)
    return RowsPstaBridge(bridge, half=half) if isinstance(bridge, PstaBridge) else None
