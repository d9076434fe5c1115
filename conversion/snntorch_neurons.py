"""snnTorch's neurons read as chip populations, and swapped for chip-exact ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic

NEURONS = (snn.SpikingNeuron, snn.SLSTM, snn.SConv2dLSTM)
"""Everything of snnTorch that keeps a state."""
_LEAKY = (snn.Leaky, LoihiLeaky)
_SYNAPTIC = (snn.Synaptic, LoihiSynaptic)
_RLEAKY = (snn.RLeaky, LoihiRLeaky)
_MECHANISMS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
_PROBE = torch.tensor([-5.0, -1.0, -0.3, -1e-6, 0.0, 1e-6, 0.3, 1.0, 5.0])
_REMEDY = "call conversion.make_deployable(module) and train a little more"

Reason = tuple[str, str]


class Unfit(Exception):
    """Why one module cannot be lowered; (what, mend) pairs."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(str(self.reasons))


@dataclass(frozen=True)
class Population:
    """A snnTorch neuron in the terms of `spec`; weights and biases in float64."""

    beta: float
    threshold: float
    alpha: float = 0.0
    scale: float | None = None
    recurrent_weight: NDArray[np.float64] | None = None
    recurrent_bias: NDArray[np.float64] | None = None


def read_neuron(module: nn.Module) -> Population:
    """The population a neuron is; raise `Unfit` with every reason why it is none."""
    kind = type(module)
    if kind not in (*_LEAKY, *_SYNAPTIC, *_RLEAKY):
        raise Unfit([refusal_of_kind(module)])
    reasons = [*_common_reasons(module)]
    if kind not in _LEAKY and module.reset_delay:
        what = "reset_delay=True: the delayed reset swallows the next step's input"
        reasons.append((what, f"use reset_delay=False, or {_REMEDY}"))
    values = {}
    for name in ("beta", "threshold", *(("alpha",) if kind in _SYNAPTIC else ())):
        try:
            values[name] = single_number(module, name)
        except Unfit as unfit:
            reasons += unfit.reasons
    recurrent: tuple[NDArray[np.float64], NDArray[np.float64] | None] | None = None
    if kind in _RLEAKY:
        try:
            recurrent = recurrence(module)
        except Unfit as unfit:
            reasons += unfit.reasons
    if reasons:
        raise Unfit(reasons)
    if values["threshold"] < 0:
        raise Unfit([(f"threshold {values['threshold']:g}", "use a positive threshold")])
    scale = float(getattr(module, "scale", 0.0))
    return Population(
        beta=min(max(values["beta"], 0.0), 1.0),
        threshold=values["threshold"],
        alpha=min(max(values.get("alpha", 0.0), 0.0), 1.0),
        scale=scale if scale > 0 else None,
        recurrent_weight=None if recurrent is None else recurrent[0],
        recurrent_bias=None if recurrent is None else recurrent[1],
    )


def refusal_of_kind(module: nn.Module) -> Reason:
    """Why a kind of neuron has no counterpart, and what to use."""
    if isinstance(module, snn.RSynaptic):
        what = "RSynaptic never equals the chip: its immediate reset uses the previous spike"
        return what, "use RLeaky, or Synaptic without recurrence"
    if isinstance(module, snn.Lapicque):
        return "Lapicque's circuit constants are not carried over", "use the Leaky it equals"
    return "this neuron has no equivalent on the chip", "use Leaky, Synaptic or RLeaky"


def _common_reasons(module: Any) -> Iterator[Reason]:
    # Setting `reset_mechanism` after construction leaves the old function in place.
    mechanism = _MECHANISMS.get(module.state_function.__name__, "unknown")
    if not mechanism == module.reset_mechanism == "zero":
        what = f"resets by {mechanism!r} ({module.reset_mechanism!r} by name); the chip to zero"
        yield what, f"use reset_mechanism='zero', or {_REMEDY}"
    if module.inhibition:
        yield "inhibition between neurons", "use inhibition=False"
    if module.state_quant:
        yield "a state quantised by snnTorch", "use state_quant=False; quantize does it"
    if bool((module.graded_spikes_factor != 1).any()):
        yield "graded spikes", "use graded_spikes_factor=1 and scale the next weights"
    with torch.no_grad():
        fired = module.spike_grad(_PROBE)
    if not torch.equal(fired, (_PROBE > 0).to(fired)):
        yield "its spike_grad is no step in the forward pass", "use another surrogate"


def single_number(module: nn.Module, name: str) -> float:
    """A parameter that is one number, or the same number many times; else `Unfit`."""
    value: Tensor = getattr(module, name).detach()
    if not bool(torch.isfinite(value).all()):
        raise Unfit([(f"{name} is not finite", "train it again")])
    if bool((value != value.flatten()[0]).any()):
        what = f"{name} differs between neurons; the chip has one per population"
        raise Unfit([(what, f"use one {name} for the layer")])
    return float(value.flatten()[0])


def recurrence(module: Any) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Weight and bias of a dense recurrence; else `Unfit`."""
    recurrent = module.recurrent
    if isinstance(recurrent, nn.Linear):
        bias = recurrent.bias
        return _double(recurrent.weight), None if bias is None else _double(bias)
    if module.all_to_all:
        raise Unfit([("a convolutional recurrence", "use linear_features behind a Linear")])
    raise Unfit([("a one-to-one recurrence", "use linear_features with a diagonal weight")])


def _double(tensor: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().to("cpu", torch.float64).numpy()
    return array
