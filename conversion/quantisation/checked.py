"""`conversion.quantize`: rounding, and a warning where it changes what a network does."""

from __future__ import annotations

import warnings
from typing import Any

from sdcl_neuro.network.spec import FloatNetwork, IntNetwork

from ..lowering.graph.nodes import FloatGraph
from ..lowering.graph.prices import Cure
from . import rounding
from .effect import QuantizationWarning, measure_effect


def quantize(
    net: FloatNetwork | FloatGraph,
    *,
    calibration: Any = None,
    message_bits: int = 0,
    relays: Cure = "auto",
    growth: float | None = None,
    check: bool = True,
) -> IntNetwork:
    """Round a network to what Loihi stores, and warn where that changes what it does.

    Args:
        net: the float description, a chain or a graph.
        calibration: spikes ``[T, B, *input_shape]``, binary or counts, that show how far
            currents and membranes go; None bounds nothing by data.
        message_bits: 0 for binary input spikes; else input counts below 2 ** message_bits.
        relays, growth: for a graph only; see `graphs.quantize_graph`.
        check: run the network before and after rounding, on the calibration or else on random
            spikes, and warn of each layer that gains or loses more than `effect.CHANGE_MAX` of its
            spikes, or that never fires.

    Returns:
        The integer network; of a graph, the chain that computes it. See `rounding.quantize`.

    Raises:
        NetworkRefused: with every reason why the network does not fit.
        InputError: for calibration data of another shape.

    Warns:
        QuantizationWarning: with the layer, its spikes before and after, and what they were run on.
    """
    chip = rounding.quantize(
        net, calibration=calibration, message_bits=message_bits, relays=relays, growth=growth
    )
    if check:
        found = measure_effect(net, chip, calibration)
        for complaint in found.warnings:
            warnings.warn(
                f"{complaint}; {_remedy(found.random)}", QuantizationWarning, stacklevel=2
            )
    return chip


def _remedy(random: bool) -> str:
    if random:
        return "give calibration=spikes of your own data"
    return "train on in integers, conversion.prepare_quantization(module, sample)"
