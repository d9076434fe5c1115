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
from sdcl_neuro.conversion.quantisation_aware import prepare_quantization, set_mode
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
    chip = quantize(from_snntorch(module, spikes))
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
    with pytest.raises(NetworkRefused, match=r"batch norm.*make_deployable"):
        prepare_quantization(plain, spikes)
    deployable = make_deployable(nn.Sequential(nn.Conv2d(2, 4, 3), leaky()))
    with pytest.raises(InputError, match="no weight scale"):
        set_mode(deployable, "int")
    with pytest.raises(InputError, match="'float' or 'int'"):
        set_mode(deployable, "both")
