"""From a network in snnTorch to its float description, or to every reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.notes import ASSUMED, Note, with_notes
from sdcl_neuro.network.spec import FloatNetwork, Shape
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.event_branch import EventBranch

from ...lowering.graph.nodes import FloatGraph
from ...lowering.pooling import Pool
from .calls import leaves
from .chain import lower_chain
from .check import check_branch, check_module
from .graph_source import graph_instead, graph_of_module
from .integer_hooks import trains_as_graph
from .inventory import NORMS, POOLS
from .neurons import NEURONS
from .running import Deployed, as_deployed, module_input, need_module, need_sample, unwrap
from .several_inputs import joined_module
from .tracing import Steps, TracedRun, trace_chain

__all__ = ["from_snntorch"]


@public
def from_snntorch(
    module: nn.Module,
    sample: SpikesLike | Mapping[str, SpikesLike],
    *,
    approximate: bool = False,
    calibration: SpikesLike | Mapping[str, SpikesLike] | None = None,
) -> FloatNetwork | FloatGraph:
    """Describe `module` in float, as it computes in ``eval()``, and compare the two.

    The module is run on the sample, as it is, and its spikes are compared with the description's
    in every layer; ``meta["source_checks"]`` holds the outcome, which `verify` shows, also of the
    files that are written. The module itself is left as it was.

    Args:
        module: an `EventBranch`; an ``nn.Sequential``, applied to one time step after another; or
            a module of your own that applies Conv2d, Linear, BatchNorm, AvgPool, Flatten, Dropout
            and snnTorch's Leaky, Synaptic and RLeaky one after another; or a graph of them, with
            sums, concats, slices of channels, max pooling of spikes, upsampling, decays per
            channel, layers along a line. Its forward may take all steps (``[T, B, ...]``,
            ``[B, T, ...]`` or a list) and loop over them; one step, with states that are hidden,
            kept on the module, or handed in and out; or one static input that it repeats. What it
            does with the last layer's spikes is not part of the network.
        sample: one input ``[T, B, N]``, ``[T, B, C, L]`` or ``[T, B, C, H, W]``, on which both are
            run; of a forward with several, ``{argument: input}``.
        approximate: take what no chip computes exactly as the nearest that it does, thresholds
            set on `calibration`: in a chain neurons that reset by subtraction or late, and a bias
            before a current; in a graph max pooling of currents and decays of too many values.
            ``meta["approximate"]`` says what that changed, layer by layer.
        calibration: spikes ``[T, B, *input_shape]``, for `approximate` only.

    Returns:
        The description, of a chain a `FloatNetwork`, of a graph a `FloatGraph`;
        ``meta["lowered"]`` says what was folded, expanded or left out, ``meta["assumed"]`` and
        ``meta["not_checked"]`` what was taken for granted. Scales that training fixed go with it,
        so that `quantize` gives the very integers it trained with.

    Raises:
        NetworkRefused: with every reason why the network cannot be described, or with what the
            module does otherwise than its description.
        InputError: for a sample of the wrong rank, or a module of another kind.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> net = conversion.from_snntorch(module, sample)
        >>> net.input_shape, net.layers[0].kind, net.layers[0].weight.shape
        ((6,), 'dense', (4, 6))
    """
    module = need_module(module, "from_snntorch")
    if approximate != (calibration is not None):
        what = "approximate=True needs calibration data" if approximate else "calibration is unused"
        hint = "give both approximate=True and calibration=spikes, or neither"
        raise InputError(what, where="from_snntorch", hint=hint)
    if isinstance(sample, Mapping):
        joined, flat = joined_module(unwrap(module), sample, "from_snntorch")
        with as_deployed(joined) as held:
            return graph_of_module(held, module_input(joined, flat), calibration=calibration)
    sample = need_sample(sample, "from_snntorch")
    along_a_line = sample.ndim == 4
    shape = tuple(sample.shape[2:]) if along_a_line else input_shape(sample)
    with as_deployed(module) as held:
        if isinstance(held.module, EventBranch):
            net = _from_branch(held.module, shape)
            return check_branch(net, held, sample)
        values = module_input(held.module, sample)
        if along_a_line or trains_as_graph(held.module):
            return graph_of_module(held, values, calibration=calibration)
        try:
            traced = chain_of(held, values)
            lowered = lower_chain(traced.steps, shape, approximate=approximate)
        except NetworkRefused as refused:
            return graph_instead(held, values, refused, calibration=calibration)
        if _trained(traced.steps) and graph_alone(traced.steps, lowered.pools):
            return graph_of_module(held, values, calibration=calibration)
        lowered = replace(lowered, net=_named(lowered.net, held))
        return check_module(lowered, traced, held, values, calibration=calibration)


def chain_of(held: Deployed, like: Tensor) -> TracedRun:
    """Return the modules in the order in which they are applied, and how the input is taken.

    Args:
        held: the module, held by `as_deployed`.
        like: a sample ``[T, B, ...]`` in its precision.
    """
    module = held.module
    steps = list(flat_steps(module)) if type(module) is nn.Sequential else []
    if steps and all(_is_leaf(each) for _, each in steps):
        return TracedRun(steps, None, like[0])
    traced = trace_chain(held, like)
    return replace(traced, steps=_from_input(traced.steps, traced.entry, tuple(like.shape[2:])))


def graph_alone(steps: Steps, pools: Sequence[Pool | None]) -> bool:
    """Return whether a chain trains in integers as a graph: some synapse has no grid of its own.

    Args:
        steps: the chain.
        pools: per layer, the pooling before its synapse.
    """
    waiting = False  # between a synapse and its neuron
    for _, child in steps:
        neuron = isinstance(child, NEURONS)
        if neuron and isinstance(child, ChipNeuron) and not child.uniform:
            return True
        if isinstance(child, NORMS) or (isinstance(child, POOLS) and waiting):
            return True
        waiting = not neuron and (waiting or isinstance(child, nn.Conv2d | nn.Linear))
    return any(pool is not None and pool.share is None for pool in pools)


def _trained(steps: Steps) -> bool:
    """Return whether training in integers fixed scales."""
    return any(isinstance(c, ChipNeuron) and float(c.scale) > 0 for _, c in steps)


def _is_leaf(module: nn.Module) -> bool:
    return next(leaves(module))[1] is module


def _from_input(steps: Steps, received: Tensor, shape: Shape) -> Steps:
    """Return the steps, after a Flatten where the forward itself flattened its input."""
    if len(shape) == 3 and received.ndim == 2:
        return [("input (flattened)", nn.Flatten()), *steps]
    return steps


def _named(net: FloatNetwork, held: Deployed) -> FloatNetwork:
    meta: dict[str, Any] = {"source": f"snntorch {type(held.module).__name__}", **net.meta}
    if held.trained:
        what = "eval(): dropout off, batch norm with its running statistics"
        note = Note(what, "the module came in training mode, which no chip has")
        meta = with_notes(meta, ASSUMED, [note])
    return replace(net, meta=meta)


def flat_steps(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield names and modules of nested sequences, in the order in which they are applied."""
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
            hint=f"give [T, B, {channels}, H, W]",
        )
    return branch.float_network((shape[1], shape[2]))


def input_shape(sample: Tensor | NDArray[Any]) -> Shape:
    """Return the shape of one step of a sample ``[T, B, ...]``; InputError for another rank."""
    shape = tuple(int(size) for size in sample.shape)
    if len(shape) not in (3, 5) or min(shape) < 1:
        raise InputError(
            f"a sample of shape {list(shape)}",
            where="from_snntorch",
            hint="give [T, B, N] or [T, B, C, H, W]",
        )
    return shape[2:]
