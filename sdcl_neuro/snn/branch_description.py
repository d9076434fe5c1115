"""Event branches without weights and input size, as frozen descriptions that go into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.network.spec import Convolution, Pair


@public_class
@dataclass(frozen=True)
class ConvolutionSpec:
    """One spiking convolution: square kernel, stride and padding in pixels."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def geometry(self) -> Convolution:
        """The same in the terms of `spec`."""
        return Convolution(stride=(self.stride,) * 2, padding=(self.padding,) * 2)


@public_class
@dataclass(frozen=True)
class BranchDescription:
    """An event branch without its input size and weights.

    Attributes:
        layers: the convolutions in order.
        in_channels: of the spike tensor; 2 for polarities OFF and ON.
        beta: membrane decay per step, the initial one if it is learnt.
        threshold: of the membrane, the initial one if it is learnt.
        bias: whether convolutions have a bias; a bias makes neurons fire without events.
        learn_beta, learn_threshold: whether training may change them.
    """

    layers: tuple[ConvolutionSpec, ...]
    in_channels: int = 2
    beta: float = 0.9
    threshold: float = 1.0
    bias: bool = False
    learn_beta: bool = False
    learn_threshold: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BranchDescription:
        """Return the inverse of `to_dict`.

        Raises:
            InputError: for missing, unknown or unusable fields.
        """
        try:
            fields = dict(values)
            layers = tuple(ConvolutionSpec(**layer) for layer in fields.pop("layers"))
            description = cls(layers=layers, **fields)
            description.check()
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise InputError(
                f"not the description of an event branch ({error})",
                hint="write it with BranchDescription.to_dict",
            ) from None
        return description

    def check(self) -> None:
        """Raise InputError where the description cannot be built."""
        sizes = [self.in_channels, *(value for layer in self.layers for value in _counts(layer))]
        if not self.layers or any(not _is_count(value) for value in sizes):
            raise InputError(
                f"an event branch of {self.layers} with {self.in_channels} input channels",
                where="BranchDescription",
                hint="give at least one layer of positive whole channels, kernel and stride",
            )
        if any(not _is_count(layer.padding + 1) for layer in self.layers):
            raise InputError("a negative padding", where="BranchDescription", hint="give 0 or more")
        numbers, flags = (self.beta, self.threshold), (self.bias, self.learn_beta)
        kinds = [isinstance(n, int | float) and not isinstance(n, bool) for n in numbers]
        kinds += [type(flag) is bool for flag in (*flags, self.learn_threshold)]
        if not all(kinds):
            raise InputError("a number or flag of another type", where="BranchDescription")
        if not (0 <= self.beta <= 1 and isfinite(self.threshold) and self.threshold > 0):
            raise InputError(
                f"beta {self.beta}, threshold {self.threshold}",
                where="BranchDescription",
                hint="give a beta in [0, 1] and a positive threshold",
            )

    def output_shape(self, size: Pair) -> tuple[int, int, int]:
        """Return channels, height and width of the last layer for an input of height and width
        `size`.
        """
        return self.shapes(size)[-1]

    def shapes(self, size: Pair) -> list[tuple[int, int, int]]:
        """Return ``(C, H, W)`` of every layer's spikes for an input of height and width `size`."""
        found = []
        for layer in self.layers:
            size = layer.geometry.output_size(size, (layer.kernel, layer.kernel))
            found.append((layer.channels, *size))
        return found


PAPER = BranchDescription(layers=(ConvolutionSpec(8, 5, 1, 2), ConvolutionSpec(8, 3, 1, 1)))
"""The paper's: 8 channels, 5x5 and 3x3, same size (Section 3.3, Fig. 6, and its code)."""
COMPACT = BranchDescription(layers=(ConvolutionSpec(8, 5, 2, 2), ConvolutionSpec(16, 3, 2, 1)))
"""For small chips: halves the size twice; 64x32 gives 16x16x8, the frame branch's grid."""


def _counts(layer: ConvolutionSpec) -> tuple[int, int, int]:
    return layer.channels, layer.kernel, layer.stride


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
