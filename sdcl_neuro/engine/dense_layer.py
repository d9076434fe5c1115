"""One layer of the dense path: its sums by one matrix product a chunk, then its neurons."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import moved
from sdcl_neuro.gpu_kernels import either

from . import dense_steps
from .dense_constants import Constants


class DenseLayer:
    """A layer with its states, for every sample.

    Args:
        constants: of the layer.
        samples: that run side by side.
        totals: int64 ``[B, 9]`` as `COUNTED`, added to.
    """

    def __init__(self, constants: Constants, samples: int, totals: Tensor) -> None:
        self.constants, self._totals = constants, totals
        device, dtype = constants.weight.device, constants.weight.dtype
        neurons, slots = constants.neurons, max(constants.delays)
        # Currents, voltages, and the spikes of the step before.
        self._states = torch.zeros((3, samples, neurons), dtype=torch.int64, device=device)
        # Sums of the steps after the chunk.
        self._pending = torch.zeros((slots, samples, neurons), dtype=dtype, device=device)
        self._fresh = True

    def advance(self, received: Tensor) -> Tensor:
        """Map uint8 ``[T, B, *in_shape]`` to uint8 ``[T, B, *out_shape]``."""
        steps, samples = received.shape[:2]
        layer = self.constants.layer
        received = received.reshape(steps, samples, *layer.in_shape).contiguous()
        self._count(received.view(steps, samples, -1))
        if layer.convolution is not None:
            sums = self._convolved(received)
        elif len(self._pending):
            sums = self._delayed(self._weighted(received))[:, :, None]
        else:
            sums = self._weighted(received)[0][:, :, None]
        sent = self._neurons(sums)
        self._fresh = False
        return sent.view(steps, samples, *layer.out_shape)

    def _count(self, received: Tensor) -> None:
        constants, totals = self.constants, self._totals

        def kernels() -> None:
            from . import dense_kernels

            dense_kernels.count_inputs(received, totals, constants)

        either(
            kernels,
            lambda: dense_steps.count_inputs(received, totals, constants),
            device=received.device,
        )

    def _neurons(self, sums: Tensor) -> Tensor:
        """Map sums ``[T, B, planes, N / planes]`` to spikes ``[T, B, N]``."""
        given = (self._states, self._totals, self.constants)

        def kernels() -> Tensor:
            from . import dense_kernels

            return dense_kernels.advance(sums, *given, fresh=self._fresh)

        return either(
            kernels,
            lambda: dense_steps.advance(sums, *given, fresh=self._fresh),
            device=sums.device,
        )

    def _weighted(self, received: Tensor) -> Tensor:
        """Return summed weights of a dense layer by delay, ``[delays, T, B, N]``."""
        steps, samples = received.shape[:2]
        weight = self.constants.weight
        spikes = received.view(1, steps * samples, -1).to(weight.dtype)
        sums = torch.bmm(spikes.expand(len(weight), -1, -1), weight.transpose(1, 2))
        return sums.view(len(weight), steps, samples, -1)

    def _delayed(self, sums: Tensor) -> Tensor:
        """Map sums by delay to those that arrive in each step, ``[T, B, N]``."""
        steps = sums.shape[1]
        total = functional.pad(self._pending, (0, 0, 0, 0, 0, steps))
        arrival = np.add.outer(self.constants.delays, np.arange(steps)).reshape(-1)
        total.index_add_(0, moved(torch.from_numpy(arrival), sums.device), sums.flatten(0, 1))
        self._pending = total[steps:]
        return total[:steps]

    def _convolved(self, received: Tensor) -> Tensor:
        """Return summed weights of a convolution, ``[T, B, C_out, h w]``, channels first in
        memory.
        """
        steps, samples = received.shape[:2]
        weight = self.constants.weight
        columns = self._columns(received.flatten(0, 1))
        sums = torch.bmm(weight, columns.view(len(weight), weight.shape[2], -1))
        channels = self.constants.layer.out_shape[0]
        return sums.view(channels, steps, samples, -1).permute(1, 2, 0, 3)

    def _columns(self, images: Tensor) -> Tensor:
        """Return patches of uint8 ``[images, C, H, W]``: ``[groups, C / groups, kh, kw, images, h,
        w]``.

        Torch's own unfolding launches a kernel for every image on a GPU; this is one copy.
        """
        layer, weight = self.constants.layer, self.constants.weight
        geometry = layer.convolution
        assert geometry is not None
        (down, right), (below, beside) = geometry.padding, geometry.dilation
        if down or right:
            images = functional.pad(images, (right, right, down, down))
        count, channels, height, width = images.shape
        plane, apart = height * width, channels // geometry.groups
        view = images.as_strided(
            (geometry.groups, apart, *layer.kernel, count, *layer.out_shape[1:]),
            (
                *(apart * plane, plane, below * width, beside, channels * plane),
                *(geometry.stride[0] * width, geometry.stride[1]),
            ),
        )
        return torch.empty(view.shape, dtype=weight.dtype, device=images.device).copy_(view)
