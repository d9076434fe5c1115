"""What rounding does to a network's spikes, layer by layer, and when that calls for a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.random_input import RandomInput
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork

from ..backends.run import run_model
from ..lowering.graph.nodes import FloatGraph
from ..model import Model
from .graphs import graph_of
from .report import QuantizationReport

CHANGE_MAX = 0.05
"""Spikes that a layer may gain or lose by rounding, as a share of the float network's, before that
is warned about. Networks that suit the integers stay far below: of the compact event branch, with
random weights and random input, no layer changes by more than 0.8 % (three seeds)."""
CHANGE_LEAST = 10
"""Spikes that must be gained or lost as well: below, a share says nothing (7 spikes that became 6
are a seventh less)."""
RANDOM = RandomInput(steps=32, samples=2)
"""Input where none is given."""
GIVEN = "the given input"
RANDOM_WORDS = f"random input (rate {RANDOM.rate:g}, seed {RANDOM.seed})"
SAMPLES_MAX = 8
"""Samples of a given input that are looked at: both networks run on them, one step at a time."""

Inputs = NDArray[np.uint8] | Mapping[str, NDArray[np.uint8]]


class QuantizationWarning(UserWarning):
    """Rounding changed what a layer sends, or a layer sends nothing at all."""


@dataclass(frozen=True)
class LayerEffect:
    """One layer's spikes before and after rounding.

    Attributes:
        index, name: of the layer.
        spikes_float: the float network's; None where it was not run, since training fixed every
            scale and computed in these integers itself.
        spikes_int: the integer network's; None where there is none.
    """

    index: int
    name: str
    spikes_float: int | None
    spikes_int: int | None

    def __str__(self) -> str:
        known = [f"{n:,}" for n in (self.spikes_float, self.spikes_int) if n is not None]
        return f"{self.name} {' -> '.join(known)}"

    @property
    def change(self) -> float | None:
        """Spikes gained or lost, as a share of the float network's; None if that is unknown."""
        if not self.spikes_float or self.spikes_int is None:
            return None
        return self.spikes_int / self.spikes_float - 1

    @property
    def complaint(self) -> str | None:
        """Return what is to be warned about; None if nothing is."""
        before, after = self.spikes_float, self.spikes_int
        if not before and not after:
            return "never fires"
        if after == 0:
            return f"never fires in integers, {before:,} times in float"
        if before == 0:
            return f"never fires in float, {after:,} times in integers"
        if not before or not after:
            return None
        if abs(after - before) <= max(CHANGE_LEAST, CHANGE_MAX * before):
            return None
        change = 100 * (after / before - 1)
        return (
            f"rounding changed its spikes by {change:+.1f} %, from {before:,} to {after:,} "
            f"(more than {100 * CHANGE_MAX:g} %)"
        )


@dataclass(frozen=True)
class Effect:
    """All layers' spikes before and after rounding.

    Attributes:
        source: what the spikes were that went in, in words.
        layers: one entry per spiking layer of the user's network.
    """

    source: str
    layers: tuple[LayerEffect, ...]

    @property
    def random(self) -> bool:
        """Return whether the input was random, for want of another."""
        return self.source != GIVEN

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what is to be warned about, by layer, without the remedy."""
        return tuple(
            f"layer {layer.index} ({layer.name}) {layer.complaint} on {self.source}"
            for layer in self.layers
            if layer.complaint is not None
        )

    def __str__(self) -> str:
        return f"on {self.source}: " + ", ".join(map(str, self.layers))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        layers = [
            {
                "index": layer.index,
                "name": layer.name,
                "spikes_float": layer.spikes_float,
                "spikes_int": layer.spikes_int,
                "change": layer.change,
            }
            for layer in self.layers
        ]
        return {"input": self.source, "change_max": CHANGE_MAX, "layers": layers}


def effect_of(report: QuantizationReport, integer: IntNetwork) -> Effect:
    """Return the same of a report, which both networks were run for on given input."""
    trained = _trained(integer)
    layers = (
        LayerEffect(
            index,
            str(layer.rounding["name"]),
            None if trained else layer.spikes_float,
            layer.spikes_int,
        )
        for index, layer in enumerate(report.layers)
    )
    return Effect(GIVEN, tuple(layers))


def measure_effect(
    floating: FloatNetwork | FloatGraph | None,
    integer: IntNetwork | None,
    spikes: Inputs | None = None,
) -> Effect:
    """Run a network before and after rounding on the same spikes and count.

    Args:
        floating: the float description; None if there is none.
        integer: what was made of it; None if nothing was.
        spikes: ``[T, B, *input_shape]``, of which `SAMPLES_MAX` samples are taken, or those of each
            input of a graph by name; None draws `RANDOM`.
    """
    bits = 0 if integer is None else integer.message_bits
    # A graph in float takes spikes only, no counts.
    usable = None if bits and isinstance(floating, FloatGraph) else spikes
    given, source = _given(floating, integer, usable)
    if integer is not None and _trained(integer):
        floating = None
    before = None if floating is None else _counts(_float_model(floating, bits), given)
    after = None if integer is None else _counts(Model(integer=integer), given)
    names = _names(floating, integer)
    return Effect(
        source,
        tuple(
            LayerEffect(
                index,
                name,
                None if before is None else before[index],
                None if after is None else after[index],
            )
            for index, name in enumerate(names)
        ),
    )


def _given(
    floating: FloatNetwork | FloatGraph | None, integer: IntNetwork | None, spikes: Inputs | None
) -> tuple[Any, str]:
    """Return the input, and what it is in words."""
    if isinstance(spikes, Mapping):
        return {name: values[:, :SAMPLES_MAX] for name, values in spikes.items()}, GIVEN
    if spikes is not None:
        return spikes[:, :SAMPLES_MAX], GIVEN
    if isinstance(floating, FloatGraph):
        return {node.name: RANDOM.draw(node.shape) for node in floating.inputs}, RANDOM_WORDS
    account = None if integer is None else graph_of(integer)
    if account is not None:
        return {tensor.name: RANDOM.draw(tensor.shape) for tensor in account.inputs}, RANDOM_WORDS
    known = floating if floating is not None else integer
    assert known is not None
    return RANDOM.draw(known.input_shape), RANDOM_WORDS


def _trained(integer: IntNetwork) -> bool:
    """Return whether training fixed every scale, so that it computed in these integers itself."""
    notes = integer.meta.get("quantisation", ())
    return len(notes) > 0 and all(note.get("scale_from") == "training" for note in notes)


def _float_model(floating: FloatNetwork | FloatGraph, bits: int) -> Model:
    if isinstance(floating, FloatGraph):
        return Model(graph=floating)
    meta = {**floating.meta, "message_bits": bits} if bits else floating.meta
    return Model(floating=FloatNetwork(floating.input_shape, floating.layers, meta))


def _counts(model: Model, spikes: Any) -> dict[int, int]:
    """Return spikes of every layer of the user's network."""
    backend = "loihi" if model.integer is not None else "snntorch"
    record = run_model(model, spikes, backend=backend)
    return {index: int(sent.sum(dtype=np.int64)) for index, sent in record.spikes.items()}


def _names(floating: FloatNetwork | FloatGraph | None, integer: IntNetwork | None) -> Sequence[str]:
    """Return names of the user's spiking layers, in the order that a run gives them."""
    account = None if integer is None else graph_of(integer)
    if account is not None:
        return [tensor.name for tensor in account.layers]
    if isinstance(floating, FloatGraph):
        return [node.name for node in floating.populations]
    known = floating if floating is not None else integer
    return [] if known is None else [layer.name for layer in known.layers]
