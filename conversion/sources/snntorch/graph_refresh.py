"""The numbers of a traced graph read again from the modules that they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...lowering.closing import recurrent_matrix
from ...lowering.graph.nodes import (
    ConvolutionNode,
    DenseNode,
    FloatGraph,
    Node,
    NormNode,
    PopulationNode,
    ReadoutNode,
)
from ...lowering.graph.shapes import shapes_of
from ...lowering.same_padding import pad_kernel_same
from .arrays import double, four, maybe, two
from .graph_neurons import readout_decays, spread
from .neurons import recurrence_of

_NUMBERS = ("alpha", "beta", "threshold", "weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Factor:
    """A number of the module's, a tensor itself, that multiplies others."""

    value: Tensor


@dataclass
class Origins:
    """Where the numbers of a graph's nodes come from.

    Attributes:
        modules: node to the module that it is.
        factors: node to the number by which it multiplies.
    """

    modules: dict[str, nn.Module] = field(default_factory=dict)
    factors: dict[str, Factor] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        """Return all of these numbers; parametrised ones as they stand."""
        return [*self._of_modules(), *(factor.value for factor in self.factors.values())]

    def _of_modules(self) -> Iterator[Tensor]:
        for module in {id(m): m for m in self.modules.values()}.values():
            for name in _NUMBERS:
                value = getattr(module, name, None)
                if isinstance(value, Tensor):
                    yield value
            recurrent = getattr(module, "recurrent", None)
            if isinstance(recurrent, nn.Module):
                yield from recurrent.parameters()


def refresh(graph: FloatGraph, origins: Origins) -> FloatGraph:
    """Return the graph with its modules' present numbers; its form stays."""
    shapes = shapes_of(graph)
    nodes = []
    for node in graph.nodes:
        module, factor = origins.modules.get(node.name), origins.factors.get(node.name)
        if factor is not None and isinstance(node, NormNode):
            node = replace(node, gain=np.full(1, float(factor.value.detach())))
        elif module is not None:
            node = replace(node, **_numbers(node, module, shapes[node.name]))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _numbers(node: Node, module: Any, shape: tuple[int, ...]) -> Mapping[str, Any]:
    """Return the fields of a node that hold numbers of its module."""
    if isinstance(node, ConvolutionNode):
        weight = four(double(module.weight))
        if getattr(module, "padding", None) == "same":
            weight, _, _ = pad_kernel_same(weight, two(module.dilation, 1))
        return {"weight": weight, "bias": maybe(module.bias)}
    if isinstance(node, DenseNode):
        return {"weight": double(module.weight), "bias": maybe(module.bias)}
    if isinstance(node, NormNode):
        return norm_numbers(module)
    if isinstance(node, PopulationNode):
        return _population(module, shape)
    if isinstance(node, ReadoutNode):
        return readout_decays(module) if hasattr(module, "beta") else {}
    return {}


def norm_numbers(module: Any) -> Mapping[str, Any]:
    """Return gain and shift of batch norm with its running statistics."""
    gain = 1.0 / np.sqrt(double(module.running_var) + module.eps)
    if module.weight is not None:
        gain = gain * double(module.weight)
    shift = -double(module.running_mean) * gain
    if module.bias is not None:
        shift = shift + double(module.bias)
    return {"gain": gain, "shift": shift}


def _population(module: Any, shape: tuple[int, ...]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name in ("beta", "alpha", "threshold"):
        value = getattr(module, name, None)
        if isinstance(value, Tensor):
            read = value.detach() if name == "threshold" else value.detach().clamp(0, 1)
            numbers = double(read)
            found[name] = spread(numbers, shape)
    if hasattr(module, "recurrent"):
        matrix, drive = recurrent_matrix(recurrence_of(module), shape)
        found |= {"recurrent": matrix, "drive": None if drive is None else drive.reshape(shape)}
    return found
