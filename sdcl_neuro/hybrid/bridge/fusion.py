"""How one side's map takes in the other's, one class for each way; all keep ``[N, C, h, w]``.

Each is called ``(own, other)`` and returns the new own map. `alignment.CrossFeatureAlignment` is
the paper's; those here are the alternatives of its ablation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .alignment import CrossFeatureAlignment
from .config import BridgeConfig
from .layers import conv_bn_relu


class Addition(nn.Module):
    """The sum of the two maps."""

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map ``[N, C, h, w]`` twice, to the same."""
        return own + other


class Concatenation(nn.Module):
    """A 1x1 convolution with batch norm and ReLU over both maps' channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = conv_bn_relu(2 * channels, channels)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map ``[N, C, h, w]`` twice, to the same."""
        mixed: Tensor = self.mix(torch.cat([own, other], 1))
        return mixed


class CrossAttention(nn.Module):
    """Multi-head attention of each own cell over all cells of the other map, with a residual."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        # A key's bias adds the same to every score of a query: softmax would never see it.
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map ``[N, C, h, w]`` twice, to the same."""
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(own)),
            self._split(self.key(other)),
            self._split(self.value(other)),
        )  # [N, M, hw, C/M]
        gathered = mixed.transpose(2, 3).reshape(own.shape)
        written: Tensor = own + self.output(gathered)
        return written

    def _split(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        return x.reshape(batch, self.heads, channels // self.heads, -1).transpose(2, 3)


def exchange(config: BridgeConfig) -> nn.Module:
    """Return the module for one direction of `config.fusion`, which must not be ``none``."""
    match config.fusion:
        case "add":
            return Addition()
        case "concat":
            return Concatenation(config.channels)
        case "attention":
            return CrossAttention(config.channels, heads=config.heads)
        case "alignment":
            return CrossFeatureAlignment(config.channels, heads=config.heads, points=config.points)
        case "none":
            raise ValueError("no module stands for the absence of fusion")


class Fusion(nn.Module):
    """Both sides' maps, exchanged in the directions asked for; each reads the unchanged other."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        into_frames = config.direction in ("e2f", "both")
        into_events = config.direction in ("f2e", "both")
        self.e2f = exchange(config) if into_frames else None
        self.f2e = exchange(config) if into_events else None

    def forward(self, frames: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[N, C, h, w]`` frames and events, to the same."""
        return (
            frames if self.e2f is None else self.e2f(frames, events),
            events if self.f2e is None else self.f2e(events, frames),
        )

    def set_projection(self, event_to_frame: Tensor) -> None:
        """Set T_e-f of Eq. 12; only alignment has one. See `CrossFeatureAlignment`."""
        square = torch.eye(3, dtype=event_to_frame.dtype, device=event_to_frame.device)
        square[:2] = event_to_frame
        if isinstance(self.f2e, CrossFeatureAlignment):
            self.f2e.projection.copy_(event_to_frame)
        if isinstance(self.e2f, CrossFeatureAlignment):
            self.e2f.projection.copy_(torch.linalg.inv(square)[:2])
