"""Processors shared out between the two branches, so that together they use no more than there are.

The number holds for a whole session: with another one, sums of the dense side round differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sdcl_neuro.processors import Threads, settle, usable

from ..model import Sdcl

LIGHT = 8_000_000
"""Parameters of the frame branch times frames of a batch up to which a second thread gains nothing:
OSNet x0.25 (.2 million, 4 frames a tracklet) takes 57 ms a tracklet in batches of 8 with one thread
and 56 to 62 with two that sleep while they wait, 50 and 34 in batches of 32; ResNet-50 (24 million)
gains in any batch, 342 and 305 ms (measured on two processors)."""


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
    branch = model.frame_branch
    weights = 0 if branch is None else sum(one.numel() for one in branch.parameters())
    dense = settle(light=device.type == "cpu" and 0 < weights * frames <= LIGHT)
    if device.type != "cpu" or branch is None:
        return Shares(dense, dense.count)
    limit = usable() if dense.told is None else max(1, min(dense.told, usable()))
    return Shares(dense, max(1, limit - dense.count))
