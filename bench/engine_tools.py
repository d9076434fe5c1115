"""The engine and its peers as tools of a race: each sets a network up and runs it on one input.

Every tool takes the same arguments: ``name``, ``rate`` and ``thresholds`` of the network
(`engine_networks`), ``steps``, ``samples``, ``size``, and the ``cores`` it may use. Timed is
a whole call: from uint8 spikes ``[T, B, 2, H, W]`` in memory to the last layer's, uint8, in memory.
Float tools take the integer network's weights and thresholds as they are; they round where the chip
truncates, so their spikes agree but for neurons within rounding of the threshold.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numba
import numpy as np
import recording_tools
from engine_networks import DECAY, network, spikes_at

from sdcl_neuro.compiling import lean
from sdcl_neuro.engine.event.neuron_step import CELL, step_plain

BETA = (4096 - DECAY) / 4096
Call = Callable[[], Any]
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
"""Variables by which numba, oneDNN, torch and MKL use no instruction beyond AVX2."""


def _case(
    name: str,
    rate: float,
    *,
    thresholds: Any = None,
    steps: int = 16,
    samples: int = 1,
    size: Any = (128, 64),
    cores: int = 2,
    recording: str | None = None,
) -> tuple[Any, Any]:
    """The network and its input, random or recorded, once this process has been given its cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import torch

    torch.set_num_threads(cores)
    numba.set_num_threads(min(cores, numba.config.NUMBA_NUM_THREADS))
    torch.set_grad_enabled(False)
    if recording is not None:
        return recording_tools.case(recording, name, thresholds, steps)
    size = tuple(size)
    net = network(name, rate, size=size, thresholds=thresholds)
    return net, spikes_at(rate, size=size, steps=steps, samples=samples)


def ours(every_layer: bool = False, **case: Any) -> Call:
    """The engine, by its own choice of path."""
    from sdcl_neuro.engine import run_network

    net, spikes = _case(**case)
    layers = None if every_layer else [len(net.layers) - 1]

    def call() -> Any:
        record = run_network(net, spikes, layers=layers)
        return {f"layer_{index}": values for index, values in record.spikes.items()}

    return call


def delivering(**case: Any) -> Call:
    """The engine as if no layer had windows to look up: every spike is delivered."""
    from math import inf

    from sdcl_neuro.engine.event.windows import Windows

    # Plans compare this with the cost of delivering, and take the lower.
    Windows.nanoseconds = property(lambda windows: inf)  # type: ignore[assignment]
    return ours(**case)


def ours_stepping(**case: Any) -> Call:
    """The engine's steps alone, as Lava's are counted: no start-up, nothing read out."""
    from harness import Timed

    from sdcl_neuro.engine import run_network

    net, spikes = _case(**case)

    def call() -> Any:
        record = run_network(net, spikes, layers=())
        return Timed(record.elapsed_s, 0)

    return call


def neurons_alone(neurons: int, steps: int = 16) -> Call:
    """The floor: the engine's own update of so many neurons, states in the first cache.

    Nothing is received, sent or counted; a block of 4,096 neurons is advanced again and again.
    """
    from harness import Timed

    block = 4096
    states = [np.zeros(block, np.int32) for _ in range(2)]
    received, bias = np.zeros(block, np.int16), np.zeros(block, np.int32)

    def call() -> Any:
        began = perf_counter()
        _update(received, *states, bias, DECAY, steps * neurons // block)
        return Timed(perf_counter() - began, 0)

    return call


@lean
def _update(received, voltage, current, bias, decay, times):  # type: ignore[no-untyped-def]
    kept = np.int32(4096 - decay)
    for _ in range(times):
        for cell in range(np.uint64(voltage.shape[0] // CELL)):
            n = cell * np.uint64(CELL)
            step_plain(
                received, n, voltage, current, n, bias, n,
                np.int32(0), kept, np.int32(64000), np.int32(0),
            )  # fmt: skip


def lava_stepping(**case: Any) -> Call:
    """Lava's netx under ``fixed_pt``; steps alone, without start-up and read-out."""
    from harness import Timed

    from sdcl_neuro.conversion.backends.lava import backend

    net, spikes = _case(**case)

    def call() -> Any:
        (record,) = backend.run_many([(net, spikes)], layers=())
        return Timed(record.elapsed_s, 0)

    return call


def dense(**case: Any) -> Call:
    """The best dense path we know: one float32 convolution a layer, all steps, and a fused neuron.

    Exact: sums stay below 2^24, and the neuron is the chip's.
    """
    import torch
    from torch.nn import functional

    net, spikes = _case(**case)
    weights = [
        torch.from_numpy(layer.weight.astype(np.float32)).to(memory_format=torch.channels_last)
        for layer in net.layers
    ]

    def call() -> Any:
        steps, samples = spikes.shape[:2]
        sent = torch.from_numpy(spikes).flatten(0, 1).float()
        sent = sent.to(memory_format=torch.channels_last)
        for layer, weight in zip(net.layers, weights, strict=True):
            geometry = layer.convolution
            sums = functional.conv2d(sent, weight, None, geometry.stride, geometry.padding)
            flat = sums.permute(0, 2, 3, 1).contiguous().numpy().reshape(steps, -1)
            _scan(flat, np.int32(4096 - DECAY), np.int32(layer.neuron.threshold << 6))
            sent = torch.from_numpy(flat.reshape(len(sums), *layer.out_shape[1:], -1))
            sent = sent.permute(0, 3, 1, 2)
        last = sent.to(torch.uint8).contiguous().numpy()
        return {_last(net): last.reshape(steps, samples, *net.layers[-1].out_shape)}

    return call


@numba.njit(cache=True, nogil=True, parallel=True)
def _scan(sums, kept, threshold):  # type: ignore[no-untyped-def]
    """Turn the sums of all steps, float32 ``[T, N]``, into spikes in place, blocks in threads."""
    block = 4096
    for part in numba.prange(-(-sums.shape[1] // block)):
        voltage = np.zeros(block, np.int32)
        first = part * block
        count = min(block, sums.shape[1] - first)
        for t in range(sums.shape[0]):
            row = sums[t, first : first + count]
            for n in range(count):
                value = voltage[n]
                size = abs(value)
                part_low = ((size & np.int32(4095)) * kept) >> np.int32(12)
                decayed = (size >> np.int32(12)) * kept + part_low
                value = decayed if value >= 0 else -decayed
                value = np.int32(value + (np.int32(row[n]) << np.int32(6)))
                fired = value > threshold
                voltage[n] = np.int32(0) if fired else value
                row[n] = np.float32(1) if fired else np.float32(0)


def plain_torch(**case: Any) -> Call:
    """A loop over the steps in plain torch, eager."""
    import torch
    from torch.nn import functional

    net, spikes = _case(**case)
    convolutions = _convolutions(net)

    def call() -> Any:
        frames, states, sent = torch.from_numpy(spikes).float(), [0.0] * len(net.layers), []
        for frame in frames.unbind(0):
            for k, (layer, weight, geometry) in enumerate(convolutions):
                current = functional.conv2d(frame, weight, None, geometry.stride, geometry.padding)
                voltage = states[k] * BETA + current
                fired = voltage > layer.neuron.threshold
                states[k] = voltage.masked_fill_(fired, 0.0)
                frame = fired.float()
            sent.append(frame)
        return _result(net, torch.stack(sent))

    return call


def snntorch_loop(**case: Any) -> Call:
    """snnTorch's Leaky, reset to zero, in the loop of its tutorials."""
    import snntorch
    import torch

    net, spikes = _case(**case)
    modules = [_module(*parts) for parts in _convolutions(net)]
    neurons = [
        snntorch.Leaky(beta=BETA, threshold=layer.neuron.threshold, reset_mechanism="zero")
        for layer in net.layers
    ]

    def call() -> Any:
        frames = torch.from_numpy(spikes).float()
        states = [neuron.init_leaky() for neuron in neurons]
        sent = []
        for frame in frames.unbind(0):
            for k, (module, neuron) in enumerate(zip(modules, neurons, strict=True)):
                frame, states[k] = neuron(module(frame), states[k])
            sent.append(frame)
        return _result(net, torch.stack(sent))

    return call


def norse_loop(**case: Any) -> Call:
    """Norse's LIFBoxCell, step by step."""
    import norse.torch as norse
    import torch

    net, spikes = _case(**case)
    parts = []
    for layer, weight, geometry in _convolutions(net):
        # Norse multiplies the input by dt / tau = 1 - beta.
        parts.append(_module(layer, weight / (1 - BETA), geometry))
        parameters = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor((1 - BETA) / 1e-3),
            v_leak=torch.tensor(0.0),
            v_th=torch.tensor(float(layer.neuron.threshold)),
            v_reset=torch.tensor(0.0),
        )
        parts.append(norse.LIFBoxCell(p=parameters, dt=1e-3))
    model = norse.SequentialState(*parts)

    def call() -> Any:
        frames, state, sent = torch.from_numpy(spikes).float(), None, []
        for frame in frames.unbind(0):
            out, state = model(frame, state)
            sent.append(out)
        return _result(net, torch.stack(sent))

    return call


def spikingjelly(multi_step: bool = True, **case: Any) -> Call:
    """SpikingJelly's LIFNode, all steps a layer or all layers a step, its torch backend."""
    import torch
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based import layer as layers

    net, spikes = _case(**case)
    parts, mode = [], "m" if multi_step else "s"
    for layer, weight, geometry in _convolutions(net):
        module = layers.Conv2d(
            *weight.shape[1::-1], weight.shape[2], stride=geometry.stride,
            padding=geometry.padding, bias=False, step_mode=mode,
        )  # fmt: skip
        module.weight.data.copy_(weight)
        threshold = layer.neuron.threshold + 1e-3  # it fires at the threshold, the chip above it
        lif = neuron.LIFNode(
            tau=1 / (1 - BETA),
            decay_input=False,
            v_threshold=threshold,
            v_reset=0.0,
            step_mode=mode,
        )
        parts += [module, lif]
    model = torch.nn.Sequential(*parts).eval()

    def call() -> Any:
        functional.reset_net(model)
        frames = torch.from_numpy(spikes).float()
        if multi_step:
            return _result(net, model(frames))
        return _result(net, torch.stack([model(frame) for frame in frames.unbind(0)]))

    return call


def sinabs_layers(**case: Any) -> Call:
    """Sinabs' LIF over all steps of a layer."""
    import sinabs.activation as activation
    import sinabs.layers as layers
    import torch

    net, spikes = _case(**case)
    parts = []
    for layer, weight, geometry in _convolutions(net):
        lif = layers.LIF(
            tau_mem=float(-1 / np.log(BETA)),
            spike_threshold=torch.tensor(layer.neuron.threshold + 1e-3),
            spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneReset(),
            norm_input=False,
        )
        parts.append((_module(layer, weight, geometry), lif))

    def call() -> Any:
        steps, samples = spikes.shape[:2]
        sent = torch.from_numpy(np.ascontiguousarray(spikes.swapaxes(0, 1))).float()
        for module, lif in parts:
            lif.reset_states()
            sums = module(sent.flatten(0, 1))
            sent = lif(sums.unflatten(0, (samples, steps)))
        return _result(net, sent.transpose(0, 1))

    return call


def _convolutions(net: Any) -> list[tuple[Any, Any, Any]]:
    import torch

    return [
        (layer, torch.from_numpy(layer.weight.astype(np.float32)), layer.convolution)
        for layer in net.layers
    ]


def _module(layer: Any, weight: Any, geometry: Any) -> Any:
    import torch

    del layer
    module = torch.nn.Conv2d(
        *weight.shape[1::-1], weight.shape[2], geometry.stride, geometry.padding, bias=False
    )
    module.weight.data.copy_(weight)
    return module


def _result(net: Any, spikes: Any) -> dict[str, Any]:
    import torch

    return {_last(net): spikes.to(torch.uint8).numpy()}


def file_to_file(steps: int, samples: int, folder: str) -> Call:
    """`run` from file to file on the paper's network; see `write_recording`."""
    from pathlib import Path

    from sdcl_neuro.engine import run_file

    net = network("paper", 0.02, thresholds=RECORDED)
    place = Path(folder)

    def call() -> Any:
        record = run_file(net, place / f"{steps}x{samples}.h5", place / "out.h5", layers=[1])
        return int(record.activity[1].spikes_out.sum())

    return call


RECORDED = (2000, 2000)


def write_recording(steps: int, samples: int, folder: str) -> None:
    """A file of random spikes, written in pieces."""
    from pathlib import Path

    import h5py

    from sdcl_neuro.network.spike_file import h5_layout

    shape = (steps, samples, 2, 128, 64)
    with h5py.File(Path(folder) / f"{steps}x{samples}.h5", "w") as file:
        dataset = file.create_dataset("spikes", shape=shape, dtype=np.uint8, **h5_layout(shape))
        part = spikes_at(0.02, steps=min(steps, 64), samples=1)
        for sample in range(samples):
            for start in range(0, steps, len(part)):
                stop = min(start + len(part), steps)
                dataset[start:stop, sample] = part[: stop - start, 0]


def _last(net: Any) -> str:
    return f"layer_{len(net.layers) - 1}"
