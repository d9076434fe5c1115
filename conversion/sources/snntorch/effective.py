"""What a module computes, whatever its class and its hooks: found by running it.

A subclass of a torch layer, a quantised layer, a pruned one, one with hooks may compute what its
base class does with the numbers that it shows, or something else. It is run on random values; a
synapse that is linear, but in other weights than it shows, has its weights measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdcl_neuro.network.spec import Shape

from ...lowering.populations import Reason, Unsupported
from ..layers.table import AddedLayer, layer_of
from .inventory import PLAIN, QUANTISED, REFUSED, SYNAPSES

_SAMPLES = 4
_TOLERANCE = 64
"""Rounding errors of a sum, in units of the last place of its largest value."""
_ROWS_AT_ONCE = 1024


def effective_module(
    module: nn.Module, shape: Shape | None, *, spikes: bool = True
) -> tuple[nn.Module, str | None]:
    """Return a plain torch module that computes what `module` does.

    Args:
        module: no neuron; in ``eval()``.
        shape: of what it receives, without time and batch; None if that is not known, then its
            class alone is judged.
        spikes: whether a synapse receives spikes; else numbers between, as behind pooling.

    Returns:
        The module itself where it computes what it shows, else another; and what was done.

    Raises:
        Unsupported: it computes something else.
    """
    row = layer_of(type(module))
    if row is not None:
        return _added(module, row, shape)
    base = _base_of(module)
    if base is None:
        return _identity(module, shape)
    if shape is None or (type(module) is base and not _hooked(module)):
        return module, None
    probe = _probe(module, shape, spikes=spikes and isinstance(module, SYNAPSES))
    given = _run(module, probe)
    if given is None:
        return module, None  # what does not fit is refused where it is read
    shown = _run(lambda values: base.forward(module, values), probe)
    if shown is not None and _close(given, shown):
        return module, None
    if isinstance(module, SYNAPSES):
        measured = _measured(module)
        if measured is not None and _close(given, measured(probe)):
            return measured, "its weights were measured: it computes with others than it shows"
    what = f"computes something other than the {base.__name__} that it is"
    raise Unsupported([(what, f"use nn.{base.__name__} itself, without hooks")])


def _base_of(module: nn.Module) -> type[Any] | None:
    """Return the class of torch that is known, from which a module's class comes."""
    kind = type(module)
    if parametrize.is_parametrized(module):
        kind = kind.__bases__[0]  # the parametrised weight is read as it stands
        if kind in PLAIN and not _hooked(module):
            return type(module)
    return next((each for each in kind.__mro__ if each in PLAIN), None)


def _added(module: nn.Module, row: AddedLayer, shape: Shape | None) -> tuple[nn.Module, str | None]:
    """Return what the table of added layers reads a module as, if that computes the same."""
    if shape is None:
        return module, None
    plain = row.as_module(module, shape).eval()
    if type(plain) not in PLAIN:
        what = f"is read as {type(plain).__name__} by {row.module}.as_module"
        raise Unsupported([(what, "let it return one of torch's layers that can be lowered")])
    for spikes in (True, False):
        probe = _probe(module, shape, spikes=spikes)
        given, read = _run(module, probe), _run(plain, probe)
        if given is None or read is None or not _close(given, read):
            what = f"computes something other than the {row.name} that it is read as"
            raise Unsupported(
                [(what, f"correct as_module in conversion/sources/layers/{row.module}.py")]
            )
    return plain, f"{row.name}, read as {type(plain).__name__}"


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _identity(module: nn.Module, shape: Shape | None) -> tuple[nn.Module, str | None]:
    """Return an identity, for a module of an unknown class that hands on what it receives."""
    default = Reason("is not among the modules that can be lowered", "replace it")
    reason = REFUSED.get(type(module).__name__, default)
    known = type(module).__name__ in REFUSED
    if ".quantized" in type(module).__module__:
        raise Unsupported([QUANTISED])
    if known or shape is None or any(True for _ in module.children()):
        raise Unsupported([reason])
    probe = _probe(module, shape, spikes=True)
    for values in (probe, torch.randn_like(probe)):
        given = _run(module, values)
        if given is None or given.shape != values.shape or not torch.equal(given, values):
            raise Unsupported([reason])
    return nn.Identity(), "hands on what it receives"


def _probe(module: nn.Module, shape: Shape, *, spikes: bool) -> Tensor:
    """Return random spikes, or random numbers, ``[B, *shape]``."""
    generator = torch.Generator().manual_seed(2)
    values = torch.rand((_SAMPLES, *shape), generator=generator)
    values = (values < 0.4).float() if spikes else values * 4 - 2
    own = next((p for p in module.parameters() if p.is_floating_point()), values)
    return values.to(own)


def _run(module: Callable[[Tensor], Any], values: Tensor) -> Tensor | None:
    """Return what a module gives; None where it fails or gives no tensor."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = module(values.clone())
    except Exception:
        return None
    return given if isinstance(given, Tensor) else None


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    largest = float(torch.maximum(one.abs().max(), other.abs().max())) if one.numel() else 0.0
    slack = _TOLERANCE * torch.finfo(one.dtype).eps * largest
    return bool((one - other).abs().max() <= slack) if one.numel() else True


def _measured(module: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear | None:
    """Return a plain layer with the weights by which `module` answers to one spike at a time."""
    try:
        if isinstance(module, nn.Linear):
            return _measured_dense(module)
        return _measured_convolution(module)
    except (RuntimeError, IndexError, ValueError):
        return None


def _measured_dense(module: nn.Linear) -> nn.Linear | None:
    own = module.weight
    unit = torch.eye(module.in_features).to(own)
    offset = _run(module, torch.zeros_like(unit[:1]))
    answers = [_run(module, rows) for rows in unit.split(_ROWS_AT_ONCE)]
    if offset is None or any(each is None for each in answers):
        return None
    plain = nn.Linear(module.in_features, module.out_features).to(own)
    _fill(plain, (torch.cat([a for a in answers if a is not None]) - offset).T, offset[0])
    return plain


def _measured_convolution(module: nn.Conv2d) -> nn.Conv2d | None:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    own, channels = module.weight, module.in_channels
    size = (module.kernel_size[0], module.kernel_size[1])
    # The first output whose window lies wholly inside the input, and where that window begins.
    outputs = [-(-p // s) for p, s in zip(module.padding, module.stride, strict=True)]
    begins = [
        o * s - int(p) for o, s, p in zip(outputs, module.stride, module.padding, strict=True)
    ]
    spans = [b + d * (k - 1) + 1 for b, d, k in zip(begins, module.dilation, size, strict=True)]
    taps = size[0] * size[1]
    index = torch.arange(channels * taps)
    tap = index % taps
    rows = begins[0] + module.dilation[0] * (tap // size[1])
    columns = begins[1] + module.dilation[1] * (tap % size[1])
    answers = []
    blank = torch.zeros((1, channels, *spans)).to(own)
    offset = _run(module, blank)
    for part in index.split(_ROWS_AT_ONCE):
        spikes = blank.repeat(len(part), 1, 1, 1)
        spikes[torch.arange(len(part)), part // taps, rows[part], columns[part]] = 1
        answers.append(_run(module, spikes))
    if offset is None or any(each is None for each in answers):
        return None
    whole = torch.cat([a[:, :, outputs[0], outputs[1]] for a in answers if a is not None])
    bias = offset[0, :, outputs[0], outputs[1]]
    weight = (whole - bias).T.reshape(module.out_channels, channels, *size)
    plain = nn.Conv2d(
        channels,
        module.out_channels,
        size,
        stride=(module.stride[0], module.stride[1]),
        padding=(int(module.padding[0]), int(module.padding[1])),
        dilation=(module.dilation[0], module.dilation[1]),
        groups=module.groups,
    ).to(own)
    parts = weight.chunk(module.groups)  # of each group's outputs, from all inputs
    own_inputs = [part.chunk(module.groups, 1)[group] for group, part in enumerate(parts)]
    _fill(plain, torch.cat(own_inputs), bias)
    return plain


def _fill(plain: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        plain.weight.copy_(weight)
        if plain.bias is not None and bool(bias.any()):
            plain.bias.copy_(bias)
        else:
            plain.bias = None
