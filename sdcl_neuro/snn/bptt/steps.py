"""The loops of `kernels` in torch's operations, for a GPU on which `scan_kernels` cannot run.

What needs no step of its own is done for all of them at once. A number that is learned, or that
stands for one in a graph, may be a tensor without dimensions. ``torch.compile`` unrolls time and
fuses what it finds; where it cannot (no Triton, an old GPU), the same functions run operation by
operation. On a GPU a compiler may contract a product and a sum, so that float spikes can differ
from the CPU's where a membrane is within rounding of the threshold; integers are exact either way.
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
    """Return membranes and spikes ``[T, N]``; see `kernels.leak_float`."""
    membranes = []
    for now in drive.unbind(0):
        state = beta * state.masked_fill(state > threshold, 0.0) + now
        membranes.append(state)
    found = torch.stack(membranes)
    return found, (found > threshold).float()


def leak_int(
    sums: Tensor, state: Tensor, offset: Tensor | None, keep: float, limit: float, unit: float,
    largest: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Leak as `leak_float` does, and mark clipped membranes; see `kernels.leak_int`."""
    edge = largest + 1
    drive = sums * unit
    drive = drive + torch.where(drive <= -edge, 2 * edge, torch.where(drive > edge, -2 * edge, 0.0))
    drive = drive if offset is None else drive + offset
    after = []
    state = state.double()  # the product stays below 2^35; a shift is a division by 4096 there
    for now in drive.double().unbind(0):
        held = state.masked_fill(state > limit, 0.0)
        after.append((held * (keep / 4096)).trunc() + now)
        state = after[-1].clamp(-largest, largest)
    found = torch.stack(after).to(sums.dtype)
    held = found.clamp(-largest, largest)
    return torch.where(found == held, found, edge * torch.sign(found)), (held > limit).float()


def leak_backward(
    membranes: Tensor, gradient: Tensor, carry: Tensor, beta: float, threshold: float,
    norm: float, largest: float, gain: float, kind: int, sharpness: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return gradients of the input ``[T, N]`` and, by neuron, of beta and -threshold; the new
    carry.
    """
    held = membranes.clamp(-largest, largest)
    far = (held - threshold) / norm
    slope = gradient
    if kind == ATAN:
        slope = sharpness / 2 / (1 + (torch.pi / 2 * sharpness * far) ** 2) * gradient
    elif kind == FAST_SIGMOID:
        slope = gradient / (sharpness * far.abs() + 1) ** 2
    within, rests = membranes.abs() <= largest, far > 0
    here = torch.where(within, slope / norm, 0.0)
    kept = torch.where(within & ~rests, beta, 0.0).to(here.dtype)
    carries = [carry]  # from the last step's to the first's
    for own, factor in zip(reversed(here.unbind(0)), reversed(kept.unbind(0)), strict=True):
        carries.append(torch.addcmul(own, carries[-1], factor))
    following = torch.stack(carries[-2::-1])
    to_beta = torch.where(rests, 0.0, following * held).sum(0, dtype=torch.float64)
    result = torch.stack(carries[:0:-1]) * gain
    return result, to_beta, slope.sum(0, dtype=torch.float64), carries[-1]


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return `function` of this module, compiled for the device if it can be."""
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
    """Return a float as a tensor without dimensions, of which results take no type.

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
    """Return room for a graph of each layer's size; beyond the limit torch stops compiling,
    silently.
    """
    from torch._dynamo import config

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    patched: AbstractContextManager[None] = config.patch({name: GRAPHS})
    return patched
