"""Torch's convolutions and linear layers read as synapses, with batch norm folded into them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.network.spec import Convolution, Kind, Pair, Shape

from .populations import Unsupported
from .same_padding import pad_kernel_same

Array = NDArray[np.float64]
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm
_CHAIN_MEND = "make the shapes chain"
_NORM_MEND = "use BatchNorm2d after a Conv2d, BatchNorm1d after a Linear"


@dataclass(frozen=True)
class Synapse:
    """A synapse that waits for its neuron; float64, so that folding rounds once, at the end.

    Attributes:
        offset_size: largest sum of magnitudes of what batch norm adds and takes off, which the
            original rounds one after another and the bias holds added up.
    """

    name: str
    kind: Kind
    weight: Array
    in_shape: Shape
    out_shape: Shape
    bias: Array | None = None
    convolution: Convolution | None = None
    offset_size: float = 0.0


def read_convolution(name: str, module: nn.Conv2d, shape: Shape) -> Synapse:
    """Return the synapse that `module` is for an input of `shape`; `Unsupported` if it is none."""
    if module.padding_mode != "zeros":
        raise Unsupported([(f"padding mode {module.padding_mode!r}", "pad with zeros")])
    weight, padding, dilation = _kernel(module)
    geometry = Convolution(_pair(module.stride), padding, dilation, module.groups)
    if len(shape) != 3 or shape[0] != module.in_channels:
        what = f"takes {module.in_channels} channels, receives {list(shape)}"
        raise Unsupported([(what, _CHAIN_MEND)])
    size = geometry.output_size((shape[1], shape[2]), (weight.shape[2], weight.shape[3]))
    if min(size) < 1:
        raise Unsupported([(f"its kernel is larger than its input {list(shape)}", "pad it")])
    return Synapse(
        name,
        "conv",
        weight,
        shape,
        (module.out_channels, *size),
        None if module.bias is None else _double(module.bias),
        geometry,
    )


def read_dense(name: str, module: nn.Linear, shape: Shape, *, source: Shape) -> Synapse:
    """Return the synapse that `module` is; `source` is what was flattened to `shape`."""
    if len(shape) != 1:
        what = f"acts on the last axis of {list(shape)} only"
        raise Unsupported([(what, "put a Flatten before it")])
    if shape[0] != module.in_features:
        what = f"takes {module.in_features} values, receives {shape[0]}"
        raise Unsupported([(what, _CHAIN_MEND)])
    bias = None if module.bias is None else _double(module.bias)
    return Synapse(name, "dense", _double(module.weight), source, (module.out_features,), bias)


def fold_norm(synapse: Synapse, module: Norm) -> Synapse:
    """Return w' = W g / sqrt(var + eps), b' = (b - mean) g / sqrt(var + eps) + shift (torch's
    formula).
    """
    if module.running_mean is None or module.running_var is None:
        what = "has no running statistics and normalises by the data at hand"
        raise Unsupported([(what, "use track_running_stats=True")])
    rank = 3 if isinstance(module, nn.BatchNorm2d) else 1
    if len(synapse.out_shape) != rank and not isinstance(module, nn.SyncBatchNorm):
        raise Unsupported([(f"does not take {list(synapse.out_shape)}", _NORM_MEND)])
    if module.num_features != len(synapse.weight):
        what = f"has {module.num_features} features for {len(synapse.weight)} channels"
        raise Unsupported([(what, _CHAIN_MEND)])
    gain = 1.0 / np.sqrt(_double(module.running_var) + module.eps)
    if module.weight is not None:
        gain = gain * _double(module.weight)
    bias = np.zeros_like(gain) if synapse.bias is None else synapse.bias
    mean = _double(module.running_mean)
    size = (synapse.offset_size + np.abs(bias) + np.abs(mean)) * np.abs(gain)
    bias = (bias - mean) * gain
    if module.bias is not None:
        shift = _double(module.bias)
        bias, size = bias + shift, size + np.abs(shift)
    columns = gain.reshape(-1, *[1] * (synapse.weight.ndim - 1))
    weight = synapse.weight * columns
    return replace(synapse, weight=weight, bias=bias, offset_size=float(size.max()))


def _kernel(module: nn.Conv2d) -> tuple[Array, Pair, Pair]:
    """Return kernel, padding and dilation, with padding in words put into numbers."""
    weight, dilation = _double(module.weight), _pair(module.dilation)
    if module.padding == "same":
        return pad_kernel_same(weight, dilation)
    return weight, (0, 0) if module.padding == "valid" else _pair(module.padding), dilation


def _pair(value: Any) -> Pair:
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[1])


def _double(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array
