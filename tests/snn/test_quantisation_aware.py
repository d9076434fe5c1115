"""A user's own module, made chip-exact and trained on in integers in the user's own loop."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from sdcl_neuro.conversion import from_snntorch, make_deployable, quantize
from sdcl_neuro.conversion.sources.snntorch.quantisation_aware import prepare_quantization, set_mode
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError, NetworkRefused


def usual_model():
    """snnTorch's defaults: reset by subtraction, hidden states."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1),
        snn.Leaky(0.85, init_hidden=True, learn_threshold=True),
        nn.Flatten(),
        nn.Linear(6 * 36, 20, bias=False),
        snn.Synaptic(0.5, 0.8, init_hidden=True),
        nn.Linear(20, 10),
        snn.RLeaky(0.8, linear_features=10, init_hidden=True),
    )


def run(module, spikes):
    utils.reset(module)
    return torch.stack([module(step) for step in spikes])


@pytest.fixture
def spikes():
    torch.manual_seed(0)
    data = (torch.rand(12, 16, 2, 12, 12) < 0.25).float()
    data[:, ::2, :, :6] = 0
    return data


def test_fine_tuned_in_integers_and_exported_exactly(spikes):
    module = usual_model()
    with torch.no_grad():
        for synapse in (module[0], module[3], module[5]):
            synapse.weight.mul_(3.0)
    names = {id(parameter) for parameter in module.parameters()}
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    make_deployable(module)
    prepare_quantization(module, spikes)
    assert {id(parameter) for parameter in module.parameters()} == names
    labels, losses = torch.arange(16) % 2, []
    for _ in range(20):
        counts = run(module, spikes).sum(dim=0)
        loss = nn.functional.cross_entropy(counts.unflatten(1, (2, 5)).sum(2), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0], losses
    with torch.no_grad():
        expected = run(module, spikes)
    chip = quantize(from_snntorch(module, spikes), check=False)
    assert [note["scale_from"] for note in chip.meta["quantisation"]] == ["training"] * 3
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    assert expected.mean() > 0.02
    np.testing.assert_array_equal(record.spikes[2], expected.numpy())
    # The same integers, whether described in integer mode or in float mode.
    set_mode(module, "float")
    again = quantize(from_snntorch(module, spikes))
    for one, two in zip(chip.layers, again.layers, strict=True):
        np.testing.assert_array_equal(one.weight, two.weight)
        assert one.neuron == two.neuron


def test_float_mode_is_untouched_and_copies_are_independent(spikes):
    module = make_deployable(usual_model())
    with torch.no_grad():
        before = run(module, spikes)
        prepare_quantization(module, spikes)
        twin = copy.deepcopy(module)
        set_mode(module, "float")
        assert torch.equal(run(module, spikes), before)
        assert twin[1].mode == "int"
        assert twin[0].parametrizations.weight[0]._owner[0] is twin[1]


def test_what_cannot_train_in_integers(spikes):
    def leaky():
        return snn.Leaky(0.8, reset_mechanism="zero", init_hidden=True)

    plain = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), leaky())
    with pytest.raises(NetworkRefused, match=r"2 \(Leaky\): this neuron.*make_deployable"):
        prepare_quantization(plain, spikes)
    deployable = make_deployable(nn.Sequential(nn.Conv2d(2, 4, 3), leaky()))
    with pytest.raises(InputError, match="no weight scale"):
        set_mode(deployable, "int")
    with pytest.raises(InputError, match="'float' or 'int'"):
        set_mode(deployable, "both")


class _Pooled(nn.Module):
    """A forward of its own, with average pooling before a convolution and a Linear."""

    def __init__(self, pool):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(0.8, threshold=0.3)
        self.pool1, self.pool2 = pool, nn.AvgPool2d(2)
        self.conv2, self.lif2 = nn.Conv2d(4, 6, 3, padding=1), snn.Leaky(0.8, threshold=0.2)
        self.fc, self.lif3 = nn.Linear(6 * 9, 5), snn.Leaky(0.9, threshold=0.2)

    def forward(self, x):
        states = [lif.reset_mem() for lif in (self.lif1, self.lif2, self.lif3)]
        spikes = []
        for step in x:
            one, states[0] = self.lif1(self.conv1(step), states[0])
            two, states[1] = self.lif2(self.conv2(self.pool1(one)), states[1])
            out, states[2] = self.lif3(self.fc(self.pool2(two).flatten(1)), states[2])
            spikes.append(out)
        return torch.stack(spikes)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.LPPool2d(1, 2)])
def test_pooled_modules_with_a_forward_train_in_the_integers_of_the_chip(spikes, pool):
    module = make_deployable(_Pooled(pool))
    prepare_quantization(module, spikes)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        module(spikes).sum(0).pow(2).mean().neg().backward()
        optimiser.step()
    trained = module.eval()(spikes).detach().numpy()
    chip = quantize(from_snntorch(module, spikes), check=False)
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    assert trained.mean() > 0.05
    np.testing.assert_array_equal(record.spikes[2], trained)


@pytest.mark.parametrize(
    "modules",
    [
        lambda: [nn.AvgPool2d(3, 2), nn.Conv2d(2, 2, 3)],
        lambda: [nn.Conv2d(2, 2, 3), nn.AvgPool2d(2)],
        lambda: [nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)],
    ],
    ids=["pool, conv", "conv, pool", "conv, norm"],
)
def test_synapses_without_a_grid_of_their_own_train_as_a_graph(spikes, modules):
    torch.manual_seed(0)
    neuron = snn.Leaky(0.8, threshold=0.2, init_hidden=True)
    module = make_deployable(nn.Sequential(*modules(), neuron)).eval()
    prepare_quantization(module, spikes)
    run(module, spikes).sum(0).pow(2).mean().neg().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.01 * parameter.grad.sign()
        expected = run(module, spikes)
    utils.reset(module)
    chip = quantize(from_snntorch(module, spikes), check=False)
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    assert expected.mean() > 0.05
    np.testing.assert_array_equal(record.spikes[0].reshape(expected.shape), expected.numpy())
