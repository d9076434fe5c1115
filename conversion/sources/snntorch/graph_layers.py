"""Modules of torch, snnTorch and SpikingJelly as nodes of a graph, in ``eval()``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdcl_neuro.network.spec import Convolution, Pair

from ...lowering.closing import recurrent_matrix
from ...lowering.graph.nodes import (
    ConvolutionNode,
    DenseNode,
    FlattenNode,
    Node,
    NormNode,
    PoolNode,
    PopulationNode,
    ReadoutNode,
)
from ...lowering.graph.shapes import Misfit
from ...lowering.populations import Unsupported
from ...lowering.same_padding import pad_kernel_same
from .effective import effective_module
from .graph_operations import pool_fields, upsample
from .graph_values import CHAIN_MEND, Recording
from .inventory import PLAIN, REFUSED
from .neurons import NEURONS, read_neuron
from .resets import named_reset

Array = NDArray[np.float64]
Maker = Callable[[str, tuple[str, ...]], Node]

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
    """Whether a module is read as a whole; inside any other, each operation is followed."""
    if isinstance(module, NEURONS) or is_spikingjelly_neuron(module):
        return True
    if isinstance(module, _CONTAINERS):
        return False
    return kind_of(module).__module__.startswith("torch.nn.")


def kind_of(module: nn.Module) -> type:
    """Torch's own class of a module, which parametrised weights and subclasses of layers keep."""
    kind: type = type(module)
    if parametrize.is_parametrized(module):
        kind = kind.__bases__[0]
    if not kind.__module__.startswith("torch.nn."):
        own = (base for base in kind.__mro__ if base.__module__.startswith("torch.nn.modules"))
        known = next((base for base in own if base is not nn.Module), kind)
        return kind if known in _CONTAINERS else known
    return kind


def is_spikingjelly_neuron(module: nn.Module) -> bool:
    """Whether it is one of SpikingJelly's neurons, by name: the library need not be there."""
    names = {base.__module__ + "." + base.__name__ for base in type(module).__mro__}
    return "spikingjelly.activation_based.neuron.base_node.BaseNode" in names or any(
        name.startswith(_SPIKINGJELLY) and name.endswith(".BaseNode") for name in names
    )


def is_neuron(module: nn.Module) -> bool:
    """Whether a module keeps a state."""
    return isinstance(module, NEURONS) or is_spikingjelly_neuron(module)


def many_steps(module: nn.Module) -> bool:
    """Whether a neuron takes all steps at once."""
    return getattr(module, "step_mode", "s") == "m"


def node_of(
    r: Recording, name: str, module: nn.Module, read: str, received: Tensor, gave: Tensor
) -> str:
    """The node that a module's call gives.

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
            raise Misfit(what, "flatten all axes behind the batch")
        return r.put("flatten", name, FlattenNode, [read])
    alone = tuple(received.shape[1:])

    def make(free: str, inputs: tuple[str, ...]) -> Node:
        return _maker(module, kind, r.shapes[read], alone)(free, inputs)

    return r.put(("module", id(module)), name, make, [read])


def _maker(module: Any, kind: type, shape: tuple[int, ...], alone: tuple[int, ...]) -> Maker:
    """What makes the node of a module that is given ``[B, *alone]``."""
    if isinstance(module, NEURONS):
        return _population(module, shape, alone)
    if is_spikingjelly_neuron(module):
        return _spikingjelly(module)
    if kind in PLAIN and not type(module).__module__.startswith(_SPIKINGJELLY):
        try:
            module, _ = effective_module(module, alone, spikes=False)
        except Unsupported as unsupported:
            raise Misfit(*unsupported.reasons[0]) from None
    if kind in CONVOLUTIONS:
        return _convolution(module)
    if kind in TRANSPOSED:
        return _transposed(module)
    if kind is nn.Linear:
        weight, bias = _double(module.weight), _maybe(module.bias)
        return lambda name, inputs: DenseNode(name, inputs, weight=weight, bias=bias)
    if kind in NORMS:
        return _norm(module)
    if kind in _POOLS:
        return _pool(module, _POOLS[kind], shape)
    default = ("is not among the modules that can be lowered", CHAIN_MEND)
    raise Misfit(*REFUSED.get(kind.__name__, default))


def _convolution(module: Any) -> Maker:
    if module.padding_mode != "zeros":
        raise Misfit(f"padding mode {module.padding_mode!r}", "pad with zeros")
    weight, bias = _four(_double(module.weight)), _maybe(module.bias)
    dilation = _two(module.dilation, 1)
    padding: Pair
    if module.padding == "valid":
        padding = (0, 0)
    elif module.padding == "same":
        weight, padding, dilation = pad_kernel_same(weight, dilation)
    else:
        padding = _two(module.padding, 0)
    geometry = Convolution(_two(module.stride, 1), padding, dilation, module.groups)
    return lambda name, inputs: ConvolutionNode(
        name, inputs, weight=weight, bias=bias, geometry=geometry
    )


def _transposed(module: Any) -> Maker:
    geometry = Convolution(
        _two(module.stride, 1), _two(module.padding, 0), _two(module.dilation, 1), module.groups
    )
    weight, bias = _four(_double(module.weight)), _maybe(module.bias)
    extra = _two(module.output_padding, 0)
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
    gain = 1.0 / np.sqrt(_double(module.running_var) + module.eps)
    if module.weight is not None:
        gain = gain * _double(module.weight)
    shift = -_double(module.running_mean) * gain
    if module.bias is not None:
        shift = shift + _double(module.bias)
    return lambda name, inputs: NormNode(name, inputs, gain=gain, shift=shift)


def _pool(module: Any, kind: str, shape: tuple[int, ...]) -> Maker:
    if kind == "power":
        if module.norm_type != 1:
            what = f"norm_type {module.norm_type:g} is no sum"
            raise Misfit(what, "use norm_type=1, the sum, or AvgPool2d")
        area = float(np.prod(_two(module.kernel_size, 1)))
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
            name: _along(value, 0 if name == "padding" else 1)
            if name in ("kernel_size", "stride", "padding", "dilation", "output_size")
            else value
            for name, value in given.items()
        }
    fields = pool_fields(kind, given, shape)
    return lambda name, inputs: PoolNode(name, inputs, **fields)


def _population(module: Any, shape: tuple[int, ...], alone: tuple[int, ...]) -> Maker:
    """A neuron of snnTorch, for which a step has the shape `alone`; decays may differ."""
    if type(module) in (snn.Leaky, snn.Synaptic) and named_reset(module).kind == "none":
        return _silent(module)
    plain, decays = _with_one_decay(module)
    try:
        read = read_neuron(plain, shape=alone, running=module)
        if read.sends != 1:
            hint = "use graded_spikes_factor=1 and scale the next weights"
            raise Unsupported([("graded spikes in a graph", hint)])
        matrix, drive = recurrent_matrix(read.recurrence, shape)
    except Unsupported as unsupported:
        raise Misfit(
            "; ".join(what for what, _ in unsupported.reasons),
            "; ".join(dict.fromkeys(hint for _, hint in unsupported.reasons)),
        ) from None
    beta = decays.get("beta", np.asarray(read.beta))
    alpha = decays.get("alpha", np.asarray(read.alpha))
    threshold = np.asarray(read.threshold)
    if drive is not None and alpha.any():
        raise Misfit("a recurrence with a bias, and a current", "use bias=False in its recurrence")
    return lambda name, inputs: PopulationNode(
        name,
        inputs,
        beta=_spread(beta, shape),
        alpha=_spread(alpha, shape),
        threshold=_spread(threshold, shape),
        recurrent=matrix,
        drive=None if drive is None else drive.reshape(shape),
        scale=read.scale,
    )


def _with_one_decay(module: Any) -> tuple[nn.Module, dict[str, Array]]:
    """A copy whose decays are single numbers, and the decays themselves where they are not."""
    plain = copy.copy(module)
    plain._buffers, plain._parameters = dict(module._buffers), dict(module._parameters)
    decays = {}
    for name in ("beta", "alpha"):
        value = getattr(module, name, None)
        if not isinstance(value, Tensor) or value.numel() == 1:
            continue
        if not bool(torch.isfinite(value).all()):
            raise Misfit(f"{name} is not finite", "train it again")
        decays[name] = _double(value.detach().clamp(0, 1))
        for store in (plain._buffers, plain._parameters):
            if name in store:
                store[name] = value.detach().reshape(-1)[:1].clone()
    return plain, decays


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    """A parameter against a node's shape: along a line it has no height yet."""
    if len(shape) == 3 and values.ndim == 2 and shape[1] == 1:
        values = values[:, None]
    if values.ndim == 1 and values.size > 1 and len(shape) == 3 and values.size == shape[2]:
        return values  # torch broadcasts against the last axis
    return values if values.size > 1 else values.reshape(())


def _silent(module: Any) -> Maker:
    """A neuron that never resets, of which the membrane is read."""
    if type(module) not in (snn.Leaky, snn.Synaptic):
        raise Misfit("never resets", "use Leaky or Synaptic for a read-out")
    decays = {"beta": 0.0, "alpha": 0.0}
    for name in ("beta", "alpha"):
        value = getattr(module, name, None)
        if value is None:
            continue
        each = value.detach().reshape(-1).clamp(0, 1).double()
        if bool((each != each[0]).any()):
            raise Misfit(f"a read-out whose {name} differs", f"give it one {name}")
        decays[name] = float(each[0])
    if decays["alpha"] >= 1:
        raise Misfit("a read-out whose current never decays", "use alpha below 1")
    return lambda name, inputs: ReadoutNode(name, inputs, **decays)


def _spikingjelly(module: Any) -> Maker:
    """``v += (x - v) / tau`` or ``v = v (1 - 1 / tau) + x``; it fires at the threshold, too."""
    kind = type(module).__name__
    if kind not in ("LIFNode", "IFNode", "ParametricLIFNode"):
        raise Misfit(f"{kind} has no equivalent on the chip", "use LIFNode or IFNode")
    if module.v_reset is None:
        raise Misfit("resets by subtraction; the chip to zero", "use v_reset=0.")
    if float(module.v_reset) != 0:
        raise Misfit(f"resets to {module.v_reset:g}", "use v_reset=0.")
    beta, gain = 1.0, 1.0
    if kind == "LIFNode":
        beta = 1.0 - 1.0 / float(module.tau)
        gain = 1.0 / float(module.tau) if module.decay_input else 1.0
    elif kind == "ParametricLIFNode":
        share = float(module.w.detach().sigmoid())
        beta, gain = 1.0 - share, share if module.decay_input else 1.0
    # A membrane that only reaches the threshold fires there, and on the chip has to exceed it.
    threshold = float(np.nextafter(np.float32(module.v_threshold), np.float32(0))) / gain
    return lambda name, inputs: PopulationNode(
        name, inputs, beta=np.asarray(beta), threshold=np.asarray(threshold)
    )


def _two(value: Any, other: int) -> Pair:
    """(vertical, horizontal) of a number or a tuple; `other` is the height's, along a line."""
    if isinstance(value, int):
        return value, value
    if len(value) == 1:
        return other, int(value[0])
    return int(value[0]), int(value[1])


def _along(value: Any, other: int) -> tuple[Any, Any]:
    """(vertical, horizontal) of a number or a tuple of one, along a line."""
    return other, value[0] if isinstance(value, tuple | list) else value


def _four(weight: Array) -> Array:
    return weight[:, :, None] if weight.ndim == 3 else weight


def _maybe(bias: Tensor | None) -> Array | None:
    return None if bias is None else _double(bias)


def _double(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array
