"""How to call torch's convolution so that float sums are those of a loop over steps.

A library may add in another order where channels lie last in memory, or where more images come at
once. Then a sum differs in its last bit, and once in a while a spike with it. Whether it does
depends on sizes, processor and library alone, so it is found out once for each, on random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

REMEMBERED = 512
"""Calls of different sizes."""


class Way(Enum):
    """Ways to compute a convolution, fastest first."""

    CHANNELS_LAST = auto()
    AT_ONCE = auto()
    STEP_BY_STEP = auto()


@dataclass(frozen=True)
class ConvolutionCall:
    """A convolution of a few steps.

    Attributes:
        steps: how many.
        images: of each step, ``[B, Ci, H, W]``.
        weight: ``[Co, Ci, kh, kw]``.
        stride, padding: vertical and horizontal.
        biased: whether there is a bias.
    """

    steps: int
    images: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, int]
    padding: tuple[int, int]
    biased: bool

    def convolve(self, spikes: Tensor, weight: Tensor, bias: Tensor | None, way: Way) -> Tensor:
        """Return sums ``[steps B, Co, h, w]`` of float32 ``[steps B, Ci, H, W]``, in any layout."""
        if way is Way.CHANNELS_LAST:
            weight = weight.contiguous(memory_format=torch.channels_last)
            return functional.conv2d(spikes, weight, bias, self.stride, self.padding)
        weight = weight.contiguous()
        parts = spikes.contiguous().chunk(1 if way is Way.AT_ONCE else self.steps)
        found = [functional.conv2d(x, weight, bias, self.stride, self.padding) for x in parts]
        return found[0] if len(found) == 1 else torch.cat(found)

    def way(self) -> Way:
        """Return the fastest that is exact with the present number of threads."""
        return _probed(self, torch.get_num_threads())


@lru_cache(maxsize=REMEMBERED)
def _probed(call: ConvolutionCall, threads: int) -> Way:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    spikes = drawn(*call.images).repeat(call.steps, 1, 1, 1)
    weight, bias = drawn(*call.weight), drawn(call.weight[0]) if call.biased else None
    with torch.no_grad():
        expected = call.convolve(spikes, weight, bias, Way.STEP_BY_STEP)
        for way in (Way.CHANNELS_LAST, Way.AT_ONCE):
            if torch.equal(call.convolve(spikes, weight, bias, way), expected):
                return way
    return Way.STEP_BY_STEP
