"""Check the tables of a configuration against each other, and derive what they imply together."""

from __future__ import annotations

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import BridgeConfig
from sdcl_neuro.hybrid.frame_branch import FRAME_BRANCHES, map_channels, map_size
from sdcl_neuro.hybrid.methods import METHODS, STAND_INS, backbone_channels
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat

from ..datasets.table import KINDS, kind_named
from .reading import Fault
from .recording_tables import AlignmentTable, ReadingTable
from .tables import Configuration


def bridge_config(configuration: Configuration, *, identities: int = 0) -> BridgeConfig:
    """Return the bridge of a configuration.

    Raises:
        InputError: values that do not go together.
    """
    table, clip = configuration.bridge, configuration.clip
    kind = configuration.kind
    alone = kind != "sdcl"  # a video network: neither mapping nor fusion are switched
    maps = map_channels(configuration.frame_branch.name)
    cells = map_size(configuration.frame_branch.name)
    channels = maps if kind in METHODS else table.channels
    maps = _given_channels(configuration, maps)
    event_channels, *size = configuration.event_branch.description().output_shape(clip.size)
    event_size = cells if table.inputs == "v" else (size[0], size[1])
    if alone and table.inputs == "e":  # event voxels in place of frames
        event_channels, event_size = maps, cells
    return BridgeConfig(
        channels=channels,
        frame_channels=maps,
        event_channels=event_channels,
        event_size=event_size,
        map_size=cells,
        frames=clip.frames,
        identities=identities,
        inputs=table.inputs,
        fusion="none" if alone else table.fusion,
        direction=table.direction,
        heads=table.heads,
        points=table.points,
        deformable_layers=table.deformable_layers,
        kernel=table.kernel,
        window=table.window,
        pyramid="stam" if kind == "psta" else "none" if alone else table.pyramid,
        gate=_gate(configuration),
    )


def _given_channels(configuration: Configuration, plain: int) -> int:
    """Return channels of what a method's backbone gives: its frame network's, or more.

    Raises:
        InputError: a frame branch or a number of frames that the method cannot take.
    """
    if configuration.kind not in METHODS:
        return plain
    name = configuration.frame_branch.name
    if name not in FRAME_BRANCHES:
        return plain
    return backbone_channels(configuration.model, name, configuration.clip.frames)


def _gate(configuration: Configuration) -> bool:
    """Return whether the bridge begins as the frame branch's own feature."""
    table = configuration.bridge
    if configuration.model != "sdcl" or table.gate == "off":
        return False
    pretrained = bool(configuration.frame_branch.weights) and table.inputs == "v+e"
    return table.gate == "on" or pretrained


def frame_branch_name(configuration: Configuration) -> str | None:
    """Return the network on frames, or on voxels in place of them; None if the model has none."""
    used = configuration.bridge.inputs != "e" or configuration.model != "sdcl"
    return configuration.frame_branch.name if used else None


def clip_format(configuration: Configuration) -> ClipFormat:
    """Return the tracklet format that a saved model states."""
    clip, data = configuration.clip, configuration.data
    mot = data.kind == "mot"
    simulator = None
    if data.kind == "generated":
        simulator = data.generated.simulator
    elif data.cache or (mot and not data.mot.events):
        simulator = data.simulator
    return ClipFormat(
        frames=clip.frames,
        bins=clip.bins,
        size=clip.size,
        stride=data.mot.stride if mot else 1,
        simulator=simulator,
        sensor_scale=data.mot.sensor_scale if mot else 1.0,
    )


def disagreements(configuration: Configuration) -> list[Fault]:
    """Return faults between tables that are each right by themselves."""
    data, inputs = configuration.data, configuration.bridge.inputs
    kind = kind_named(data.kind)
    found = []
    if configuration.variant == "sdcl" and configuration.model not in STAND_INS:
        what = f"is sdcl, and {configuration.model} has no stand-in"
        found.append(Fault("variant", what, f"set published, or model to {', '.join(STAND_INS)}"))
        return found
    if frame_branch_name(configuration) == "none":
        hint = f"give one of {', '.join(FRAME_BRANCHES)}, or set bridge.inputs"
        found.append(Fault("frame_branch.name", "is none, and frames are an input", hint))
    if inputs != "e" and not kind.frames:
        what = f"is {inputs}, and {data.kind} has no frames"
        found.append(Fault("bridge.inputs", what, 'set "e", with bridge.fusion = "none"'))
    if inputs != "v" and data.events == "none" and not data.cache:
        what = f"is {inputs}, and data.events is none"
        found.append(Fault("bridge.inputs", what, 'set "v", or give data.cache'))
    if not kind.finds_events and data.events == "auto" and not data.cache and inputs != "v":
        hint = 'give the folder that holds bbox_train and bbox_test with .mat files, or "none"'
        what = f"is auto, and {data.kind} has no usual place for events"
        found.append(Fault("data.events", what, hint))
    for name, table, taken in (
        ("reading", ReadingTable, kind.takes_reading),
        ("alignment", AlignmentTable, kind.takes_alignment),
    ):
        if not taken and getattr(data, name) != table():
            what = f"is set, and {data.kind} has no recording that belongs to a video"
            hint = ", ".join(one for one, row in KINDS.items() if getattr(row, f"takes_{name}"))
            found.append(Fault(f"data.{name}", what, f"give {hint}"))
    if kind.one_bin and inputs != "v" and configuration.clip.bins != 1:
        what = f"is {configuration.clip.bins}, and {data.kind} has event pictures without times"
        found.append(Fault("clip.bins", what, "set 1"))
    if data.kind == "mot" and not (data.mot.video and data.mot.tracks):
        found.append(Fault("data.mot", "names no video or no tracks", "give both files"))
    if min(configuration.event_branch.description().output_shape(configuration.clip.size)) < 1:
        what = f"leaves no part of events of size {list(configuration.clip.size)}"
        found.append(Fault("event_branch", what, "give smaller kernels or strides"))
        return found
    try:
        bridge_config(configuration)
    except InputError as error:
        found.append(Fault("bridge", error.what, error.hint))
    return found
