"""From a network in snnTorch to its float description, or to every reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spec import FloatNetwork, Shape
from sdcl_neuro.snn.event_branch import EventBranch

from ...approximation import recalibrate
from ...lowering.graph.nodes import FloatGraph
from .chain import lower_chain
from .graph_source import graph_instead, graph_of_module
from .tracing import Call, Steps, expect_same_spikes, trace_chain

__all__ = ["from_snntorch"]


def from_snntorch(
    module: nn.Module,
    sample: Tensor | NDArray[Any],
    *,
    approximate: bool = False,
    calibration: object = None,
) -> FloatNetwork | FloatGraph:
    """Describe `module` in float, as it computes in ``eval()``.

    Args:
        module: an `EventBranch`; an ``nn.Sequential`` (nested ones too) of Conv2d, Linear,
            BatchNorm, AvgPool, Flatten, Dropout and snnTorch's Leaky, Synaptic and RLeaky, that is
            applied to one time step after another; or a module of your own whose ``forward``
            applies those one after another, in a loop over time or to one step; or a graph of
            them, with sums, concats, slices of channels, max pooling of spikes, upsampling,
            decays per channel, layers along a line. What it does with the last layer's spikes is
            not part of the network.
        sample: one input ``[T, B, ...]``. A module of your own is run on its first sample, and
            its spikes compared with the description's; for the others only its shape counts.
        approximate: take neurons that no chip computes exactly (reset by subtraction, a delayed
            reset, a bias before a current) as the nearest ones, their thresholds set on
            `calibration`; ``meta["approximate"]`` says what that changed, layer by layer.
        calibration: spikes ``[T, B, *input_shape]``, for `approximate` only.

    Returns:
        The description, of a chain a `FloatNetwork`, of a graph a `FloatGraph`;
        ``meta["lowered"]`` says what was folded, expanded or left out. Scales that training fixed
        go with it, so that `quantize` gives the very integers it trained with.

    Raises:
        NetworkRefused: with every reason why the network cannot be described.
        InputError: for a sample of the wrong rank, or a module of another kind.
    """
    if sample.ndim == 4:
        return graph_of_module(module, sample)
    shape = input_shape(sample)
    if approximate != (calibration is not None):
        what = "approximate=True needs calibration data" if approximate else "calibration is unused"
        mend = "give both approximate=True and calibration=spikes, or neither"
        raise InputError(what, where="from_snntorch", mend=mend)
    if isinstance(module, EventBranch):
        return _from_branch(module, shape)
    try:
        steps, passes = chain_of(module, sample)
        lowered = lower_chain(steps, shape, approximate=approximate)
    except NetworkRefused as refused:
        return graph_instead(module, sample, refused, approximate=approximate)
    note = None if passes is None else expect_same_spikes(lowered, passes, _floats(sample))
    net = _named(lowered.net, type(module).__name__, note)
    if not any(lowered.departures):
        return net
    return recalibrate(net, lowered.departures, calibration)


def chain_of(
    module: nn.Module, sample: Tensor | NDArray[Any]
) -> tuple[Steps, list[list[Call]] | None]:
    """Names and modules in the order in which they are applied, and the calls if it was run."""
    if type(module) is nn.Sequential:
        return list(flat_steps(module)), None
    steps, passes = trace_chain(module, _floats(sample))
    return _from_input(steps, passes[0][0].received, input_shape(sample)), passes


def _floats(sample: Tensor | NDArray[Any]) -> Tensor:
    return torch.as_tensor(sample).float()


def _from_input(steps: Steps, received: Tensor, shape: Shape) -> Steps:
    """The steps, after a Flatten where the forward itself flattened its input."""
    if len(shape) == 3 and received.ndim == 2:
        return [("input (flattened)", nn.Flatten()), *steps]
    return steps


def _named(net: FloatNetwork, kind: str, note: str | None = None) -> FloatNetwork:
    meta = {"source": f"snntorch {kind}", **net.meta}
    return FloatNetwork(
        net.input_shape, net.layers, meta if note is None else {**meta, "traced": note}
    )


def flat_steps(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Names and modules of nested sequences, in the order in which they are applied."""
    plain = type(module) is nn.Sequential
    if not plain or module._forward_hooks or module._forward_pre_hooks:
        yield name, module
        return
    # Not `named_children`, which names a module that stands twice only once.
    for child_name, child in module._modules.items():
        if child is not None:
            yield from flat_steps(child, f"{name}.{child_name}" if name else child_name)


def _from_branch(branch: EventBranch, shape: Shape) -> FloatNetwork:
    channels = branch.description.in_channels
    if len(shape) != 3 or shape[0] != channels:
        raise InputError(
            f"a sample of shape {list(shape)} a step",
            where="from_snntorch",
            mend=f"give [T, B, {channels}, H, W]",
        )
    return branch.float_network((shape[1], shape[2]))


def input_shape(sample: Tensor | NDArray[Any]) -> Shape:
    """The shape of one step of a sample ``[T, B, ...]``; InputError for another rank."""
    shape = tuple(int(size) for size in sample.shape)
    if len(shape) not in (3, 5) or min(shape) < 1:
        raise InputError(
            f"a sample of shape {list(shape)}",
            where="from_snntorch",
            mend="give [T, B, N] or [T, B, C, H, W]",
        )
    return shape[2:]
