"""One layer of a description as snnTorch modules: synapse and population, in float or integers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.engine.check import largest_sum
from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.fixed_point import BIAS_MAX, CONVOLUTION_BITS, DECAY_UNITY
from sdcl_neuro.network.scales import CURRENT_MAX
from sdcl_neuro.network.spec import FloatLayer, IntLayer
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic

from .lowering.approximate import Approximation

Array = NDArray[Any]


def float_layer(layer: FloatLayer, departure: Approximation | None = None) -> FloatLayerModule:
    """Return a module from spikes ``[T, B, *in_shape]`` to spikes ``[T, B, *out_shape]``, in
    float32.

    The population is ``snn.Leaky``, ``snn.Synaptic`` (immediate reset), or for a recurrent layer
    ``snn.RLeaky`` (immediate reset). snnTorch has no right one that is both: there a
    ``snn.Synaptic`` is fed its own spikes of the step before.

    Args:
        layer: the layer.
        departure: how its original resets and drives its neurons; None as the description says.
    """
    return FloatLayerModule(layer, departure)


def integer_layer(layer: IntLayer, *, largest: int = 1) -> nn.Module:
    """Return the same in the chip's integers; `largest` is the largest count of its input.

    Raises:
        NetworkRefused: for axonal delays, which snnTorch does not support.
    """
    if layer.delay is not None and layer.delay.any():
        what = "axonal delays, which snnTorch's neurons do not support"
        raise NetworkRefused([Refusal(f"layer {layer.name}", what, "run it in loihi or lava")])
    return _IntegerLayer(layer, largest=largest)


class _SynapseModule(nn.Module):
    """Convolution or dense matrix over ``[T, B, *in_shape]``."""

    weight: Tensor

    def __init__(self, layer: FloatLayer | IntLayer, bias: Array | None, dtype: torch.dtype):
        super().__init__()
        self.geometry = layer.convolution
        self.out_shape = tuple(layer.out_shape)
        self.register_buffer("weight", torch.from_numpy(np.asarray(layer.weight)).to(dtype))
        self.register_buffer("bias", None if bias is None else torch.from_numpy(bias).to(dtype))

    def forward(self, spikes: Tensor) -> Tensor:
        folded = spikes.flatten(0, 1).to(self.weight.dtype)
        where, bias = self.geometry, cast("Tensor | None", self.bias)
        if where is None:
            sums = functional.linear(folded.flatten(1), self.weight, bias)
        else:
            sums = functional.conv2d(
                folded,
                self.weight,
                bias,
                where.stride,
                where.padding,
                where.dilation,
                where.groups,
            )
        return sums.reshape(*spikes.shape[:2], *self.out_shape)


class FloatLayerModule(nn.Module):
    """What `float_layer` gives: `currents` and then `fire`."""

    def __init__(self, layer: FloatLayer, departure: Approximation | None) -> None:
        super().__init__()
        alpha = layer.neuron.alpha
        # A bias goes straight to the membrane. Behind a current's decay, a constant input of
        # (1 - alpha) b on top of an initial current of b is the same.
        offset = layer.bias if alpha > 0 else None
        self.synapse = _SynapseModule(layer, None if alpha > 0 else layer.bias, torch.float32)
        self.neuron = _float_neuron(layer, departure)
        self.alpha = alpha
        self.filters_bias = departure is not None and departure.filters_bias
        self.rest = 0.0 if departure is None else departure.rest
        self.register_buffer("offset", None if offset is None else _column(offset, layer))
        recurrent = layer.recurrent_weight if alpha > 0 else None
        self.register_buffer("recurrent", None if recurrent is None else _tensor(recurrent))

    def forward(self, spikes: Tensor) -> Tensor:
        """Map spikes ``[T, B, *in_shape]`` to spikes."""
        return self.fire(self.currents(spikes))

    def currents(self, spikes: Tensor) -> Tensor:
        """Return what the synapse delivers, ``[T, B, *out_shape]``; a bias only without a
        current.
        """
        sums: Tensor = self.synapse(spikes)
        return sums

    def fire(self, sums: Tensor) -> Tensor:
        """Return the population's spikes, from a clean state."""
        clean = torch.zeros_like(sums[0])
        states = [clean] if isinstance(self.neuron, snn.Leaky) else [clean, clean]
        states[-1] = clean - self.rest
        offset = cast("Tensor | None", self.offset)
        if offset is not None:
            sums = sums + (1 - self.alpha) * offset
            if not self.filters_bias:
                states[0] = clean + offset
        recurrent = cast("Tensor | None", self.recurrent)
        outputs: list[Tensor] = []
        for step in sums.unbind(0):
            if recurrent is not None and outputs:
                step = step + functional.linear(outputs[-1], recurrent)
            result = self.neuron(step, *states)
            # Leaky and Synaptic hand on what follows the spikes, RLeaky the spikes too.
            states = list(result[-len(states) :])
            outputs.append(result[0])
        return torch.stack(outputs)


def _float_neuron(layer: FloatLayer, departure: Approximation | None) -> nn.Module:
    beta, alpha = layer.neuron.beta, layer.neuron.alpha
    departure = Approximation() if departure is None else departure
    options: dict[str, Any] = {
        "threshold": layer.neuron.threshold,
        "reset_mechanism": "subtract" if departure.subtracts else "zero",
        "reset_delay": departure.late,
    }
    neuron: nn.Module
    if alpha > 0:
        neuron = snn.Synaptic(alpha, beta, **options)
    elif layer.recurrent_weight is None:
        neuron = snn.Leaky(beta, **options)
    else:
        neuron = snn.RLeaky(beta, linear_features=layer.out_shape[0], **options)
        _load_recurrence(neuron, layer.recurrent_weight)
    # snnTorch's class-wide list of neurons would keep every network ever run alive.
    snn.SpikingNeuron.instances.pop()
    return neuron


class _IntegerLayer(nn.Module):
    def __init__(self, layer: IntLayer, *, largest: int) -> None:
        super().__init__()
        reach = largest_sum(layer, largest)
        # Below this bound every state stays within the 24 bits of float32 (`chip_neuron`).
        small = reach <= CURRENT_MAX and (
            layer.bias is None or np.abs(layer.bias).max() <= BIAS_MAX
        )
        self.dtype = torch.float32 if small else torch.float64
        self.wraps = layer.kind == "conv" and reach >= 1 << (CONVOLUTION_BITS - 1)
        self.synapse = _SynapseModule(layer, None, self.dtype)
        self.neuron = _integer_neuron(layer)
        bias = None if layer.bias is None else _column(layer.bias, layer).to(self.dtype)
        self.register_buffer("bias", bias)
        recurrent = layer.recurrent_weight
        self.register_buffer(
            "recurrent", None if recurrent is None else _tensor(recurrent).to(self.dtype)
        )

    def forward(self, spikes: Tensor) -> Tensor:
        # Rounding mends what a fast algorithm (Winograd, Fourier) left of an integer sum.
        sums = self.synapse(spikes).round()
        if self.wraps:
            half = float(1 << (CONVOLUTION_BITS - 1))
            sums = torch.remainder(sums + half, 2 * half) - half
        neuron = cast(ChipNeuron, self.neuron)
        return neuron.sequence(
            sums, cast("Tensor | None", self.bias), recurrent=cast("Tensor | None", self.recurrent)
        )


def _integer_neuron(layer: IntLayer) -> nn.Module:
    """Return the population with weights that already are integers, so at a scale of 1."""
    neuron = layer.neuron
    alpha, beta = (
        (DECAY_UNITY - decay) / DECAY_UNITY
        for decay in (neuron.current_decay, neuron.voltage_decay)
    )
    threshold = float(neuron.threshold)
    if alpha > 0:
        return LoihiSynaptic(alpha, beta, threshold, mode="int", scale=1.0)
    if layer.recurrent_weight is None:
        return LoihiLeaky(beta, threshold, mode="int", scale=1.0)
    population = LoihiRLeaky(
        beta, threshold, linear_features=layer.out_shape[0], mode="int", scale=1.0
    )
    _load_recurrence(population, layer.recurrent_weight)
    return population


def _load_recurrence(neuron: Any, weight: Array) -> None:
    with torch.no_grad():
        neuron.recurrent.weight.copy_(torch.from_numpy(weight))
        neuron.recurrent.bias.zero_()


def _column(bias: Array, layer: FloatLayer | IntLayer) -> Tensor:
    """Return a bias that broadcasts against one step ``[B, *out_shape]``."""
    return _tensor(bias).reshape(-1, *[1] * (len(layer.out_shape) - 1))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float64)).to(
        torch.float64 if values.dtype.kind == "i" else torch.float32
    )
