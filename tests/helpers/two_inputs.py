"""A network of two inputs, step by step and looping by itself."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn


class TwoInputs(nn.Module):
    """An image ``[B, 2, 4, 4]`` and a vector ``[B, 6]``, which meet behind a neuron each."""

    def __init__(self, *betas: float, **options: Any) -> None:
        super().__init__()
        image, vector, out = (
            snn.Leaky(beta, threshold=0.3, init_hidden=True, reset_mechanism="zero", **options)
            for beta in betas
        )
        self.conv, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), image
        self.fc, self.lif2 = nn.Linear(6, 48), vector
        self.out, self.lif3 = nn.Linear(96, 5), out

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        one = self.lif1(self.conv(image)).flatten(1)
        both = torch.cat([one, self.lif2(self.fc(vector))], 1)
        spikes: Tensor = self.lif3(self.out(both))
        return spikes


class LoopedInputs(TwoInputs):
    """The same, looping over all steps by itself."""

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        steps = zip(image, vector, strict=True)
        return torch.stack([TwoInputs.forward(self, *step) for step in steps])
