"""What rounding to a chip's integers did to a network, layer by layer, on given spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of, need_integers, public
from sdcl_neuro.network.display import table_html
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import SpikesLike

from ..backends.snntorch_run import run_float
from ..model import Model

SCHEMA = {"name": "sdcl_neuro.quantisation_report", "version": 1}


@dataclass(frozen=True)
class LayerReport:
    """One layer; both networks ran whole, so a later layer's spikes show earlier rounding too.

    Attributes:
        rounding: the layer's entry of ``meta["quantisation"]``, see `conversion.quantize`.
        neuron_steps: neurons times steps times samples compared.
        spikes_float, spikes_int: spikes of the float and of the integer network.
        mismatches: neuron steps in which one spiked and the other did not.
        saturations, wraps: of the integer network's membranes and currents.
    """

    rounding: Mapping[str, Any]
    neuron_steps: int
    spikes_float: int
    spikes_int: int
    mismatches: int
    saturations: int
    wraps: int

    @property
    def agreement(self) -> float:
        """Share of the neuron steps in which both did the same."""
        return 1 - self.mismatches / self.neuron_steps

    @property
    def spike_agreement(self) -> float | None:
        """Spikes that both sent, as a share of those that either sent; None without any."""
        either = (self.spikes_float + self.spikes_int + self.mismatches) // 2
        return None if either == 0 else 1 - self.mismatches / either

    @property
    def rate_change(self) -> float | None:
        """Spikes gained or lost, relative to the float network's; None if that was silent."""
        if self.spikes_float == 0:
            return None
        return self.spikes_int / self.spikes_float - 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **self.rounding,
            "neuron_steps": self.neuron_steps,
            "spikes_float": self.spikes_float,
            "spikes_int": self.spikes_int,
            "mismatches": self.mismatches,
            "agreement": self.agreement,
            "spike_agreement": self.spike_agreement,
            "rate_change": self.rate_change,
            "saturations": self.saturations,
            "wraps": self.wraps,
        }


@dataclass(frozen=True)
class QuantizationReport:
    """The result of `quantization_report`; prints itself."""

    layers: tuple[LayerReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the schema."""
        return {"schema": SCHEMA, "layers": [layer.to_dict() for layer in self.layers]}

    def _repr_html_(self) -> str:
        head = ("layer", "scale", "weight rms", "beta", "threshold", "same spikes", "rate")
        return table_html("What rounding did, by layer", head, [_cells(one) for one in self.layers])

    def __str__(self) -> str:
        head = (
            f"{'layer':<14}{'scale':>10}{'weight rms':>12}{'beta':>10}{'threshold':>11}"
            f"{'same spikes':>13}{'rate':>11}"
        )
        return "\n".join([head, *(_row(layer) for layer in self.layers)])


@public
def quantization_report(
    floating: FloatNetwork, integer: IntNetwork, calibration: SpikesLike
) -> QuantizationReport:
    """Run both networks on the same spikes, snnTorch in float and the engine in integers.

    Args:
        floating: before `quantize`.
        integer: what `quantize` made of it.
        calibration: spikes ``[T, B, *input_shape]``.

    Returns:
        One entry a layer: errors of rounding, spikes of both, agreement; prints itself.

    Raises:
        InputError: for networks that do not belong together, or spikes of another shape.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> net = conversion.from_snntorch(module, sample)
        >>> chip = conversion.quantize(net, sample, check=False)
        >>> report = conversion.quantization_report(net, chip, sample)
        >>> report.layers[0].neuron_steps  # 8 steps, 1 sample, 4 neurons
        32
    """
    integer = need_integers(integer, "quantization_report")
    given: object = floating
    if not isinstance(given, FloatNetwork):
        what = f"expected a FloatNetwork, got {kind_of(given)}"
        hint = "give quantize's argument and its result"
        raise InputError(what, where="quantization_report", hint=hint)
    notes = integer.meta.get("quantisation")
    if not isinstance(notes, list) or not (
        len(notes) == len(floating.layers) == len(integer.layers)
    ):
        raise InputError(
            "the integer network was not made from this float network",
            where="quantization_report",
            hint="give quantize's argument and its result",
        )
    ours = run_network(integer, calibration)
    message_bits = {"message_bits": integer.message_bits}
    counted = FloatNetwork(floating.input_shape, floating.layers, {**floating.meta, **message_bits})
    theirs = run_float(Model(floating=counted), calibration)
    layers = []
    for index, note in enumerate(notes):
        activity = ours.activity[index]
        float_spikes, int_spikes = theirs.spikes[index], ours.spikes[index]
        layers.append(
            LayerReport(
                rounding=note,
                neuron_steps=int_spikes.size,
                spikes_float=int(float_spikes.sum(dtype=np.int64)),
                spikes_int=int(int_spikes.sum(dtype=np.int64)),
                mismatches=int((float_spikes != int_spikes).sum()),
                saturations=0 if activity.saturations is None else int(activity.saturations.sum()),
                wraps=0 if activity.wraps is None else int(activity.wraps.sum()),
            )
        )
    return QuantizationReport(tuple(layers))


def _row(layer: LayerReport) -> str:
    name, scale, weight, beta, threshold, same, rate = _cells(layer)
    return f"{name:<14}{scale:>10}{weight:>12}{beta:>10}{threshold:>11}{same:>13}{rate:>11}"


def _cells(layer: LayerReport) -> tuple[str, ...]:
    note = layer.rounding
    return (
        *(note["name"], f"{note['scale']:.4g}", f"{note['weight_error_rms']:.2e}"),
        *(f"{note['beta_error']:+.1e}", f"{note['threshold_error']:+.1e}"),
        *(_percent(layer.spike_agreement), _percent(layer.rate_change, signed=True)),
    )


def _percent(share: float | None, *, signed: bool = False) -> str:
    if share is None:
        return "no spikes"
    return f"{100 * share:+.2f} %" if signed else f"{100 * share:.2f} %"
