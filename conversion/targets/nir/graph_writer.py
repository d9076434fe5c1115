"""Graphs written as NIR: skips and branches as edges, what NIR has no word for as what it has.

Sums are edges that meet. Concatenated and picked channels go through convolutions of one pixel, or
matrices, of ones and zeros; so do norms with a shift. Max pooling of spikes is a sum pooling and
neurons that forget at once and fire above one half. Gains stand in r, neuron by neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spec import Pair, Shape

from ...lowering.folding import EXPANSION_MAX
from ...lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Input,
    Node,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
    SliceNode,
    UpsampleNode,
)
from ...lowering.graph.shapes import Misfit, shapes_of, where_of
from .forms import ENDLESS
from .weights import spread

Array = NDArray[Any]

FORGETS = 1 / 4096
"""What neurons of a max pooling keep: the least that the chip's 12 bits can say."""


@dataclass
class _Writing:
    """The NIR graph so far.

    Attributes:
        shapes: of every node of the graph.
        dt: length of a step in seconds.
        nodes, edges: of NIR.
        ends: node to the NIR nodes whose sum it is.
    """

    shapes: Mapping[str, Shape]
    dt: float
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    ends: dict[str, list[str]] = field(default_factory=dict)

    def put(self, name: str, node: Any, sources: list[str]) -> str:
        """Add a NIR node that reads others; a source that counts twice goes through a scale."""
        import nir

        if name in self.nodes or "/" in name:
            raise Misfit(f"has the name {name!r}, which NIR files cannot hold", "rename it")
        self.nodes[name] = node
        for source in dict.fromkeys(sources):
            times = sources.count(source)
            last = source
            if times > 1:
                last = f"{name}.times.{source}"
                shape = self.shapes.get(source)
                if shape is None:
                    raise Misfit("adds a joined tensor to itself", "multiply the weights instead")
                self.nodes[last] = nir.Scale(np.full(shape, times, np.float32))
                self.edges.append((source, last))
            self.edges.append((last, name))
        return name


def graph_nodes(graph: FloatGraph, dt: float) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The NIR nodes and edges of a graph.

    Args:
        graph: the description.
        dt: length of a step in seconds.

    Raises:
        NetworkRefused: with every node that NIR has no words for.
    """
    import nir

    w, refusals = _Writing(shapes_of(graph), dt), []
    for node in graph.nodes:
        if any(name not in w.ends for name in node.inputs):
            continue  # it reads a node that was refused
        try:
            w.ends[node.name] = _WRITERS[type(node)](node, w)
        except Misfit as misfit:
            refusals.append(Refusal(where_of(node), *misfit.args))
    if refusals:
        raise NetworkRefused(refusals)
    for index, name in enumerate(graph.outputs):
        end = "output" if len(graph.outputs) == 1 else f"output_{index}"
        w.put(end, nir.Output(np.array(w.shapes[name])), w.ends[name])
    return w.nodes, w.edges


def _read(node: Node, w: _Writing) -> list[str]:
    """All NIR nodes that lead to a node of one input."""
    return [end for name in node.inputs for end in w.ends[name]]


def _input(node: Input, w: _Writing) -> list[str]:
    import nir

    return [w.put(node.name, nir.Input(np.array(node.shape)), [])]


def _convolution(node: ConvolutionNode, w: _Writing) -> list[str]:
    if node.transposed:
        what = "a transposed convolution, which NIR does not have"
        raise Misfit(what, "write OUT.net, or use a convolution")
    shape = w.shapes[node.inputs[0]]
    weight = node.weight if node.geometry.groups == 1 else spread(node.weight, node.geometry.groups)
    geometry = {
        "stride": node.geometry.stride,
        "padding": node.geometry.padding,
        "dilation": node.geometry.dilation,
    }
    return [w.put(node.name, _conv(weight, node.bias, shape, **geometry), _read(node, w))]


def _conv(
    weight: Array,
    bias: Array | None,
    shape: Shape,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Any:
    import nir

    offset = np.zeros(len(weight)) if bias is None else bias
    return nir.Conv2d(
        input_shape=(shape[1], shape[2]),
        weight=weight.astype(np.float32),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=1,
        bias=offset.astype(np.float32),
    )


def _affine(weight: Array, bias: Array | None = None) -> Any:
    import nir

    offset = np.zeros(len(weight)) if bias is None else bias
    return nir.Affine(weight.astype(np.float32), offset.astype(np.float32))


def _channels(weight: Array, shape: Shape, bias: Array | None = None) -> Any:
    """What mixes channels ``[C_out, C_in]`` at every pixel of `shape`, or the entries of a line."""
    if len(shape) == 1:
        return _affine(weight, bias)
    return _conv(weight[:, :, None, None], bias, shape)


def _expect_small(outputs: int, inputs: int) -> None:
    if outputs * inputs > EXPANSION_MAX:
        what = f"a matrix of {outputs * inputs:,} ones and zeros, more than {EXPANSION_MAX:,}"
        raise Misfit(what, "write OUT.net")


def _dense(node: DenseNode, w: _Writing) -> list[str]:
    return [w.put(node.name, _affine(node.weight, node.bias), _read(node, w))]


def _norm(node: NormNode, w: _Writing) -> list[str]:
    import nir

    shape = w.shapes[node.name]
    gain, shift = (np.broadcast_to(v, shape[:1]) for v in (node.gain, node.shift))
    if shift.any():
        _expect_small(shape[0], shape[0])
        return [w.put(node.name, _channels(np.diag(gain), shape, shift), _read(node, w))]
    whole = np.broadcast_to(gain.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return [w.put(node.name, nir.Scale(np.ascontiguousarray(whole, np.float32)), _read(node, w))]


def _flatten(node: FlattenNode, w: _Writing) -> list[str]:
    import nir

    shape = w.shapes[node.inputs[0]]
    if len(shape) == 1:
        return w.ends[node.inputs[0]]
    # Counted from the end, it is right whether or not a reader counts the batch.
    return [w.put(node.name, nir.Flatten(np.array(shape), -len(shape), -1), _read(node, w))]


def _add(node: AddNode, w: _Writing) -> list[str]:
    return _read(node, w)


def _concat(node: ConcatNode, w: _Writing) -> list[str]:
    whole, start, found = w.shapes[node.name], 0, []
    for index, name in enumerate(node.inputs):
        shape = w.shapes[name]
        _expect_small(whole[0], shape[0])
        weight = np.eye(whole[0], shape[0], -start)
        put = w.put(f"{node.name}.{index}", _channels(weight, shape), w.ends[name])
        found.append(put)
        start += shape[0]
    return found


def _slice(node: SliceNode, w: _Writing) -> list[str]:
    shape = w.shapes[node.inputs[0]]
    _expect_small(shape[0], shape[0])
    weight = np.eye(shape[0])[list(node.channels)]
    return [w.put(node.name, _channels(weight, shape), _read(node, w))]


def _upsample(node: UpsampleNode, w: _Writing) -> list[str]:
    del node, w
    raise Misfit("upsampling, which NIR does not have", "write OUT.net")


def _pool(node: PoolNode, w: _Writing) -> list[str]:
    import nir

    shape = w.shapes[node.inputs[0]]
    kernel, stride, padding = node.kernel, node.stride, node.padding
    if node.size is not None:
        if shape[1] % node.size[0] or shape[2] % node.size[1]:
            what = f"adaptive pooling of {shape[1]}x{shape[2]} to {node.size[0]}x{node.size[1]}"
            raise Misfit(f"{what}, whose windows differ", "use sizes that divide")
        kernel = stride = (shape[1] // node.size[0], shape[2] // node.size[1])
        padding = (0, 0)
    odd = {
        "dilated windows": node.dilation != (1, 1),
        "ceil_mode": node.ceil and node.size is None,
        "padding that is not counted": not node.count_padding and any(padding),
        "a divisor": node.divisor != 1,
    }
    for what, has in odd.items():
        if has:
            raise Misfit(f"{what}, which NIR's pooling does not have", "write OUT.net")
    windows = [np.array(pair) for pair in (kernel, stride, padding)]
    if node.kind != "max":
        pool = nir.AvgPool2d if node.kind == "average" else nir.SumPool2d
        return [w.put(node.name, pool(*windows), _read(node, w))]
    if len(w.ends[node.inputs[0]]) > 1:
        raise Misfit("the maximum of joined tensors", "pool each by itself, then join them")
    total = w.put(f"{node.name}.sum", nir.SumPool2d(*windows), _read(node, w))
    out = w.shapes[node.name]
    rate = 1 - FORGETS  # a spike of one is above the threshold, silence below, whatever remains
    fires = nir.LIF(
        tau=np.full(out, w.dt / rate, np.float32),
        r=np.full(out, 1 / rate, np.float32),
        v_leak=np.zeros(out, np.float32),
        v_threshold=np.full(out, 0.5, np.float32),
        v_reset=np.zeros(out, np.float32),
    )
    return [w.put(node.name, fires, [total])]


def _rates(beta: Array, shape: Shape) -> Array:
    """What a step takes off each membrane, 1 - beta, never nothing."""
    rates: Array = np.maximum(1 - np.broadcast_to(beta, shape), 1 / ENDLESS)
    return rates


def _population(node: PopulationNode, w: _Writing) -> list[str]:
    import nir

    shape, dt = w.shapes[node.name], w.dt

    def each(values: Any) -> Array:
        return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32)

    rate, common = _rates(node.beta, shape), {"v_threshold": each(node.threshold)}
    common["v_reset"] = each(0.0)
    endless = rate <= 1 / ENDLESS
    drive = np.zeros(()) if node.drive is None else node.drive
    if endless.any() and drive.any():
        raise Misfit("a constant input to neurons that never leak", "use beta below 1")
    if node.alpha.any():
        if endless.any():
            what = "an integrator (beta 1) behind a synaptic current, which NIR does not have"
            raise Misfit(what, "use beta below 1, or alpha 0")
        made = nir.CubaLIF(
            tau_syn=each(dt / (1 - node.alpha)),
            tau_mem=each(dt / rate),
            r=each(1 / rate),
            v_leak=each(drive / rate),
            w_in=each(1 / (1 - node.alpha)),
            **common,
        )
    elif endless.all():
        made = nir.IF(r=each(1 / dt), **common)
    else:
        made = nir.LIF(tau=each(dt / rate), r=each(1 / rate), v_leak=each(drive / rate), **common)
    w.put(node.name, made, _read(node, w))
    if node.recurrent is not None and node.recurrent.any():
        if len(shape) != 1:
            raise Misfit("a recurrence of neurons (C, H, W), which NIR cannot say", "flatten them")
        back = w.put(f"{node.name}.recurrent", _affine(node.recurrent), [node.name])
        w.edges.append((back, node.name))
    return [node.name]


def _readout(node: ReadoutNode, w: _Writing) -> list[str]:
    import nir

    shape, dt = w.shapes[node.name], w.dt

    def each(value: float) -> Array:
        return np.full(shape, value, np.float32)

    rate = max(1 - node.beta, 1 / ENDLESS)
    common = {"r": each(1 / rate), "v_leak": each(0.0)}
    made = nir.LI(tau=each(dt / rate), **common)
    if node.alpha:
        made = nir.CubaLI(
            tau_syn=each(dt / (1 - node.alpha)),
            tau_mem=each(dt / rate),
            w_in=each(1 / (1 - node.alpha)),
            **common,
        )
    return [w.put(node.name, made, _read(node, w))]


_WRITERS: Mapping[type, Callable[[Any, _Writing], list[str]]] = {
    Input: _input,
    ConvolutionNode: _convolution,
    DenseNode: _dense,
    NormNode: _norm,
    FlattenNode: _flatten,
    AddNode: _add,
    ConcatNode: _concat,
    SliceNode: _slice,
    UpsampleNode: _upsample,
    PoolNode: _pool,
    PopulationNode: _population,
    ReadoutNode: _readout,
}
