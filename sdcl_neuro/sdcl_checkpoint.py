"""A whole SDCL on disk: ``sdcl.json``, the dense weights, and the event branch's own checkpoint.

The folder holds no pickle. ``event_branch/`` in it is a checkpoint that `checkpoint` reads alone,
so every verb that takes an event branch takes the whole folder too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .atomic import atomic_folder, file_sha256, write_json
from .bridge import Bridge, BridgeConfig
from .checkpoint import broken, load_checkpoint, read_document, save_checkpoint
from .errors import InputError
from .event_branch import EventBranch
from .events import SimulatorConfig
from .frame_branch import frame_branch as build_frame_branch
from .frame_branch import load_weights, save_weights
from .frame_branch.weights import faults, read_tensors
from .model import Sdcl
from .spec import Pair

SCHEMA = {"name": "sdcl_neuro.sdcl", "version": 1}
DOCUMENT = "sdcl.json"
DENSE = "dense.safetensors"
EVENT_BRANCH = "event_branch"


@dataclass(frozen=True)
class ClipFormat:
    """What a tracklet of the model looks like.

    Attributes:
        frames: F, frames of a tracklet.
        bins: K, time steps per frame.
        size: rows and columns of the spike tensor.
        stride: video frames per tracklet frame.
        simulator: what made the events it was trained on; None if a camera did, or nobody said.
        sensor_scale: pixels of that simulated sensor per pixel of the video, along a side.
    """

    frames: int = 4
    bins: int = 4
    size: Pair = (64, 32)
    stride: int = 1
    simulator: SimulatorConfig | None = None
    sensor_scale: float = 1.0

    def sensor(self, video: Pair) -> Pair:
        """Width and height at which to simulate the events of a video of size `video`."""
        width, height = (max(1, round(side * self.sensor_scale)) for side in video)
        return width, height


@dataclass(frozen=True)
class SdclCheckpoint:
    """A loaded model, in evaluation mode, with what its tracklets look like."""

    model: Sdcl
    clip: ClipFormat
    frame_branch: str | None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_sdcl(
    folder: Path | str,
    model: Sdcl,
    *,
    clip: ClipFormat,
    frame_branch: str | None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write `model` to `folder`, whole or not at all; an older checkpoint there is replaced.

    Args:
        folder: made if absent.
        model: with an `EventBranch`.
        clip: what its tracklets look like.
        frame_branch: the frame branch's name, see `sdcl_neuro.frame_branch.NAMES`; None for a
            model without one.
        provenance: plain JSON values on where it comes from.

    Raises:
        InputError: a model that `load_sdcl` would not read back: without an event branch, with
            another frame branch than the one named, or not for tracklets like `clip`.
    """
    folder = Path(folder)
    if not isinstance(model.event_branch, EventBranch):
        raise InputError("the model has no event branch to save", where="save_sdcl")
    wrong = faults(_skeleton(frame_branch, model.bridge.config), _dense(model).state_dict())
    wrong += _misfits(model, clip)
    if wrong:
        raise InputError(
            "; ".join(wrong), where="save_sdcl", mend="name the frame branch and clip it has"
        )
    with atomic_folder(folder) as temporary:
        save_checkpoint(
            temporary / EVENT_BRANCH,
            model.event_branch,
            input_size=clip.size,
            provenance=provenance,
        )
        save_weights(_dense(model), temporary / DENSE)
        document = {
            "schema": SCHEMA,
            "frame_branch": frame_branch,
            "bridge": model.bridge.config.to_dict(),
            "clip": asdict(clip),
            "dense_sha256": file_sha256(temporary / DENSE),
            "provenance": dict(provenance or {}),
        }
        write_json(temporary / DOCUMENT, document)
    return folder


def is_sdcl_checkpoint(folder: Path | str) -> bool:
    """Whether `folder` holds a whole SDCL, not an event branch alone."""
    return (Path(folder) / DOCUMENT).is_file()


def load_sdcl(folder: Path | str) -> SdclCheckpoint:
    """Read what `save_sdcl` wrote.

    Raises:
        InputError: if anything is missing, damaged, or not what the document says.
    """
    folder = Path(folder)
    document = _read(folder)
    try:
        if document["schema"] != SCHEMA:
            raise broken(folder, f"schema {document['schema']} where {SCHEMA} is read")
        name, digest = document["frame_branch"], document["dense_sha256"]
        config = BridgeConfig.from_dict(document["bridge"])
        clip = _clip(document["clip"])
        provenance = dict(document["provenance"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(folder, f"{DOCUMENT} lacks or misstates {error}") from None
    if not (folder / DENSE).is_file() or file_sha256(folder / DENSE) != digest:
        raise broken(folder, f"{DENSE} is missing or has not the hash that {DOCUMENT} names")
    # Shapes first: a document that asks for more memory than there is must not get it.
    wrong = faults(_skeleton(name, config), read_tensors(folder / DENSE))
    if wrong:
        raise broken(folder, f"{DENSE}: {'; '.join(wrong)}")
    events = load_checkpoint(folder / EVENT_BRANCH)
    frames = None if name is None else build_frame_branch(name)
    model = Sdcl(frames, events.module, bridge=Bridge(config))
    wrong = _misfits(model, clip)
    if events.input_shape[1:] != clip.size:
        wrong.append(f"an event branch for {events.input_shape[1:]}, tracklets of {clip.size}")
    if wrong:
        raise broken(folder, "; ".join(wrong))
    load_weights(_dense(model), folder / DENSE)
    model.eval()
    return SdclCheckpoint(model, clip, name, provenance)


def _skeleton(name: str | None, config: BridgeConfig) -> dict[str, torch.Tensor]:
    """What the dense weights are called and their shapes; takes no memory."""
    with torch.device("meta"):
        frames = None if name is None else build_frame_branch(name)
        return _dense(Sdcl(frames, None, bridge=Bridge(config))).state_dict()


def _misfits(model: Sdcl, clip: ClipFormat) -> list[str]:
    """Where the parts of a model do not fit each other or its tracklets."""
    config, branch = model.bridge.config, model.event_branch
    wrong = []
    if config.uses_frames and model.frame_branch is None:
        wrong.append("the bridge takes frames, and there is no frame branch")
    if config.uses_events and isinstance(branch, EventBranch):
        found = tuple(branch.description.output_shape(clip.size))
        expected = (config.event_channels, *config.event_size)
        if found != expected:
            wrong.append(f"the event branch gives {found}, the bridge takes {expected}")
    return wrong


def _dense(model: Sdcl) -> nn.Module:
    """The dense parts under their own names."""
    parts = {"bridge": model.bridge, "frame_branch": model.frame_branch}
    return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})


def _read(folder: Path) -> Any:
    previous = folder.with_name(f"{folder.name}.previous")
    mend = f"rename {previous} to it" if previous.is_dir() else "give a folder made by training"
    return read_document(folder, DOCUMENT, mend=mend)


def _clip(values: Mapping[str, Any]) -> ClipFormat:
    simulator = values.get("simulator")
    clip = ClipFormat(
        **{
            **values,
            "size": tuple(values["size"]),
            "simulator": None if simulator is None else SimulatorConfig(**simulator),
        }
    )
    numbers = (clip.frames, clip.bins, clip.stride, *clip.size)
    good_scale = isinstance(clip.sensor_scale, int | float) and 0 < clip.sensor_scale <= 1
    if not good_scale or len(clip.size) != 2 or any(type(n) is not int or n < 1 for n in numbers):
        raise ValueError(f"clip {values}")
    return clip
