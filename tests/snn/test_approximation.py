"""Networks with another reset, taken at once: what is promised, measured and listed."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.conversion.approximation import describe
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.layer_modules import float_layer
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.sources.snntorch.chain import lower_chain
from sdcl_neuro.errors import InputError, NetworkRefused


@pytest.fixture
def spikes():
    torch.manual_seed(3)
    return (torch.rand(30, 8, 20) < 0.3).float()


def _neuron(kind, **options):
    options = {"init_hidden": True, "threshold": 0.3, **options}
    if kind == "synaptic":
        return snn.Synaptic(0.6, 0.8, **options)
    if kind == "recurrent":
        return snn.RLeaky(0.8, linear_features=12, **options)
    return snn.Leaky(0.9, **options)


def _own(module, spikes):
    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    with torch.no_grad():
        return torch.stack([module.eval()(step) for step in spikes])


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
@pytest.mark.parametrize("kind", ["leaky", "synaptic", "recurrent"])
def test_the_original_is_run_as_snntorch_runs_it(kind, mechanism, delay, spikes):
    """The description with its departure is the module itself: filtered bias, resets and all."""
    neuron = _neuron(kind, reset_mechanism=mechanism, reset_delay=delay)
    module = nn.Sequential(nn.Linear(20, 12), neuron)
    lowered = lower_chain(list(module.named_children()), (20,), approximate=True)
    with torch.no_grad():
        found = float_layer(lowered.net.layers[0], lowered.departures[0])(spikes)
    own = _own(module, spikes)
    assert 0.05 < own.mean() < 0.95
    assert (found != own).float().mean() < 0.002
    exact = mechanism == "zero" and (kind == "leaky" or not delay)
    departure = lowered.departures[0]
    assert (departure is None) == (exact and kind != "synaptic")
    if departure is not None and kind == "synaptic":
        assert departure.filters_bias


def test_rates_are_kept_and_agreement_is_what_a_run_gives(spikes):
    module = nn.Sequential(
        nn.Linear(20, 30),
        _neuron("leaky"),
        nn.Linear(30, 25, bias=False),
        _neuron("synaptic", reset_mechanism="zero", reset_delay=False),
        nn.Linear(25, 12),
        _neuron("recurrent"),
    )
    net = from_snntorch(module, spikes, approximate=True, calibration=spikes)
    notes = net.meta["approximate"]
    assert [bool(note["approximated"]) for note in notes] == [True, False, True]
    assert notes[1]["threshold"] == notes[1]["threshold_before"] == pytest.approx(0.3)
    ours = run_float(Model(floating=net), spikes.numpy().astype(np.uint8)).spikes
    own = _own(module, spikes).numpy()
    assert notes[2]["spikes"] == own.sum()
    assert notes[2]["agreement_after"] == pytest.approx((own == ours[2]).mean())
    both, either = (own * ours[2]).sum(), np.maximum(own, ours[2]).sum()
    assert notes[2]["spike_agreement_after"] == pytest.approx(both / either)
    for note in (notes[0], notes[2]):
        error = abs(note["spikes_after"] - note["spikes"]) / note["spikes"]
        assert error < 0.01
        assert error <= abs(note["spikes_before"] - note["spikes"]) / note["spikes"]
    for index, note in enumerate(notes):
        assert note["spikes_after"] == ours[index].sum()
        assert net.layers[index].neuron.threshold == note["threshold"]
    lines = describe(notes)
    assert "subtraction became reset to zero" in lines[1]
    assert quantize(net, calibration=spikes.numpy()).meta["approximate"] == notes


def test_exact_networks_have_nothing_to_approximate(spikes):
    module = nn.Sequential(nn.Linear(20, 5), _neuron("leaky", reset_mechanism="zero"))
    net = from_snntorch(module, spikes, approximate=True, calibration=spikes)
    assert "approximate" not in net.meta
    np.testing.assert_array_equal(net.layers[0].weight, module[0].weight.detach())


class _Loop(nn.Module):
    def __init__(self, lose=False):
        super().__init__()
        self.fc, self.lif, self.lose = nn.Linear(20, 9), snn.Leaky(0.9, threshold=0.3), lose

    def forward(self, x):
        mem, out = self.lif.reset_mem(), []
        for step in x:
            spike, mem = self.lif(self.fc(step), mem)
            mem = mem * 0.5 if self.lose else mem
            out.append(spike)
        return torch.stack(out)


def test_a_forward_of_its_own_is_compared_with_its_own_reset(spikes):
    net = from_snntorch(_Loop(), spikes, approximate=True, calibration=spikes)
    (check,) = net.meta["source_checks"]
    (pair,) = check["pair"]["layers"]
    assert check["pair"]["kind"] == "agreement"
    assert pair["mismatches"] > 0, "its own spikes are those before anything was approximated"
    (note,) = net.meta["not_checked"]
    assert "approximated on request" in note["reason"]
    with pytest.raises(NetworkRefused, match="spikes differ"):
        from_snntorch(_Loop(lose=True), spikes, approximate=True, calibration=spikes)


@pytest.mark.parametrize(
    ("neuron", "words"),
    [
        (snn.Lapicque(0.8), "Lapicque resets one step late"),
        (snn.RSynaptic(0.5, 0.5, linear_features=12), "RSynaptic never"),
    ],
)
def test_what_is_not_approximated_stays_refused(neuron, words, spikes):
    with pytest.raises(NetworkRefused, match=words):
        from_snntorch(
            nn.Sequential(nn.Linear(20, 12), neuron), spikes, approximate=True, calibration=spikes
        )


def test_the_refusal_names_both_ways_in(spikes):
    module = nn.Sequential(nn.Linear(20, 12), _neuron("leaky"))
    with pytest.raises(NetworkRefused, match=r"make_deployable\(module\).*approximate=True"):
        from_snntorch(module, spikes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"approximate": True}, "needs calibration"),
        ({"calibration": np.ones((2, 1, 20))}, "unused"),
        ({"approximate": True, "calibration": np.ones((2, 1, 9))}, r"\[9\] for a network of \[20"),
        ({"approximate": True, "calibration": np.zeros((2, 1, 20))}, "no spike at all"),
    ],
)
def test_calibration_that_does_not_serve(options, words, spikes):
    module = nn.Sequential(nn.Linear(20, 12), _neuron("leaky"))
    with pytest.raises(InputError, match=words):
        from_snntorch(module, spikes, **options)
