"""The dense side made ready ahead of time for inference: frame branch, bridge and heads.

What is done to the frame branch says `frame_branch.ahead`; the bridge of every kind but ``eager``
is computed on rows of channels with its batch norms folded (`bridge.rows_bridge`), in bfloat16
where the frame branch is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.devices import device_or_default, named_device
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet

from .bridge.rows_bridge import AnyRowsBridge, rows_bridge
from .frame_branch import normalise
from .frame_branch.ahead import FRAME_BACKENDS, AheadBranch, ahead_of_time, check_kind
from .model import Sdcl, takes_clips

DENSE_BACKENDS = FRAME_BACKENDS
HALF = ("bf16", "compiled")
"""Those that compute in bfloat16."""
CALIBRATED = ("onnx-int8",)
"""Those that take ranges from tracklets like those to come."""
CALIBRATION_TRACKLETS = 64
CALIBRATION_FRAMES = 128


def decided(kind: str | None, sdcl: Sdcl, device: str | None) -> str:
    """Return which dense backend is meant: where none is named, ``folded`` on a CPU and else
    ``eager``.

    ``folded`` says what ``eager`` says within rounding. A model whose frames see each other has no
    other form than ``eager``.

    Raises:
        InputError: an unknown kind or one for another device.
        EnvironmentFault: what the kind needs is not installed.
    """
    if kind is not None:
        check_kind(kind, named_device(device or "cpu"))
        return kind
    on_gpu = device_or_default(device).type != "cpu"
    return "eager" if on_gpu or takes_clips(sdcl.frame_branch) else "folded"


def made_ready(
    sdcl: Sdcl, kind: str, *, device: str = "cpu", tracklets: Sequence[Tracklet] = ()
) -> Sdcl:
    """Return the same model with its dense side made ready ahead of time on a device.

    Args:
        sdcl: left as it is, but for the device of its parts.
        kind: one of `DENSE_BACKENDS`.
        device: as torch names it.
        tracklets: like those to come, for `CALIBRATED` kinds.

    Raises:
        InputError: an unknown kind or one for another device, or a model whose frames see each
            other.
        EnvironmentFault: what the kind needs is not installed.
    """
    place = named_device(device)
    check_kind(kind, place)
    if kind == "eager":
        return sdcl
    if takes_clips(sdcl.frame_branch):
        raise InputError(
            f"dense backend {kind!r} takes frames one by one, and this model's frames see each "
            "other",
            hint="leave --dense-backend out",
        )
    branch = sdcl.frame_branch
    if branch is not None:
        frames = None
        if kind in CALIBRATED and tracklets:
            # The ranges of 8-bit values follow from these; later tracklets have no say in them.
            frames = normalise(_spread(np.concatenate([one.frames for one in tracklets])))
        branch = ahead_of_time(branch.to(place), kind, calibration=frames)
    bridge = rows_bridge(sdcl.bridge, half=kind in HALF) if place.type == "cpu" else None
    return Sdcl(branch, sdcl.event_branch, bridge=sdcl.bridge if bridge is None else bridge)


def _spread(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most `CALIBRATION_FRAMES` of them, from the first to the last."""
    return frames[:: -(-len(frames) // CALIBRATION_FRAMES)]


def bound_to(sdcl: Sdcl) -> tuple[torch.device, str] | None:
    """Return the device that a model was made ready for, and how; None if it can be moved."""
    if isinstance(sdcl.frame_branch, AheadBranch):
        return sdcl.frame_branch.device, sdcl.frame_branch.kind
    if isinstance(sdcl.bridge, AnyRowsBridge):
        return torch.device("cpu"), "rows"
    return None
