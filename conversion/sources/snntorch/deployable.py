"""A user's module with its neurons swapped, in place, for ones that compute as the chip does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic
from sdcl_neuro.snn.loihi_readout import LoihiReadout, LoihiSynapticReadout

from ...lowering.populations import ReasonLike, Unsupported
from .neurons import NEURONS, dense_recurrence, refusal_of_kind, single_number
from .resets import named_reset
from .running import need_module
from .source import from_snntorch


@public
def make_deployable(
    module: nn.Module, sample: SpikesLike | Mapping[str, SpikesLike] | None = None
) -> nn.Module:
    """Swap every snnTorch neuron for a chip-exact one that resets to zero at once.

    Neurons that never reset (``reset_mechanism="none"``) are read-outs and go on so.

    Thresholds and decays are carried over, learnt ones as the very same parameters, so that an
    optimiser built before stays valid; synapses are untouched. Signatures and return values stay
    those of snnTorch: go on training in your own loop, since a new reset changes the spikes.

    Args:
        module: changed in place; neurons that already are chip-exact stay.
        sample: one input ``[T, B, ...]``, of a forward with several ``{argument: input}``; given,
            the whole network is looked at, whether it has a place on the chip with these neurons,
            before anything is changed.

    Returns:
        `module`, or its replacement if it is a neuron itself.

    Raises:
        NetworkRefused: with every neuron that has no chip-exact counterpart, and on a sample with
            whatever else cannot be deployed; nothing is changed.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = snntorch.Leaky(0.9, init_hidden=True)  # resets by subtraction
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), neuron)
        >>> type(conversion.make_deployable(module)[1]).__name__
        'LoihiLeaky'
    """
    module = need_module(module, "make_deployable")
    found = [(name, child) for name, child in module.named_modules() if isinstance(child, NEURONS)]
    replacements: dict[int, nn.Module] = {}
    refusals = []
    for name, child in found:
        if isinstance(child, ChipNeuron):
            continue
        try:
            replacements[id(child)] = _replacement(child)
        except Unsupported as unfit:
            where = f"{name or 'the module'} ({type(child).__name__})"
            refusals += [Refusal(where, *reason) for reason in unfit.reasons]
    if refusals:
        raise NetworkRefused(refusals)
    swapped = _swap(module, replacements)
    if sample is not None:
        try:
            from_snntorch(swapped, sample)
        except (NetworkRefused, InputError):
            _swap(swapped, {id(new): old for old, new in _pairs(found, replacements)})
            raise
    return swapped


def _swap(module: nn.Module, replacements: Mapping[int, nn.Module]) -> nn.Module:
    for parent in list(module.modules()):
        for name, kept in list(parent._modules.items()):
            if id(kept) in replacements:
                setattr(parent, name, replacements[id(kept)])
    return replacements.get(id(module), module)


def _pairs(
    found: Iterable[tuple[str, nn.Module]], replacements: Mapping[int, nn.Module]
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield each old neuron that was replaced, and the new one."""
    for _, old in found:
        if id(old) in replacements:
            yield old, replacements[id(old)]


def _replacement(old: Any) -> nn.Module:
    kind = type(old)
    if kind not in (snn.Leaky, snn.Synaptic, snn.RLeaky):
        raise Unsupported([refusal_of_kind(old)])
    silent = kind is not snn.RLeaky and named_reset(old).kind == "none"
    reasons: list[ReasonLike] = []
    if old.inhibition:
        reasons.append(("inhibition between neurons", "use inhibition=False"))
    if old.state_quant:
        reasons.append(("a state quantised by snnTorch", "use state_quant=False"))
    if bool((old.graded_spikes_factor != 1).any()):
        reasons.append(("graded spikes", "use graded_spikes_factor=1"))
    names = ("alpha", "beta", "threshold") if kind is snn.Synaptic else ("beta", "threshold")
    values: dict[str, Any] = {}
    for name in names:
        try:
            values[name] = _numbers(old, name)
        except Unsupported as unfit:
            reasons += unfit.reasons
    if kind is snn.RLeaky:
        try:
            dense_recurrence(old)
        except Unsupported as unfit:
            reasons += unfit.reasons
    if reasons:
        raise Unsupported(reasons)
    new = _build(old, values, silent=silent)
    for name in names:
        _carry_over(old, new, name)
    new.train(old.training)
    return new.to(old.threshold.device)


def _numbers(old: Any, name: str) -> float | Tensor:
    """Return one number; several only of neurons without recurrence, whose channels a graph
    places.
    """
    value: Tensor = getattr(old, name)
    if isinstance(old, snn.RLeaky) or not bool((value != value.flatten()[0]).any()):
        return single_number(old, name)
    if not bool(torch.isfinite(value).all()):
        raise Unsupported([(f"{name} is not finite", "train it again")])
    return value.detach().clone()


def _build(old: Any, values: dict[str, Any], *, silent: bool) -> nn.Module:
    options: dict[str, Any] = {
        "spike_grad": old.spike_grad,
        "init_hidden": old.init_hidden,
        "output": old.output,
    }
    if isinstance(old, snn.Synaptic):
        return (LoihiSynapticReadout if silent else LoihiSynaptic)(**values, **options)
    if isinstance(old, snn.RLeaky):
        recurrent = old.recurrent
        new = LoihiRLeaky(**values, linear_features=recurrent.out_features, **options)
        new.recurrent = recurrent
        return new
    return (LoihiReadout if silent else LoihiLeaky)(
        **values, reset_delay=old.reset_delay, **options
    )


def _carry_over(old: nn.Module, new: nn.Module, name: str) -> None:
    """Keep a parameter as the same object, but of equal values, of which one has been taken."""
    value = getattr(old, name)
    if value.numel() != getattr(new, name).numel():
        return
    if isinstance(value, nn.Parameter):
        delattr(new, name)
        new.register_parameter(name, value)
    else:
        with torch.no_grad():
            getattr(new, name).copy_(value.reshape(getattr(new, name).shape))
