"""Modules with a forward of their own: followed where they are chains, refused where not."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.lowering.graph.nodes import NormNode
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.errors import InputError, NetworkRefused


class Usual(nn.Module):
    """The network of snnTorch's tutorials, with the chip's reset."""

    def __init__(self, between=lambda x: x, state=lambda x: x, entry=lambda x: x):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.lif1 = snn.Leaky(0.8, reset_mechanism="zero")
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6 * 36, 10)
        self.lif2 = snn.Leaky(0.9, reset_mechanism="zero")
        self.between, self.state, self.entry = between, state, entry
        with torch.no_grad():
            self.conv1.weight.mul_(3)
            self.fc.weight.mul_(3)
            self.bn.running_var.uniform_(0.5, 2)

    def forward(self, x):
        mem1, mem2, spikes = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.bn(self.conv1(self.entry(x[step]))), mem1)
            mem1 = self.state(mem1)
            flat = self.between(self.drop(spk1).flatten(1))
            spk2, mem2 = self.lif2(self.fc(flat), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


@pytest.fixture
def sample():
    torch.manual_seed(0)
    return (torch.rand(10, 3, 2, 6, 6) < 0.3).float()


def test_a_loop_over_time_is_followed(sample):
    module = Usual().train()
    net = from_snntorch(module, sample)
    assert module.training
    assert module.bn.training
    assert not any(child._forward_hooks for child in module.modules())
    assert [layer.name for layer in net.layers] == ["conv1", "fc"]
    assert net.layers[1].in_shape == (6, 6, 6)
    (check,) = net.meta["source_checks"]
    assert check["pair"]["holds"] is True
    assert [layer["compared"] for layer in check["pair"]["layers"]] == [10 * 3 * 216, 10 * 3 * 10]
    module.eval()
    with torch.no_grad():
        expected = module(sample).numpy()
    assert expected.mean() > 0.02
    found = run_float(Model(floating=net), sample.numpy().astype(np.uint8)).spikes[1]
    assert (found != expected).mean() < 0.002


def test_one_step_with_hidden_states_is_followed(sample):
    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(2, 4, 3), snn.Leaky(0.8, reset_mechanism="zero", init_hidden=True)
            )
            self.head = nn.Linear(64, 5, bias=False)
            self.out = snn.Synaptic(
                0.5, 0.8, reset_mechanism="zero", reset_delay=False, init_hidden=True
            )

        def forward(self, x):
            return self.out(self.head(torch.flatten(self.body(x), 1)))

    module = Step()
    module(sample[0])
    kept = module.body[1].mem
    net = from_snntorch(module, sample)
    assert module.body[1].mem is kept
    assert [layer.name for layer in net.layers] == ["body.0", "head"]
    assert net.layers[1].neuron.alpha == pytest.approx(0.5)


def test_input_flattened_in_the_forward(sample):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(72, 5)
            self.lif = snn.Leaky(0.8, reset_mechanism="zero")

        def forward(self, x):
            mem, spikes = None, []
            for step in x:
                spike, mem = self.lif(self.fc(step.flatten(1)), mem)
                spikes.append(spike)
            return torch.stack(spikes).sum(0)

    net = from_snntorch(Flat(), sample)
    assert net.input_shape == net.layers[0].in_shape == (2, 6, 6)


@pytest.mark.parametrize("between", [torch.relu, lambda x: x.flip(1)])
def test_operations_between_modules_are_not_lost(sample, between):
    with pytest.raises(NetworkRefused, match=r"the operation (relu|flip) outside the modules"):
        from_snntorch(Usual(between=between), sample)


@pytest.mark.parametrize("between", [lambda x: 2 * x, lambda x: x.mul_(2)])
def test_operations_that_are_weights_become_weights(sample, between):
    graph = from_snntorch(Usual(between=between), sample)
    assert any(isinstance(node, NormNode) and node.gain[0] == 2 for node in graph.nodes)


def test_changed_states_and_inputs_are_not_lost(sample):
    with pytest.raises(NetworkRefused, match=r"lif1: its own spikes differ"):
        from_snntorch(Usual(state=lambda mem: mem * 0.3), sample)
    with pytest.raises(NetworkRefused, match="something other than the spikes"):
        from_snntorch(Usual(entry=lambda x: x.cos()), sample)


def test_skips_and_changing_orders(sample):
    class Skip(Usual):
        def forward(self, x):
            spikes = self.drop(self.lif1(self.bn(self.conv1(x[0])))[0])
            again = self.conv1.forward(x[0]) + spikes
            return self.lif2(self.fc(again.flatten(1)))[0]

    with pytest.raises(NetworkRefused, match="outside the modules"):
        from_snntorch(Skip(), sample)

    class Jump(Usual):
        def forward(self, x):
            one = two = None
            for step in x:
                first = self.bn(self.conv1(step))
                _, one = self.lif1(first, one)
                spikes, two = self.lif2(self.fc(first.flatten(1)), two)
            return spikes

    graph = from_snntorch(Jump(), sample)
    assert [node.inputs for node in graph.nodes if node.name == "fc"] == [("bn.flat",)]

    class Moody(Usual):
        def forward(self, x):
            spikes = self.lif1(self.bn(self.conv1(x[0])))[0]
            self.lif2(self.fc(spikes.flatten(1)))
            return self.bn(self.conv1(x[1]))

    with pytest.raises(NetworkRefused, match="order of its modules"):
        from_snntorch(Moody(), sample)


def test_forwards_that_do_not_run(sample):
    class Two(Usual):
        def forward(self, x, mem):
            return x, mem

    with pytest.raises(InputError, match=r"Two: its forward runs neither.*spikes alone"):
        from_snntorch(Two(), sample)

    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x):
            return x

    with pytest.raises(InputError, match="calls no module"):
        from_snntorch(Nothing(), sample)
