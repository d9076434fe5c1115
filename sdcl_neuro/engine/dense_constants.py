"""What the dense path needs to know of a layer, on the device in one copy for a whole network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.devices import uploaded
from sdcl_neuro.network.activity import (
    fan_out,
    nonzero_fan_out,
    nonzero_recurrent_fan_out,
    recurrent_fan_out,
)
from sdcl_neuro.network.fixed_point import (
    CONVOLUTION_BITS,
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
)
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron

from .check import largest_input, largest_sum

EXACT = 1 << 24
"""Integers below it, and their sums, are exact in float32."""


@dataclass(frozen=True)
class Constants:
    """One layer on a device.

    Attributes:
        layer: its description.
        weight: float32 or float64, whichever holds every sum exactly: ``[groups, C_out / groups,
            taps]`` of a convolution, else ``[delays, N, N_in]``.
        bias: int32 ``[N]``, zeros if there is none.
        fan, fan_used: int32 ``[N_in]``, the synapses an input reaches, all and not zero.
        recurrent: int32 ``[N from, N to]`` or None.
        recurrent_used: int32 ``[N]``, of weights that are not zero; or None.
        delays: axonal delay of each slice of `weight`, in steps.
        largest: bound of a sum's magnitude.
        graded: whether an input may be above one.
    """

    layer: IntLayer
    weight: Tensor
    bias: Tensor
    fan: Tensor
    fan_used: Tensor
    recurrent: Tensor | None
    recurrent_used: Tensor | None
    delays: tuple[int, ...]
    largest: int
    graded: bool

    @property
    def neurons(self) -> int:
        """Neurons of one sample."""
        return self.layer.neurons

    @property
    def neuron(self) -> IntNeuron:
        """Decays and threshold."""
        return self.layer.neuron

    @property
    def wraps(self) -> bool:
        """Whether Lava's wrapping of a convolution's sums to 24 bits can change one."""
        return self.layer.kind == "conv" and self.largest >= 1 << (CONVOLUTION_BITS - 1)

    @property
    def recurrent_fan(self) -> int:
        """Recurrent synapses that each of the layer's spikes reaches."""
        return recurrent_fan_out(self.layer)

    @cached_property
    def recurrent_weight(self) -> Tensor:
        """The recurrent weights in the type of the sums."""
        assert self.recurrent is not None
        return self.recurrent.to(self.weight.dtype)

    @cached_property
    def wraps_current(self) -> bool:
        """Whether a current can leave its 24 bits: ``u <= u keep / 4096 + input`` bounds it."""
        return (
            self.largest << STATE_SHIFT
        ) * DECAY_UNITY >= STATE_LIMIT * self.neuron.current_decay

    @cached_property
    def narrow(self) -> bool:
        """Whether no state can leave a 32-bit register: `fixed_point`'s narrowing does nothing.

        From currents in +-2^23, an input below 2^24 leads to currents in +-2^23 again, after they
        have wrapped once.
        """
        bias = 0 if self.layer.bias is None else int(np.abs(self.layer.bias).max())
        return self.largest << STATE_SHIFT < 2 * STATE_LIMIT and bias << STATE_SHIFT < 1 << 30


def constants_of(net: IntNetwork, device: torch.device) -> list[Constants]:
    """Put a checked network on a device."""
    bounds = [largest_input(net)] + [1] * len(net.layers)
    sums = [largest_sum(layer, bound) for layer, bound in zip(net.layers, bounds, strict=False)]
    arrays = [_arrays(layer, largest) for layer, largest in zip(net.layers, sums, strict=True)]
    tensors = iter(uploaded([each for own in arrays for each in own], device))
    found = []
    for layer, own, largest, bound in zip(net.layers, arrays, sums, bounds, strict=False):
        weight, bias, fan, fan_used, *recurrent = (next(tensors) for _ in own)
        matrix, matrix_used = recurrent or (None, None)
        found.append(
            Constants(
                layer, weight, bias, fan, fan_used, matrix, matrix_used, _delays(layer), largest,
                graded=bound > 1,
            )
        )  # fmt: skip
    return found


def _arrays(layer: IntLayer, largest: int) -> list[NDArray[np.generic]]:
    """Return a layer's arrays, in the order of `Constants`."""
    neurons = layer.neurons
    bias = np.zeros(1) if layer.bias is None else layer.bias
    found: list[NDArray[np.generic]] = [
        _weight(layer).astype(np.float32 if largest < EXACT else np.float64),
        np.repeat(bias, neurons // len(bias)).astype(np.int32),
        fan_out(layer).reshape(-1).astype(np.int32),
        nonzero_fan_out(layer).reshape(-1).astype(np.int32),
    ]
    if layer.recurrent_weight is not None:
        found.append(np.ascontiguousarray(layer.recurrent_weight.T, dtype=np.int32))
        found.append(nonzero_recurrent_fan_out(layer).astype(np.int32))
    return found


def _weight(layer: IntLayer) -> NDArray[np.integer]:
    if layer.convolution is not None:
        groups = layer.convolution.groups
        return layer.weight.reshape(groups, len(layer.weight) // groups, -1)
    if layer.delay is None:
        return layer.weight[None]
    return np.stack([np.where(layer.delay == each, layer.weight, 0) for each in _delays(layer)])


def _delays(layer: IntLayer) -> tuple[int, ...]:
    return (0,) if layer.delay is None else tuple(np.unique(layer.delay).tolist())
