"""Input neurons of netx: a first population that is driven through its bias, not by synapses.

lava-dl's PilotNet, MNIST and tiny networks begin so: an ``input`` layer with a ``neuron`` group, a
``weight`` and a ``bias``, whose neurons are given ``weight * x + bias`` as their bias in each step
(lava-dl 0.6.0 `netx/hdf5.py`, ``create_input``; `netx/blocks/process.py`, ``Input``). Arithmetic
knows nothing new: with an instantaneous current the same sum arrives at the membrane through a
synapse that joins each input to one neuron. Such a layer is described so here, and `META` says
that a file has it as input neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.fixed_point import BIAS_MAX, BIAS_MIN, DECAY_UNITY
from sdcl_neuro.network.notes import ASSUMED, Note, with_notes
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron, Shape

META = "input_neurons"
"""Key of `IntNetwork.meta` for a network whose first layer a file has as input neurons."""
MAX_MATRIX = 4096
"""Inputs of shape ``(N,)`` are joined by a matrix, which grows with N squared."""
DEFAULT_WEIGHT, DEFAULT_BIAS = 64, 0
"""What ``create_input`` takes where the file names none."""
_COUNT_BITS = 8  # counts are uint8


def input_layer(name: str, shape: Shape, *, weight: int, bias: int, neuron: IntNeuron) -> IntLayer:
    """Describe input neurons as a layer that joins each input to one neuron.

    Args:
        name: of the layer.
        shape: of the input and of the population, ``(C, H, W)`` or ``(N,)``.
        weight, bias: a neuron's bias in a step is ``weight * x + bias``.
        neuron: its constants; no current ever flows, so its current decay does not count.
    """
    neuron = replace(neuron, current_decay=DECAY_UNITY)
    channels = shape[0]
    biases = np.full(channels, bias, np.int32) if bias else None
    if len(shape) == 3:
        kernel = np.full((channels, 1, 1, 1), weight, np.int32)
        geometry = Convolution(groups=channels)
        return IntLayer(name, "conv", kernel, neuron, shape, shape, biases, geometry)
    matrix = np.diag(np.full(channels, weight, np.int32))
    return IntLayer(name, "dense", matrix, neuron, shape, shape, biases)


def drive(net: IntNetwork) -> tuple[int, int] | None:
    """Return weight and bias of a network's input neurons; None if a file has none.

    The note in `META` counts only as long as the first layer is still what it speaks of.
    """
    if not net.meta.get(META) or not net.layers:
        return None
    first = net.layers[0]
    weight, bias = _drive_of(first)
    same = input_layer(first.name, first.in_shape, weight=weight, bias=bias, neuron=first.neuron)
    return (weight, bias) if first == same else None


def largest_count_bits(weight: int, bias: int) -> int:
    """Return the most bits, up to 8, of counts at which every drive fits the chip's bias.

    The field holds 13 signed bits (lava-nc 0.10.0 `proc/lif/models.py`); 0 if only spikes fit.
    """
    for bits in range(_COUNT_BITS, 0, -1):
        drives = (bias, weight * ((1 << bits) - 1) + bias)
        if min(drives) >= BIAS_MIN and max(drives) <= BIAS_MAX:
            return 0 if bits == 1 else bits
    return 0


def refusals(net: IntNetwork, where: str) -> Iterator[Refusal]:
    """Yield why a first layer cannot be written as input neurons."""
    driven = drive(net)
    if driven is None:
        return
    weight, bias = driven
    most = max(1, (1 << net.message_bits) - 1)
    drives = (bias, weight * most + bias)
    if min(drives) < BIAS_MIN or max(drives) > BIAS_MAX:
        yield Refusal(
            where,
            f"counts up to {most} drive it by {min(drives)} to {max(drives)}, beyond the bias's "
            f"13 signed bits, {BIAS_MIN} to {BIAS_MAX}",
            f"give message_bits of at most {largest_count_bits(weight, bias)}",
        )


def noted(net: IntNetwork, *, stated: bool) -> IntNetwork:
    """Say in a network's meta that its first layer is a population of input neurons.

    Args:
        net: as read.
        stated: whether the message bits were; else they are the most that the chip can hold.
    """
    first = net.layers[0]
    weight, bias = _drive_of(first)
    meta = {**net.meta, META: True}
    if stated:
        return replace(net, meta=meta)
    bits = largest_count_bits(weight, bias)
    counts = f"counts of the input neurons below {1 << max(1, bits)}"
    reason = "the file does not state them; no larger ones fit the chip's 13-bit bias"
    meta = with_notes(meta, ASSUMED, [Note(counts, reason)])
    return replace(net, message_bits=bits, meta=meta)


def skipped(net: IntNetwork) -> IntNetwork:
    """Leave the input neurons out: what is left takes their spikes."""
    first, *rest = net.layers
    meta = {key: value for key, value in net.meta.items() if key != META}
    return replace(net, input_shape=first.out_shape, layers=tuple(rest), message_bits=0, meta=meta)


def _drive_of(layer: IntLayer) -> tuple[int, int]:
    bias = 0 if layer.bias is None else int(layer.bias.flat[0])
    return int(layer.weight.flat[0]), bias
