"""The symmetrical pyramid of Figure 2: each level halves the steps of both sides and joins them.

One level, for frames V and events E ``[B, t, C, h, w]``, pairs (i, i + 1) with i even::

    V' = block_v(V_i, V_{i+1}) + V_i + V_{i+1}            [B, t/2, C, h, w]
    E' = block_e(E_i, E_{i+1}) + E_i + E_{i+1}            [B, t/2, C, h, w]
    J  = block_j(V', E') + V' + E'                        [B, t/2, C, h, w]

V' and E' go on to the next level; J, pooled over cells and time, is what the level yields. The sums
past the blocks are the figure's. With one side alone, the level yields that side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import BridgeConfig, require_power_of_two
from .stam import ResidualPair, Stam


def _block(config: BridgeConfig) -> nn.Module:
    if config.pyramid == "residual":
        return ResidualPair(config.channels)
    return Stam(config.channels, cells=config.map_size[0] * config.map_size[1])


def _halve(block: nn.Module, steps: Tensor) -> Tensor:
    """Return ``[B, t, C, h, w] -> [B, t/2, C, h, w]``."""
    pairs = steps.unflatten(1, (-1, 2)).flatten(0, 1)  # [B * t/2, 2, C, h, w]
    halved: Tensor = block(pairs) + pairs.sum(1)
    return halved.view(steps.shape[0], -1, *halved.shape[1:])


class PyramidLevel(nn.Module):
    """One level; a block for each side in use, and one that joins two sides."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.frames = _block(config) if config.uses_frames else None
        self.events = _block(config) if config.uses_events else None
        self.joint = _block(config) if config.inputs == "v+e" else None

    def forward(
        self, frames: Tensor | None, events: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """Return both sides ``[B, t, C, h, w]`` (None where absent), halved, and what they
        yield.
        """
        if frames is not None and self.frames is not None:
            frames = _halve(self.frames, frames)
        if events is not None and self.events is not None:
            events = _halve(self.events, events)
        if frames is None or events is None or self.joint is None:
            return frames, events, one_side(frames, events)
        both = torch.stack([frames, events], 2).flatten(1, 2)  # the two side by side in time
        return frames, events, _halve(self.joint, both)


def one_side(frames: Tensor | None, events: Tensor | None) -> Tensor:
    """Return the sum of the sides there are."""
    if frames is not None and events is not None:
        return frames + events
    side = frames if frames is not None else events
    if side is None:
        raise ValueError("neither frames nor events")
    return side


class Aggregation(nn.Module):
    """All levels: both sides ``[B, F, C, h, w]`` to one feature ``[B, C]`` for each level.

    Level k's feature is the mean of the pooled features up to k (the paper's code).
    """

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        count = 0 if config.pyramid == "none" else config.levels
        self.levels = nn.ModuleList(PyramidLevel(config) for _ in range(count))

    def forward(self, frames: Tensor | None, events: Tensor | None) -> tuple[Tensor, ...]:
        """Return one tensor ``[B, C]`` for each level.

        Raises:
            InputError: the number of frames is not a power of two, or too small for the levels.
        """
        if not self.levels:
            return (one_side(frames, events).mean((1, 3, 4)),)
        given = frames if frames is not None else events
        if given is not None:
            require_power_of_two(given.shape[1], least=2 ** len(self.levels))
        features: list[Tensor] = []
        total: Tensor | None = None
        for count, level in enumerate(self.levels, 1):
            frames, events, joint = level(frames, events)
            pooled = joint.mean((1, 3, 4))
            total = pooled if total is None else total + pooled
            features.append(total / count)
        return tuple(features)
