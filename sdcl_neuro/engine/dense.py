"""The dense path in torch, on the CPU or a GPU: straightforward, and the event path's peer.

For each layer and chunk of steps there is one matrix product, over unfolded patches where it is a
convolution; a convolution routine could pick a Winograd or Fourier transform, whose sums are not
exact. Products in float32 are exact while no sum can reach 2^24, in float64 while none can reach
2^53. Then the neurons go through the chunk's steps in 64-bit integers: in one Triton kernel on a
GPU that has it (`dense_kernels`), else by torch's operations (`dense_steps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.devices import full_float32, moved, wait_for
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from .dense_constants import constants_of
from .dense_layer import DenseLayer
from .totals import TOTALS, Outcome

_CHUNK_ELEMENTS = 1 << 23
"""Elements of a chunk's largest array; without Triton some ten of 8 bytes are needed."""
_HELD_BYTES = 1 << 28
"""Spikes to keep that wait on a GPU before they are fetched together, which ends in a wait."""


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
        shape = (len(net.layers), samples, TOTALS)
        self._totals = torch.zeros(shape, dtype=torch.int64, device=device)
        self._layers = [
            DenseLayer(constants, samples, totals)
            for constants, totals in zip(constants_of(net, device), self._totals, strict=True)
        ]
        self.elapsed_s = 0.0

    def advance(self, spikes: Spikes) -> dict[int, NDArray[np.uint8]]:
        """Run checked spikes ``[T, B, *input_shape]`` on; return the kept layers' spikes."""
        shapes = {
            index: (*spikes.shape[:2], *self._net.layers[index].out_shape) for index in self._keep
        }
        kept = _KeptSpikes(shapes, self._device)
        began = perf_counter()
        with torch.inference_mode(), full_float32():
            for start in range(0, len(spikes), self._chunk):
                steps = slice(start, start + self._chunk)
                received = moved(torch.from_numpy(spikes[steps]), self._device)
                for index, layer in enumerate(self._layers):
                    received = layer.advance(received)
                    if index in shapes:
                        kept.take(index, steps, received)
            kept.fetch()
        if not shapes:
            wait_for(self._device)
        self.elapsed_s += perf_counter() - began
        return kept.arrays

    def totals(self) -> NDArray[np.int64]:
        """Return int64 ``[layers, B, 9]`` of all pieces so far, the last axis as `COUNTED`."""
        counted: NDArray[np.int64] = self._totals.cpu().numpy()
        return counted.copy()

    def close(self) -> None:
        """Do nothing: nothing is shared with other runs."""


class _KeptSpikes:
    """Spikes to keep, fetched from the device many at a time: each fetch waits for the device.

    Args:
        shapes: of each layer's spikes.
        device: that they come from.
    """

    def __init__(self, shapes: dict[int, tuple[int, ...]], device: torch.device) -> None:
        self.arrays = {index: np.empty(shape, np.uint8) for index, shape in shapes.items()}
        self._room = 0 if device.type == "cpu" else _HELD_BYTES
        self._held: list[tuple[NDArray[np.uint8], Tensor]] = []
        self._bytes = 0

    def take(self, index: int, steps: slice, spikes: Tensor) -> None:
        """Take a layer's spikes of some steps."""
        self._held.append((self.arrays[index][steps], spikes))
        self._bytes += spikes.numel()
        if self._bytes > self._room:
            self.fetch()

    def fetch(self) -> None:
        """Write all that was taken into the arrays."""
        if not self._held:
            return
        flat = [spikes.reshape(-1) for _, spikes in self._held]
        fetched = (flat[0] if len(flat) == 1 else torch.cat(flat)).cpu().numpy()
        start = 0
        for target, _ in self._held:
            target[...] = fetched[start : start + target.size].reshape(target.shape)
            start += target.size
        self._held, self._bytes = [], 0


def _width(layer: IntLayer) -> int:
    """Return elements of the largest array that one step of one sample needs."""
    taps = prod(layer.weight.shape[1:])
    groups = 1 if layer.convolution is None else layer.convolution.groups
    patches = prod(layer.in_shape)
    if layer.convolution is not None:
        patches = taps * groups * prod(layer.out_shape[1:])
    slices = 1 if layer.delay is None else len(np.unique(layer.delay))
    return max(patches, layer.neurons * slices)
