"""snnTorch's neurons read as chip populations, and swapped for chip-exact ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import spelled
from sdcl_neuro.network.spec import Shape
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic
from sdcl_neuro.snn.loihi_readout import LoihiReadout, LoihiSynapticReadout

from ...lowering.approximate import Approximation
from ...lowering.populations import Population, Reason, ReasonLike, Recurrence, Unsupported
from .resets import Reset, find_reset, named_reset, named_resets

Array = NDArray[np.float64]

NEURONS = (snn.SpikingNeuron, snn.SLSTM, snn.SConv2dLSTM)
"""Everything of snnTorch that keeps a state."""
READOUTS = (LoihiReadout, LoihiSynapticReadout)
"""Chip-exact neurons that never reset."""
_LEAKY = (snn.Leaky, LoihiLeaky)
_SYNAPTIC = (snn.Synaptic, LoihiSynaptic)
_RLEAKY = (snn.RLeaky, LoihiRLeaky)
_PROBE = torch.tensor([-5.0, -1.0, -0.3, -1e-6, 0.0, 1e-6, 0.3, 1.0, 5.0])


def read_neuron(
    module: nn.Module,
    *,
    shape: Shape | None = None,
    approximate: bool = False,
    running: nn.Module | None = None,
) -> Population:
    """Return the population a neuron is; raise `Unsupported` with every reason why it is none.

    Args:
        module: the neuron, in ``eval()``.
        shape: of its population, for a trial of how it resets; None believes its names.
        approximate: take another reset than the chip's, too, and say so in `departure`.
        running: what is run in that trial, for a `module` that is a changed copy.
    """
    if not isinstance(module, (*_LEAKY, *_SYNAPTIC, *_RLEAKY)) or _another_kind(module):
        raise Unsupported([refusal_of_kind(module)])
    reasons: list[ReasonLike] = [*_common_reasons(module)]
    departure, refused = _reset(running or module, shape, tried=not reasons)
    if departure is None or not approximate:
        reasons = [*refused, *reasons]
    values = {}
    for name in ("beta", *(("alpha",) if isinstance(module, _SYNAPTIC) else ())):
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
    if _fires_at_threshold(module):
        # v >= threshold in float32 is v > the float32 number before it.
        threshold = np.nextafter(threshold.astype(np.float32), np.float32(-np.inf)).astype(float)
    scale = float(getattr(module, "scale", 0.0))
    return Population(
        beta=values["beta"],
        threshold=threshold,
        alpha=values.get("alpha", 0.0),
        scale=scale if scale > 0 else None,
        recurrence=recurrence_of(module) if isinstance(module, _RLEAKY) else None,
        departure=departure,
        sends=float(module.graded_spikes_factor.detach()),
    )


def refusal_of_kind(module: nn.Module) -> ReasonLike:
    """Return why a kind of neuron has no counterpart, and what to use."""
    if isinstance(module, snn.RSynaptic):
        what = "RSynaptic never equals the chip: its immediate reset uses the previous spike"
        return what, "use RLeaky, or Synaptic without recurrence"
    if isinstance(module, snn.Lapicque):
        return _refusal_of_lapicque(module)
    return "this neuron has no equivalent on the chip", "use Leaky, Synaptic or RLeaky"


def _refusal_of_lapicque(module: Any) -> ReasonLike:
    """Take the constants of the Leaky that differs only in its reset."""
    step, capacity = float(module.time_step), float(module.C)
    beta, gain = 1 - step / (float(module.R) * capacity), step / capacity
    what = "Lapicque resets one step late, which swallows that step's input; no chip does"
    threshold = module.threshold.detach().flatten()
    scaled = f"{float(threshold[0]) / gain:.6g}" if threshold.numel() == 1 else f"its / {gain:.6g}"
    leaky = f"Leaky(beta={beta:.6g}, threshold={scaled}, reset_mechanism='zero')"
    return what, f"use {leaky}, which differs in that alone, and train a little more"


def _another_kind(module: nn.Module) -> bool:
    """Return whether it is one of snnTorch's own classes that only derives from a known one."""
    kind = type(module)
    return kind.__module__.startswith("snntorch.") and kind not in (*_LEAKY, *_SYNAPTIC, *_RLEAKY)


def _fires_at_threshold(module: Any) -> bool:
    """Return whether a membrane at the threshold fires, too, as ``>=`` in a surrogate of one's
    own.
    """
    with torch.no_grad():
        fired = module.spike_grad(_PROBE)
    return bool(torch.equal(fired, (_PROBE >= 0).to(fired)))


def _reset(
    module: Any, shape: Shape | None, *, tried: bool
) -> tuple[Approximation | None, list[ReasonLike]]:
    """Return how the reset differs from the chip's, if an approximation of that is known; and
    reasons.

    Both are empty for a neuron that resets as the chip does.
    """
    function, stored, said = named_resets(module)
    reset: Reset | None = named_reset(module)
    if tried and shape is not None and not _in_integers(module):
        reset = find_reset(module, shape)
    if reset is None:
        return None, [_unknown_reset(module)]
    if reset.kind == "none":
        return None, [("resets by 'none'; the chip to zero", _construct(function))]
    if reset.kind == "subtract":
        what = "resets by 'subtract'; the chip to zero"
        if "zero" in (stored, said):
            what += ", although it is called 'zero'"
        departure = Approximation(subtracts=True, late=reset.delayed)
        return departure, [(what, f"{_construct(function)}, or {_remedy()}")]
    if isinstance(module, _LEAKY) or not reset.delayed:
        return None, []
    what = "reset_delay=True: the delayed reset swallows the next step's input"
    return Approximation(late=True), [(what, f"use reset_delay=False, or {_remedy()}")]


def _remedy() -> str:
    return spelled(
        python="call conversion.make_deployable(module) and train a little more, "
        "or convert with approximate=True and calibration data",
        command="call conversion.make_deployable(module) and train a little more, "
        "or convert with --approximate --calibrate SPIKES",
    )


def _construct(function: str) -> str:
    """Return how to get another reset: a name that is set later leaves the function in place."""
    if function == "zero":
        return "set its reset_mechanism to 'zero' once more, after loading"
    return "give reset_mechanism='zero' to the constructor; set later, it changes the name only"


def _unknown_reset(module: Any) -> ReasonLike:
    function, stored, said = named_resets(module)
    if {function, stored} != {said}:
        what = (
            f"resets in an unknown way: made with {function!r}, while its reset_mechanism_val "
            f"says {stored!r}, which load_state_dict may have brought and an immediate reset obeys"
        )
        if function == "zero":
            return what, "set its reset_mechanism to 'zero' after loading, and train on with it"
        return what, _construct(function)
    what = "fires otherwise than snnTorch's own neuron with its numbers does"
    return what, "use Leaky, Synaptic or RLeaky itself"


def _in_integers(module: nn.Module) -> bool:
    return isinstance(module, ChipNeuron) and module.mode == "int"


def _common_reasons(module: Any) -> Iterator[ReasonLike]:
    if module.inhibition:
        yield "inhibition between neurons", "use inhibition=False"
    if module.state_quant:
        yield "a state quantised by snnTorch", "use state_quant=False; quantize does it"
    factor = module.graded_spikes_factor.detach()
    if factor.numel() != 1 or (isinstance(module, _RLEAKY) and bool((factor != 1).any())):
        hint = "use graded_spikes_factor=1 and scale the next weights"
        yield "graded spikes that differ, or that its recurrence reads", hint
    elif not float(factor) > 0:
        yield f"graded spikes of {float(factor):g}", "use a positive graded_spikes_factor"
    with torch.no_grad():
        fired = module.spike_grad(_PROBE)
    if not torch.equal(fired, (_PROBE > 0).to(fired)) and not _fires_at_threshold(module):
        yield "its spike_grad is not a step in the forward pass", "use another surrogate"


def single_number(module: nn.Module, name: str) -> float:
    """Return a parameter that is one number, or the same number many times; else `Unsupported`.

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
        hint = f"use one {name} for the layer, its mean for example, and train a little more"
        raise Unsupported([Reason(what, hint, of_chains=True)])
    return float(value.flatten()[0])


def dense_recurrence(module: Any) -> None:
    """Raise `Unsupported` where the recurrence is not a dense matrix, as training needs."""
    if not isinstance(module.recurrent, nn.Linear):
        kind = "convolutional" if module.all_to_all else "one-to-one"
        what = f"a {kind} recurrence, which only conversion expands"
        raise Unsupported([(what, "set reset_mechanism='zero', reset_delay=False by hand")])


def recurrence_of(module: Any) -> Recurrence:
    """Return the recurrence of a RLeaky."""
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
