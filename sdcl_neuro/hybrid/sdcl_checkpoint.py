"""A whole model on disk: ``sdcl.json``, the dense weights, and the event branch's own checkpoint.

The folder holds no pickle. ``event_branch/`` in it is a checkpoint that `checkpoint` reads alone,
so every verb that takes an event branch takes the whole folder too. A model of frames alone has
none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.files import atomic_folder, file_sha256, write_json
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.content import Result
from sdcl_neuro.network.spec import Pair
from sdcl_neuro.snn.checkpoint import broken, load_checkpoint, read_document, save_checkpoint
from sdcl_neuro.snn.event_branch import EventBranch

from .bridge import BridgeConfig
from .composition import compose, kind_of, needs_event_branch
from .earlier_checkpoint import FIRST, brought_up
from .frame_branch import save_weights
from .frame_branch.weights import faults, read_tensors
from .methods import notes_on
from .model import Sdcl
from .voxels import VoxelBranch
from .weightless import weightless

SCHEMA = {"name": "sdcl_neuro.sdcl", "version": 2}
_READ = (FIRST, SCHEMA["version"])
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
        simulator: what made the events it was trained on; None if a camera did, or no one said.
        sensor_scale: pixels of that simulated sensor per pixel of the video, along a side.
    """

    frames: int = 4
    bins: int = 4
    size: Pair = (64, 32)
    stride: int = 1
    simulator: SimulatorConfig | None = None
    sensor_scale: float = 1.0

    def sensor(self, video: Pair) -> Pair:
        """Return width and height at which to simulate the events of a video of size `video`."""
        width, height = (max(1, round(side * self.sensor_scale)) for side in video)
        return width, height


@dataclass(frozen=True, eq=False)
class SdclCheckpoint(Result):
    """A loaded model, in evaluation mode, with what its tracklets look like."""

    model: Sdcl
    clip: ClipFormat
    frame_branch: str | None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@public
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
        model: of `composition.compose`, or composed alike.
        clip: what its tracklets look like.
        frame_branch: the frame branch's name, see `frame_branch.table.FRAME_BRANCHES`; of a
            baseline on event voxels, the name of the network that sees them; None for a model
            without one.
        provenance: plain JSON values on where it comes from.

    Raises:
        InputError: a model that `load_sdcl` would not read back: without the event branch that it
            needs, with another frame branch than the one named, or not for tracklets like `clip`.
    """
    folder = Path(folder)
    kind, config = kind_of(model), model.bridge.config
    branch = model.event_branch if isinstance(model.event_branch, EventBranch) else None
    if branch is None and needs_event_branch(kind, config):
        raise InputError("the model has no event branch to save", where="save_sdcl")
    wrong = faults(_skeleton(kind, frame_branch, config), _dense(model).state_dict())
    wrong += _misfits(model, clip)
    if wrong:
        raise InputError(
            "; ".join(wrong), where="save_sdcl", hint="name the frame branch and clip it has"
        )
    with atomic_folder(folder) as temporary:
        if branch is not None:
            save_checkpoint(
                temporary / EVENT_BRANCH, branch, input_size=clip.size, provenance=provenance
            )
        save_weights(_dense(model), temporary / DENSE)
        document = {
            "schema": SCHEMA,
            "model": kind,
            "frame_branch": frame_branch,
            "event_branch": branch is not None,
            "bridge": config.to_dict(),
            "clip": asdict(clip),
            "dense_sha256": file_sha256(temporary / DENSE),
            "notes": list(notes_on(kind)),
            "provenance": dict(provenance or {}),
        }
        write_json(temporary / DOCUMENT, document)
    return folder


def is_sdcl_checkpoint(folder: Path | str) -> bool:
    """Return whether `folder` holds a whole SDCL, not an event branch alone."""
    return (Path(folder) / DOCUMENT).is_file()


def event_branch_folder(folder: Path | str) -> Path:
    """Return where a saved model keeps its event branch's own checkpoint.

    Raises:
        InputError: the model has none, since it takes frames alone or events without spikes.
    """
    folder = Path(folder)
    document = _read(folder)
    if isinstance(document, dict) and not document.get("event_branch", True):
        raise InputError(
            "the model has no event branch", where=str(folder), hint="give one that takes spikes"
        )
    return folder / EVENT_BRANCH


@public
def load_sdcl(folder: Path | str) -> SdclCheckpoint:
    """Read what `save_sdcl` wrote.

    Raises:
        InputError: if anything is missing, damaged, or not what the document says.
    """
    folder = Path(folder)
    document = _read(folder)
    try:
        version = document["schema"]["version"]
        if document["schema"]["name"] != SCHEMA["name"] or version not in _READ:
            raise broken(folder, f"schema {document['schema']} where {SCHEMA} is read")
        name, digest = document["frame_branch"], document["dense_sha256"]
        # Older folders say neither: they hold an SDCL with an event branch.
        kind, has_events = document.get("model", "sdcl"), document.get("event_branch", True)
        config = BridgeConfig.from_dict(document["bridge"])
        clip = _clip(document["clip"])
        provenance = dict(document["provenance"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(folder, f"{DOCUMENT} lacks or misstates {error}") from None
    if not (folder / DENSE).is_file() or file_sha256(folder / DENSE) != digest:
        raise broken(folder, f"{DENSE} is missing or does not have the hash that {DOCUMENT} names")
    # Shapes first: a document that asks for more memory than there is must not get it.
    stam = kind == "psta" or config.pyramid == "stam"
    tensors = brought_up(read_tensors(folder / DENSE), version=version, stam=stam, folder=folder)
    wrong = faults(_skeleton(kind, name, config), tensors)
    if wrong:
        raise broken(folder, f"{DENSE}: {'; '.join(wrong)}")
    branch, size = _event_branch(folder) if has_events else (None, clip.size)
    model = compose(kind, config, frame_branch=name, event_branch=branch, bins=clip.bins)
    wrong = _misfits(model, clip)
    if size != clip.size:
        wrong.append(f"an event branch for {size}, tracklets of {clip.size}")
    if wrong:
        raise broken(folder, "; ".join(wrong))
    dense = _dense(model)
    dense.load_state_dict({**dense.state_dict(), **tensors})
    model.eval()
    return SdclCheckpoint(model, clip, name, provenance)


def _event_branch(folder: Path) -> tuple[EventBranch, Pair]:
    """Return the event branch's own checkpoint, and the size of its input."""
    loaded = load_checkpoint(folder / EVENT_BRANCH)
    height, width = loaded.input_shape[1:]
    return loaded.module, (height, width)


def _skeleton(kind: str, name: str | None, config: BridgeConfig) -> dict[str, torch.Tensor]:
    """Return what the dense weights are called and their shapes; takes no memory."""
    with weightless():
        return _dense(compose(kind, config, frame_branch=name)).state_dict()


def _misfits(model: Sdcl, clip: ClipFormat) -> list[str]:
    """Return where the parts of a model do not fit each other or its tracklets."""
    config, branch = model.bridge.config, model.event_branch
    wrong = []
    if config.uses_frames and model.frame_branch is None:
        wrong.append("the bridge takes frames, and there is no frame branch")
    if branch is None and needs_event_branch(kind_of(model), config):
        wrong.append("the bridge takes events, and there is no event branch")
    if config.uses_events and isinstance(branch, EventBranch):
        found = tuple(branch.description.output_shape(clip.size))
        expected = (config.event_channels, *config.event_size)
        if found != expected:
            wrong.append(f"the event branch gives {found}, the bridge takes {expected}")
    if isinstance(branch, VoxelBranch) and branch.bins != clip.bins:
        wrong.append(f"voxels of {branch.bins} bins, tracklets of {clip.bins}")
    return wrong


def _dense(model: Sdcl) -> nn.Module:
    """Return the dense parts under their own names."""
    parts = {"bridge": model.bridge, "frame_branch": model.frame_branch}
    if isinstance(model.event_branch, VoxelBranch):
        parts["event_branch"] = model.event_branch
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
