"""What NIR has no words for, kept in a graph's metadata.

The graph alone is what every reader understands: float32, constants per neuron. The metadata adds
what makes a file give back the very same network: names, decays and thresholds in full precision,
scales, for an integer network its integers, and for whom it was written.

Keys: ``dt``, the step in seconds; ``sdcl_neuro``, JSON text; ``sdcl_neuro_<field>_<layer>``,
arrays. Everything is flat, since older readers of NIR take no nested metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork

from .forms import ReaderForm
from .weights import Array, gain_of, stored_weight

KEY = "sdcl_neuro"
VERSION = 1
INT_ARRAYS = ("weight", "bias", "recurrent_weight", "delay")
STEP_KEYS = ("dt_s", "dt_source")
"""What a network's meta says of its step, which the file states by itself."""


def meta_without_step(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's meta without what a file states elsewhere."""
    return {key: value for key, value in meta.items() if key not in STEP_KEYS}


def make_claim(
    net: FloatNetwork | IntNetwork, *, dt: float, reader: str | None, form: ReaderForm
) -> dict[str, Any]:
    """Return the metadata of a network that is written for a reader, in its form."""
    claim: dict[str, Any] = {"dt": float(dt)}
    layers: list[dict[str, Any]] = []
    sequence: Sequence[FloatLayer | IntLayer] = net.layers
    for index, layer in enumerate(sequence):
        entry: dict[str, Any] = {"name": layer.name, "kind": layer.kind}
        entry |= asdict(layer.neuron)
        if layer.convolution is not None:
            entry["groups"] = layer.convolution.groups
        if isinstance(layer, FloatLayer):
            entry["scale"] = layer.scale
            arrays = _corrections(layer, form)
        else:
            arrays = {name: getattr(layer, name) for name in INT_ARRAYS}
        entry["has"] = [name for name in INT_ARRAYS if getattr(layer, name, None) is not None]
        layers.append(entry)
        for name, values in arrays.items():
            if values is not None:
                claim[f"{KEY}_{name}_{index}"] = values
    body: dict[str, Any] = {
        "version": VERSION,
        "layers": layers,
        "meta": meta_without_step(net.meta),
    }
    body["reader"] = reader
    body["arithmetic"] = "float" if isinstance(net, FloatNetwork) else "integer"
    if isinstance(net, IntNetwork):
        body["message_bits"] = net.message_bits
    try:
        claim[KEY] = json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the network's meta is not plain JSON ({error})") from error
    return claim


def _corrections(layer: FloatLayer, form: ReaderForm) -> dict[str, Array]:
    """Return what reading back is off by, in steps of float32; only arrays that are off are kept.

    A bias behind a synaptic current stands in the graph as ``v_leak``, one value for each neuron,
    and is kept here as it is.
    """
    gain = gain_of(layer.neuron, form)
    found: dict[str, Array] = {}
    for name in ("weight", "bias", "recurrent_weight"):
        values = getattr(layer, name)
        if values is None:
            continue
        if name == "bias" and layer.neuron.alpha > 0:
            found[name] = np.asarray(values, dtype=np.float32)
            continue
        exact = np.ascontiguousarray(values, dtype=np.float32)
        read = (stored_weight(exact, gain).astype(np.float64) * gain).astype(np.float32)
        steps = exact.view(np.int32).astype(np.int64) - read.view(np.int32)
        if steps.any():
            found[f"{name}_steps"] = steps.astype(np.int8)
    return found
