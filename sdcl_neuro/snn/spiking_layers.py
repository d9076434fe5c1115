"""Convolutions of a branch with the neurons they feed: compiled where that gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.devices import full_float32, host_value
from sdcl_neuro.network.spec import Pair

from .chip_ops import UNIT, chip_bias, chip_weight, straight_round
from .loihi_leaky import LoihiLeaky

if TYPE_CHECKING:
    from .bptt.population import LayerConstants, Parameters


def next_layers(
    layers: Sequence[tuple[nn.Conv2d, LoihiLeaky]], spikes: Tensor, *, recompute_steps: int | None
) -> list[Tensor]:
    """Go through the first of some layers, and through those after it that go the same way.

    Compiled layers go together, but those that do not learn apart from those that do.

    Args:
        layers: one or more, each the next one's input.
        spikes: ``[T, B, Ci, H, W]``.
        recompute_steps: see `EventBranch`.

    Returns:
        Spikes ``[T, B, C, h, w]``, one tensor for each layer gone through.
    """
    from .bptt.chain import LayerChain, spiking_chain

    together: list[LayerConstants] = []
    parameters: list[Parameters] = []
    learns = _learns([spikes])
    for synapse, neuron in layers:
        layer = _compiled(synapse, neuron, spikes)
        own = None if layer is None else _parameters(synapse, neuron)
        if layer is None or own is None or (together and _learns(own) and not learns):
            break
        learns = learns or _learns(own)
        together.append(layer)
        parameters.append(own)
    if together:
        chain = LayerChain(
            tuple(together), learns=learns, stretch=recompute_steps if learns else None
        )
        return list(spiking_chain(spikes, parameters, chain))
    synapse, neuron = layers[0]
    return [neuron.sequence(*synaptic_sums(synapse, neuron, spikes))]


def synaptic_sums(
    synapse: nn.Conv2d, neuron: LoihiLeaky, spikes: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return summed input ``[T, B, C, h, w]``; for a neuron in integers the bias apart, ``[C, 1,
    1]``.
    """
    folded = spikes.flatten(0, 1)
    if neuron.mode == "float":
        with full_float32():
            return synapse(folded).unflatten(0, spikes.shape[:2]), None
    scale = host_value(neuron.scale)
    # Reduced precision would not be the chip's; rounding mends what a fast algorithm
    # (Winograd, Fourier) may have left of an integer sum.
    with torch.autocast(folded.device.type, enabled=False), full_float32():
        weight = chip_weight(synapse.weight.float(), scale)
        sums = straight_round(
            functional.conv2d(folded.float(), weight, None, synapse.stride, synapse.padding)
        )
    bias = None if synapse.bias is None else chip_bias(synapse.bias, scale)[:, None, None]
    return sums.unflatten(0, spikes.shape[:2]), bias


def _compiled(synapse: nn.Conv2d, neuron: LoihiLeaky, spikes: Tensor) -> LayerConstants | None:
    """Return what `bptt` computes a layer by; None where that would be something else.

    On a GPU one call of the convolution for all steps is best.
    """
    from .bptt.population import LayerConstants
    from .bptt.synapses import Geometry

    if _is_changed(synapse, spikes) or spikes.device.type != "cpu":
        return None
    population = neuron.leak(spikes)
    geometry = Geometry(cast(Pair, synapse.stride), cast(Pair, synapse.padding))
    return None if population is None else LayerConstants(geometry, *population)


def _parameters(synapse: nn.Conv2d, neuron: LoihiLeaky) -> Parameters:
    """Return the parameters in the form that `bptt` takes."""
    from .bptt.population import Parameters

    weight, bias = synapse.weight, synapse.bias
    if neuron.mode == "int":
        scale = host_value(neuron.scale)
        weight = chip_weight(weight, scale)
        bias = None if bias is None else chip_bias(bias, scale) * UNIT
    return Parameters(weight, bias, neuron.beta, neuron.threshold)


def _learns(values: Sequence[Tensor | None]) -> bool:
    return torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in values
    )


def _is_changed(synapse: nn.Conv2d, spikes: Tensor) -> bool:
    """Return whether calling `synapse` may do something else than a float32 convolution of
    `spikes`.
    """
    return (
        type(synapse) is not nn.Conv2d
        or bool(synapse._forward_hooks or synapse._forward_pre_hooks)
        or synapse.groups != 1
        or synapse.dilation != (1, 1)
        or synapse.padding_mode != "zeros"
        or isinstance(synapse.padding, str)
        or spikes.dtype != torch.float32
        or synapse.weight.dtype != torch.float32
        or torch.is_autocast_enabled(spikes.device.type)
    )
