"""Figure 4 of the poster: spikes vanish with depth; convolutions that sample at events keep more.

The model's own spiking layers come first, and layers of fresh weights are stacked on them, as the
package draws them before training, so that any trained model can be looked at to any depth. The
same weights are run twice: as plain convolutions, and with every tap moved to the nearest spikes
of the layer's own input (Eqs. 8 to 11), found for each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge.gathering import gathered_convolution
from sdcl_neuro.hybrid.bridge.sampling import nearest_event_index
from sdcl_neuro.snn.branch_description import BranchDescription, ConvolutionSpec
from sdcl_neuro.snn.event_branch import EventBranch
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky

from .drawing import SMALL, new_figure

DEPTH = 6
"""Layers in the poster's figure."""
WINDOW = 8
WAYS = ("plain", "deformable")
KERNEL = 3


@dataclass(frozen=True, eq=False)
class DepthCurve:
    """Spikes of each layer, in both ways.

    Attributes:
        trained: so many of the first layers are the model's own.
        tracklets: number of tracklets that the rates are means over.
        rates: by way, spikes per neuron and step of each layer.
        cells: by way, share of a layer's cells that hold a spike within a frame.
        pictures: by way, of the first tracklet's middle frame, spikes of each layer summed over
            bins and channels, ``[h, w]``.
    """

    trained: int
    tracklets: int
    rates: dict[str, tuple[float, ...]]
    cells: dict[str, tuple[float, ...]]
    pictures: dict[str, tuple[NDArray[np.float32], ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, without the pictures."""
        return {
            "trained_layers": self.trained,
            "tracklets": self.tracklets,
            "spikes_per_neuron_and_step": {way: list(self.rates[way]) for way in WAYS},
            "share_of_cells_with_a_spike": {way: list(self.cells[way]) for way in WAYS},
        }


def spikes_by_depth(
    branch: EventBranch, tracklets: Sequence[Tracklet], *, depth: int = DEPTH, seed: int = 0
) -> DepthCurve:
    """Count the spikes of 1 to `depth` layers.

    Args:
        branch: of a trained model, run in float.
        tracklets: of the shape that it was trained on, one or more.
        depth: number of layers; further ones keep the last layer's channels and size.
        seed: of the weights of layers that the model lacks.

    Raises:
        InputError: no tracklets, no layers, or kernels of even side.
    """
    if depth < 1 or not tracklets:
        raise InputError(
            f"{depth} layers of {len(tracklets)} tracklets",
            where="spikes_by_depth",
            hint="give at least 1 of each",
        )
    spikes = torch.from_numpy(np.stack([one.spikes for one in tracklets], axis=1)).float()
    frames = len(tracklets[0].times_us)
    deep = _deepened(branch, depth, seed)
    found = {way: _layers(deep, spikes, frames, way == "deformable") for way in WAYS}
    return DepthCurve(
        min(depth, len(branch.synapses)),
        len(tracklets),
        {way: tuple(float(one.mean()) for one in layers) for way, layers in found.items()},
        {way: tuple(_seen(one, frames) for one in layers) for way, layers in found.items()},
        {way: tuple(_picture(one, frames) for one in layers) for way, layers in found.items()},
    )


def _deepened(branch: EventBranch, depth: int, seed: int) -> EventBranch:
    """Return the branch in float, cut or continued to `depth` layers."""
    own = branch.description
    last = own.layers[-1]
    more = (ConvolutionSpec(last.channels, KERNEL, 1, KERNEL // 2),) * depth
    layers = (*own.layers, *more)[:depth]
    if any(layer.kernel % 2 == 0 or layer.padding != layer.kernel // 2 for layer in layers):
        raise InputError(
            f"kernels of {[layer.kernel for layer in layers]} with padding "
            f"{[layer.padding for layer in layers]}",
            where="spikes_by_depth",
            hint="give odd kernels, padded by half their side",
        )
    description = BranchDescription(
        layers, own.in_channels, own.beta, own.threshold, own.bias, own.learn_beta,
        own.learn_threshold,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        deep = EventBranch(description)
    kept = branch.state_dict()
    given = deep.state_dict()
    shared = {k: v for k, v in kept.items() if k in given and v.shape == given[k].shape}
    deep.load_state_dict({**given, **shared})
    return deep.set_mode("float").eval()


def _layers(
    branch: EventBranch, spikes: Tensor, frames: int, deformable: bool
) -> tuple[Tensor, ...]:
    """Return spikes ``[T, B, C, h, w]`` of every layer."""
    found = []
    with torch.inference_mode():
        for layer in range(len(branch.synapses)):
            synapse = cast(nn.Conv2d, branch.synapses[layer])
            neuron = cast(LoihiLeaky, branch.neurons[layer])
            if deformable:
                sums = _at_events(synapse, spikes, frames)
            else:
                sums = synapse(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])
            spikes = neuron.sequence(sums)
            found.append(spikes)
    return tuple(found)


def _at_events(synapse: nn.Conv2d, spikes: Tensor, frames: int) -> Tensor:
    """Return a convolution whose taps are the nearest spikes of each frame; strides skip cells of
    it.
    """
    steps, batch = spikes.shape[:2]
    bins = steps // frames
    held = spikes.unflatten(0, (frames, bins)).amax((1, 3)) > 0  # [F, B, h, w]
    kernel, stride = synapse.kernel_size[0], synapse.stride[0]
    index = nearest_event_index(held.flatten(0, 1), kernel, window=WINDOW)
    index = index.unflatten(0, (frames, batch)).repeat_interleave(bins, 0).flatten(0, 1)
    sums = gathered_convolution(spikes.flatten(0, 1).contiguous(), synapse.weight, index)
    if synapse.bias is not None:
        sums = sums + synapse.bias[:, None, None]
    taken: Tensor = sums[:, :, ::stride, ::stride].contiguous().unflatten(0, (steps, batch))
    return taken


def _seen(layer: Tensor, frames: int) -> float:
    held = layer.unflatten(0, (frames, -1)).amax((1, 3)) > 0
    return float(held.float().mean())


def _picture(layer: Tensor, frames: int) -> NDArray[np.float32]:
    by_frame = layer[:, 0].unflatten(0, (frames, -1)).sum((1, 2))  # [F, h, w]
    picture: NDArray[np.float32] = by_frame[frames // 2].cpu().numpy()
    return picture


def depth_figure(curve: DepthCurve) -> Any:
    """Draw the spikes of each layer as pictures, a row for each way, and their rates as curves."""
    depth = len(curve.rates[WAYS[0]])
    figure = new_figure(1.2 + 1.0 * depth, 6.6)
    pictures, below = figure.subfigures(2, 1, height_ratios=(4.4, 2.2))
    axes = pictures.subplots(len(WAYS), depth, squeeze=False)
    for row, way in enumerate(WAYS):
        line = axes[row]
        for layer, (ax, picture) in enumerate(zip(line, curve.pictures[way], strict=True)):
            brightest = max(1.0, float(curve.pictures[WAYS[0]][layer].max()))
            ax.imshow(
                picture, cmap="magma", interpolation="nearest", extent=(0, 1, 2, 0), vmin=0,
                vmax=brightest,
            )  # fmt: skip
            ax.set(xticks=[], yticks=[])
            if row == 0:
                fresh = "" if layer < curve.trained else "\n(fresh weights)"
                ax.set_title(f"layer {layer + 1}{fresh}", fontsize=SMALL)
        line[0].set_ylabel(WORDS[way], fontsize=SMALL)
    left, right = below.subplots(1, 2)
    numbers = range(1, depth + 1)
    for ax, values, title in (
        (left, curve.rates, "spikes per neuron and step, %"),
        (right, curve.cells, "cells with a spike within a frame, %"),
    ):
        for way in WAYS:
            ax.plot(numbers, [100 * one for one in values[way]], marker="o", label=WORDS[way])
        ax.set_xlabel("layer", fontsize=SMALL)
        ax.set_title(title, fontsize=SMALL)
        ax.set_ylim(0, 1.08 * max(100 * max(values[way]) for way in WAYS) or 1)
        ax.set_xticks(list(numbers))
        ax.tick_params(labelsize=SMALL)
    left.legend(fontsize=SMALL)
    return figure


WORDS = {"plain": "plain convolutions", "deformable": "taps at the nearest spikes"}
