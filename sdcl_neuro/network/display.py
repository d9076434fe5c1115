"""A network as a table of its layers, for the terminal and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import prod
from typing import TYPE_CHECKING

from sdcl_neuro.errors import number_of

if TYPE_CHECKING:
    from .spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork

HEAD = ("layer", "name", "kind", "input", "output", "weights", "neuron")


def layer_rows(net: FloatNetwork | IntNetwork) -> list[tuple[str, ...]]:
    """Return one row a layer, with the columns of `HEAD`."""
    layers: Sequence[FloatLayer | IntLayer] = net.layers
    return [
        (
            str(index),
            layer.name,
            _kind(layer),
            _shape(layer.in_shape),
            _shape(layer.out_shape),
            f"{_weights(layer):,}",
            _neuron(layer),
        )
        for index, layer in enumerate(layers)
    ]


def headline(net: FloatNetwork | IntNetwork) -> str:
    """Return one line: what it is, its size, and what it takes."""
    neurons = sum(prod(layer.out_shape) for layer in net.layers)
    weights = sum(_weights(layer) for layer in net.layers)
    counts = getattr(net, "message_bits", 0)
    taken = f"counts below {1 << counts}" if counts else "spikes"
    return (
        f"{type(net).__name__}: {number_of(len(net.layers), 'layer')}, "
        f"{number_of(neurons, 'neuron')}, {number_of(weights, 'weight')}; "
        f"takes {taken} [T, B, {', '.join(map(str, net.input_shape))}]"
    )


def text_table(net: FloatNetwork | IntNetwork) -> str:
    """Return the headline and the layers as aligned text."""
    rows = [HEAD, *layer_rows(net)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([headline(net), *(f"  {line}" for line in lines)])


def html_table(net: FloatNetwork | IntNetwork) -> str:
    """Return the headline and the layers as HTML, for a notebook."""
    return table_html(headline(net), HEAD, layer_rows(net))


def table_html(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a small HTML table; every cell is escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    caption = f"<caption style='text-align:left'>{escape(title)}</caption>"
    return f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _weights(layer: FloatLayer | IntLayer) -> int:
    recurrent = 0 if layer.recurrent_weight is None else layer.recurrent_weight.size
    return int(layer.weight.size + recurrent)


def _kind(layer: FloatLayer | IntLayer) -> str:
    geometry = layer.convolution
    if geometry is None:
        return layer.kind
    text = f"conv {_shape(layer.weight.shape[2:])}"
    for name, pair, plain in (
        ("stride", geometry.stride, (1, 1)),
        ("padding", geometry.padding, (0, 0)),
        ("dilation", geometry.dilation, (1, 1)),
    ):
        if tuple(pair) != plain:
            text += f", {name} {pair[0] if pair[0] == pair[1] else _shape(pair)}"
    return text + (f", groups {geometry.groups}" if geometry.groups != 1 else "")


def _neuron(layer: FloatLayer | IntLayer) -> str:
    """Return the constants, in float or under netx's names."""
    from .spec import IntNeuron  # which shows itself through this module

    neuron = layer.neuron
    if isinstance(neuron, IntNeuron):
        parts = [f"vDecay {neuron.voltage_decay}", f"vThMant {neuron.threshold}"]
        if neuron.current_decay != 4096:  # an instantaneous current, see `spec.IntNeuron`
            parts.insert(0, f"iDecay {neuron.current_decay}")
    else:
        parts = [f"beta {neuron.beta:.6g}", f"threshold {neuron.threshold:.6g}"]
        if neuron.alpha:
            parts.insert(0, f"alpha {neuron.alpha:.6g}")
    if layer.bias is not None:
        parts.append("bias")
    if getattr(layer, "delay", None) is not None:
        parts.append("delays")
    return ", ".join(parts)
