"""A dense network on event voxels: the event input of a baseline made for frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.errors import InputError

from .frame_branch import FRAME_SIZE

SLICES = 3
"""Time slices of a voxel, as many as a picture has channels (the paper's published code)."""


def event_voxels(spikes: Tensor, *, bins: int) -> Tensor:
    """Return signed counts in three time slices of each frame's interval, as large as a frame.

    Args:
        spikes: ``[F*K, B, 2, H, W]``, channel 0 OFF, 1 ON.
        bins: K; bin k falls into slice ``3 k // K``.

    Returns:
        float ``[F, B, 3, 256, 128]``: ON minus OFF; every cell repeated to the frame's size.
    """
    signed = spikes[:, :, 1].float() - spikes[:, :, 0].float()  # [F*K, B, H, W]
    by_frame = signed.unflatten(0, (-1, bins))  # [F, K, B, H, W]
    slices = [
        by_frame[:, [k for k in range(bins) if SLICES * k // bins == one]].sum(1)
        for one in range(SLICES)
    ]
    voxels = torch.stack(slices, 2)  # [F, B, 3, H, W]
    sized = functional.interpolate(voxels.flatten(0, 1), size=FRAME_SIZE, mode="nearest")
    return sized.view(*voxels.shape[:3], *FRAME_SIZE)


class VoxelBranch(nn.Module):
    """Stands where an `EventBranch` stands, and runs a frame network on voxels.

    Args:
        network: ``[N, 3, 256, 128] -> [N, C, 16, 8]``, or one that takes clips, see `model.Sdcl`.
        bins: K.
    """

    def __init__(self, network: nn.Module, *, bins: int) -> None:
        super().__init__()
        self.network = network
        self.bins = bins

    def forward(self, spikes: Tensor) -> list[Tensor]:
        """Map ``[F*K, B, 2, H, W]`` to one "layer" ``[F, B, C, 16, 8]``: one step for each
        frame.
        """
        if spikes.ndim != 5 or spikes.shape[2] != 2 or not len(spikes) or len(spikes) % self.bins:
            raise InputError(
                f"spikes of shape {list(spikes.shape)}",
                where="VoxelBranch",
                hint=f"give [F*{self.bins}, B, 2, H, W]",
            )
        voxels = event_voxels(spikes, bins=self.bins)
        if getattr(self.network, "takes_clips", False):
            return [self.network(voxels.transpose(0, 1)).transpose(0, 1)]
        maps: Tensor = self.network(voxels.flatten(0, 1))
        return [maps.unflatten(0, voxels.shape[:2])]
