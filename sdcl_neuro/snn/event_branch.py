"""SDCL's event branch: spiking convolutions in snnTorch, trainable in a chip's own integers.

Cao et al., CVPR 2023, Section 3.3: leaky integrate-and-fire layers behind convolutions (Eqs. 2
to 7), two of them the best of one to three (Fig. 6). One description gives the paper's network,
a strided one for small chips, or any other chain, at any input size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of, public_class
from sdcl_neuro.network.scales import choose_scale
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron, Pair

from .branch_description import COMPACT, PAPER, BranchDescription, ConvolutionSpec
from .firing_rates import find_gain, initialise
from .loihi_leaky import LoihiLeaky, Mode
from .spiking_layers import next_layers, synaptic_sums

__all__ = ["COMPACT", "PAPER", "BranchDescription", "ConvolutionSpec", "EventBranch"]

QUANTISATION_MARGIN = 1.1
"""Weights may grow by a tenth after the scale is chosen before they are clipped."""


@public_class
class EventBranch(nn.Module):
    """Spiking convolutions over time-major spikes.

    Args:
        description: which network.
        spike_grad: a surrogate of ``snntorch.surrogate``; snnTorch's default if None.
        recompute_steps: training keeps the membranes at every so many steps only, and computes
            those between them again in the backward pass; None keeps all.

    Attributes:
        synapses: one ``nn.Conv2d`` a layer, float weights in both modes.
        neurons: one `LoihiLeaky` a layer, which holds the layer's weight scale.
    """

    def __init__(
        self,
        description: BranchDescription = PAPER,
        *,
        spike_grad: Callable[[Tensor], Tensor] | None = None,
        recompute_steps: int | None = None,
    ) -> None:
        super().__init__()
        description.check()
        if recompute_steps is not None and recompute_steps < 1:
            raise InputError(
                f"recompute_steps {recompute_steps}", where="EventBranch", hint="give 1 or more"
            )
        self.description = description
        self.recompute_steps = recompute_steps
        self.synapses = nn.ModuleList()
        self.neurons = nn.ModuleList()
        channels = description.in_channels
        for layer in description.layers:
            synapse = nn.Conv2d(
                channels,
                layer.channels,
                layer.kernel,
                layer.stride,
                layer.padding,
                bias=description.bias,
            )
            initialise(synapse, beta=description.beta, threshold=description.threshold)
            self.synapses.append(synapse)
            self.neurons.append(
                LoihiLeaky(
                    description.beta,
                    description.threshold,
                    spike_grad=spike_grad,
                    learn_beta=description.learn_beta,
                    learn_threshold=description.learn_threshold,
                )
            )
            channels = layer.channels

    @property
    def mode(self) -> Mode:
        """``float`` or ``int``, the same in every layer."""
        return self._neuron(0).mode

    @property
    def scales(self) -> tuple[float, ...]:
        """Integer weight per unit of float weight, one a layer; 0 where none is chosen."""
        return tuple(float(self._neuron(i).scale) for i in range(len(self.neurons)))

    def set_mode(self, mode: Mode) -> EventBranch:
        """Compute in float or in the chip's integers from now on; returns itself.

        Raises:
            InputError: for integers before `prepare_quantization`.
        """
        if mode not in ("float", "int"):
            raise InputError(f"mode {mode!r}", where="EventBranch", hint="use 'float' or 'int'")
        for index in range(len(self.neurons)):
            neuron = self._neuron(index)
            if mode == "int":
                neuron.integer_neuron()
            neuron.mode = mode
        return self

    def forward(self, spikes: Tensor) -> list[Tensor]:
        """Run from a clean state.

        Args:
            spikes: float ``[T, B, in_channels, H, W]``.

        Returns:
            One float tensor of zeros and ones ``[T, B, C, h, w]`` per layer, in order. The last
            is contiguous; in those before it channels may lie last in memory.
        """
        self._check_input(spikes)
        outputs: list[Tensor] = []
        while len(outputs) < len(self.synapses):
            first = len(outputs)
            layers = [(self._synapse(i), self._neuron(i)) for i in range(first, len(self.synapses))]
            outputs += next_layers(layers, spikes, recompute_steps=self.recompute_steps)
            spikes = outputs[-1]
        return outputs

    def prepare_quantization(
        self, calibration: Tensor | None = None, *, margin: float = QUANTISATION_MARGIN
    ) -> EventBranch:
        """Choose every layer's weight scale from its present weights, and switch to integers.

        Args:
            calibration: spikes ``[T, B, in_channels, H, W]``; needed only where a neuron has so
                many inputs that its current could wrap, to see how far it really goes.
            margin: room for weights to grow in the training that follows.

        Returns:
            Itself. An optimiser built before stays valid: no parameter is replaced.
        """
        self.set_mode("float")
        peaks = [None] * len(self.synapses) if calibration is None else self._peaks(calibration)
        for index, peak in enumerate(peaks):
            synapse, neuron = self._synapse(index), self._neuron(index)
            weight = synapse.weight.detach().cpu().numpy()
            worst = float(np.abs(weight).sum(axis=(1, 2, 3)).max()) * margin
            scale = choose_scale(
                weight,
                threshold=float(neuron.threshold.detach()),
                bias=None if synapse.bias is None else synapse.bias.detach().cpu().numpy(),
                peak=worst if peak is None else min(worst, 2 * peak * margin),
                margin=margin,
            )
            neuron.scale.fill_(scale)
        return self.set_mode("int")

    def calibrate_rates(self, spikes: Tensor, *, rate: float = 0.05) -> tuple[float, ...]:
        """Rescale each layer's weights so that it fires at `rate` on given data, in float.

        Args:
            spikes: ``[T, B, in_channels, H, W]``.
            rate: spikes per neuron and step.

        Returns:
            The rate reached in each layer (bisection; within 0.2 points where it can be had).
        """
        self._check_input(spikes)
        mode = self.mode
        self.set_mode("float")
        reached = []
        with torch.no_grad():
            for index in range(len(self.synapses)):
                sums, _ = synaptic_sums(self._synapse(index), self._neuron(index), spikes)
                gain, found = find_gain(self._neuron(index), sums, rate=rate)
                for parameter in self._synapse(index).parameters():
                    parameter.mul_(gain)
                spikes = self._neuron(index).sequence(sums * gain)
                reached.append(found)
        if mode == "int":
            self.prepare_quantization()
        return tuple(reached)

    def float_network(self, size: Pair) -> FloatNetwork:
        """Describe the branch for an input of height and width `size`; scales go with it."""
        shapes = [(self.description.in_channels, *size), *self.description.shapes(size)]
        if min(min(shape) for shape in shapes) < 1:
            raise InputError(
                f"an input of {size[0]}x{size[1]} leaves nothing after the convolutions",
                where="EventBranch",
                hint="give a larger input",
            )
        layers = [
            self._float_layer(index, shapes[index], shapes[index + 1])
            for index in range(len(self.synapses))
        ]
        meta = {"source": "EventBranch", "description": self.description.to_dict()}
        return FloatNetwork(shapes[0], tuple(layers), meta)

    def _float_layer(
        self, index: int, in_shape: tuple[int, ...], out_shape: tuple[int, ...]
    ) -> FloatLayer:
        synapse, neuron = self._synapse(index), self._neuron(index)
        scale = float(neuron.scale)
        return FloatLayer(
            name=f"conv{index + 1}",
            kind="conv",
            weight=_array(synapse.weight),
            bias=None if synapse.bias is None else _array(synapse.bias),
            neuron=FloatNeuron(
                beta=float(neuron.beta.detach().clamp(0, 1)),
                threshold=float(neuron.threshold.detach()),
            ),
            in_shape=in_shape,
            out_shape=out_shape,
            convolution=self.description.layers[index].geometry,
            scale=scale if scale > 0 else None,
        )

    def _synapse(self, index: int) -> nn.Conv2d:
        return cast(nn.Conv2d, self.synapses[index])

    def _neuron(self, index: int) -> LoihiLeaky:
        return cast(LoihiLeaky, self.neurons[index])

    def _peaks(self, spikes: Tensor) -> list[float | None]:
        """Return largest magnitude of every layer's summed input on given spikes, in float."""
        self._check_input(spikes)
        peaks: list[float | None] = []
        with torch.no_grad():
            for index in range(len(self.synapses)):
                sums, _ = synaptic_sums(self._synapse(index), self._neuron(index), spikes)
                peaks.append(float(sums.abs().amax()))
                spikes = self._neuron(index).sequence(sums)
        return peaks

    def _check_input(self, spikes: Tensor) -> None:
        given: object = spikes
        if not isinstance(given, Tensor):
            what = f"expected spikes as a tensor, got {kind_of(given)}"
            raise InputError(
                what, where="EventBranch", hint="give torch.from_numpy(spikes).float()"
            )
        if spikes.ndim != 5 or spikes.shape[2] != self.description.in_channels:
            raise InputError(
                f"spikes of shape {list(spikes.shape)}",
                where="EventBranch",
                hint=f"give [T, B, {self.description.in_channels}, H, W]",
            )
        if not (spikes.numel() and spikes.is_floating_point()):
            raise InputError(
                f"spikes of {spikes.dtype}, {spikes.numel()} of them",
                where="EventBranch",
                hint="give at least one step and sample, as float",
            )


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return tensor.detach().cpu().float().numpy().copy()
