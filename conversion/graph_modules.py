"""A float graph run node by node: torch's operations, and snnTorch's neurons as populations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .lowering.approximate import Approximation
from .lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    FloatGraph,
    Node,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
    SliceNode,
    UpsampleNode,
)
from .lowering.graph.shapes import shapes_of

Array = NDArray[np.float64]


def run_nodes(
    graph: FloatGraph,
    inputs: Mapping[str, Tensor],
    departures: Mapping[str, Approximation] | None = None,
) -> Iterator[tuple[Node, Tensor, Tensor]]:
    """Run a graph from clean states; populations give spikes, read-outs their membranes.

    Args:
        graph: the description.
        inputs: name to ``[T, B, *shape]``, float, on one device; its precision is kept.
        departures: population to how its original resets; the others reset to zero at once.

    Yields:
        Every node but the inputs in order, what it received first (``[T, B, ...]``), and what it
        gave.
    """
    shapes = shapes_of(graph)
    values, departures = dict(inputs), departures or {}
    left = {name: sum(name in node.inputs for node in graph.nodes) for name in shapes}
    for node in graph.nodes:
        if node.name in values:
            continue
        read = [values[name] for name in node.inputs]
        gave = apply_node(node, read, shapes[node.name], departures.get(node.name))
        yield node, read[0], gave
        values[node.name] = gave
        for name in node.inputs:
            left[name] -= 1
            if not left[name]:  # what no later node reads need not be kept
                del values[name]


def apply_node(
    node: Node, read: list[Tensor], shape: Any, departure: Approximation | None = None
) -> Tensor:
    """Return what a node gives, ``[T, B, *shape]``, from what it reads; neurons start at zero."""
    if isinstance(node, PopulationNode):
        return _population(node, read[0], departure or Approximation())
    return _RUNS[type(node)](node, read, shape)


def _folded(values: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return steps and samples as one axis."""
    result: Tensor = function(values.flatten(0, 1)).unflatten(0, values.shape[:2])
    return result


def _as(values: Array | None, like: Tensor) -> Tensor | None:
    if values is None:
        return None
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)


def _convolution(node: ConvolutionNode, read: list[Tensor], shape: Any) -> Tensor:
    del shape
    geometry, weight, bias = node.geometry, _as(node.weight, read[0]), _as(node.bias, read[0])
    assert weight is not None
    common = (geometry.stride, geometry.padding)
    if node.transposed:
        extra, groups, dilation = node.output_padding, geometry.groups, geometry.dilation
        return _folded(
            read[0],
            lambda x: functional.conv_transpose2d(
                x, weight, bias, *common, extra, groups, dilation
            ),
        )
    rest = (geometry.dilation, geometry.groups)
    return _folded(read[0], lambda x: functional.conv2d(x, weight, bias, *common, *rest))


def _dense(node: DenseNode, read: list[Tensor], shape: Any) -> Tensor:
    del shape
    weight = _as(node.weight, read[0])
    assert weight is not None
    return functional.linear(read[0], weight, _as(node.bias, read[0]))


def _upsample(node: UpsampleNode, read: list[Tensor], shape: Any) -> Tensor:
    del shape
    rows, columns = node.factor
    return read[0].repeat_interleave(rows, dim=-2).repeat_interleave(columns, dim=-1)


def _pool(node: PoolNode, read: list[Tensor], shape: Any) -> Tensor:
    x, windows = read[0], (node.kernel, node.stride, node.padding)
    size = node.size
    if size is not None:
        adaptive = (
            functional.adaptive_max_pool2d if node.kind == "max" else functional.adaptive_avg_pool2d
        )
        return _folded(x, lambda y: adaptive(y, size))
    if node.kind == "max":
        return _folded(
            x, lambda y: functional.max_pool2d(y, *windows, node.dilation, ceil_mode=node.ceil)
        )
    divisor = 1 if node.kind == "sum" else None
    pooled = _folded(
        x,
        lambda y: functional.avg_pool2d(
            y, *windows, node.ceil, node.count_padding, divisor_override=divisor
        ),
    )
    del shape
    return pooled / node.divisor


def _norm(node: NormNode, read: list[Tensor], shape: Any) -> Tensor:
    gain, shift = _as(node.gain, read[0]), _as(node.shift, read[0])
    assert gain is not None
    assert shift is not None
    ones = [1] * (len(shape) - 1)
    return read[0] * gain.reshape(-1, *ones) + shift.reshape(-1, *ones)


def _flatten(node: FlattenNode, read: list[Tensor], shape: Any) -> Tensor:
    del node, shape
    return read[0].flatten(2)


def _add(node: AddNode, read: list[Tensor], shape: Any) -> Tensor:
    del node, shape
    return sum(read[1:], read[0])


def _concat(node: ConcatNode, read: list[Tensor], shape: Any) -> Tensor:
    del node, shape
    return torch.cat(read, dim=2)


def _slice(node: SliceNode, read: list[Tensor], shape: Any) -> Tensor:
    del shape
    return read[0][:, :, list(node.channels)]


def _population(node: PopulationNode, x: Tensor, departure: Approximation) -> Tensor:
    """Return snnTorch's Leaky, or Synaptic where some current lasts; its own spikes fed back by
    hand.

    A late reset of snnTorch's RLeaky swallows that step's input, as its Synaptic's does.
    """
    slow = bool(node.alpha.any()) or (node.recurrent is not None and departure.late)
    values = [_as(v, x) for v in (node.beta, node.threshold, node.alpha, node.drive)]
    beta, threshold, alpha, drive = values
    options: dict[str, Any] = {
        "threshold": threshold,
        "reset_mechanism": "subtract" if departure.subtracts else "zero",
        "reset_delay": departure.late,
    }
    neuron = snn.Synaptic(alpha, beta, **options) if slow else snn.Leaky(beta, **options)
    neuron = neuron.to(x)
    # snnTorch's class-wide list of neurons would keep every network ever run alive.
    snn.SpikingNeuron.instances.pop()
    states = [torch.zeros_like(x[0]) for _ in range(2 if slow else 1)]
    states[-1] = states[-1] - departure.rest
    if drive is not None and slow:
        # Past the current's decay, a constant input of (1 - alpha) b on a current of b is b.
        states[0] = states[0] + drive
        x = x + (1 - values[2]) * drive  # type: ignore[operator]
    elif drive is not None:
        x = x + drive
    recurrent = _as(node.recurrent, x)
    outputs: list[Tensor] = []
    for step in x.unbind(0):
        if recurrent is not None and outputs:
            fed = functional.linear(outputs[-1].flatten(1).to(x), recurrent)
            step = step + fed.reshape(step.shape)
        spikes, *states = neuron(step, *states)
        outputs.append(spikes)
    return torch.stack(outputs)


def _readout(node: ReadoutNode, read: list[Tensor], shape: Any) -> Tensor:
    del shape
    current = membrane = torch.zeros_like(read[0][0])
    outputs = []
    for step in read[0].unbind(0):
        current = node.alpha * current + step
        membrane = node.beta * membrane + current
        outputs.append(membrane)
    return torch.stack(outputs)


_RUNS: Mapping[type, Callable[[Any, list[Tensor], Any], Tensor]] = {
    ConvolutionNode: _convolution,
    DenseNode: _dense,
    UpsampleNode: _upsample,
    PoolNode: _pool,
    NormNode: _norm,
    FlattenNode: _flatten,
    AddNode: _add,
    ConcatNode: _concat,
    SliceNode: _slice,
    ReadoutNode: _readout,
}
