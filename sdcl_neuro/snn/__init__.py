"""Spiking networks in torch: chip-exact neurons, the event branch, training through time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .bptt.memory import release as release_memory  # noqa: F401
    from .branch_description import COMPACT as COMPACT
    from .branch_description import PAPER as PAPER
    from .branch_description import BranchDescription as BranchDescription
    from .branch_description import ConvolutionSpec as ConvolutionSpec
    from .checkpoint import load_checkpoint as load_checkpoint
    from .checkpoint import save_checkpoint as save_checkpoint
    from .event_branch import EventBranch as EventBranch
    from .loihi_leaky import LoihiLeaky as LoihiLeaky
    from .loihi_leaky import LoihiRLeaky as LoihiRLeaky
    from .loihi_leaky import LoihiSynaptic as LoihiSynaptic

_PUBLIC = {
    "release_memory": "bptt.memory:release",
    "BranchDescription": "branch_description",
    "COMPACT": "branch_description",
    "ConvolutionSpec": "branch_description",
    "EventBranch": "event_branch",
    "load_checkpoint": "checkpoint",
    "LoihiLeaky": "loihi_leaky",
    "LoihiRLeaky": "loihi_leaky",
    "LoihiSynaptic": "loihi_leaky",
    "PAPER": "branch_description",
    "save_checkpoint": "checkpoint",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)
