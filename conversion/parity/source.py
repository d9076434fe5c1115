"""A certificate's first link: what a network was described from, against the description.

The source is the user's own module, run as it is, or a NIR file run by its own words in float64.
It is compared with the float description in every layer, on the user's spikes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.network.identity import array_sha256, network_sha256
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork

from ..layer_modules import float_layer, integer_layer
from ..quantisation.rounding import round_layer
from .certificate import PairKind, PairParity
from .judge import layer_parity, verdict_of
from .rounding import UNIT, LayerRounding, explain_mismatches
from .source_check import DESCRIPTION, SourceCheck, versions_of_today

Spikes = NDArray[np.uint8]

_ELEMENTS_AT_ONCE = 1 << 24


def compare_source(
    net: FloatNetwork,
    own: Sequence[Spikes],
    spikes: Spikes,
    *,
    source: str,
    given: str = "given",
    kind: PairKind = "float",
    unit: float = UNIT,
    offset_sizes: Sequence[float] | None = None,
) -> SourceCheck:
    """Compare a source's spikes with those of its float description.

    Args:
        net: the description.
        own: what each layer of the source sent, uint8 ``[T, B, ...]``, its neurons in the
            description's order.
        spikes: its input, ``[T, B, *input_shape]``, of any kind of number.
        source: what it is, in words.
        given: where the input came from.
        kind: ``float``; ``exact`` for a source that computes in the chip's integers, as all of
            the description's layers then do at their scales; ``agreement`` without a verdict.
        unit: relative rounding error of one operation of the source.
        offset_sizes: per layer, magnitude of what the source adds to a membrane in each step that
            the description holds added up.
    """
    described = run_description(net, spikes, integer=kind == "exact")
    names = (source, DESCRIPTION)
    rounding: tuple[LayerRounding, ...] | None = None
    ours = [np.ascontiguousarray(a).reshape(b.shape) for a, b in zip(own, described, strict=True)]
    if kind == "float" and any((a != b).any() for a, b in zip(ours, described, strict=True)):
        rounding = explain_mismatches(
            net,
            spikes,
            dict(enumerate(ours)),
            dict(enumerate(described)),
            units=(unit, UNIT),
            offset_sizes=offset_sizes,
        )
    layers = [
        layer_parity(
            index,
            layer.name,
            one,
            two,
            rounding=None if rounding is None else asdict(rounding[index]),
        )
        for index, (layer, one, two) in enumerate(zip(net.layers, ours, described, strict=True))
    ]
    holds, verdict = verdict_of(kind, layers, rounding)
    return SourceCheck(
        source=source,
        network_sha256=network_sha256(net),
        versions=versions_of_today(),
        pair=PairParity(
            names, kind, holds, verdict, tuple(layers), spikes=about_spikes(spikes, given)
        ),
    )


def about_spikes(spikes: NDArray[Any], given: str) -> dict[str, Any]:
    """Return what a certificate says about an input."""
    total = float(spikes.sum(dtype=np.float64))
    return {
        "sha256": array_sha256(spikes),
        "shape": list(spikes.shape),
        "total": int(total) if total == int(total) else total,
        "source": given,
    }


def run_description(net: FloatNetwork, spikes: NDArray[Any], *, integer: bool) -> list[Spikes]:
    """Return spikes of every layer of a description, uint8 ``[T, B, *out_shape]``."""
    stages = [_stage(layer, integer) for layer in net.layers]
    found = [np.empty((*spikes.shape[:2], *layer.out_shape), np.uint8) for layer in net.layers]
    widest = max(int(np.prod(layer.out_shape)) for layer in net.layers)
    at_once = max(1, _ELEMENTS_AT_ONCE // (widest * max(1, len(spikes))))
    for start in range(0, spikes.shape[1], at_once):
        part = slice(start, start + at_once)
        flow = torch.from_numpy(np.ascontiguousarray(spikes[:, part])).float()
        for index, stage in enumerate(stages):
            with torch.no_grad():
                flow = stage(flow)
            found[index][:, part] = flow.to(torch.uint8).numpy()
    return found


def _stage(layer: FloatLayer, integer: bool) -> Any:
    if integer and layer.scale is not None:
        return integer_layer(round_layer(layer, layer.scale))
    return float_layer(layer)
