"""The text of the SystemVerilog files and of the memories: what the templates are given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from sdcl_neuro import __version__
from sdcl_neuro.engine.check import largest_input, largest_sum
from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.fixed_point import DECAY_UNITY, STATE_SHIFT
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.network.spec import IntLayer, IntNetwork, Shape

from ..bounds import bounds
from ..scatter import by_input, stored

HERE = Path(__file__).parent
TOP = "sdcl_network"
"""The top module; its own memories are called ``sdcl_network_weight_0`` and so on."""
GENERIC = ("sdcl_neuron", "sdcl_dense_walk", "sdcl_conv_walk", "sdcl_population")


@dataclass(frozen=True)
class Memory:
    """One memory of constants.

    Attributes:
        name: of the module, behind the network's, and of the hex file.
        bits: of a word.
        signed: whether words are two's complement.
        values: int64, one a word.
    """

    name: str
    bits: int
    signed: bool
    values: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Words."""
        return int(self.values.size)

    @property
    def address_bits(self) -> int:
        """Width of its address in bits."""
        return unsigned_bits(self.size - 1)

    def hex(self) -> str:
        """Return its words for ``$readmemh``, a line each, a newline at the end."""
        width = -(-self.bits // 4)
        mask = (1 << self.bits) - 1
        return "".join(f"{value & mask:0{width}x}\n" for value in self.values.reshape(-1).tolist())


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def unsigned_bits(largest: int) -> int:
    """Return bits of an unsigned number up to `largest`, at least 1."""
    return max(1, int(largest).bit_length())


def files(net: IntNetwork, name: str) -> dict[str, str]:
    """Return every file of the design by name: generic modules, the network, its testbench, its
    memories.

    Args:
        net: the network.
        name: of the top module.
    """
    memories = [memory for index in range(len(net.layers)) for memory in _memories(net, index)]
    context = _context(net, name) | {"memories": memories}
    texts = {f"{each}.sv": (HERE / f"{each}.sv").read_text("utf-8") for each in GENERIC}
    texts[f"{name}.sv"] = _templates().get_template("network.sv.jinja").render(context)
    texts["testbench.sv"] = _templates().get_template("testbench.sv.jinja").render(context)
    return texts | {f"{memory.name}.hex": memory.hex() for memory in memories}


def _context(net: IntNetwork, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": __version__,
        "sha256": network_sha256(None, net),
        "counts": net.message_bits > 0,
        "ports": [
            _port(shape) for shape in (net.input_shape, *(layer.out_shape for layer in net.layers))
        ],
        "layers": [_layer(net, index) for index in range(len(net.layers))],
    }


def _port(shape: Shape) -> dict[str, int]:
    """Return widths of an event's fields; a flat shape has its neurons as channels."""
    channels, rows, columns = shape if len(shape) == 3 else (shape[0], 1, 1)
    bits = {"c_bits": channels, "y_bits": rows, "x_bits": columns}
    return {
        "rows": rows,
        "columns": columns,
        **{name: unsigned_bits(extent - 1) for name, extent in bits.items()},
    }


def _layer(net: IntNetwork, index: int) -> dict[str, Any]:
    layer, largest = net.layers[index], largest_input(net) if index == 0 else 1
    kept, bound = stored(layer), bounds(layer, largest=largest)
    counts = index == 0 and net.message_bits > 0
    channels, rows, columns = layer.out_shape if layer.kind == "conv" else (layer.neurons, 1, 1)
    slots = _slots(layer)
    return {
        "index": index,
        "label": "".join(c if c.isalnum() or c in "_-. " else "_" for c in layer.name),
        "kind": layer.kind,
        "in_shape": " x ".join(map(str, layer.in_shape)),
        "out_shape": " x ".join(map(str, layer.out_shape)),
        "neurons": layer.neurons,
        "channels": channels,
        "rows": rows,
        "columns": columns,
        "neuron_bits": unsigned_bits(layer.neurons - 1),
        "address_bits": unsigned_bits(kept.weight.size - 1),
        "weight_bits": _weight_bits(layer),
        "counts": counts,
        "count_bits": 8 if counts else 1,
        "sum_bits": (largest_sum(layer, largest) >> kept.shift).bit_length() + 1,
        "shift": kept.shift,
        "slots": slots,
        "delay_bits": unsigned_bits(slots - 1),
        "sum_address_bits": unsigned_bits(slots * layer.neurons - 1),
        "recurrent": layer.recurrent_weight is not None,
        "recurrent_bits": unsigned_bits(layer.neurons**2 - 1) if layer.kind == "dense_rec" else 1,
        "bias": _biased(layer),
        "current_bits": 32 if bound.wraps_current else 24,
        "current_keep": DECAY_UNITY - layer.neuron.current_decay,
        "voltage_keep": DECAY_UNITY - layer.neuron.voltage_decay,
        "threshold": layer.neuron.threshold << STATE_SHIFT,
        **_walk(layer),
    }


def _walk(layer: IntLayer) -> dict[str, Any]:
    """Return how a convolution walks from an input to its outputs."""
    if layer.convolution is None:
        return {}
    geometry = layer.convolution
    return {
        "kernel": layer.kernel,
        "groups": geometry.groups,
        "per_group": layer.out_shape[0] // geometry.groups,
        "steps": steps_of(layer),
        "field_bits": max(unsigned_bits(int(table.max())) for table in tables(layer)),
        "base_bits": unsigned_bits(layer.out_shape[0] - 1),
    }


def steps_of(layer: IntLayer) -> list[tuple[int, int]]:
    """Return, per axis, how far output and tap move from one output of an input to the next.

    Outputs ``o`` and taps ``k`` of one input keep ``o stride + k dilation`` constant.
    """
    assert layer.convolution is not None
    found = []
    for stride, dilation in zip(layer.convolution.stride, layer.convolution.dilation, strict=True):
        common = gcd(stride, dilation)
        found.append((dilation // common, stride // common))
    return found


def tables(layer: IntLayer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each row and column of the input: number of outputs, first output, its tap."""
    assert layer.convolution is not None
    tables = []
    for axis in (0, 1):
        size, kernel = layer.in_shape[1 + axis], layer.kernel[axis]
        table = np.zeros((size, 3), np.int64)
        pairs = reach(size, kernel, axis=axis, convolution=layer.convolution)
        for source, output, tap in pairs[::-1].tolist():  # the first pair of an input comes last
            table[source] = (table[source, 0] + 1, output, tap)
        tables.append(table)
    return tables[0], tables[1]


def _memories(net: IntNetwork, index: int) -> list[Memory]:
    layer, kept = net.layers[index], stored(net.layers[index])
    bits = _weight_bits(layer)
    found = [Memory(f"weight_{index}", bits, True, kept.weight)]
    if kept.recurrent is not None:
        found.append(Memory(f"recurrent_{index}", bits, True, kept.recurrent))
    if layer.delay is not None and layer.delay.any():
        delays = by_input(layer, layer.delay)
        found.append(Memory(f"delay_{index}", unsigned_bits(int(delays.max())), False, delays))
    if layer.bias is not None and _biased(layer):
        shifted = layer.bias.astype(np.int64) << STATE_SHIFT
        found.append(Memory(f"bias_{index}", 32, True, shifted))
    if layer.convolution is not None:
        width = _walk(layer)["field_bits"]
        for name, table in zip(("row", "column"), tables(layer), strict=True):
            entries = (table[:, 0] << (2 * width)) | (table[:, 1] << width) | table[:, 2]
            found.append(Memory(f"{name}_{index}", 3 * width, False, entries))
        groups = layer.convolution.groups
        if groups > 1:
            group = np.arange(layer.in_shape[0]) // (layer.in_shape[0] // groups)
            base = group * (layer.out_shape[0] // groups)
            found.append(
                Memory(f"base_{index}", unsigned_bits(layer.out_shape[0] - 1), False, base)
            )
    return found


def _weight_bits(layer: IntLayer) -> int:
    kept = stored(layer)
    parts = [kept.weight] if kept.recurrent is None else [kept.weight, kept.recurrent]
    low, high = min(int(p.min()) for p in parts), max(int(p.max()) for p in parts)
    return max((-1 - low).bit_length() if low < 0 else 0, high.bit_length()) + 1


def _slots(layer: IntLayer) -> int:
    return 1 if layer.delay is None else int(layer.delay.max()) + 1


def _biased(layer: IntLayer) -> bool:
    return layer.bias is not None and bool(layer.bias.any())


def constant_bits(net: IntNetwork) -> int:
    """Return bits of all memories of constants."""
    return sum(
        memory.bits * memory.size
        for index in range(len(net.layers))
        for memory in _memories(net, index)
    )


def state_bits(net: IntNetwork) -> int:
    """Return bits of all memories that change: sums, currents, membranes, lists of what fired."""
    total = 0
    for index in range(len(net.layers)):
        layer = _layer(net, index)
        one = layer["slots"] * layer["sum_bits"] + 24
        one += layer["current_bits"] if layer["current_keep"] else 0
        one += layer["neuron_bits"] if layer["recurrent"] else 0
        total += layer["neurons"] * one
    return total
