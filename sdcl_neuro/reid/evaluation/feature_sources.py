"""Where event features come from: the float branch, the integer one, the one of a ``.net`` file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.conversion import from_netx, quantize, to_netx
from sdcl_neuro.conversion.backends.run import run_model
from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.model import Sdcl, event_features
from sdcl_neuro.network.backend_names import label as backend_label
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.snn.event_branch import EventBranch

from .setting import Setting, apply_float, apply_integer
from .signature import module_sha256

FRAMES_ALONE, DENSE = "frames alone", "dense"
"""Arms of models without a spiking branch."""

Features = Callable[[NDArray[np.uint8], int], Tensor]
"""Spikes ``[F*K, B, 2, H, W]`` and F to event features ``[B, F, C, h, w]``."""


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """One source of event features.

    Attributes:
        name: of the backend.
        setting: what differs from training.
        digest: of all that changes its result.
        features: None for a model that takes no events.
        note: what is to be said of it, one line; empty for nothing.
        network: in a chip's integers, which it runs; None for an arm in floats.
    """

    name: str
    setting: Setting
    digest: str
    features: Features | None
    note: str = ""
    network: IntNetwork | None = None

    @property
    def label(self) -> str:
        """Unique among the arms of one evaluation."""
        return f"{self.name} ({self.setting})"


def unspiking_arm(model: Sdcl) -> FeatureSource | None:
    """Return the one arm of a model without a spiking event branch; None where there is one."""
    branch = model.event_branch
    if not model.bridge.config.uses_events:
        return FeatureSource(FRAMES_ALONE, Setting(), FRAMES_ALONE, None)
    if branch is None or isinstance(branch, EventBranch):
        return None

    def features(spikes: NDArray[np.uint8], frames: int) -> Tensor:
        device = next(branch.parameters()).device
        layers = branch(torch.from_numpy(spikes).to(device).float())
        return event_features(layers[-1], frames=frames)

    return FeatureSource(DENSE, Setting(), module_sha256(branch), features)


def with_integers(model: Model, tracklets: Iterable[Tracklet]) -> tuple[Model, str]:
    """Return the model in a chip's integers, and how it came to them where training fixed none.

    Args:
        model: with a float description, at least.
        tracklets: whose spikes show how far currents go; looked at only if they are needed.
    """
    if model.integer is not None:
        return model, ""
    shown = [tracklet.spikes for tracklet in tracklets]
    calibration = np.stack(shown, axis=1) if shown else None
    integer = quantize(model.need_float(), calibration=calibration)
    note = (
        f"the event branch was trained in float only: its integers were rounded afterwards, "
        f"calibrated on {number_of(len(shown), 'tracklet')}"
    )
    return replace(model, integer=integer), note


def event_arm(
    model: Model, name: str, setting: Setting, *, folder: Path, device: str = "cpu"
) -> FeatureSource:
    """Return the event branch on a backend, at a setting.

    Args:
        model: of the branch; with integers for every exact backend.
        name: of the backend.
        setting: what differs from training.
        folder: where ``.net`` files are written, and read back from.
        device: of the event branch.

    Raises:
        InputError: an unknown backend, or a setting that the network cannot take.
        EnvironmentFault: a backend that is not installed.
    """
    backend = find_backend(name)
    backend.require()
    if backend.cpu_only:
        device = "cpu"
    note = ""
    if backend.arithmetic == "float":
        floating = apply_float(model.need_float(), setting)
        changed, digest = Model(floating=floating), network_sha256(floating)
        count = len(floating.layers)
    else:
        integer = apply_integer(model.need_integer(), model.floating, setting)
        if backend.from_file:
            path = folder / f"{network_sha256(integer)[:16]}.net"
            sha256 = to_netx(integer, path)
            integer = from_netx(path)
            arm = f"{backend_label(name)} ({setting})"
            note = f"{arm} runs a .net file read back, sha256 {sha256[:12]}"
        changed, digest = Model(integer=integer), network_sha256(integer)
        count = len(integer.layers)

    def features(spikes: NDArray[np.uint8], frames: int) -> Tensor:
        record = run_model(changed, spikes, backend=name, layers=[count - 1], device=device)
        return event_features(record.spikes[count - 1], frames=frames)

    return FeatureSource(
        name, setting, f"{name} {digest} {device}", features, note, changed.integer
    )


def check_backends(names: Sequence[str]) -> None:
    """Raise InputError for a backend that is unknown or named twice."""
    for name in names:
        find_backend(name)
    if len(set(names)) < len(names):
        raise InputError(f"backends {', '.join(names)}", hint="name each once")
