"""Processors shared out between the two branches, so that together they use no more than there are.

The number holds for a whole session: with another one, sums of the dense side round differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sdcl_neuro.processors import Threads, settle, usable

from ..model import Sdcl

LIGHT = 3_500_000
"""The cost of synchronising threads on a batch, in the unit of its work: parameters of the frame
branch times frames. With n threads a batch gains where its work exceeds n / (n - 1) times as much.
Measured on two processors with OSNet x0.25 (.2 million, 4 frames a tracklet): in batches of 8 one
thread takes 57 ms a tracklet and two sleeping ones 56 to 62; in batches of 32, 50 and 34 ms."""


@dataclass(frozen=True)
class Shares:
    """Threads of each branch.

    Attributes:
        dense: of the frame branch and the bridge.
        events: of the event branch on this machine, at most.
    """

    dense: Threads
    events: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"dense_side": self.dense.to_dict(), "event_branch": self.events}

    def __str__(self) -> str:
        return f"threads: dense side {self.dense}; event branch {self.events}"


def share_out(model: Sdcl, device: torch.device, *, frames: int) -> Shares:
    """Decide how many threads each branch gets.

    Args:
        model: SDCL.
        device: of the dense side; on a GPU the event branch has the processors for itself.
        frames: of a batch, all its tracklets together.
    """
    branch, available = model.frame_branch, usable()
    weights = 0 if branch is None else sum(one.numel() for one in branch.parameters())
    dense = settle(light=device.type == "cpu" and 0 < weights * frames <= _light(available))
    if device.type != "cpu" or branch is None:
        return Shares(dense, dense.count)
    limit = available if dense.told is None else max(1, min(dense.told, available))
    return Shares(dense, max(1, limit - dense.count))


def _light(threads: int) -> float:
    """Return parameters times frames up to which so many threads gain nothing; see `LIGHT`."""
    return LIGHT * threads / max(1, threads - 1)
