"""PSTA's head (Wang et al., ICCV 2021) with the bridge's interface: SDCL's baseline.

PSTA is a video network: a frame's map through a 1x1 convolution, then STAM blocks one after
another, each of which halves the steps; level k's feature is the mean of the pooled outputs of the
blocks up to k, with a BNNeck and a classifier of its own. Unlike SDCL's pyramid nothing is summed
past a block. SDCL's Table 1 gives it three inputs, here `BridgeConfig.inputs`:

- ``v``: PSTA as it is.
- ``e``: the maps are of event voxels in place of frames (`voxel_branch.VoxelBranch`).
- ``v+e``: a spiking network's features are fused into the frames' by `SpatialFusion`. The paper
  names a "spatial fusion block" and says no more; this one is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .checks import checked, same_tracklets
from .config import BridgeConfig, require_power_of_two
from .heads import Head, Output, judge
from .layers import conv_bn_relu
from .stam import Stam


class SpatialFusion(nn.Module):
    """Event features into frame features, as much in each cell as the two together say.

    ``frames + s * e``, e the events through one convolution whose kernel and stride are the ratio
    of the sizes, s = sigmoid(BN(1x1 convolution of both to one channel)). A map without a single
    event feature adds nothing: the network is then the one of frames alone.
    """

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        (height, width), (rows, columns) = config.event_size, config.map_size
        ratio = (height // rows, width // columns)
        self.entry = conv_bn_relu(
            config.event_channels, config.channels, kernel=ratio, stride=ratio
        )
        self.weight = nn.Sequential(
            nn.Conv2d(2 * config.channels, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid()
        )

    def forward(self, frames: Tensor, events: Tensor) -> Tensor:
        """Map frames ``[N, C, h, w]`` and event features ``[N, Ce, H, W]`` to ``[N, C, h,
        w]``.
        """
        seen = (events.flatten(1).abs().amax(1) > 0).to(frames.dtype)
        entered = self.entry(events) * seen[:, None, None, None]
        fused: Tensor = frames + self.weight(torch.cat([frames, entered], 1)) * entered
        return fused


class PstaBridge(nn.Module):
    """Maps to embeddings; called as `Bridge` is. Of `config`, fusion and mapping do not count.

    For ``inputs="e"`` the event features are the maps of event voxels: `event_channels` and
    `event_size` are then `frame_channels` and `map_size`.
    """

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.config = config
        channels, cells = config.channels, config.map_size[0] * config.map_size[1]
        self.entry = conv_bn_relu(config.frame_channels, channels)
        self.fusion = SpatialFusion(config) if config.inputs == "v+e" else None
        self.pyramid = nn.ModuleList(Stam(channels, cells=cells) for _ in range(config.levels))
        self.heads = nn.ModuleList(Head(channels, config.identities) for _ in range(config.levels))

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
        batch, frames = maps.shape[:2]
        require_power_of_two(frames, least=2 ** len(self.pyramid))
        steps = self.entry(maps.flatten(0, 1))
        if self.fusion is not None:
            shape = (config.event_channels, *config.event_size)
            events = checked(event_features, "event_features", shape)
            same_tracklets(maps, events)
            steps = self.fusion(steps, events.flatten(0, 1))
        return judge(self.heads, self._levels(steps.unflatten(0, (batch, frames))))

    @property
    def embedding_size(self) -> int:
        """Dimension of the embedding."""
        return self.config.channels

    def _levels(self, steps: Tensor) -> tuple[Tensor, ...]:
        """Map ``[B, F, C, h, w]`` to one feature ``[B, C]`` for each level."""
        batch = steps.shape[0]  # len would fix the batch of an exported graph
        pooled: list[Tensor] = []
        features = []
        for block in self.pyramid:
            halved = block(steps.unflatten(1, (-1, 2)).flatten(0, 1))
            steps = halved.unflatten(0, (batch, -1))
            pooled.append(steps.mean((1, 3, 4)))
            features.append(torch.stack(pooled).mean(0))
        return tuple(features)
