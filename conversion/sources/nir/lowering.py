"""A graph's layers as the float network they mean, exact, or approximate where that is asked for.

Neurons that a spike sets to ``v_reset`` = r are the chip's in ``v - r``: the threshold is lower by
r, and the membrane is driven by ``(1 - beta) (v_leak - r)`` in each step. That is exact if the
membrane starts at r, and approximate if it starts elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import NetworkRefused, Refusal, spelled
from sdcl_neuro.network.notes import ASSUMED, with_notes
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, Shape

from ...approximation import recalibrate
from ...lowering.approximate import Approximation
from ...lowering.closing import close_layer
from ...lowering.populations import Population, Recurrence, Unsupported
from ...lowering.synapses import Synapse
from .neurons import Neurons
from .reader import RawLayer, RawNetwork
from .writers import WRITERS, Start, Writer

Rounding = Callable[[float], float]
Array = NDArray[np.float64]


def plain_network(raw: RawNetwork, *, where: str, calibration: object = None) -> FloatNetwork:
    """Give the float network that a graph means, whoever wrote it.

    Args:
        raw: the graph.
        where: how to call it in messages.
        calibration: spikes ``[T, B, *input_shape]``; given, a membrane that does not start at its
            reset, a reset by subtraction and a bias before a current are approximated.

    Raises:
        NetworkRefused: with every reason why it cannot be lowered, those of reading included;
            ``layers`` holds what could be lowered, for whoever looks for more reasons.
    """
    problems = list(raw.problems)
    # snnTorch's decays were float32 before they became time constants: rounding brings them back.
    rounding: Rounding = float
    if raw.row is WRITERS["snntorch"]:
        rounding = lambda value: float(np.float32(value))  # noqa: E731
    layers: list[FloatLayer] = []
    departures: list[Approximation | None] = []
    notes: list[str] = []
    sent = raw.input_shape
    for layer in raw.layers:
        if layer is None or sent is None:
            sent = None
            continue
        try:
            closed = close_layer(
                _synapse(layer),
                _population(layer, raw.row, rounding, approximate=calibration is not None),
                pool=layer.pool,
                image=layer.in_shape,
                sent=sent,
                approximate=calibration is not None,
            )
        except Unsupported as unfit:
            problems += [Refusal(layer.where, *reason) for reason in unfit.reasons]
            sent = layer.out_shape
            continue
        layers.append(closed.layer)
        departures.append(closed.departure)
        notes += [*_remarks(layer), *closed.notes]
        sent = closed.layer.out_shape
    problems += _loose_refusals(raw, approximate=calibration is not None)
    if problems:
        raise NetworkRefused(problems, where=where, layers=layers)
    shape, _, step = raw.checked(where)
    meta: dict[str, Any] = {"source": "nir", "dt_s": step.seconds, "dt_source": step.source}
    meta = with_notes({**meta, "lowered": notes}, ASSUMED, raw.assumed)
    net = FloatNetwork(shape, tuple(layers), meta)
    return recalibrate(net, departures, calibration) if any(departures) else net


def _loose_refusals(raw: RawNetwork, *, approximate: bool) -> Iterator[Refusal]:
    """Yield what would be refused of populations whose layers were refused for something else."""
    for where, neurons in raw.loose:
        try:
            departure_of(neurons, raw.row, approximate=approximate)
        except Unsupported as unfit:
            for reason in unfit.reasons:
                yield Refusal(where, *reason)


def _remarks(layer: RawLayer) -> list[str]:
    if layer.neurons.gain == 0:
        return [f"{layer.where}: its time constant is infinite, so that no input ever reaches it"]
    return []


def _synapse(layer: RawLayer) -> Synapse:
    pooled: Shape = layer.in_shape
    if layer.pool is not None:
        pooled = (layer.in_shape[0], *layer.pool.size)
    bias = layer.bias
    return Synapse(
        name=layer.name,
        kind="conv" if layer.convolution is not None else "dense",
        weight=_scaled(layer.weight, layer.neurons.gain),
        in_shape=pooled,
        out_shape=layer.out_shape,
        bias=None if bias is None else _scaled(bias, layer.neurons.gain),
        convolution=layer.convolution,
    )


def _population(
    layer: RawLayer, row: Writer, rounding: Rounding, *, approximate: bool
) -> Population:
    neurons, recurrence = layer.neurons, None
    if layer.recurrent_weight is not None:
        bias = layer.recurrent_bias
        recurrence = Recurrence(
            "dense",
            _scaled(layer.recurrent_weight, neurons.gain),
            None if bias is None else _scaled(bias, neurons.gain),
        )
    reset = neurons.reset.astype(np.float64)
    threshold = _single(neurons.threshold.astype(np.float64) - reset)
    if row.inclusive:
        # Float32 membranes that reach the threshold are those above its predecessor.
        threshold = np.nextafter(threshold, np.float32(-np.inf))
    return Population(
        beta=rounding(neurons.beta),
        threshold=threshold.astype(np.float64),
        alpha=rounding(neurons.alpha),
        recurrence=recurrence,
        departure=departure_of(neurons, row, approximate=approximate),
        drive=(1.0 - neurons.beta) * (neurons.leak.astype(np.float64) - reset),
    )


def departure_of(neurons: Neurons, row: Writer, *, approximate: bool) -> Approximation | None:
    """Return how a population differs from the chip's; `Unsupported` where that was not asked
    for.
    """
    leak, reset = neurons.leak.astype(np.float64), neurons.reset.astype(np.float64)
    reasons, rest = [], 0.0
    if not _starts_at_reset(leak, reset, row.start):
        rest = float(reset.reshape(-1)[0])
        if row.start == "v_leak" or reset.min() != reset.max():
            what = "its membranes start at a potential that is not v_reset"
            reasons.append((what, "use one v_reset of zero, and a v_leak of zero"))
        elif not approximate:
            reasons.append(("v_reset is not zero", _hint("use a reset to zero")))
    lowest = float((neurons.threshold.astype(np.float64) - reset).min())
    if lowest < 0 or (row.inclusive and lowest == 0):
        what = "v_threshold is not above v_reset, so that its neurons fire by themselves"
        reasons.append((what, "give a v_threshold above v_reset"))
    if row.reset == "subtracts" and not approximate:
        what = f"{row.library}'s neurons reset by subtraction"
        reasons.append((what, _hint("train with a reset to zero")))
    if reasons:
        raise Unsupported(reasons)
    subtracts = row.reset == "subtracts"
    return Approximation(subtracts=subtracts, rest=rest) if subtracts or rest else None


def _starts_at_reset(leak: Array, reset: Array, start: Start) -> bool:
    if start == "v_reset":
        return True
    same = bool((leak == reset).all())
    return same or (start == "rest" and not reset.any())


def _hint(otherwise: str) -> str:
    return otherwise + spelled(
        python=", or from_nir(path, approximate=True, calibration=spikes)",
        command=", or sdcl-neuro convert MODEL OUT --approximate --calibrate SPIKES",
    )


def _scaled(values: NDArray[np.generic], gain: float) -> Array:
    return values.astype(np.float64) * gain


def _single(values: Array) -> NDArray[np.float32]:
    return values.astype(np.float32)
