"""Compare a module with its description: both run on the sample, every spike of every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.notes import ASSUMED, NOT_CHECKED, Note, with_notes
from sdcl_neuro.network.spec import FloatNetwork
from sdcl_neuro.snn.chip_neuron import ChipNeuron
from sdcl_neuro.snn.event_branch import EventBranch

from ...approximation import recalibrate
from ...layer_modules import float_layer
from ...parity.certificate import PairKind
from ...parity.rounding import UNIT
from ...parity.source import compare_source
from ...parity.source_check import SourceCheck, with_check
from .chain import Lowered
from .forms import ForwardForm, find_form
from .neurons import NEURONS
from .own_spikes import own_spikes
from .returned_membranes import membrane_notes, membranes_watched
from .running import Deployed, module_input
from .tracing import TracedRun

Spikes = NDArray[np.uint8]

DIFFERENT_MAX = 0.002
"""Rounding moves so few neurons of a layer across the threshold, given what it received."""
STATIC_INPUTS_MAX = 64
"""A static input is repeated over all steps, so that so many of a sample's steps are enough."""
_RATE = 0.2
_STATES = "leave the neurons' states to the neurons, starting at zero"
_FORGETS = (
    "make the neurons with init_hidden=True and leave init_leaky(), reset_mem() and utils.reset "
    "out of the forward, or let the forward loop over all steps"
)


def check_module(
    lowered: Lowered,
    traced: TracedRun,
    held: Deployed,
    sample: Tensor,
    *,
    calibration: object = None,
) -> FloatNetwork:
    """Compare a module with its description.

    Args:
        lowered: the description, with what it leaves out.
        traced: its chain, and how it takes its input.
        held: the module, held by `as_deployed`.
        sample: ``[T, B, ...]`` in its precision.
        calibration: spikes ``[T, B, *input_shape]`` where something is approximated.

    Returns:
        The description with the outcome in its meta; approximated, where something departs.

    Raises:
        NetworkRefused: the two differ by more than rounding, with the layer where that begins.
    """
    form = traced.form if traced.form is not None else find_form(held, sample).form
    given, notes = _input(form, sample)
    neurons = [module for _, module in traced.steps if isinstance(module, NEURONS)]
    widest = max(prod(layer.out_shape) for layer in lowered.net.layers)
    with membranes_watched(held.module, form.states) as watch:
        own = own_spikes(held, form, given, neurons=neurons, widest=widest)
    notes = [*notes, *membrane_notes(watch)]
    values = _values(form, given, steps=len(own[0]))
    net = _with_notes(lowered.net, form, notes, values)
    source = str(net.meta["source"])
    if any(lowered.departures):
        _expect_as_described(lowered, own, values)
        net = recalibrate(net, lowered.departures, calibration)
        return _approximated(net, own, values, source)
    kind: PairKind = "exact" if _in_integers(neurons, net) else "float"
    check = compare_source(
        net,
        own,
        values,
        source=source,
        kind=kind,
        unit=unit_of(sample),
        offset_sizes=lowered.offset_sizes,
    )
    if not check.pair.holds:
        raise NetworkRefused(list(_differences(check, traced, held, form, given, own)))
    return with_check(net, check)


def check_branch(net: FloatNetwork, held: Deployed, sample: Any) -> FloatNetwork:
    """Compare an `EventBranch` with its description, on a sample ``[T, B, C, H, W]``."""
    branch = held.module
    if not isinstance(branch, EventBranch):
        raise TypeError(f"expected an EventBranch, got {type(branch).__name__}")
    values, notes = livened(module_input(branch, sample))
    own = [layer.to(torch.uint8).cpu().numpy() for layer in branch(values)]
    array = values.float().cpu().numpy()
    check = compare_source(
        net,
        own,
        _compact(array),
        source=f"snntorch {type(branch).__name__}",
        kind="exact" if branch.mode == "int" else "float",
        unit=unit_of(values),
    )
    net = replace(net, meta=with_notes(net.meta, ASSUMED, notes))
    if not check.pair.holds:
        where = type(branch).__name__
        raise NetworkRefused([Refusal(where, f"its own spikes: {check.pair.verdict}", _STATES)])
    return with_check(net, check)


def _input(form: ForwardForm, sample: Tensor) -> tuple[Tensor, list[Note]]:
    """Return what the module is run on, ``[T, B, ...]`` or static ``[B, ...]``, and what was
    assumed.
    """
    values, notes = livened(sample)
    if form.kind != "static":
        return values, notes
    flat = values.flatten(0, 1)[: max(STATIC_INPUTS_MAX, sample.shape[1])]
    what = f"input repeated over {form.passes} steps"
    why = (
        "the module's forward loops over one static input by itself; give the network the same "
        "input in every step, or spikes encoded by spikegen.rate(x, num_steps=...)"
    )
    return flat, [*notes, Note(what, why)]


def livened(sample: Tensor) -> tuple[Tensor, list[Note]]:
    """Return the sample, or random spikes of its shape where it holds none."""
    if bool((sample != 0).any()):
        return sample, []
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.rand(sample.shape, generator=generator) < _RATE).to(sample)
    what = f"random spikes, rate {_RATE:g}, seed 0, to compare the module on"
    return drawn, [Note(what, "the sample holds no spike; give one that does")]


def _values(form: ForwardForm, given: Tensor, *, steps: int) -> NDArray[Any]:
    """Return the network's input for what the module was run on, ``[T, B, ...]``."""
    array = given.detach().float().cpu().numpy()
    if form.kind == "static":
        return _compact(np.repeat(array[None], steps, 0))
    return _compact(array[:steps])


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """Convert to uint8 where that holds every value."""
    small = values.astype(np.uint8)
    return small if (small == values).all() else values


def _with_notes(
    net: FloatNetwork, form: ForwardForm, assumed: Sequence[Note], values: NDArray[Any]
) -> FloatNetwork:
    notes = list(assumed)
    if form.kind == "in turn":
        notes.append(Note(form.words, "make the neurons with init_hidden=True"))
    if form.carried:
        what = f"states kept in {', '.join(form.carried)} start at zero"
        notes.append(Note(what, "the module keeps them itself, between calls"))
    meta = with_notes(net.meta, ASSUMED, notes)
    if values.dtype != np.uint8:
        what = "input that is not spikes"
        why = "the sample holds values other than counts, which no chip takes: encode them first"
        meta = with_notes(meta, NOT_CHECKED, [Note(what, why)])
    return replace(net, meta=meta)


def _in_integers(neurons: Sequence[nn.Module], net: FloatNetwork) -> bool:
    """Return whether the module computes in the chip's integers."""
    return all(
        isinstance(neuron, ChipNeuron) and neuron.mode == "int" and layer.scale is not None
        for neuron, layer in zip(neurons, net.layers, strict=True)
    )


def unit_of(sample: Tensor) -> float:
    """Return relative rounding error of one operation in the module's precision, float32 at
    least.
    """
    return max(UNIT, torch.finfo(sample.dtype).eps / 2)


def _expect_as_described(lowered: Lowered, own: Sequence[Spikes], values: NDArray[Any]) -> None:
    """Refuse where the module fires otherwise than its neurons, departures included, would.

    Each layer is given what the module's own layer before it sent.
    """
    refusals = []
    flow = torch.from_numpy(values).float()
    for layer, departure, fired in zip(lowered.net.layers, lowered.departures, own, strict=True):
        described = float_layer(layer, departure)(flow)
        flow = torch.from_numpy(fired).float().reshape(described.shape)
        different = int((described != flow).sum())
        if different > DIFFERENT_MAX * flow.numel():
            what = f"its own spikes differ from its neurons', {different} of {flow.numel()}"
            refusals.append(Refusal(f"layer {layer.name}", what, _STATES))
    if refusals:
        raise NetworkRefused(refusals)


def _approximated(
    net: FloatNetwork, own: Sequence[Spikes], values: NDArray[Any], source: str
) -> FloatNetwork:
    """Return the network with its outcome, which is a figure: what was approximated is not
    equal.
    """
    check = compare_source(net, own, values, source=source, kind="agreement")
    figures = [(layer.mismatches, layer.compared) for layer in check.pair.layers]
    differ, compared = (sum(column) for column in zip(*figures, strict=True))
    why = f"approximated on request, {differ:,} of {compared:,} neuron steps differ"
    meta = with_notes(net.meta, NOT_CHECKED, [Note(f"equality with {source}", why)])
    return with_check(replace(net, meta=meta), check)


def _differences(
    check: SourceCheck,
    traced: TracedRun,
    held: Deployed,
    form: ForwardForm,
    given: Tensor,
    own: Sequence[Spikes],
) -> Iterator[Refusal]:
    """Yield the layer where module and description first part, and why as far as that is known."""
    neurons = [(name, module) for name, module in traced.steps if isinstance(module, NEURONS)]
    if form.kind in ("step", "in turn") and _forgets(held, form, given, neurons, own):
        what = (
            "its forward keeps nothing from one step to the next: neurons start from new states "
            "in every call"
        )
        yield Refusal(type(held.module).__name__, what, _FORGETS)
        return
    for layer, (name, _) in zip(check.pair.layers, neurons, strict=True):
        beyond = layer.mismatches if layer.rounding is None else layer.rounding["unexplained"]
        if beyond and layer.first is not None:
            first = layer.first
            what = (
                f"its own spikes differ from its description's, {layer.mismatches} of "
                f"{layer.compared}, first at step {first.step}, neuron {list(first.neuron)}: "
                f"{first.values[0]} where the description sends {first.values[1]}"
            )
            yield Refusal(name, what, _STATES)
            return


def _forgets(
    held: Deployed,
    form: ForwardForm,
    given: Tensor,
    neurons: Sequence[tuple[str, nn.Module]],
    own: Sequence[Spikes],
) -> bool:
    """Return whether a module of one step sends the same when every step is its first."""
    modules = [module for _, module in neurons]
    for step in range(1, len(given)):
        alone = own_spikes(held, form, given[step : step + 1], neurons=modules, widest=1)
        if any((one[0] != whole[step]).any() for one, whole in zip(alone, own, strict=True)):
            return False
    return len(given) > 1
