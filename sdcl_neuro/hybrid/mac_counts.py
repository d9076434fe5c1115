"""Multiply-accumulates of a model part by part, on the device ``meta``: shapes without values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sdcl_neuro.network.spec import Pair
from sdcl_neuro.snn.event_branch import EventBranch

from .frame_branch import FRAME_SIZE
from .model import Sdcl, event_counts, event_features

BILINEAR_MACS = 4

# Parts by the first prefix of a parameter's name that fits.
PARTS: dict[str, str] = {
    "frame_branch": "frame branch",
    "event_branch.network": "network on event voxels",
    "event_branch": "event branch",
    "bridge.frame_entry": "frame entry",
    "bridge.entry": "frame entry",
    "bridge.event_entry": "event mapping",
    "bridge.fusion": "fusion",
    "bridge.pyramid": "pyramid",
    "bridge.heads": "heads",
    "bridge.head": "head",
}
OTHER = "other"


def part_of(name: str) -> str:
    """Return the part that a parameter belongs to, by its name."""
    return next((part for prefix, part in PARTS.items() if name.startswith(prefix)), OTHER)


def _weightless(model: Sdcl) -> Sdcl:
    """Return a twin on the device ``meta``: all shapes, no values, in evaluation mode."""
    memo: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        hollow: Tensor = torch.empty_like(tensor, device="meta")
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(hollow, tensor.requires_grad) if is_parameter else hollow
    if isinstance(model.event_branch, EventBranch):
        # Neurons do no MACs, and may hold a state that cannot be copied.
        memo[id(model.event_branch.neurons)] = nn.ModuleList()
    twin = copy.deepcopy(model, memo).eval()
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())  # no MACs, and slow without values
    return twin


def part_macs(model: Sdcl, frames: int, bins: int, size: Pair) -> dict[str, int]:
    """Return MACs of each part for one tracklet of F frames, K bins each and spikes of `size`."""
    model = _weightless(model)
    config, branch = model.bridge.config, model.event_branch
    found: dict[str, int] = {}
    maps = features = counts = None
    with torch.no_grad():
        if config.uses_frames:
            with _counter() as counter:
                maps = model.frame_maps(torch.empty(1, frames, 3, *FRAME_SIZE, device="meta"))
            found["frame branch"] = counter.get_total_flops() // 2
        if config.uses_events and branch is not None:
            spikes = torch.empty(frames * bins, 1, 2, *size, device="meta")
            with _counter() as counter:
                features = event_features(_last_layer(branch, spikes), frames=frames)
            name = "event branch" if isinstance(branch, EventBranch) else "network on event voxels"
            found[name] = counter.get_total_flops() // 2
            counts = event_counts(spikes, frames=frames)
        with _counter() as counter:
            model.fuse(maps, features, counts)
    by_module = counter.get_flop_counts()
    rest = counter.get_total_flops() // 2
    for name, child in model.bridge.named_children():
        part = part_of(f"bridge.{name}")
        macs = _called(child, f"{type(model.bridge).__name__}.{name}", by_module)
        found[part] = found.get(part, 0) + macs
        rest -= macs
    return {**found, OTHER: rest}


def _called(module: nn.Module, name: str, by_module: Mapping[str, Mapping[Any, int]]) -> int:
    """Return MACs of a module; of its children, if it only holds them (a ModuleList is never
    called).
    """
    if name in by_module:
        return sum(by_module[name].values()) // 2
    children = module.named_children()
    return sum(_called(child, f"{name}.{inner}", by_module) for inner, child in children)


def _last_layer(branch: nn.Module, spikes: Tensor) -> Tensor:
    """Return spikes of the last layer, as far as their shape goes; neurons do no MACs."""
    if not isinstance(branch, EventBranch):
        layers: list[Tensor] = branch(spikes)
        return layers[-1]
    maps: Tensor = spikes.flatten(0, 1)
    for synapse in branch.synapses:
        maps = synapse(maps)
    return maps.view(*spikes.shape[:2], *maps.shape[1:])


def count_macs(run: Callable[[], object]) -> int:
    """Return MACs of whatever `run` computes."""
    with torch.no_grad(), _counter() as counter:
        run()
    return int(counter.get_total_flops()) // 2


def _counter() -> FlopCounterMode:
    extra = {torch.ops.aten.grid_sampler_2d: _grid_sample_flops}
    return FlopCounterMode(display=False, custom_mapping=extra)


def _grid_sample_flops(*shapes: Any, out_shape: tuple[int, ...], **options: Any) -> int:
    return 2 * BILINEAR_MACS * prod(out_shape)
