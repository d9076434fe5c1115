"""The engine's peers as tools of a race (`engine_case`): Lava, a dense path, float libraries.

Timed is a whole call, as `engine_tools` has it. Float tools take the integer network's weights and
thresholds as they are; they round where the chip truncates, so their spikes agree but for neurons
within rounding of the threshold.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from engine_case import Call, last_layer, prepared
from engine_networks import DECAY

BETA = (4096 - DECAY) / 4096


def lava_stepping(**case: Any) -> Call:
    """Lava's netx under ``fixed_pt``; steps alone, without start-up and read-out."""
    from harness import Timed

    from sdcl_neuro.conversion.backends.lava import backend

    net, spikes = prepared(**case)

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

    net, spikes = prepared(**case)
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
            scan(flat, np.int32(4096 - DECAY), np.int32(layer.neuron.threshold << 6))
            sent = torch.from_numpy(flat.reshape(len(sums), *layer.out_shape[1:], -1))
            sent = sent.permute(0, 3, 1, 2)
        last = sent.to(torch.uint8).contiguous().numpy()
        return {last_layer(net): last.reshape(steps, samples, *net.layers[-1].out_shape)}

    return call


@numba.njit(cache=True, nogil=True, parallel=True)
def scan(sums, kept, threshold):  # type: ignore[no-untyped-def]
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

    net, spikes = prepared(**case)
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

    net, spikes = prepared(**case)
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

    net, spikes = prepared(**case)
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

    net, spikes = prepared(**case)
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

    net, spikes = prepared(**case)
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

    return {last_layer(net): spikes.to(torch.uint8).numpy()}
