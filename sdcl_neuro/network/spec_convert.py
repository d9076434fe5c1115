"""From a chip's integers back to a float description."""

from __future__ import annotations

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal

from .fixed_point import DECAY_UNITY
from .spec import FloatLayer, FloatNetwork, FloatNeuron, IntLayer, IntNetwork


def dequantize(net: IntNetwork) -> FloatNetwork:
    """Describe an integer network in float, with its integers as the floats' values.

    A decay becomes (4096 - it) / 4096, exactly. A float run still differs where the chip rounds
    a decaying state towards zero, clips or wraps. Every layer's scale is 1.

    Raises:
        NetworkRefused: for layers with axonal delays, which the float description does not have.
    """
    delayed = [
        Refusal(
            f"layer {index} ({layer.name})",
            "axonal delays have no float description",
            "run it in loihi or lava",
        )
        for index, layer in enumerate(net.layers)
        if layer.delay is not None and layer.delay.any()
    ]
    if delayed:
        raise NetworkRefused(delayed)
    meta = {**net.meta, "dequantised": True, "message_bits": net.message_bits}
    return FloatNetwork(net.input_shape, tuple(_layer(layer) for layer in net.layers), meta)


def _layer(layer: IntLayer) -> FloatLayer:
    neuron, recurrent = layer.neuron, layer.recurrent_weight
    return FloatLayer(
        name=layer.name,
        kind=layer.kind,
        weight=layer.weight.astype(np.float32),
        neuron=FloatNeuron(
            beta=(DECAY_UNITY - neuron.voltage_decay) / DECAY_UNITY,
            threshold=float(neuron.threshold),
            alpha=(DECAY_UNITY - neuron.current_decay) / DECAY_UNITY,
        ),
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        bias=None if layer.bias is None else layer.bias.astype(np.float32),
        convolution=layer.convolution,
        recurrent_weight=None if recurrent is None else recurrent.astype(np.float32),
        scale=1.0,
    )
