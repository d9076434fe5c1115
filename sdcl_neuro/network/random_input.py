"""Random input spikes where none were given, said in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .arguments import public_class


@public_class
@dataclass(frozen=True)
class RandomInput:
    """Independent random input spikes.

    Attributes:
        steps, samples: T and B.
        rate: probability of a spike per input and step.
        seed: of numpy's default generator.
    """

    steps: int = 16
    samples: int = 1
    rate: float = 0.1
    seed: int = 0

    def draw(self, input_shape: Sequence[int]) -> NDArray[np.uint8]:
        """Return uint8 ``[T, B, *input_shape]``."""
        if self.steps < 1 or self.samples < 1:
            raise InputError(
                f"{self.steps} steps of {self.samples} samples", hint="give at least 1"
            )
        if not 0 <= self.rate <= 1:
            raise InputError(f"the rate {self.rate} is not a probability", hint="give it in [0, 1]")
        shape = (self.steps, self.samples, *input_shape)
        chosen = np.random.default_rng(self.seed).random(shape, dtype=np.float32) < self.rate
        return chosen.astype(np.uint8)

    def __str__(self) -> str:
        return f"random, rate {self.rate:g}, seed {self.seed}"
