"""Populations of neurons as lowering sees them, whatever library they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .approximate import Approximation

Array = NDArray[np.float64]


class Reason(NamedTuple):
    """Why one module cannot be lowered.

    Attributes:
        what: what the target cannot do, with value and limit.
        hint: what to change in the network.
        of_chains: whether only a chain of layers is refused for it; a graph may hold it.
    """

    what: str
    hint: str
    of_chains: bool = False


ReasonLike: TypeAlias = Reason | tuple[str, str]
"""Or what and hint alone."""


class Unsupported(Exception):
    """Why one module cannot be lowered: every reason at once."""

    def __init__(self, reasons: Sequence[ReasonLike]) -> None:
        self.reasons = tuple(Reason(*each) for each in reasons)
        super().__init__(str(self.reasons))


@dataclass(frozen=True)
class Recurrence:
    """What a population's own spikes feed back to it, one step later.

    Attributes:
        kind: ``dense`` ``[N, N]``; ``diagonal``, which broadcasts to the population;
            ``conv`` ``[C, C, kH, kW]``.
        weight: of that shape.
        bias: ``[N]`` or ``[C]``, or None.
        padding: of the convolution.
    """

    kind: Literal["dense", "diagonal", "conv"]
    weight: Array
    bias: Array | None = None
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Population:
    """A snnTorch neuron in the terms of `spec`.

    Attributes:
        threshold: as stored; broadcasts to the population.
        departure: how it differs from the chip's neuron; None if it does not.
        drive: what each step adds straight to the membrane; broadcasts to the population.
        sends: the value of its spikes, which the next weights take over.
    """

    beta: float
    threshold: Array
    alpha: float = 0.0
    scale: float | None = None
    recurrence: Recurrence | None = None
    departure: Approximation | None = None
    drive: Array | None = None
    sends: float = 1.0
