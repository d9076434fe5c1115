"""Networks run in snnTorch: in float as trained, or in the chip's integers.

Both build snnTorch's own modules from a description, so that a ``.net`` file alone can be run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.devices import full_float32, named_device, wait_for
from sdcl_neuro.engine.check import check_input, check_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.network import spike_checks
from sdcl_neuro.network.arguments import check_indices
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from ..layer_modules import float_layer, integer_layer
from ..model import Model

Stage = Callable[[Tensor], Tensor]

_ELEMENTS_AT_ONCE = 1 << 24
"""Elements of the largest layer over all steps; samples beyond it run one after another."""


def run_float(
    model: Model, spikes: object, *, layers: Sequence[int] | None = None, device: str = "cpu"
) -> Record:
    """Run in snnTorch's float32 (``snntorch``), a chain of Leaky, Synaptic and RLeaky.

    Args:
        model: one that has only integers is run with them as floats.
        spikes: ``[T, B, *input_shape]``.
        layers: indices of the layers to keep; None keeps all.
        device: as torch names it.

    Raises:
        InputError: spikes of another shape, counts that the network does not take.
        EnvironmentFault: a GPU that is not there.
        NetworkRefused: axonal delays, which snnTorch does not support.
    """
    net, place = model.need_float(), named_device(device)
    values = _checked(net, spikes)
    stages = [float_layer(layer).to(device=place) for layer in net.layers]
    return _run(net, values, stages, layers=layers, device=place, backend="snntorch")


def run_integer(
    model: Model, spikes: object, *, layers: Sequence[int] | None = None, device: str = "cpu"
) -> Record:
    """Run in the chip's integers (``snntorch-int``), in the modules that train in them.

    Arguments and errors as for `run_float`; the model's integers must be known.
    """
    net, place = model.need_integer(), named_device(device)
    check_network(net)
    values = check_input(net, spikes)
    largest = int(values.max())
    stages = []
    for layer in net.layers:
        stages.append(integer_layer(layer, largest=largest).to(device=place))
        largest = 1
    return _run(net, values, stages, layers=layers, device=place, backend="snntorch-int")


def _run(
    net: FloatNetwork | IntNetwork,
    values: Spikes,
    stages: Sequence[Stage],
    *,
    layers: Sequence[int] | None,
    device: torch.device,
    backend: str,
) -> Record:
    keep = check_indices(layers, len(net.layers))
    steps, samples = values.shape[:2]
    kept = {k: np.empty((steps, samples, *net.layers[k].out_shape), np.uint8) for k in keep}
    widest = max(prod(shape) for shape in (net.input_shape, *(la.out_shape for la in net.layers)))
    at_once = max(1, _ELEMENTS_AT_ONCE // (widest * steps))
    elapsed = 0.0
    for start in range(0, samples, at_once):
        part = slice(start, start + at_once)
        flow = torch.from_numpy(np.ascontiguousarray(values[:, part])).to(device)
        for index, stage in enumerate(stages):
            begin = time.perf_counter()
            with torch.no_grad(), full_float32():
                flow = stage(flow)
            wait_for(device)
            elapsed += time.perf_counter() - begin
            if index in kept:
                kept[index][:, part] = _array(flow)
    return Record(
        backend=backend,
        steps=steps,
        samples=samples,
        input_shape=tuple(net.input_shape),
        spikes=kept,
        elapsed_s=elapsed,
        versions=versions_of("snntorch", "torch"),
    )


def _array(spikes: Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = spikes.to(torch.uint8).cpu().numpy()
    return array


def _checked(net: FloatNetwork, spikes: object) -> Spikes:
    if not net.layers:
        raise InputError("the network has no layers", hint="give at least one")
    bits = int(net.meta.get("message_bits", 0))
    return spike_checks.check_input(spikes, net.input_shape, message_bits=bits)
