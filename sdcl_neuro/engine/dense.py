"""The dense path in torch, on the CPU or a GPU: straightforward, and the event path's peer.

Weights are summed for all steps of a chunk at once, as a matrix product over unfolded patches; a
convolution routine could pick a Winograd or Fourier transform, whose sums are not exact. Products
in float32 are exact while no sum can reach 2^24, in float64 while none can reach 2^53. The neuron
advances step by step in 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import full_float32, moved, wait_for
from sdcl_neuro.network.activity import (
    fan_out,
    nonzero_fan_out,
    nonzero_recurrent_fan_out,
    recurrent_fan_out,
)
from sdcl_neuro.network.fixed_point import (
    CONVOLUTION_BITS,
    DECAY_BITS,
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
)
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from .check import largest_input, largest_sum
from .totals import TOTALS, Outcome

_CHUNK_ELEMENTS = 1 << 24


def run_reference(
    net: IntNetwork,
    spikes: Spikes,
    *,
    keep: Sequence[int],
    device: torch.device,
    chunk: int | None = None,
) -> Outcome:
    """Run checked spikes ``[T, B, *input_shape]`` through a checked network, densely.

    Args:
        net: the network.
        spikes: contiguous uint8.
        keep: the layers whose spikes are wanted.
        device: where to compute.
        chunk: steps worked on at a time; None bounds the memory of a chunk.
    """
    stream = ReferenceStream(net, spikes.shape[1], keep=keep, device=device, chunk=chunk)
    kept = stream.advance(spikes)
    return Outcome(kept, stream.totals(), stream.elapsed_s)


class ReferenceStream:
    """A run in pieces: states are kept from one piece to the next; arguments as `run_reference`."""

    def __init__(
        self,
        net: IntNetwork,
        samples: int,
        *,
        keep: Sequence[int],
        device: torch.device,
        chunk: int | None = None,
    ) -> None:
        self._net, self._keep, self._device = net, keep, device
        widest = max(map(_width, net.layers))
        self._chunk = chunk or max(1, _CHUNK_ELEMENTS // (samples * widest))
        largest = [largest_input(net)] + [1] * len(net.layers)
        self._populations = [
            _Population.rest(layer, samples, largest=bound, device=device)
            for layer, bound in zip(net.layers, largest, strict=False)
        ]
        self.elapsed_s = 0.0

    def advance(self, spikes: Spikes) -> dict[int, NDArray[np.uint8]]:
        """Run checked spikes ``[T, B, *input_shape]`` on; return the kept layers' spikes."""
        layers = self._net.layers
        kept = {
            index: np.empty((*spikes.shape[:2], *layers[index].out_shape), dtype=np.uint8)
            for index in self._keep
        }
        began = perf_counter()
        with torch.inference_mode(), full_float32():
            for start in range(0, len(spikes), self._chunk):
                stretch = slice(start, start + self._chunk)
                received = moved(torch.from_numpy(spikes[stretch]), self._device)
                for index, population in enumerate(self._populations):
                    received = population.advance(received)
                    if index in kept:
                        kept[index][stretch] = received.cpu().numpy()
            wait_for(self._device)
        self.elapsed_s += perf_counter() - began
        return kept

    def totals(self) -> NDArray[np.int64]:
        """int64 ``[layers, B, 9]`` of all pieces so far, the last axis as `COUNTED`."""
        return np.stack([population.counts().cpu().numpy() for population in self._populations])

    def close(self) -> None:
        """Nothing is shared with other runs."""


@dataclass
class _Population:
    """One layer's constants, and its states for every sample."""

    layer: IntLayer
    weight: Tensor  # [delays, groups, C_out / groups, taps], float32 or float64
    recurrent: Tensor | None  # [N, N], the same type
    bias: Tensor | None  # int64 [N], shifted into the state
    fan: Tensor  # int64 [N_in]
    used: Tensor  # int64 [N_in], of synapses whose weight is not zero
    recurrent_used: Tensor  # int64 [N]
    delays: tuple[int, ...]  # axonal delay of each slice of `weight`, steps
    current: Tensor  # int64 [B, N]
    voltage: Tensor  # int64 [B, N]
    pending: Tensor  # int64 [slots, B, N], activations of the steps after the chunk
    spikes: Tensor  # uint8 [B, N], of the step before
    totals: Tensor  # int64 [B, 9], as `COUNTED`; the last is filled in by `counts`
    fresh: bool = True  # no step was run

    @classmethod
    def rest(
        cls, layer: IntLayer, samples: int, *, largest: int, device: torch.device
    ) -> _Population:
        """A clean state."""
        exact = torch.float32 if largest_sum(layer, largest) < 1 << 24 else torch.float64
        groups = 1 if layer.convolution is None else layer.convolution.groups
        weight = torch.from_numpy(layer.weight.astype(np.int64))
        delays = (0,) if layer.delay is None else tuple(np.unique(layer.delay).tolist())
        parts = [weight] if layer.delay is None else [
            torch.where(torch.from_numpy(layer.delay == delay), weight, 0) for delay in delays
        ]  # fmt: skip
        bias = None
        if layer.bias is not None:
            per_channel = torch.from_numpy(layer.bias.astype(np.int64)) << STATE_SHIFT
            bias = per_channel.repeat_interleave(layer.neurons // len(layer.bias)).to(device)
        recurrent = layer.recurrent_weight

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        return cls(
            layer,
            weight=torch.stack(parts)
            .reshape(len(delays), groups, weight.shape[0] // groups, -1)
            .to(device=device, dtype=exact),
            recurrent=None
            if recurrent is None
            else torch.from_numpy(recurrent.astype(np.int64)).to(device=device, dtype=exact),
            bias=bias,
            fan=torch.from_numpy(fan_out(layer)).reshape(-1).to(device),
            used=torch.from_numpy(nonzero_fan_out(layer)).reshape(-1).to(device),
            recurrent_used=torch.from_numpy(nonzero_recurrent_fan_out(layer)).to(device),
            delays=delays,
            current=zeros(samples, layer.neurons),
            voltage=zeros(samples, layer.neurons),
            pending=zeros(max(delays), samples, layer.neurons),
            spikes=zeros(samples, layer.neurons, dtype=torch.uint8),
            totals=zeros(samples, TOTALS),
        )

    def advance(self, received: Tensor) -> Tensor:
        """uint8 ``[T, B, *in_shape]`` to uint8 ``[T, B, *out_shape]``."""
        steps, samples = received.shape[:2]
        activation = self._activation(received.reshape(steps, samples, *self.layer.in_shape))
        sent = torch.empty(
            (steps, samples, self.layer.neurons), dtype=torch.uint8, device=received.device
        )
        for t in range(steps):
            now = activation[t]
            # Those of the step before arrive now; the run's last ones never do.
            self.totals[:, 6] += (self.spikes * self.recurrent_used).sum(dim=1)
            if self.recurrent is not None:
                echo = self.spikes.to(self.recurrent.dtype) @ self.recurrent.T
                now = now + echo.to(torch.int64)
            self.spikes = self._step(now)
            sent[t] = self.spikes
        arrived = torch.count_nonzero(received, dim=0).reshape(samples, -1)
        fired = sent.sum(dim=(0, 2), dtype=torch.int64)
        self.totals[:, 0] += arrived.sum(dim=1)
        self.totals[:, 1] += fired
        # Integer matrix products do not exist on GPUs.
        self.totals[:, 2] += (arrived * self.fan).sum(dim=1)
        self.totals[:, 2] += fired * recurrent_fan_out(self.layer)
        self._count_used(received.reshape(steps, samples, -1))
        return sent.reshape(steps, samples, *self.layer.out_shape)

    def counts(self) -> Tensor:
        """int64 ``[B, 9]`` so far, as `COUNTED`."""
        counted = self.totals.clone()
        # The last step's recurrent spikes arrive after the end, but read their weights.
        late = (self.spikes * self.recurrent_used).sum(dim=1)
        counted[:, 8] = counted[:, 6] + counted[:, 7] + late
        return counted

    def _count_used(self, received: Tensor) -> None:
        """Operations at non-zero weights, uint8 ``[T, B, N_in]``; apart where a step has counts."""
        operations = torch.stack([((step != 0) * self.used).sum(dim=1) for step in received])
        graded = (received > 1).any(dim=2)
        self.totals[:, 6] += (operations * ~graded).sum(dim=0)
        self.totals[:, 7] += (operations * graded).sum(dim=0)

    def _activation(self, received: Tensor) -> Tensor:
        """Summed weights, int64 ``[T, B, N]``, those pending from the chunk before included."""
        steps, samples = received.shape[:2]
        patches = _patches(received.flatten(0, 1), self.layer, self.weight.dtype)
        slots = len(self.pending)
        total = torch.zeros(
            (steps + slots, samples, self.layer.neurons),
            dtype=torch.int64,
            device=received.device,
        )
        total[:slots] = self.pending
        for delay, weight in zip(self.delays, self.weight, strict=True):
            summed = (weight @ patches).to(torch.int64).reshape(steps, samples, -1)
            total[delay : delay + steps] += summed
        self.pending = total[steps:].clone()
        if self.layer.kind == "conv":
            half = 1 << (CONVOLUTION_BITS - 1)
            total = torch.remainder(total + half, 2 * half) - half
        return total[:steps]

    def _step(self, activation: Tensor) -> Tensor:
        """One step of the neuron, `fixed_point.neuron_step`'s equations; uint8 ``[B, N]``."""
        neuron = self.layer.neuron
        arriving = _int32(activation << STATE_SHIFT)
        current = _int32(_decay(self.current, neuron.current_decay) + arriving)
        above, below = current > STATE_LIMIT, current <= -STATE_LIMIT
        self.current = current + 2 * STATE_LIMIT * (below.to(torch.int64) - above.to(torch.int64))
        voltage = _decay(self.voltage, neuron.voltage_decay) + self.current
        voltage = _int32(voltage if self.bias is None else voltage + self.bias)
        clipped = voltage.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
        spikes = clipped > neuron.threshold << STATE_SHIFT
        moved = (clipped != self.voltage) | (self.spikes != 0) | self.fresh
        self.fresh = False
        self.voltage = clipped.masked_fill(spikes, 0)
        self.totals[:, 3] += (clipped != voltage).sum(dim=1)
        self.totals[:, 4] += (above | below).sum(dim=1)
        self.totals[:, 5] += moved.sum(dim=1)
        return spikes.to(torch.uint8)


def _patches(frames: Tensor, layer: IntLayer, dtype: torch.dtype) -> Tensor:
    """uint8 ``[frames, *in_shape]`` to ``[frames, groups, taps, outputs]``."""
    if layer.convolution is None:
        return frames.reshape(len(frames), 1, -1, 1).to(dtype)
    geometry = layer.convolution
    columns = functional.unfold(
        frames.to(dtype),
        layer.kernel,
        dilation=geometry.dilation,
        padding=geometry.padding,
        stride=geometry.stride,
    )
    return columns.reshape(len(frames), geometry.groups, -1, columns.shape[-1])


def _decay(state: Tensor, decay: int) -> Tensor:
    kept = state * (DECAY_UNITY - decay)
    return torch.sign(kept) * (kept.abs() >> DECAY_BITS)


def _int32(value: Tensor) -> Tensor:
    """Return what a 32-bit register keeps of a value."""
    return value.to(torch.int32).to(torch.int64)


def _width(layer: IntLayer) -> int:
    """Elements of the largest array that one step of one sample needs."""
    taps = prod(layer.weight.shape[1:])
    groups = 1 if layer.convolution is None else layer.convolution.groups
    patches = prod(layer.in_shape)
    if layer.convolution is not None:
        patches = taps * groups * prod(layer.out_shape[1:])
    return max(patches, layer.neurons)
