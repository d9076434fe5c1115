"""The whole network: frame branch, event branch and bridge."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public

from .bridge import Bridge, Output, PstaBridge
from .bridge.rows_bridge import AnyRowsBridge
from .methods import MethodBridge, StandInBridge

Spikes = Tensor | NDArray[np.uint8]
AnyBridge = Bridge | PstaBridge | MethodBridge | StandInBridge


@public
def event_features(layer_spikes: Spikes, *, frames: int) -> Tensor:
    """Return a frame's event features: the spikes of its K bins, averaged.

    Args:
        layer_spikes: ``[T, B, C, h, w]`` of any backend, a uint8 array or a tensor; T = frames * K,
            a frame's bins next to each other.
        frames: F.

    Returns:
        float32 ``[B, F, C, h, w]``.

    Raises:
        InputError: T is not a multiple of `frames`.
    """
    return _bins(layer_spikes, frames).mean(1, dtype=torch.float32).transpose(0, 1)


@public
def event_counts(spikes: Spikes, *, frames: int) -> Tensor:
    """Return events per pixel of each frame's interval, both polarities together.

    Args:
        spikes: ``[T, B, 2, H, W]``, the event branch's input, a uint8 array or a tensor.
        frames: F.

    Returns:
        float32 ``[B, F, H, W]``.
    """
    return _bins(spikes, frames).sum((1, 3), dtype=torch.float32).transpose(0, 1)


def _bins(spikes: Spikes, frames: int) -> Tensor:
    """Return ``[F*K, B, ...] -> [F, K, B, ...]``."""
    # np.require copies an array that may not be written: torch would warn of it.
    values = (
        spikes
        if isinstance(spikes, Tensor)
        else torch.from_numpy(np.require(spikes, requirements=["C", "W"]))
    )
    if values.ndim != 5 or frames < 1 or not len(values) or len(values) % frames:
        raise InputError(
            f"spikes of shape {tuple(values.shape)} cannot be shared among {frames} frames",
            where="event_features",
            hint="give [F*K, B, C, h, w], K bins for each of the F frames",
        )
    return values.reshape(frames, -1, *values.shape[1:])


def takes_clips(network: nn.Module | None) -> bool:
    """Return whether a frame network sees all frames of a clip together; others see one at a
    time.
    """
    return bool(getattr(network, "takes_clips", False))


class Sdcl(nn.Module):
    """SDCL, composed; so is every other network that is trained and judged here.

    Whoever trains, evaluates, saves or exports a model relies on this and no more:

    - ``model.bridge.config`` is a `BridgeConfig`: `uses_frames` and `uses_events` say which inputs
      there must be, `frames`, `identities`, `channels` how many.
    - ``model(frames, spikes)`` is ``fuse(frame_maps(frames), event_features(layers[-1]),
      event_counts(spikes))`` with ``layers = event_branch(spikes)``, absent sides None.
    - ``event_branch`` is an `EventBranch` wherever spikes can come from another backend; a dense
      network there (`VoxelBranch`) only ever runs as it is. It is None where there are no events.
    - ``state_dict()`` is the whole state.

    Args:
        frame_branch: ``[N, 3, 256, 128] -> [N, C, 16, 8]``, or one whose `takes_clips` is true:
            ``[B, F, 3, 256, 128] -> [B, F, C, 16, 8]``; None where the bridge takes no frames.
        event_branch: ``[T, B, 2, H, W] ->`` one ``[T, B, C, h, w]`` for each spiking layer; None
            where the bridge takes no events, or where the spikes come from another backend.
        bridge: fuses the two.
    """

    def __init__(
        self,
        frame_branch: nn.Module | None,
        event_branch: nn.Module | None,
        *,
        bridge: AnyBridge | AnyRowsBridge,
    ) -> None:
        super().__init__()
        self.frame_branch = frame_branch
        self.event_branch = event_branch
        self.bridge = bridge

    def forward(self, frames: Tensor | None, spikes: Tensor | None) -> Output:
        """Map tracklets to embeddings.

        Args:
            frames: ``[B, F, 3, 256, 128]``, ImageNet-normalised RGB; None for ``inputs="e"``.
            spikes: ``[F*K, B, 2, H, W]``; None for ``inputs="v"``. Without frames, F is
                the bridge's ``config.frames``.
        """
        config = self.bridge.config
        maps = self.frame_maps(frames) if config.uses_frames and frames is not None else None
        if not config.uses_events or spikes is None:
            return self.fuse(maps, None, None)
        if self.event_branch is None:
            raise InputError(
                "there is no event branch to run",
                where="Sdcl",
                hint="give one, or call fuse with a backend's spikes",
            )
        count = config.frames if maps is None else maps.shape[1]
        layers = self.event_branch(spikes.float())
        return self.fuse(
            maps, event_features(layers[-1], frames=count), event_counts(spikes, frames=count)
        )

    def frame_maps(self, frames: Tensor) -> Tensor:
        """Map frames ``[B, F, 3, 256, 128]`` to maps ``[B, F, C, 16, 8]``."""
        if self.frame_branch is None:
            raise InputError(
                "there is no frame branch to run",
                where="Sdcl",
                hint="give one, or call fuse with maps",
            )
        if takes_clips(self.frame_branch):
            whole: Tensor = self.frame_branch(frames)
            return whole
        maps: Tensor = self.frame_branch(frames.flatten(0, 1))
        return maps.view(*frames.shape[:2], *maps.shape[1:])

    def fuse(
        self, frame_maps: Tensor | None, event_features: Tensor | None, event_counts: Tensor | None
    ) -> Output:
        """Return the bridge alone, on maps from the frame branch and spikes from any backend.

        Args:
            frame_maps: ``[B, F, C, 16, 8]``.
            event_features: ``[B, F, Ce, h, w]``, see `event_features`.
            event_counts: ``[B, F, H, W]``, see `event_counts`.
        """
        fused: Output = self.bridge(frame_maps, event_features, event_counts)
        return fused
