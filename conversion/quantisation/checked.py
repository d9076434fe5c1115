"""`conversion.quantize`: rounding, and a warning where it changes what a network does."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_checks import check_given, check_message_bits
from sdcl_neuro.network.spike_file import SpikesLike

from ..lowering.graph.nodes import FloatGraph
from ..lowering.graph.prices import Cure
from . import rounding
from .effect import QuantizationWarning, measure_effect


@public
def quantize(
    net: FloatNetwork | FloatGraph,
    calibration: SpikesLike | Mapping[str, SpikesLike] | None = None,
    *,
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
        InputError: for calibration data of another shape, or message bits past 24.

    Warns:
        QuantizationWarning: with the layer, its spikes before and after, and what they were run on.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> net = conversion.from_snntorch(module, sample)
        >>> chip = conversion.quantize(net, sample, check=False)
        >>> str(chip.layers[0].weight.dtype), chip.layers[0].weight.shape
        ('int32', (4, 6))
    """
    check_message_bits(message_bits, where="quantize")
    checked: Any = calibration
    if calibration is not None and not isinstance(calibration, Mapping):
        checked = calibration_spikes(calibration)
    chip = rounding.quantize(
        net, calibration=checked, message_bits=message_bits, relays=relays, growth=growth
    )
    if check:
        found = measure_effect(net, chip, checked)
        for complaint in found.warnings:
            warnings.warn(
                f"{complaint}; {_remedy(found.random)}", QuantizationWarning, stacklevel=3
            )
    return chip


def calibration_spikes(given: SpikesLike) -> NDArray[np.uint8]:
    """Return spikes as uint8, ``[T, B, C, L]`` of a network along a line among them."""
    return check_given(given, where="calibration")


def _remedy(random: bool) -> str:
    if random:
        return "give calibration=spikes of your own data"
    return "train on in integers, conversion.prepare_quantization(module, sample)"
