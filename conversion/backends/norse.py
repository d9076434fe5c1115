"""Norse as a backend: the float network, exported to NIR, imported by Norse and run step by step.

Norse 1.1.0's importer is used as it is. What it does not import rightly is not handed to it:
Linear (it leaves the weights out), grouped kernels, and a membrane drive behind a synaptic
current, which it would also let into the current.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.extras import need, require
from sdcl_neuro.network.arguments import check_indices
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.network.spike_checks import check_input
from sdcl_neuro.network.spike_file import Spikes

from ..targets.nir.forms import DEFAULT_STEP_S
from ..targets.nir.writer import build_graph


def run(
    model: Any, spikes: object, *, layers: Sequence[int] | None = None, device: str = "cpu"
) -> Record:
    """Run a model's float network in Norse, in float32.

    Args:
        model: a `Model`, or a float network; integers are run as the floats they mean.
        spikes: uint8 ``[T, B, *input_shape]``.
        layers: indices of the layers to keep; None keeps all.
        device: as torch names it.

    Returns:
        The record, without activity.

    Raises:
        EnvironmentFault: Norse is not installed, a GPU is not there.
        NetworkRefused: a layer that NIR or Norse's importer cannot take.
        InputError: spikes of another shape, a layer that does not exist, an unknown device.
    """
    import torch

    from sdcl_neuro.devices import full_float32, named_device, wait_for

    net, place = float_network(model), named_device(device)
    array = _checked(net, spikes)
    wanted = check_indices(layers, len(net.layers))
    module = _moved(import_network(net), place)
    steps, samples = array.shape[:2]
    kept = {
        index: np.empty((steps, samples, *net.layers[index].out_shape), np.uint8)
        for index in wanted
    }
    started, state = time.perf_counter(), None
    with torch.no_grad(), full_float32():
        for step in range(steps):
            frame = torch.from_numpy(array[step].astype(np.float32)).to(place)
            _, state = module(frame, state)
            for index, target in kept.items():
                target[step] = state.cache[f"neurons_{index}"].to("cpu", torch.uint8).numpy()
    wait_for(place)
    elapsed = time.perf_counter() - started
    return Record(
        "norse",
        steps,
        samples,
        net.input_shape,
        kept,
        (),
        elapsed,
        versions_of("norse", "nir", "nirtorch", "torch"),
    )


def _moved(module: Any, place: Any) -> Any:
    """Return a module on a device, with the tensors that Norse keeps in plain attributes.

    Its neurons hold their parameters in named tuples, which ``Module.to`` does not see. They are
    detached: a neuron marks the reset potential that it begins with as one that learns, and the
    potential is often a default that all of Norse's neurons share.
    """
    import torch

    def on_device(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().to(place)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(on_device(one) for one in value))
        return value

    module = module.to(place)
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if not name.startswith("_") and isinstance(value, torch.Tensor | tuple):
                setattr(part, name, on_device(value))
    return module


def require_norse() -> None:
    """Raise EnvironmentFault if Norse is not installed."""
    require(("norse", "nirtorch"), "the backend norse")


def import_network(net: FloatNetwork, *, dt: float = DEFAULT_STEP_S) -> Any:
    """Return Norse's own module for a float network, built by its NIR importer.

    Each call of the module takes one step ``[B, *input_shape]`` and the state, and returns the
    output and the new state, whose ``cache`` holds every node's output.
    """
    with warnings.catch_warnings():
        # Norse 1.1.0 compiles some functions with what torch calls deprecated, in 2.14 aloud.
        warnings.filterwarnings("ignore", message="`torch.jit", category=Warning)
        from_nir = need("norse.torch.utils.import_nir", "the backend norse").from_nir
    problems = [
        Refusal(
            f"layer {index} ({layer.name})",
            "Norse cannot take a bias after a synaptic current",
            "remove the bias, or use alpha 0",
        )
        for index, layer in enumerate(net.layers)
        if layer.bias is not None and layer.bias.any() and layer.neuron.alpha > 0
    ]
    if problems:
        raise NetworkRefused(problems)
    graph = build_graph(net, dt=dt, reader="norse")
    with warnings.catch_warnings():
        # Norse 1.1.0 calls nirtorch's older entry point, which says so on each call.
        warnings.filterwarnings("ignore", message="nirtorch.load is being deprecated")
        return from_nir(graph, ignore_warnings=True, dt=dt)


def float_network(model: Any) -> FloatNetwork:
    """Return the float network of a model or description."""
    if isinstance(model, FloatNetwork):
        return model
    if isinstance(model, IntNetwork):
        return dequantize(model)
    net: FloatNetwork = model.need_float()
    return net


def _checked(net: FloatNetwork, spikes: object) -> Spikes:
    bits = int(net.meta.get("message_bits", 0))
    return check_input(spikes, net.input_shape, message_bits=bits)
