"""A user's module with its neurons swapped, in place, for ones that compute as the chip does."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic

from ...lowering.populations import Unsupported
from .neurons import NEURONS, dense_recurrence, refusal_of_kind, single_number


def make_deployable(module: nn.Module) -> nn.Module:
    """Swap every snnTorch neuron for a chip-exact one that resets to zero at once.

    Thresholds and decays are carried over, learnt ones as the very same parameters, so that an
    optimiser built before stays valid; synapses are untouched. Signatures and return values stay
    those of snnTorch: go on training in your own loop, since a new reset changes the spikes.

    Args:
        module: changed in place; neurons that already are chip-exact stay.

    Returns:
        `module`, or its replacement if it is a neuron itself.

    Raises:
        NetworkRefused: with every neuron that has no chip-exact counterpart; nothing is changed.
    """
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
            refusals += [Refusal(where, what, hint) for what, hint in unfit.reasons]
    if refusals:
        raise NetworkRefused(refusals)
    for parent in list(module.modules()):
        for name, kept in list(parent._modules.items()):
            if id(kept) in replacements:
                setattr(parent, name, replacements[id(kept)])
    return replacements.get(id(module), module)


def _replacement(old: Any) -> nn.Module:
    kind = type(old)
    if kind not in (snn.Leaky, snn.Synaptic, snn.RLeaky):
        raise Unsupported([refusal_of_kind(old)])
    reasons = []
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
            values[name] = single_number(old, name)
        except Unsupported as unfit:
            reasons += unfit.reasons
    if kind is snn.RLeaky:
        try:
            dense_recurrence(old)
        except Unsupported as unfit:
            reasons += unfit.reasons
    if reasons:
        raise Unsupported(reasons)
    new = _build(old, values)
    for name in names:
        _carry_over(old, new, name)
    new.train(old.training)
    return new.to(old.threshold.device)


def _build(old: Any, values: dict[str, Any]) -> nn.Module:
    options: dict[str, Any] = {
        "spike_grad": old.spike_grad,
        "init_hidden": old.init_hidden,
        "output": old.output,
    }
    if isinstance(old, snn.Synaptic):
        return LoihiSynaptic(**values, **options)
    if isinstance(old, snn.RLeaky):
        recurrent = old.recurrent
        new = LoihiRLeaky(**values, linear_features=recurrent.out_features, **options)
        new.recurrent = recurrent
        return new
    return LoihiLeaky(**values, reset_delay=old.reset_delay, **options)


def _carry_over(old: nn.Module, new: nn.Module, name: str) -> None:
    """Keep a scalar parameter as the same object; of equal values one has been taken."""
    value = getattr(old, name)
    if value.numel() != 1:
        return
    if isinstance(value, nn.Parameter):
        delattr(new, name)
        new.register_parameter(name, value)
    else:
        with torch.no_grad():
            getattr(new, name).copy_(value.reshape(()))
