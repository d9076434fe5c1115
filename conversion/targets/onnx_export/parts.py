"""The exported part of a model: a module with named inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import FRAME_SIZE
from sdcl_neuro.hybrid.frame_branch.images import MEAN, STD
from sdcl_neuro.hybrid.model import takes_clips
from sdcl_neuro.hybrid.sdcl_checkpoint import SdclCheckpoint
from sdcl_neuro.hybrid.voxels import VoxelBranch
from sdcl_neuro.network.spec import Pair

BATCH = "batch"


@dataclass(frozen=True)
class Port:
    """One input or output, float32.

    Attributes:
        name: in the graph.
        shape: of one sample; the batch comes before it and is free.
        meaning: in words.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "type": "float32",
            "shape": [BATCH, *self.shape],
            "meaning": self.meaning,
        }


@dataclass(frozen=True, eq=False)
class ExportedPart:
    """One part of the dense side.

    Attributes:
        name: see `PARTS`.
        module: takes `inputs` in order and gives `output`.
        inputs, output: by name.
        facts: what else a user of the file has to know, plain JSON values.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    output: Port
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sample(self, batch: int, *, seed: int) -> tuple[Tensor, ...]:
        """Return random inputs; event counts from empty to crowded, as a tracklet's frames are."""
        generator = torch.Generator().manual_seed(seed)
        given = []
        for port in self.inputs:
            value = torch.randn(batch, *port.shape, generator=generator)
            if port.name == "event_features":
                value = value.sigmoid()
            elif port.name == "event_counts":
                share = torch.linspace(0, 0.5, value.shape[0] * value.shape[1])
                chance = torch.rand(value.shape, generator=generator)
                value = (chance < share.view(*value.shape[:2], 1, 1)).float() * 2
            given.append(value)
        return tuple(given)


class UnitLength(nn.Module):
    """A bridge whose inputs are all given, to embeddings of unit length."""

    def __init__(self, bridge: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.bridge, self.names = bridge, names

    def forward(self, *given: Tensor) -> Tensor:
        """Map inputs in the order of their names, to ``[B, C]``."""
        named = dict(zip(self.names, given, strict=True))
        order = ("frame_maps", "event_features", "event_counts")
        said = self.bridge(*(named.get(name) for name in order))
        return functional.normalize(said.embedding)


class OnVoxels(nn.Module):
    """A network on event voxels, the tracklet first: ``[B, F*K, 2, H, W]`` to its maps."""

    def __init__(self, branch: VoxelBranch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, spikes: Tensor) -> Tensor:
        """Map spikes as counts to maps ``[B, F, C, h, w]``."""
        maps: Tensor = self.branch(spikes.transpose(0, 1))[0]
        return maps.transpose(0, 1)


def _voxel_branch(loaded: SdclCheckpoint, branch: VoxelBranch) -> ExportedPart:
    """Return what stands in the frame branch's place where events are given in place of frames."""
    config, clip = loaded.model.bridge.config, loaded.clip
    spikes = (config.frames * clip.bins, 2, *clip.size)
    maps = (config.frames, config.event_channels, *config.event_size)
    return ExportedPart(
        name="frame-branch",
        module=OnVoxels(branch).eval(),
        inputs=(Port("spikes", spikes, "events a bin and cell; channel 0 OFF, 1 ON"),),
        output=Port("event_features", maps, "one map a frame"),
        facts={"network": loaded.frame_branch, "bins": clip.bins, "voxels": "ON minus OFF"},
    )


def frame_branch(loaded: SdclCheckpoint) -> ExportedPart:
    """Map frames to maps, one by one; of a network on event voxels, spikes to maps."""
    branch = loaded.model.frame_branch
    if isinstance(loaded.model.event_branch, VoxelBranch):
        return _voxel_branch(loaded, loaded.model.event_branch)
    if branch is None:
        raise InputError(
            "the model has no frame branch", where="--part frame-branch", hint="export the bridge"
        )
    config = loaded.model.bridge.config
    # Networks whose frames see each other take the frames of a clip together.
    clip = (config.frames,) if takes_clips(branch) else ()
    maps = (*clip, config.frame_channels, *config.map_size)
    return ExportedPart(
        name="frame-branch",
        module=branch,
        inputs=(Port("frames", (*clip, 3, *FRAME_SIZE), "RGB / 255, then (x - mean) / std"),),
        output=Port("frame_maps", maps, "one map a frame"),
        facts={
            "network": loaded.frame_branch,
            "normalisation": {"scale": 255, "mean": list(MEAN), "std": list(STD), "order": "RGB"},
        },
    )


def bridge(loaded: SdclCheckpoint) -> ExportedPart:
    """Turn maps and event features to the embedding of a tracklet."""
    module, clip = loaded.model.bridge, loaded.clip
    config = module.config
    inputs = _bridge_inputs(config, clip.size, mapped=isinstance(module, Bridge))
    names = tuple(port.name for port in inputs)
    if "event_counts" in names:
        _check_ratio(clip.size, config.event_size)
    return ExportedPart(
        name="bridge",
        module=UnitLength(module, names).eval(),
        inputs=inputs,
        output=Port("embedding", (module.embedding_size,), "of unit length: compare by cosine"),
        facts={
            "frames": config.frames,
            "bins": clip.bins,
            "layout": "tracklet, frame, channel, row, column",
            "bridge": config.to_dict(),
        },
    )


def _check_ratio(pixels: Pair, cells: Pair) -> None:
    """Refuse to pool by another than a whole ratio, for which ONNX has no operator."""
    if any(pixel % cell for pixel, cell in zip(pixels, cells, strict=True)):
        raise InputError(
            f"event counts of {pixels} pixels on a map of {cells} cells have no whole ratio",
            where="the bridge's event mapping",
            hint="choose an input size that the event branch divides evenly",
        )


def _bridge_inputs(
    config: BridgeConfig, pixels: tuple[int, int], *, mapped: bool
) -> tuple[Port, ...]:
    ports = []
    if config.uses_frames:
        shape = (config.frames, config.frame_channels, *config.map_size)
        ports.append(Port("frame_maps", shape, "what the frame branch says of each frame"))
    if config.uses_events:
        shape = (config.frames, config.event_channels, *config.event_size)
        ports.append(
            Port("event_features", shape, "the last spiking layer, averaged over a frame's bins")
        )
        if mapped and config.deformable_layers:
            ports.append(
                Port("event_counts", (config.frames, *pixels), "events a pixel, both polarities")
            )
    return tuple(ports)


PARTS: dict[str, Callable[[SdclCheckpoint], ExportedPart]] = {
    "frame-branch": frame_branch,
    "bridge": bridge,
}
