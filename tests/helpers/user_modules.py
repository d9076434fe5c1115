"""Modules as users write them, each with the spikes that it sends when its author runs it."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn

ZERO: dict[str, Any] = {"reset_mechanism": "zero"}
HIDDEN: dict[str, Any] = {"reset_mechanism": "zero", "init_hidden": True}


def lively(module: nn.Module, gain: float = 3.0) -> nn.Module:
    """Larger weights, so that neurons fire."""
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.Linear | nn.Conv2d):
                child.weight.mul_(gain)
    return module


class Two(nn.Module):
    """Two layers with visible states; subclasses say how they take their input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(12, 9), snn.Leaky(0.9, threshold=0.5, **ZERO)
        self.fc2, self.lif2 = nn.Linear(9, 7), snn.Leaky(0.8, threshold=0.4, **ZERO)
        lively(self)

    def steps(self, steps: Any) -> Tensor:
        """Loop over steps ``[B, N]``."""
        mem1, mem2, spikes = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in steps:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


class Sequence(Two):
    def forward(self, x):
        return self.steps(x)


class BatchFirst(Two):
    def forward(self, x):
        return self.steps(x.transpose(0, 1)).transpose(0, 1)


class ListOfSteps(Two):
    def forward(self, steps):
        assert isinstance(steps, list)
        return self.steps(steps)


class Counted(Two):
    def forward(self, x, num_steps):
        return self.steps(x[k] for k in range(num_steps))


class ByKeyword(Two):
    def forward(self, x):
        mem1 = mem2 = None
        spikes = []
        for step in x:
            spk1, mem1 = self.lif1(input_=self.fc1(input=step), mem=mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem=mem2)
            spikes.append(spk2)
        return {"spikes": torch.stack(spikes), "membrane": mem2}


class LayerByLayer(Two):
    """Each layer over all steps before the next one."""

    def forward(self, x):
        flow = x
        for synapse, neuron in ((self.fc1, self.lif1), (self.fc2, self.lif2)):
            mem, spikes = None, []
            for current in synapse(flow.flatten(0, 1)).unflatten(0, flow.shape[:2]):
                spike, mem = neuron(current, mem)
                spikes.append(spike)
            flow = torch.stack(spikes)
        return flow


class FixedBatch(Two):
    """Made for three samples."""

    def forward(self, x):
        return self.steps(step.view(3, 12) for step in x)


class ExplicitStates(Two):
    """snnTorch's docstrings write modules so."""

    def forward(self, x, mem1, spk1, mem2):
        del spk1
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return mem1, spk1, mem2, spk2


class OptionalStates(Two):
    def forward(self, x, states=None):
        mem1, mem2 = states or (self.lif1.init_leaky(), self.lif2.init_leaky())
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, (mem1, mem2)


class OptionalState(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(12, 7), snn.Leaky(0.9, threshold=0.5, **ZERO)
        lively(self)

    def forward(self, x, mem=None):
        if mem is None:
            mem = self.lif.init_leaky()
        return self.lif(self.fc(x), mem)


class KeptOnSelf(Two):
    def __init__(self):
        super().__init__()
        self.states: list[Tensor | None] = [None, None]

    def forward(self, x):
        for k, (synapse, neuron) in enumerate(((self.fc1, self.lif1), (self.fc2, self.lif2))):
            if self.states[k] is None:
                self.states[k] = torch.zeros(len(x), synapse.out_features)
            x, self.states[k] = neuron(synapse(x), self.states[k])
        return x


class Static(Two):
    """snnTorch's tutorial 5."""

    def forward(self, x):
        return self.steps([x] * 9)


class StaticComputedOnce(Two):
    """The first layer's currents are the same in every step."""

    def forward(self, x):
        current, mem1, mem2, spikes = self.fc1(x), None, None, []
        for _ in range(9):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)
