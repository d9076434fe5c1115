"""How chip-exact neurons are made, those that reset to zero and those that never reset alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import snntorch as snn
from torch import Tensor

from .chip_neuron import ChipNeuron, Mode


class ChipLeaky(ChipNeuron, snn.Leaky):
    """A ``snn.Leaky`` whose reset its class fixes; arguments as for `LoihiLeaky`.

    Attributes:
        resets: options of snnTorch's that say how it resets.
    """

    resets: ClassVar[Mapping[str, Any]]
    mem: Tensor

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        mode: Mode = "float",
        scale: float = 0.0,
        **options: Any,
    ) -> None:
        self._numbers_given(beta=beta, threshold=threshold)
        super().__init__(beta, threshold, **self.resets, **options)
        self._become_chip(mode=mode, scale=scale, single=False)


class ChipSynaptic(ChipNeuron, snn.Synaptic):
    """A ``snn.Synaptic`` whose reset its class fixes; arguments as for `LoihiSynaptic`.

    Attributes:
        resets: options of snnTorch's that say how it resets.
    """

    resets: ClassVar[Mapping[str, Any]]
    syn: Tensor
    mem: Tensor

    def __init__(
        self,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        mode: Mode = "float",
        scale: float = 0.0,
        **options: Any,
    ) -> None:
        self._numbers_given(alpha=alpha, beta=beta, threshold=threshold)
        super().__init__(alpha, beta, threshold, **self.resets, **options)
        self._become_chip(mode=mode, scale=scale, single=False)
