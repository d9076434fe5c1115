"""Tools that race on a GPU: the dense path, training steps and the hybrid, each with its peers.

Every call ends with ``torch.cuda.synchronize``: a clock read before that would see launches alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from inspect import signature
from typing import Any

import numpy as np
import torch
from hybrid_tools import material
from training_tools import Task, spikingjelly_network

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.cuda_graphs import VARIABLE
from sdcl_neuro.engine import run_network
from sdcl_neuro.hybrid.runtime import infer

Call = Callable[[], Any]


@dataclass(frozen=True)
class Backend:
    """A way in which SpikingJelly computes its neurons: set by an argument, or by a variable."""

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


def spikingjelly_backends() -> list[Backend]:
    """Those that can run here; none without SpikingJelly."""
    if find_spec("spikingjelly") is None:
        return []
    from spikingjelly.activation_based import neuron

    if "backend" in signature(neuron.LIFNode.__init__).parameters:
        known = neuron.LIFNode(step_mode="m").supported_backends
        there = [one for one in ("cupy", "triton") if one in known and find_spec(one)]
        return [Backend(one, {"backend": one}) for one in ("torch", *there)]
    places = {"torch": "torch", "triton": "triton", "cuda": "spikingjelly._ops.lif.native"}
    return [
        Backend(one, env={"SJ_LIF_CUDA_IMPLEMENTATION": one})
        for one, place in places.items()
        if find_spec(place)
    ]


def engine(network: str, rate: float, device: str = "cuda") -> Call:
    """The engine's dense path: spikes in the host's memory to those of the last layer."""
    task = Task(network, rate, device=device)
    task.branch.prepare_quantization()
    spikes = task.spikes.cpu()
    net = as_model(from_snntorch(task.branch.cpu(), spikes)).need_integer()
    given, last = spikes.numpy().astype(np.uint8), len(net.layers) - 1

    def call() -> dict[str, Any]:
        record = run_network(net, given, layers=[last], path="reference", device=device)
        return {"fired": np.array(record.spikes[last].sum(dtype=np.int64))}

    return call


def snntorch(network: str, rate: float, device: str = "cuda") -> Call:
    """snnTorch's loop over time, without gradients; spikes to and from the host as `engine`."""
    import snntorch as snn

    task = Task(network, rate, device=device)
    like = task.branch.description
    neurons = [
        snn.Leaky(like.beta, threshold=like.threshold, reset_mechanism="zero").to(device)
        for _ in task.convolutions
    ]
    given = task.spikes.cpu()

    def call() -> dict[str, Any]:
        with torch.no_grad():
            states = [neuron.reset_mem() for neuron in neurons]
            fired = []
            for spikes in given.to(device).unbind(0):
                for index, neuron in enumerate(neurons):
                    drive = task.convolutions[index](spikes)
                    spikes, states[index] = neuron(drive, states[index])
                fired.append(spikes)
            return _told(torch.stack(fired))

    return call


def spikingjelly(network: str, rate: float, backend: str = "torch", device: str = "cuda") -> Call:
    """SpikingJelly, all steps of a layer at once, without gradients."""
    from spikingjelly.activation_based import functional

    task = Task(network, rate, device=device)
    net = spikingjelly_network(task, backend=backend)
    given = task.spikes.cpu()

    def call() -> dict[str, Any]:
        with torch.no_grad():
            functional.reset_net(net)
            return _told(net(given.to(device)))

    return call


def _told(spikes: torch.Tensor) -> dict[str, Any]:
    """The spikes on the host, as the engine returns them."""
    return {"fired": spikes.to(torch.uint8).cpu().numpy().sum(dtype=np.int64)}


def hybrid(
    backbone: str, count: int, batch: int, device: str = "cuda", graphs: bool = True
) -> Call:
    """`infer` with the dense side on the GPU, replayed from CUDA graphs or not."""
    os.environ[VARIABLE] = "on" if graphs else "off"
    model, backend, tracklets = material(backbone, count)
    return lambda: infer(model, tracklets, backend, device=device, batch=batch).embeddings
