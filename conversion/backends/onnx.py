"""The backend ``onnx``: the graph is written and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from sdcl_neuro.engine.check import check_input, check_layers, check_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ..targets.onnx_event.writer import NEEDED, refuse_size, require_onnx, session

if TYPE_CHECKING:
    from ..model import Model

CHUNK_ELEMENTS = 1 << 26
"""Bytes of all layers' spikes in one call, so that memory stays bounded."""


def run(
    model: Model | IntNetwork,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
) -> Record:
    """Run a network's sequence graph; every sample starts from a clean state.

    Args:
        model: a model with an integer network, or the network.
        spikes: uint8 ``[T, B, *input_shape]``; counts only if the network has message bits.
        layers: layers whose spikes to keep; None keeps all.
        device: ``cpu``: onnxruntime's CPU provider.

    Raises:
        EnvironmentFault: the extra ``onnx`` is not installed.
    """
    if device != "cpu":
        raise InputError(f"device {device!r}", where="onnx", hint="use cpu")
    require_onnx()
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    check_network(net)
    refuse_size(net)
    values = check_input(net, spikes)
    keep = check_layers(net, layers)
    from ..targets.onnx_event.model import sequence_model

    ready = session(sequence_model(net).SerializeToString())
    steps, samples = values.shape[:2]
    a_sample = steps * sum(layer.neurons for layer in net.layers)
    block = max(1, CHUNK_ELEMENTS // a_sample)
    names = [f"layer_{index}" for index in keep]
    kept: list[list[np.ndarray]] = []
    elapsed_s = 0.0
    for start in range(0, samples, block):
        given = np.ascontiguousarray(values[:, start : start + block])
        began = perf_counter()
        kept.append(ready.run(names, {"spikes": given}))
        elapsed_s += perf_counter() - began
    return Record(
        backend="onnx",
        steps=steps,
        samples=samples,
        input_shape=net.input_shape,
        spikes={
            index: np.concatenate([part[place] for part in kept], axis=1)
            for place, index in enumerate(keep)
        },
        elapsed_s=elapsed_s,
        versions=versions_of("sdcl-neuro", *NEEDED),
    )
