"""What a model costs before it runs: parameters and multiply-accumulates of each of its parts.

Counted are convolutions and matrix products, one multiply-accumulate (MAC) for each weight and
output as if nothing were zero, and bilinear samples, four for each value. Not counted is what goes
by element: norms, activations, gates, sums, softmax, the neurons' own arithmetic, and the search
for the nearest events. The event branch's MACs are what a dense machine would do; what a spiking
chip does depends on the spikes (`profiling`), so it stands apart, as synaptic operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.network.activity import count_spikes, reach
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spec import Pair
from sdcl_neuro.snn.event_branch import EventBranch

from .mac_counts import OTHER, PARTS, part_macs, part_of
from .model import Sdcl

SCHEMA = {"name": "sdcl_neuro.model_table", "version": 1}


@dataclass(frozen=True)
class ModelPart:
    """One part of a model: its parameters, and the dense MACs of one tracklet."""

    name: str
    parameters: int
    macs: int


@dataclass(frozen=True)
class Synops:
    """What the event branch does on given spikes: synaptic operations of one tracklet, a mean.

    Attributes:
        count: a synop is one spike delivered to one existing synapse.
        spikes_in: spikes of the branch's input, a mean.
        rates: spikes per neuron and step, one a layer.
    """

    count: float
    spikes_in: float
    rates: tuple[float, ...]


@dataclass(frozen=True)
class ModelTable:
    """Parts, and their sum, of a model at one shape of tracklets.

    Attributes:
        parts: in the order of the data.
        frames, bins, size: F, K and the spikes' rows and columns.
        synops: where spikes were given.
    """

    parts: tuple[ModelPart, ...]
    frames: int
    bins: int
    size: Pair
    synops: Synops | None = None

    @property
    def parameters(self) -> int:
        """Number of parameters of the whole model."""
        return sum(part.parameters for part in self.parts)

    @property
    def macs(self) -> int:
        """MACs of one tracklet, the event branch as a dense machine would compute it."""
        return sum(part.macs for part in self.parts)

    def part(self, name: str) -> ModelPart:
        """Return a part by name; one without parameters and MACs if the model has none."""
        return next((part for part in self.parts if part.name == name), ModelPart(name, 0, 0))

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return name, parameters, MACs of a tracklet, MACs of a frame, as texts; the last one is
        all.
        """
        whole = ModelPart("all", self.parameters, self.macs)
        return [
            (part.name, f"{part.parameters:,}", _short(part.macs), _short(part.macs / self.frames))
            for part in (*self.parts, whole)
        ]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        head = "| part | parameters | MACs a tracklet | MACs a frame |\n|---|---:|---:|---:|\n"
        return head + "".join(f"| {' | '.join(row)} |\n" for row in self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "tracklet": {"frames": self.frames, "bins": self.bins, "size": list(self.size)},
            "parts": [vars(part) for part in self.parts],
            "parameters": self.parameters,
            "macs": self.macs,
            "synops": None,
        }
        if self.synops is not None:
            found["synops"] = {**vars(self.synops), "rates": list(self.synops.rates)}
        return found

    def __str__(self) -> str:
        head = ("part", "parameters", "MACs/tracklet", "MACs/frame")
        rows = [head, *self.rows()]
        wide = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            row[0].ljust(wide[0])
            + "".join(
                f"  {cell.rjust(width)}" for cell, width in zip(row[1:], wide[1:], strict=True)
            )
            for row in rows
        ]
        shape = f"{self.frames} frames, {self.bins} bins each, events {self.size[0]}x{self.size[1]}"
        lines.append(f"a tracklet: {shape}")
        if self.synops is not None:
            rates = ", ".join(f"{100 * rate:.1f} %" for rate in self.synops.rates)
            lines.append(
                f"event branch: {_short(self.synops.count)} synaptic operations a tracklet, of "
                f"{self.synops.spikes_in:,.0f} input spikes (neurons fire in {rates} of the steps)"
            )
        return "\n".join(lines)


@public
def describe_model(
    model: Sdcl,
    *,
    bins: int,
    size: Pair,
    frames: int | None = None,
    spikes: NDArray[np.uint8] | None = None,
) -> ModelTable:
    """Count a model's parameters and MACs part by part; no weight is touched, little memory taken.

    Args:
        model: any.
        bins: K, time steps per frame.
        size: rows and columns of the spike tensor.
        frames: F; what the model was built for if left out.
        spikes: ``[F*K, B, 2, *size]``, to count synaptic operations of; the event branch runs on
            them where it is.
    """
    frames = frames or model.bridge.config.frames
    parameters = dict.fromkeys((*PARTS.values(), OTHER), 0)
    for name, parameter in model.named_parameters():
        parameters[part_of(name)] += parameter.numel()
    macs = part_macs(model, frames, bins, size)
    parts = (ModelPart(name, parameters[name], macs.get(name, 0)) for name in parameters)
    branch = model.event_branch
    return ModelTable(
        tuple(part for part in parts if part.parameters or part.macs),
        frames,
        bins,
        size,
        _synops(branch, spikes) if spikes is not None and isinstance(branch, EventBranch) else None,
    )


def _synops(branch: EventBranch, spikes: NDArray[np.uint8]) -> Synops:
    """Run the branch and count exactly what its spikes reach."""
    with torch.no_grad():
        device = next(branch.parameters()).device
        outputs = branch(torch.from_numpy(spikes).float().to(device))
    layers = [layer.to(torch.uint8).cpu().numpy() for layer in outputs]
    received, total, samples = spikes, 0, spikes.shape[1]
    for spec, sent in zip(branch.description.layers, layers, strict=True):
        rows, columns = (
            np.bincount(
                reach(extent, spec.kernel, axis=axis, convolution=spec.geometry)[:, 0],
                minlength=extent,
            )
            for axis, extent in enumerate(received.shape[3:])
        )
        fan = np.broadcast_to(np.outer(rows, columns) * spec.channels, received.shape[2:])
        total += int(count_spikes(received, fan.astype(np.int64))[1].sum())
        received = sent
    return Synops(
        total / samples,
        float(np.count_nonzero(spikes)) / samples,
        tuple(float(layer.mean()) for layer in layers),
    )


def _short(count: float) -> str:
    """Return three digits and a unit."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor * 0.9995:
            return f"{float(f'{count / factor:.3g}'):,g} {unit}"
    return f"{count:.3g}"
