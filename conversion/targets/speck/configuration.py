"""The chip's own configuration: what each core is set to, as samna's objects where it is installed.

Names and layout are those that sinabs writes for a Speck (its `DynapcnnConfigBuilder`): weights and
states with x before y, one entry a destination, biases added where the leak is switched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sdcl_neuro.extras import need

from .layers import PURPOSE, WORD_MAX, SpeckLayer


def core_settings(layers: Sequence[SpeckLayer]) -> dict[int, dict[str, Any]]:
    """Return what every core that is used is set to: core number to samna's names and plain
    values.
    """
    following = [*layers[1:], None]
    return {
        layer.core: _settings(layer, after) for layer, after in zip(layers, following, strict=True)
    }


def speck_configuration(layers: Sequence[SpeckLayer]) -> Any:
    """Return samna's ``SpeckConfiguration`` with the layers on their cores.

    Events enter at the first layer's core and leave at the last one's, which is monitored; the
    chip's own camera is switched off. It was compared with what sinabs builds of the same layers;
    no chip was at hand.

    Raises:
        EnvironmentFault: samna is not installed.
    """
    module = need("samna.speck2f.configuration", PURPOSE)
    found = module.SpeckConfiguration()
    found.dvs_layer.pass_sensor_events = False
    for core, settings in core_settings(layers).items():
        target = found.cnn_layers[core]
        for name, value in settings.items():
            if name == "destinations":
                for index, destination in enumerate(value):
                    for key, setting in destination.items():
                        setattr(target.destinations[index], key, setting)
            else:
                setattr(target, name, value)
    found.cnn_layers[layers[-1].core].monitor_enable = True
    return found


def _settings(layer: SpeckLayer, after: SpeckLayer | None) -> dict[str, Any]:
    channels, rows, columns = layer.out_shape
    bias = np.zeros(channels, np.int64) if layer.bias is None else layer.bias
    return {
        "dimensions": {
            "input_shape": _shape(layer.in_shape),
            "output_shape": _shape(layer.out_shape),
            "padding": {"x": layer.padding[1], "y": layer.padding[0]},
            "stride": {"x": layer.stride[1], "y": layer.stride[0]},
            "kernel_size": layer.weight.shape[2],
        },
        "destinations": (
            [] if after is None else [{"layer": after.core, "enable": True, "pooling": after.pool}]
        ),
        "weights": layer.weight.transpose(0, 1, 3, 2).tolist(),
        "biases": bias.tolist(),
        "leak_enable": bool(bias.any()),
        "return_to_zero": True,
        "threshold_high": layer.threshold,
        "threshold_low": -WORD_MAX,
        "monitor_enable": False,
        "neurons_initial_value": np.zeros((channels, columns, rows), np.int64).tolist(),
    }


def _shape(box: tuple[int, int, int]) -> dict[str, Any]:
    channels, rows, columns = box
    return {"size": {"x": columns, "y": rows}, "feature_count": channels}
