"""The loops of `kernels` in torch's operations, for a GPU: compiled, all steps in one kernel.

``torch.compile`` unrolls time and fuses what it finds; where it cannot (no Triton, an old GPU), the
same functions run operation by operation. On a GPU a compiler may contract a product and a sum, so
that float spikes can differ from the CPU's where a membrane is within rounding of the threshold;
integers are exact either way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sdcl_neuro.devices import device_fault

from .kernels import ATAN, FAST_SIGMOID

GRAPHS = 64
"""Sizes of a population that one function is compiled for."""


def leak_float(
    drive: Tensor, state: Tensor, beta: float, threshold: float
) -> tuple[Tensor, Tensor]:
    """Membranes and spikes ``[T, N]``; see `kernels.leak_float`."""
    membranes, spikes = [], []
    for now in drive.unbind(0):
        state = beta * torch.where(state - threshold > 0, 0.0, state) + now
        membranes.append(state)
        spikes.append((state - threshold > 0).float())
    return torch.stack(membranes), torch.stack(spikes)


def leak_int(
    sums: Tensor, state: Tensor, offset: Tensor | None, keep: float, limit: float, unit: float,
    largest: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Leak as `leak_float` does, and mark clipped membranes; see `kernels.leak_int`."""
    membranes, spikes = [], []
    edge = largest + 1
    for now in sums.unbind(0):
        drive = now * unit
        drive = torch.where(drive <= -edge, drive + 2 * edge, drive)
        drive = torch.where(now * unit > edge, drive - 2 * edge, drive)
        drive = drive if offset is None else drive + offset
        held = torch.where(state > limit, 0.0, state)
        # Below 2^35, hence exact in float64; a shift is a division by 4096 there.
        after = (held.double() * keep / 4096).trunc().float() + drive
        state = after.clamp(-largest, largest)
        membranes.append(torch.where(after == state, after, edge * torch.sign(after)))
        spikes.append((state > limit).float())
    return torch.stack(membranes), torch.stack(spikes)


def leak_backward(
    membranes: Tensor, gradient: Tensor, carry: Tensor, beta: float, threshold: float, norm: float,
    largest: float, gain: float, kind: int, sharpness: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of the input ``[T, N]`` and, by neuron, of beta and -threshold; the new carry."""
    result: list[Tensor] = []
    to_beta = to_threshold = torch.zeros_like(carry, dtype=torch.float64)
    for now, given in zip(reversed(membranes.unbind(0)), reversed(gradient.unbind(0)), strict=True):
        held = now.clamp(-largest, largest)
        far = (held - threshold) / norm
        slope = given
        if kind == ATAN:
            slope = sharpness / 2 / (1 + (torch.pi / 2 * sharpness * far) ** 2) * given
        elif kind == FAST_SIGMOID:
            slope = given / (sharpness * far.abs() + 1) ** 2
        rests = far > 0
        to_threshold = to_threshold + slope
        to_beta = to_beta + torch.where(rests, 0.0, carry * held)
        carry = slope / norm + torch.where(rests, 0.0, carry * beta)
        carry = torch.where(now.abs() <= largest, carry, 0.0)
        result.append(carry * gain)
    return torch.stack(result[::-1]), to_beta, to_threshold, carry


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function` of this module, compiled for the device if it can be."""
    device = arguments[0].device
    if device.type != "cuda" or function in _refused:
        return function(*arguments)
    try:
        with _more_graphs():
            return _compiled(function)(*(variable(each, device) for each in arguments))
    except Exception as error:  # whatever a compiler stumbles over, the result is the same
        if device_fault(error):  # more memory is what the other form needs
            raise
        _refused.add(function)
        what = f"torch.compile failed ({type(error).__name__}); going on without it"
        warnings.warn(what, stacklevel=2)
        return function(*arguments)


def variable(value: Any, device: torch.device) -> Any:
    """A float as a tensor without dimensions, of which results take no type.

    As a float it would be a constant of the graph, compiled again for every value that a learned
    beta or threshold takes. Filling waits for no GPU, as copying would.
    """
    if isinstance(value, float):
        return torch.full((), value, dtype=torch.float64, device=device)
    return value


_refused: set[Callable[..., Any]] = set()


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(function, dynamic=False)
    return compiled


def _more_graphs() -> AbstractContextManager[None]:
    """Room for a graph of each layer's size; beyond the limit torch stops compiling, silently."""
    from torch._dynamo import config

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    patched: AbstractContextManager[None] = config.patch({name: GRAPHS})
    return patched
