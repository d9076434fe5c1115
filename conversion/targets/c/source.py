"""The text of the C files: what the templates beside this module are given."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from sdcl_neuro import __version__
from sdcl_neuro.engine.check import largest_input
from sdcl_neuro.network.fixed_point import DECAY_UNITY, STATE_SHIFT
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.network.spec import IntLayer, IntNetwork

from ..bounds import bounds
from ..scatter import Stored, by_input, stored, width_of

_ROW = 24  # numbers a line


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def source(net: IntNetwork, name: str) -> str:
    """Return the text of ``NAME.c``: the network, in C99."""
    return _templates().get_template("event.c.jinja").render(_context(net, name))


def header(net: IntNetwork, name: str) -> str:
    """Return the text of ``NAME.h``: what a program that uses it needs."""
    return _templates().get_template("event.h.jinja").render(_context(net, name, arrays=False))


def check_program(
    net: IntNetwork, name: str, vectors: NDArray[np.uint32] | None = None, steps: int = 0
) -> str:
    """Return the text of ``NAME_check.c``: a main that compares with test vectors, or runs on
    spikes.

    Args:
        net: the network.
        name: of the files.
        vectors: what `vectors.expected` gave; None makes a main that only runs.
        steps: how many steps they hold.
    """
    context = _context(net, name, arrays=False) | {
        "steps": steps,
        "vector_words": 0 if vectors is None else len(vectors),
        "vector_text": "" if vectors is None else numbers(vectors),
        "neurons_list": ", ".join(f"{layer.neurons}u" for layer in net.layers),
    }
    return _templates().get_template("event_check.c.jinja").render(context)


def numbers(values: NDArray[np.generic]) -> str:
    """Return integers as lines of C's initialiser."""
    texts = [str(value) for value in values.reshape(-1).tolist()]
    return ",\n".join(
        "    " + ", ".join(texts[start : start + _ROW]) for start in range(0, len(texts), _ROW)
    )


def _context(net: IntNetwork, name: str, *, arrays: bool = True) -> dict[str, Any]:
    largest = largest_input(net)
    layers = [
        _layer(net, index, largest=largest if index == 0 else 1, arrays=arrays)
        for index in range(len(net.layers))
    ]
    inputs = prod(net.input_shape)
    return {
        "name": name,
        "macro": name.upper(),
        "version": __version__,
        "sha256": network_sha256(None, net),
        "layers": layers,
        "inputs": inputs,
        "in_words": _words(inputs),
        "input_shape": _shape(net.input_shape),
        "counts": net.message_bits > 0,
        "largest": largest,
        "spikes_list": ", ".join(f"spikes_{index}" for index in range(len(layers))),
        "uses_decay": any(layer["decays"] for layer in layers),
        "wraps_total": any(layer["wraps_total"] for layer in layers),
        "wraps_current": any(layer["wraps_current"] for layer in layers),
        "walks_bits": any(not layer["counts"] or layer["recurrent"] for layer in layers),
    }


def _layer(net: IntNetwork, index: int, *, largest: int, arrays: bool) -> dict[str, Any]:
    layer = net.layers[index]
    kept, bound = stored(layer), bounds(layer, largest=largest)
    slots = 1 if layer.delay is None else int(layer.delay.max()) + 1
    total = bound.total >> kept.shift if not bound.wraps_total else 1 << 30
    return {
        "index": index,
        # No text of the user's may end a comment.
        "label": "".join(c if c.isalnum() or c in "_-. " else "_" for c in layer.name),
        "kind": layer.kind,
        "inputs": prod(layer.in_shape),
        "in_words": _words(prod(layer.in_shape)),
        "outputs": layer.neurons,
        "words": _words(layer.neurons),
        "out_shape": _shape(layer.out_shape),
        "counts": index == 0 and net.message_bits > 0,
        "slots": slots,
        "weight_type": f"int{kept.bits}_t",
        "sum_type": f"int{max(16, width_of(-total, total))}_t",
        "unit": 1 << kept.shift,
        "recurrent": kept.recurrent is not None,
        **_geometry(layer),
        **_neuron(layer, kept.shift, index, largest=largest),
        **(_arrays(layer, kept) if arrays else {}),
    }


def _geometry(layer: IntLayer) -> dict[str, Any]:
    """Return how a layer's neurons lie in memory, and which of them an input reaches."""
    if layer.convolution is None:
        order = "[input][neuron]"
        return {"places": 1, "channels": layer.neurons, "state_order": "", "weight_order": order}
    geometry = layer.convolution
    channels, height, width = layer.in_shape
    outputs, out_height, out_width = layer.out_shape
    return {
        "places": out_height * out_width,
        "channels": outputs,
        "state_order": "[row][column][channel]",
        "weight_order": "[input channel][kernel row][kernel column][neuron channel of the group]",
        "plane": height * width,
        "height": height,
        "width": width,
        "out_height": out_height,
        "out_width": out_width,
        "kernel": layer.kernel,
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
        "in_group": channels // geometry.groups,
        "per_group": outputs // geometry.groups,
    }


def _neuron(layer: IntLayer, shift: int, index: int, *, largest: int) -> dict[str, Any]:
    neuron, bound = layer.neuron, bounds(layer, largest=largest)
    slow = neuron.current_decay < DECAY_UNITY
    left = shift + STATE_SHIFT
    received = f"total * {1 << left}"
    if bound.wraps_total:
        received = f"total * {1 << STATE_SHIFT}"
    elif bound.wraps_received:
        received = f"(int32_t)((uint32_t)total << {left})"
    keep = DECAY_UNITY - neuron.voltage_decay
    voltage = f"voltage_{index}[n]"
    kept = {0: "0", DECAY_UNITY: voltage}.get(keep, f"decayed({voltage}, {keep}u)")
    return {
        "slow": slow,
        "decays": slow or 0 < keep < DECAY_UNITY,
        "keep_current": DECAY_UNITY - neuron.current_decay,
        "kept_voltage": kept,
        "threshold": neuron.threshold << STATE_SHIFT,
        "received": received,
        "scaled_total": f"total * {1 << shift}",
        "wraps_total": bound.wraps_total,
        "wraps_current": bound.wraps_current,
        "wraps_voltage": bound.wraps_voltage,
        "bias_term": f"{1 << STATE_SHIFT} * bias_{index}[channel]",
    }


def _arrays(layer: IntLayer, kept: Stored) -> dict[str, Any]:
    # What is zero everywhere changes no spike.
    bias = layer.bias if layer.bias is not None and layer.bias.any() else None
    delay = layer.delay if layer.delay is not None and layer.delay.any() else None
    return {
        "weights": kept.weight.size,
        "weight_text": numbers(kept.weight),
        "recurrent_text": "" if kept.recurrent is None else numbers(kept.recurrent),
        "delay_text": "" if delay is None else numbers(by_input(layer, delay)),
        "biases": 0 if bias is None else len(bias),
        "bias_type": "" if bias is None else f"int{_bias_bits(bias)}_t",
        "bias_text": "" if bias is None else numbers(bias),
    }


def _bias_bits(bias: NDArray[np.int32]) -> int:
    return max(16, width_of(int(bias.min()), int(bias.max())))


def _words(neurons: int) -> int:
    return -(-neurons // 32)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
