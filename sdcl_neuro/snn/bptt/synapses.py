"""A convolution over steps, a few at a time: its sums, and the gradients of both its sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from . import sparse
from .exact import ConvolutionCall

LAST = torch.channels_last


@dataclass(frozen=True)
class Geometry:
    """Stride and padding of ``nn.Conv2d``, vertical and horizontal."""

    stride: tuple[int, int]
    padding: tuple[int, int]


class TrainedSynapses:
    """Between spikes ``[T, B, Ci, H, W]`` of any layout and a population.

    Args:
        spikes: of all steps.
        weight: ``[Co, Ci, kh, kw]``.
        bias: ``[Co]`` that is a part of the sums.
        geometry: of the convolution.
        integers: whether the weights are integers; sums are then exact in any order.
    """

    def __init__(
        self, spikes: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry,
        *, integers: bool,
    ) -> None:  # fmt: skip
        # A copy only if steps do not follow one another in memory.
        self.spikes: Tensor = spikes.detach().flatten(0, 1).unflatten(0, spikes.shape[:2])
        self.geometry, self.integers = geometry, integers
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach()
        self._gradient: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one step's sums, ``(B, Co, h, w)``."""
        geometry, spikes, weight = self.geometry, self.spikes, self.weight
        sizes = zip(
            spikes.shape[3:], weight.shape[2:], geometry.stride, geometry.padding, strict=True
        )
        rows, columns = ((size + 2 * pad - kernel) // step + 1 for size, kernel, step, pad in sizes)
        return spikes.shape[1], weight.shape[0], rows, columns

    def sums(self, call: slice) -> Tensor:
        """Return ``[n, Co, h, w]`` for the n images of a few steps, contiguous or channels last."""
        images = self.spikes[call].flatten(0, 1)
        if not self.integers:
            return self._float_sums(images, call.stop - call.start)
        if self._sparse is not None:
            return self._sparse.sums(images, self._stored)
        geometry = self.geometry
        sums = functional.conv2d(images, self._last_weight, None, geometry.stride, geometry.padding)
        # Rounding mends what a fast algorithm (Winograd, Fourier) left of an integer.
        return sums.round_()

    def add_weight_gradient(self, call: slice, drive: Tensor) -> None:
        """Add weight gradients from the sums' gradient ``[n, Co, h, w]``, channels last."""
        images = self.spikes[call].flatten(0, 1)
        if self._sparse is not None:
            found = self._sparse.weight_gradient(images, drive)
        else:
            found = self._torch(drive, images.contiguous(memory_format=LAST), (False, True, False))
        self._gradient = found if self._gradient is None else self._gradient.add_(found)

    def weight_gradient(self) -> Tensor:
        """Return the sum of what was added."""
        if self._gradient is None:
            return torch.zeros_like(self.weight)
        if self._sparse is not None:
            return self._sparse.restored(self._gradient)
        return self._gradient

    def input_gradient(self, call: slice, drive: Tensor) -> Tensor:
        """Return ``[n, Ci, H, W]``, channels last; the caller's to change. `drive`: see above."""
        images = self.spikes[call].flatten(0, 1)
        if not images.is_contiguous(memory_format=LAST):
            # Only the shape of what came in matters here.
            images = torch.empty_like(images, memory_format=LAST)
        found = self._torch(drive, images, (True, False, False))
        return found.contiguous(memory_format=LAST)

    def _float_sums(self, images: Tensor, steps: int) -> Tensor:
        call = ConvolutionCall(
            steps, tuple(self.spikes.shape[1:]), tuple(self.weight.shape), self.geometry.stride,
            self.geometry.padding, self.bias is not None,
        )  # fmt: skip
        return call.convolve(images, self.weight, self.bias, call.way())

    def _torch(self, drive: Tensor, images: Tensor, wanted: tuple[bool, ...]) -> Tensor:
        """Return the one gradient that is `wanted`. Torch is faster with channels last."""
        geometry = self.geometry
        found = torch.ops.aten.convolution_backward(
            drive, images, self._last_weight, None, geometry.stride, geometry.padding, (1, 1),
            False, (0, 0), 1, wanted,
        )  # fmt: skip
        return cast(Tensor, found[wanted.index(True)])

    @cached_property
    def _last_weight(self) -> Tensor:
        return self.weight.contiguous(memory_format=LAST)

    @cached_property
    def _sparse(self) -> sparse.SparseConvolution | None:
        """To be used where it is faster on the step in the middle."""
        geometry, spikes = self.geometry, self.spikes
        if not sparse.pays(spikes[len(spikes) // 2], self.weight, geometry.stride):
            return None
        height, width = spikes.shape[3:]
        outputs, inputs, rows, columns = self.weight.shape
        return sparse.SparseConvolution(
            (height, width), (outputs, inputs, rows, columns), geometry.stride, geometry.padding
        )

    @cached_property
    def _stored(self) -> Tensor:
        assert self._sparse is not None
        return self._sparse.stored(self.weight)
