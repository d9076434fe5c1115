"""snnTorch's neurons read as chip populations, and swapped for chip-exact ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic

from ...lowering.approximate import Approximation
from ...lowering.populations import Population, Reason, Recurrence, Unsupported

Array = NDArray[np.float64]

NEURONS = (snn.SpikingNeuron, snn.SLSTM, snn.SConv2dLSTM)
"""Everything of snnTorch that keeps a state."""
_LEAKY = (snn.Leaky, LoihiLeaky)
_SYNAPTIC = (snn.Synaptic, LoihiSynaptic)
_RLEAKY = (snn.RLeaky, LoihiRLeaky)
_MECHANISMS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
_PROBE = torch.tensor([-5.0, -1.0, -0.3, -1e-6, 0.0, 1e-6, 0.3, 1.0, 5.0])
_REMEDY = (
    "call conversion.make_deployable(module) and train a little more, "
    "or convert with approximate=True and calibration data"
)


def read_neuron(module: nn.Module, *, approximate: bool = False) -> Population:
    """The population a neuron is; raise `Unsupported` with every reason why it is none.

    Args:
        module: the neuron.
        approximate: take another reset than the chip's, too, and say so in `departure`.
    """
    kind = type(module)
    if kind not in (*_LEAKY, *_SYNAPTIC, *_RLEAKY):
        raise Unsupported([refusal_of_kind(module)])
    departure = _departure(module)
    reasons = [*_common_reasons(module)]
    if departure is None or not approximate:
        reasons = [*_reset_reasons(module), *reasons]
    values = {}
    for name in ("beta", *(("alpha",) if kind in _SYNAPTIC else ())):
        try:
            values[name] = single_number(module, name)
        except Unsupported as unfit:
            reasons += unfit.reasons
    threshold: Array = _double(cast(Tensor, module.threshold))
    if not np.isfinite(threshold).all():
        reasons.append(("threshold is not finite", "train it again"))
    elif threshold.min() < 0:
        reasons.append((f"threshold {threshold.min():g}", "use a positive threshold"))
    if reasons:
        raise Unsupported(reasons)
    scale = float(getattr(module, "scale", 0.0))
    return Population(
        beta=values["beta"],
        threshold=threshold,
        alpha=values.get("alpha", 0.0),
        scale=scale if scale > 0 else None,
        recurrence=_recurrence(module) if kind in _RLEAKY else None,
        departure=departure,
    )


def refusal_of_kind(module: nn.Module) -> Reason:
    """Why a kind of neuron has no counterpart, and what to use."""
    if isinstance(module, snn.RSynaptic):
        what = "RSynaptic never equals the chip: its immediate reset uses the previous spike"
        return what, "use RLeaky, or Synaptic without recurrence"
    if isinstance(module, snn.Lapicque):
        return "Lapicque's circuit constants are not carried over", "use the Leaky it equals"
    return "this neuron has no equivalent on the chip", "use Leaky, Synaptic or RLeaky"


def _departure(module: Any) -> Approximation | None:
    """How the reset differs from the chip's, as far as an approximation is known."""
    subtracts = _MECHANISMS.get(module.state_function.__name__) == "subtract"
    if subtracts and module.reset_mechanism == "subtract":
        return Approximation(subtracts=True, late=module.reset_delay)
    if type(module) in _LEAKY or not module.reset_delay:
        return None
    return Approximation(late=True)


def _reset_reasons(module: Any) -> Iterator[Reason]:
    # Setting `reset_mechanism` after construction leaves the old function in place.
    mechanism = _MECHANISMS.get(module.state_function.__name__, "unknown")
    if not mechanism == module.reset_mechanism == "zero":
        what = f"resets by {mechanism!r} ({module.reset_mechanism!r} by name); the chip to zero"
        yield what, f"use reset_mechanism='zero', or {_REMEDY}"
    if type(module) not in _LEAKY and module.reset_delay:
        what = "reset_delay=True: the delayed reset swallows the next step's input"
        yield what, f"use reset_delay=False, or {_REMEDY}"


def _common_reasons(module: Any) -> Iterator[Reason]:
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
    """A parameter that is one number, or the same number many times; else `Unsupported`.

    Decays are what the forward pass clamps them to, in [0, 1].
    """
    value: Tensor = getattr(module, name).detach()
    if not bool(torch.isfinite(value).all()):
        raise Unsupported([(f"{name} is not finite", "train it again")])
    if name != "threshold":
        value = value.clamp(0, 1)
    if bool((value != value.flatten()[0]).any()):
        what = (
            f"{name} differs between neurons, from {float(value.min()):g} to "
            f"{float(value.max()):g}; the chip has one per population"
        )
        mend = f"use one {name} for the layer, its mean for example, and train a little more"
        raise Unsupported([(what, mend)])
    return float(value.flatten()[0])


def dense_recurrence(module: Any) -> None:
    """Raise `Unsupported` where the recurrence is no dense matrix, which is all training knows."""
    if not isinstance(module.recurrent, nn.Linear):
        kind = "convolutional" if module.all_to_all else "one-to-one"
        what = f"a {kind} recurrence, which only conversion expands"
        raise Unsupported([(what, "set reset_mechanism='zero', reset_delay=False by hand")])


def _recurrence(module: Any) -> Recurrence:
    recurrent = module.recurrent
    if not module.all_to_all:
        return Recurrence("diagonal", _double(recurrent.V))
    bias = None if recurrent.bias is None else _double(recurrent.bias)
    if isinstance(recurrent, nn.Linear):
        return Recurrence("dense", _double(recurrent.weight), bias)
    rows, columns = recurrent.padding
    return Recurrence("conv", _double(recurrent.weight), bias, (int(rows), int(columns)))


def _double(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array
