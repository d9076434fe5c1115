"""NeuroBench's metrics, under the harness's names, from our counts.

The definitions are those of the harness (NeuroBench/neurobench 2.3.0, ``neurobench/metrics``); a
difference is a line in docs/neurobench.md. Operations and updates are means over the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.record import Counts, LayerActivity, Record
from sdcl_neuro.network.spec import IntLayer, IntNetwork

HARNESS = "2.3.0"
"""The version whose definitions these are."""
DIGITS = 4
"""To which the harness rounds the connection sparsity."""
WEIGHT_BYTES = 1
"""An even weight of [-256, 254] is an 8-bit number and a fixed shift."""
BIAS_BYTES = 2
"""13 bits, in the narrowest type of whole bytes."""
DELAY_BYTES = 1
NEURON_BYTES = 8
"""Bytes of a layer's neuron constants: two 12-bit decays, a 17-bit threshold (2 + 2 + 4)."""
STATE_BYTES = 4
"""A membrane or current of 24 bits."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Footprint:
    """Bytes of a network in the chip's integers, in the narrowest types of whole bytes.

    Attributes:
        weights, biases, delays, neurons: of the parameters and the neurons' constants.
        states: of one sample's membranes and currents; not in `total`.
        float32: of the weights and biases alone as a float32 module holds them.
    """

    weights: int
    biases: int
    delays: int
    neurons: int
    states: int
    float32: int

    @property
    def total(self) -> int:
        """Return what the harness calls the footprint: parameters and constants."""
        return self.weights + self.biases + self.delays + self.neurons

    def to_dict(self) -> dict[str, int]:
        """Return plain JSON."""
        names = ("weights", "biases", "delays", "neurons", "states", "float32")
        return {f"{name}_bytes": getattr(self, name) for name in names}


@dataclass(frozen=True)
class NeuroBench:
    """The harness's metrics of one network on one file of spikes.

    Attributes:
        footprint: in bytes.
        parameters: weights and biases.
        connection_sparsity: part of the weights that are zero, a kernel counted once, rounded to
            four decimals.
        activation_sparsity: part of all neuron steps without a spike.
        by_layer: the same of each layer.
        dense: operations of a sample if every input and weight counted.
        effective_acs, effective_macs: operations of a sample at non-zero inputs and weights; MACs
            in steps whose input holds counts above one. None if unknown.
        membrane_updates: of a sample, neuron steps that changed the membrane, every neuron's
            first step included; None if unknown.
        reasons: the harness's name to why it is unknown.
    """

    footprint: Footprint
    parameters: int
    connection_sparsity: float
    activation_sparsity: float
    by_layer: Mapping[str, float]
    dense: float
    effective_acs: float | None
    effective_macs: float | None
    membrane_updates: float | None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON under the harness's names; unknown is null with an entry in
        ``reasons``.
        """
        return {
            "harness": HARNESS,
            "tag": "emulated",
            "Footprint": self.footprint.total,
            "ParameterCount": self.parameters,
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "ActivationSparsityByLayer": dict(self.by_layer),
            "SynapticOperations": {
                "Effective_MACs": self.effective_macs,
                "Effective_ACs": self.effective_acs,
                "Dense": self.dense,
            },
            "MembraneUpdates": self.membrane_updates,
            "reasons": dict(self.reasons),
            "footprint_parts": self.footprint.to_dict(),
        }

    def rows(self) -> list[tuple[str, float | None, str, str]]:
        """Return name, value, unit and the reason of an unknown one, in the order they are
        shown.
        """
        unknown = self.reasons.get
        operations = unknown("SynapticOperations", "")
        return [
            ("Footprint", self.footprint.total, "bytes", ""),
            ("ParameterCount", self.parameters, "parameters", ""),
            ("ConnectionSparsity", self.connection_sparsity, "1", ""),
            ("ActivationSparsity", self.activation_sparsity, "1", ""),
            ("Effective_MACs", self.effective_macs, "operations per sample", operations),
            ("Effective_ACs", self.effective_acs, "operations per sample", operations),
            ("Dense", self.dense, "operations per sample", ""),
            (
                "MembraneUpdates", self.membrane_updates, "updates per sample",
                unknown("MembraneUpdates", ""),
            ),
        ]  # fmt: skip


def neurobench(net: IntNetwork, record: Record) -> NeuroBench:
    """Return NeuroBench's metrics of a run; the record has counts and at least one sample and
    step.
    """
    weights = [array for layer in net.layers for array in _weights(layer)]
    elements = sum(array.size for array in weights)
    zeros = elements - sum(int(np.count_nonzero(array)) for array in weights)
    sizes = footprint(net)
    spikes = sum(int(entry.spikes_out.sum()) for entry in record.activity)
    updates = sum(int(entry.updates.sum()) for entry in record.activity)
    acs, macs, why_operations = _operations(net, record, zeros)
    moved = _mean(record, lambda entry: entry.membrane_updates)
    reasons = {
        "SynapticOperations": why_operations,
        "MembraneUpdates": "" if moved is not None else _uncounted(record),
    }
    return NeuroBench(
        footprint=sizes,
        parameters=sizes.float32 // FLOAT_BYTES,
        connection_sparsity=round(zeros / elements, DIGITS),
        activation_sparsity=1 - spikes / updates,
        by_layer={
            entry.name: 1 - int(entry.spikes_out.sum()) / int(entry.updates.sum())
            for entry in record.activity
        },
        dense=float(record.steps * sum(entry.synapses for entry in record.activity)),
        effective_acs=acs,
        effective_macs=macs,
        membrane_updates=moved,
        reasons={name: why for name, why in reasons.items() if why},
    )


def footprint(net: IntNetwork) -> Footprint:
    """Return bytes of a network's parameters, constants and states."""
    weights = sum(array.size for layer in net.layers for array in _weights(layer))
    biases = sum(layer.bias.size for layer in net.layers if layer.bias is not None)
    states = [
        layer.neurons * (1 if layer.neuron.current_decay == DECAY_UNITY else 2)
        for layer in net.layers
    ]
    return Footprint(
        weights=WEIGHT_BYTES * weights,
        biases=BIAS_BYTES * biases,
        delays=DELAY_BYTES * sum(la.delay.size for la in net.layers if la.delay is not None),
        neurons=NEURON_BYTES * len(net.layers),
        states=STATE_BYTES * sum(states),
        float32=FLOAT_BYTES * (weights + biases),
    )


def _operations(
    net: IntNetwork, record: Record, zeros: int
) -> tuple[float | None, float | None, str]:
    """Return ACs and MACs of a sample, or why they are unknown.

    Without zero weights, recurrence and counts in the input, every synaptic operation is an AC.
    """
    acs = _mean(record, lambda entry: entry.accumulates)
    macs = _mean(record, lambda entry: entry.multiplies)
    if acs is not None and macs is not None:
        return acs, macs, ""
    recurrent = any(layer.recurrent_weight is not None for layer in net.layers)
    if zeros or recurrent or net.message_bits:
        return None, None, _uncounted(record)
    return _mean(record, lambda entry: entry.synops), 0.0, ""


def _mean(record: Record, count: Callable[[LayerActivity], Counts | None]) -> float | None:
    """Return sum over the layers, mean over the samples; None if a layer has no such count."""
    total = 0
    for entry in record.activity:
        found = count(entry)
        if found is None:
            return None
        total += int(found.sum())
    return total / record.samples


def _uncounted(record: Record) -> str:
    backend = label(record.backend)
    return f"this record of {backend} does not count it; a run of the engine does"


def _weights(layer: IntLayer) -> list[np.typing.NDArray[np.int32]]:
    recurrent = layer.recurrent_weight
    return [layer.weight] if recurrent is None else [layer.weight, recurrent]
