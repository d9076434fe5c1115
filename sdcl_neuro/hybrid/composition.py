"""The networks there are, by name: which parts each is composed of."""

from __future__ import annotations

from typing import Literal, get_args

from sdcl_neuro.errors import InputError
from sdcl_neuro.snn.event_branch import EventBranch

from .bridge import Bridge, BridgeConfig, PstaBridge
from .frame_branch import make_frame_branch
from .model import Sdcl
from .voxels import VoxelBranch

ModelKind = Literal["sdcl", "psta"]
MODEL_KINDS: tuple[str, ...] = get_args(ModelKind)


def compose(
    kind: str,
    config: BridgeConfig,
    *,
    frame_branch: str | None,
    event_branch: EventBranch | None = None,
    bins: int = 1,
) -> Sdcl:
    """A model of fresh weights, but for the event branch as given.

    Args:
        kind: ``sdcl``; or ``psta``, the video network that SDCL is compared with, as a whole.
        config: of the bridge.
        frame_branch: of `frame_branch.table.FRAME_BRANCHES`; None where no frames are taken. PSTA
            without frames (``inputs="e"``) runs it on event voxels.
        event_branch: for inputs with events.
        bins: K, time steps per frame, for event voxels.

    Raises:
        InputError: an unknown kind, or no network for the frames or voxels.
    """
    if kind not in MODEL_KINDS:
        raise InputError(
            f"a model of kind {kind!r}", where="compose", hint=f"use {', '.join(MODEL_KINDS)}"
        )
    network = None if frame_branch is None else make_frame_branch(frame_branch)
    if kind == "sdcl":
        return Sdcl(network, event_branch, bridge=Bridge(config))
    if network is None:
        raise InputError("PSTA without a network for frames or voxels", hint="name a frame branch")
    if config.inputs == "e":
        return Sdcl(None, VoxelBranch(network, bins=bins), bridge=PstaBridge(config))
    events = event_branch if config.uses_events else None
    return Sdcl(network, events, bridge=PstaBridge(config))


def kind_of(model: Sdcl) -> ModelKind:
    """The inverse of `compose`'s first argument."""
    return "psta" if isinstance(model.bridge, PstaBridge) else "sdcl"


def needs_event_branch(kind: str, config: BridgeConfig) -> bool:
    """Whether a model cannot run without an `EventBranch`."""
    return config.uses_events and not (kind == "psta" and config.inputs == "e")
