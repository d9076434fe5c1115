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
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.extras import need, require
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.network.spike_file import check_spikes

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
    wanted = _wanted(net, layers)
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
    return Record("norse", steps, samples, net.input_shape, kept, (), elapsed, _versions())


def _moved(module: Any, place: Any) -> Any:
    """Return a module on a device, with the tensors that Norse keeps in plain attributes.

    Its neurons hold their parameters in named tuples, which ``Module.to`` does not see.
    """
    import torch

    def on_device(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(place)
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
    """Norse's own module for a float network, built by its NIR importer.

    Each call of the module takes one step ``[B, *input_shape]`` and the state, and returns the
    output and the new state, whose ``cache`` holds every node's output.
    """
    with warnings.catch_warnings():
        # Norse 1.1.0 compiles some functions with what torch 2.13 calls deprecated.
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        from_nir = need("norse.torch.utils.import_nir", "the backend norse").from_nir
    problems = [
        Refusal(
            f"layer {index} ({layer.name})",
            "Norse cannot take a bias behind a synaptic current",
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
    """The float network of a model or description."""
    if isinstance(model, FloatNetwork):
        return model
    if isinstance(model, IntNetwork):
        return dequantize(model)
    net: FloatNetwork = model.need_float()
    return net


def _checked(net: FloatNetwork, spikes: object) -> NDArray[np.uint8]:
    values = check_spikes(spikes)
    if values.shape[2:] != tuple(net.input_shape):
        raise InputError(
            f"spikes of shape {list(values.shape)} for a network that takes "
            f"[T, B, {', '.join(map(str, net.input_shape))}]",
            where="spikes",
            hint="encode them for this network",
        )
    largest = max(1, 2 ** int(net.meta.get("message_bits", 0)) - 1)
    if int(values.max()) > largest:
        raise InputError(
            f"a count of {int(values.max())} where the network takes at most {largest}",
            where="spikes",
            hint="make the spikes binary, or set the network's message_bits",
        )
    return values


def _wanted(net: FloatNetwork, layers: Sequence[int] | None) -> list[int]:
    wanted = list(range(len(net.layers))) if layers is None else [int(index) for index in layers]
    for index in wanted:
        if not 0 <= index < len(net.layers):
            raise InputError(f"there is no layer {index}", hint=f"use 0 to {len(net.layers) - 1}")
    return wanted


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("norse", "nir", "nirtorch", "torch")}
