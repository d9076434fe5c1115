"""Modules of torch, snnTorch and SpikingJelly as nodes of a graph, in ``eval()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdcl_neuro.network.spec import Convolution, Pair

from ...lowering.graph.nodes import (
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    Node,
    NormNode,
    PoolNode,
)
from ...lowering.graph.shapes import Misfit
from ...lowering.populations import Unsupported
from ...lowering.same_padding import pad_kernel_same
from ..layers.table import layer_of
from .arrays import along, double, four, maybe, two
from .effective import effective_module
from .graph_neurons import Maker, population_maker, spikingjelly_maker
from .graph_refresh import norm_numbers
from .graph_values import CHAIN_MEND, Recording
from .inventory import PLAIN, REFUSED
from .neurons import NEURONS
from .size_operations import pool_fields, upsample

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_POOLS: Mapping[type, str] = {
    nn.MaxPool1d: "max",
    nn.MaxPool2d: "max",
    nn.AvgPool1d: "average",
    nn.AvgPool2d: "average",
    nn.AdaptiveAvgPool1d: "average",
    nn.AdaptiveAvgPool2d: "average",
    nn.AdaptiveMaxPool1d: "max",
    nn.AdaptiveMaxPool2d: "max",
    nn.LPPool1d: "power",
    nn.LPPool2d: "power",
}
_NOTHING = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_SPIKINGJELLY = "spikingjelly."


def is_layer(module: nn.Module) -> bool:
    """Return whether a module is read as a whole; inside any other, each operation is followed."""
    if isinstance(module, NEURONS) or is_spikingjelly_neuron(module):
        return True
    if layer_of(type(module)) is not None:
        return True
    if isinstance(module, _CONTAINERS):
        return False
    return kind_of(module).__module__.startswith("torch.nn.")


def kind_of(module: nn.Module) -> type:
    """Return torch's own class of a module, which parametrised weights and subclasses of layers
    keep.
    """
    kind: type = type(module)
    if parametrize.is_parametrized(module):
        kind = kind.__bases__[0]
    if not kind.__module__.startswith("torch.nn."):
        own = (base for base in kind.__mro__ if base.__module__.startswith("torch.nn.modules"))
        known = next((base for base in own if base is not nn.Module), kind)
        return kind if known in _CONTAINERS else known
    return kind


def is_spikingjelly_neuron(module: nn.Module) -> bool:
    """Return whether it is one of SpikingJelly's neurons, by name: the library need not be
    there.
    """
    names = {base.__module__ + "." + base.__name__ for base in type(module).__mro__}
    return "spikingjelly.activation_based.neuron.base_node.BaseNode" in names or any(
        name.startswith(_SPIKINGJELLY) and name.endswith(".BaseNode") for name in names
    )


def is_neuron(module: nn.Module) -> bool:
    """Return whether a module keeps a state."""
    return isinstance(module, NEURONS) or is_spikingjelly_neuron(module)


def many_steps(module: nn.Module) -> bool:
    """Return whether a neuron takes all steps at once."""
    return getattr(module, "step_mode", "s") == "m"


def node_of(
    r: Recording, name: str, module: nn.Module, read: str, received: Tensor, gave: Tensor
) -> str:
    """Return the node that a module's call gives.

    Args:
        r: the graph so far.
        name: of the module.
        module: read as it stands.
        read: the node that it read.
        received, gave: the tensors of the call.

    Raises:
        Misfit: the module has no place in a graph.
    """
    kind = kind_of(module)
    if isinstance(module, _NOTHING):
        return read
    if kind in (nn.Upsample, nn.UpsamplingNearest2d):
        return upsample(r, read, str(module.mode), tuple(gave.shape), name)
    if kind is nn.Flatten:
        if len(r.shapes[read]) == 1:
            return read
        if gave.shape[-1] != np.prod(r.shapes[read]):
            what = f"flattens to {list(gave.shape)}"
            raise Misfit(what, "flatten all axes after the batch")
        return r.put("flatten", name, FlattenNode, [read])
    alone = tuple(received.shape[1:])

    def make(free: str, inputs: tuple[str, ...]) -> Node:
        if isinstance(module, NEURONS):
            maker, departure = population_maker(
                module, r.shapes[read], alone, approximate=r.approximate
            )
            if departure is not None:
                r.departures[free] = departure
            return maker(free, inputs)
        return _maker(module, kind, r.shapes[read], alone)(free, inputs)

    node = r.put(("module", id(module)), name, make, [read])
    r.origins.modules[node] = module
    return node


def _maker(module: Any, kind: type, shape: tuple[int, ...], alone: tuple[int, ...]) -> Maker:
    """Return what makes the node of a module that is given ``[B, *alone]``."""
    if is_spikingjelly_neuron(module):
        return spikingjelly_maker(module)
    added = layer_of(type(module)) is not None
    if added or (kind in PLAIN and not type(module).__module__.startswith(_SPIKINGJELLY)):
        try:
            module, _ = effective_module(module, alone, spikes=False)
            kind = type(module) if added else kind
        except Unsupported as unsupported:
            what, hint, _ = unsupported.reasons[0]
            raise Misfit(what, hint) from None
    if kind in CONVOLUTIONS:
        return _convolution(module)
    if kind in TRANSPOSED:
        return _transposed(module)
    if kind is nn.Linear:
        weight, bias = double(module.weight), maybe(module.bias)
        return lambda name, inputs: DenseNode(name, inputs, weight=weight, bias=bias)
    if kind in NORMS:
        return _norm(module)
    if kind in _POOLS:
        return _pool(module, _POOLS[kind], shape)
    if kind.__name__ not in REFUSED:
        raise Misfit("is not among the modules that can be lowered", CHAIN_MEND)
    what, hint, _ = REFUSED[kind.__name__]
    raise Misfit(what, hint)


def _convolution(module: Any) -> Maker:
    if module.padding_mode != "zeros":
        raise Misfit(f"padding mode {module.padding_mode!r}", "pad with zeros")
    weight, bias = four(double(module.weight)), maybe(module.bias)
    dilation = two(module.dilation, 1)
    padding: Pair
    if module.padding == "valid":
        padding = (0, 0)
    elif module.padding == "same":
        weight, padding, dilation = pad_kernel_same(weight, dilation)
    else:
        padding = two(module.padding, 0)
    geometry = Convolution(two(module.stride, 1), padding, dilation, module.groups)
    return lambda name, inputs: ConvolutionNode(
        name, inputs, weight=weight, bias=bias, geometry=geometry
    )


def _transposed(module: Any) -> Maker:
    geometry = Convolution(
        two(module.stride, 1), two(module.padding, 0), two(module.dilation, 1), module.groups
    )
    weight, bias = four(double(module.weight)), maybe(module.bias)
    extra = two(module.output_padding, 0)
    return lambda name, inputs: ConvolutionNode(
        name,
        inputs,
        weight=weight,
        bias=bias,
        geometry=geometry,
        transposed=True,
        output_padding=extra,
    )


def _norm(module: Any) -> Maker:
    if module.running_mean is None or module.running_var is None:
        what = "has no running statistics and normalises by the data at hand"
        raise Misfit(what, "use track_running_stats=True")
    numbers = norm_numbers(module)
    return lambda name, inputs: NormNode(name, inputs, **numbers)


def _pool(module: Any, kind: str, shape: tuple[int, ...]) -> Maker:
    if kind == "power":
        if module.norm_type != 1:
            what = f"norm_type {module.norm_type:g} is not a sum"
            raise Misfit(what, "use norm_type=1, the sum, or AvgPool2d")
        area = float(np.prod(two(module.kernel_size, 1)))
        given = {name: getattr(module, name) for name in ("kernel_size", "stride", "ceil_mode")}
        fields = {**pool_fields("average", given, shape), "divisor": 1 / area}
        return lambda name, inputs: PoolNode(name, inputs, **fields)
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "count_include_pad")
    more = ("divisor_override", "output_size", "return_indices")
    given = {name: getattr(module, name) for name in (*names, *more) if hasattr(module, name)}
    if isinstance(
        module, nn.AvgPool1d | nn.MaxPool1d | nn.AdaptiveAvgPool1d | nn.AdaptiveMaxPool1d
    ):
        given = {
            name: along(value, 0 if name == "padding" else 1)
            if name in ("kernel_size", "stride", "padding", "dilation", "output_size")
            else value
            for name, value in given.items()
        }
    fields = pool_fields(kind, given, shape)
    return lambda name, inputs: PoolNode(name, inputs, **fields)
