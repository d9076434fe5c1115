"""The networks there are, by name: which parts each is composed of."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public
from sdcl_neuro.snn.event_branch import EventBranch

from .bridge import Bridge, BridgeConfig, PstaBridge
from .frame_branch import make_frame_branch
from .methods import (
    METHODS,
    STAND_INS,
    ClipBackbone,
    MethodBridge,
    StandInBridge,
    stand_in_kind,
)
from .model import AnyBridge, Sdcl
from .voxels import VoxelBranch

ModelKind = Literal[
    "sdcl", "psta", "osnet", "grl", "srs", "stmn", "sinet", "mgh", "tclnet", "ctl", "stgcn",
    "rafa", "strf",
]  # fmt: skip
MODEL_KINDS: tuple[str, ...] = get_args(ModelKind)
"""SDCL, PSTA, and every method of `methods.METHODS`."""
EVERY_KIND: tuple[str, ...] = (*MODEL_KINDS, *map(stand_in_kind, STAND_INS))
"""Those, and the stand-ins of `methods.STAND_INS`."""


@public
def compose(
    kind: str,
    config: BridgeConfig,
    *,
    frame_branch: str | None,
    event_branch: EventBranch | None = None,
    bins: int = 1,
) -> Sdcl:
    """Return a model of fresh weights, but for the event branch as given.

    Args:
        kind: of `EVERY_KIND`: ``sdcl``; or a video network that SDCL is compared with, as a whole.
        config: of the bridge.
        frame_branch: of `frame_branch.NAMES`; None where no frames are taken. A video network
            without frames (``inputs="e"``) runs it on event voxels.
        event_branch: for inputs with events.
        bins: K, time steps per frame, for event voxels.

    Raises:
        InputError: an unknown kind, or no network for the frames or voxels.
    """
    if kind not in EVERY_KIND:
        raise InputError(
            f"a model of kind {kind!r}", where="compose", hint=f"use {', '.join(EVERY_KIND)}"
        )
    network = None if frame_branch is None else _network(kind, frame_branch, config.frames)
    if kind == "sdcl":
        return Sdcl(network, event_branch, bridge=Bridge(config))
    if network is None:
        raise InputError(
            f"{kind.upper()} without a network for frames or voxels", hint="name a frame branch"
        )
    bridge = _bridge(kind, config)
    if config.inputs == "e":
        return Sdcl(None, VoxelBranch(network, bins=bins), bridge=bridge)
    return Sdcl(network, event_branch if config.uses_events else None, bridge=bridge)


def _bridge(kind: str, config: BridgeConfig) -> AnyBridge:
    if kind == "psta":
        return PstaBridge(config)
    return MethodBridge(kind, config) if kind in METHODS else StandInBridge(kind, config)


def _network(kind: str, name: str, frames: int) -> nn.Module:
    """Return the frame branch, with a method's modules inside of it."""
    method = METHODS.get(kind)
    if method is None or method.backbone is None:
        return make_frame_branch(name)
    return ClipBackbone(name, method.backbone(frames))


def kind_of(model: Sdcl) -> str:
    """Return the inverse of `compose`'s first argument."""
    if isinstance(model.bridge, MethodBridge | StandInBridge):
        return model.bridge.kind
    return "psta" if isinstance(model.bridge, PstaBridge) else "sdcl"


def needs_event_branch(kind: str, config: BridgeConfig) -> bool:
    """Return whether a model cannot run without an `EventBranch`."""
    return config.uses_events and not (kind != "sdcl" and config.inputs == "e")
