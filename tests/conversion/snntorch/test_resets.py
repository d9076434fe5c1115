"""A neuron resets as it does, not as it is called; what is said to do about it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import nn

from helpers import user_modules as user
from sdcl_neuro.conversion import from_snntorch, make_deployable
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.conversion.sources.snntorch.resets import Reset, find_reset
from sdcl_neuro.errors import NetworkRefused
from sdcl_neuro.snn.loihi_leaky import LoihiSynaptic

Spikes = NDArray[np.uint8]


def own(module: nn.Module, spikes: Spikes) -> Spikes:
    """The module's spikes as its author runs it: step after step, from clean states."""
    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    with torch.no_grad():
        sent = [module(step) for step in torch.tensor(spikes).float()]
    return torch.stack(sent).numpy()


def same(module: nn.Module, spikes: Spikes) -> Any:
    net = from_snntorch(module, spikes)
    found = run(net, spikes, backend="snntorch").spikes[0]
    expected = own(module, spikes)
    assert expected.mean() > 0.05
    np.testing.assert_array_equal(found, expected)
    return net


def one(neuron: nn.Module, *, bias: bool = True) -> nn.Module:
    return user.lively(nn.Sequential(nn.Linear(12, 8, bias=bias), neuron))


def neuron(kind: str, **options: Any) -> Any:
    options = {"threshold": 0.3, "init_hidden": True, **options}
    if kind == "leaky":
        return snn.Leaky(0.9, **options)
    if kind == "synaptic":
        return snn.Synaptic(0.7, 0.9, **options)
    return snn.RLeaky(0.8, linear_features=8, **options)


KINDS = ("leaky", "synaptic", "rleaky")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("made", ["zero", "subtract", "none"])
@pytest.mark.parametrize("named", ["zero", "subtract", "none"])
def test_what_is_found_is_what_it_does(
    kind: str, delayed: bool, made: str, named: str, spikes: Spikes
) -> None:
    """A delayed reset asks the function it was made with, an immediate one the name as well."""
    module = one(neuron(kind, reset_mechanism=made, reset_delay=delayed))
    module[1].reset_mechanism = named
    found = find_reset(module[1].eval(), (8,))
    if delayed:
        expected = {Reset(made, True)}
    elif named == "zero":
        expected = {Reset("zero", False)}  # nothing is left for the function to take off
    elif named == "none":
        expected = {Reset(made, True)}
    else:
        expected = {Reset("subtract", False)} if made == "subtract" else {None}
    if kind == "leaky":
        late, at_once = Reset("zero", True), Reset("zero", False)
        expected |= {late, at_once} if expected & {late, at_once} else set()
    assert found in expected or {found} | expected <= {Reset("none", k) for k in (True, False)}
    if found is not None and found.kind == "zero" and (kind == "leaky" or not found.delayed):
        if kind == "synaptic":
            module[0].bias = None
        same(module, spikes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_that_brings_another_reset_is_found(kind: str, spikes: Spikes) -> None:
    trained = one(neuron(kind), bias=False)
    deployed = one(neuron(kind, reset_mechanism="zero", reset_delay=False), bias=False)
    deployed.load_state_dict(trained.state_dict())
    assert int(deployed[1].reset_mechanism_val) == 0, "subtract, which an immediate reset obeys"
    with pytest.raises(NetworkRefused) as refused:
        from_snntorch(deployed, spikes)
    (refusal,) = refused.value.refusals
    assert "load_state_dict" in refusal.what
    assert "'zero' after loading" in refusal.hint
    # The remedy it names leads to a network that fires as the module then does.
    before = own(deployed, spikes)
    deployed[1].reset_mechanism = "zero"
    assert (own(deployed, spikes) != before).any()
    same(deployed, spikes)


def test_a_delayed_leaky_does_not_care_what_a_state_dict_brings(spikes: Spikes) -> None:
    trained, deployed = one(neuron("leaky")), one(neuron("leaky", reset_mechanism="zero"))
    deployed.load_state_dict(trained.state_dict())
    assert int(deployed[1].reset_mechanism_val) == 0
    same(deployed, spikes)


def test_chip_exact_neurons_go_on_resetting_to_zero_after_loading(spikes: Spikes) -> None:
    trained = one(neuron("synaptic"), bias=False)
    deployed = make_deployable(one(neuron("synaptic"), bias=False))
    deployed.load_state_dict(trained.state_dict(), strict=False)
    assert isinstance(deployed[1], LoihiSynaptic)
    same(deployed, spikes)


def test_a_name_set_later_says_where_to_set_it(spikes: Spikes) -> None:
    module = one(neuron("leaky"))
    module[1].reset_mechanism = "zero"
    with pytest.raises(NetworkRefused, match=r"'subtract'.*called 'zero'.*to the constructor"):
        from_snntorch(module, spikes)
    module[1] = neuron("leaky", reset_mechanism="zero")
    same(module, spikes)


class Same(snn.Leaky):
    """A subclass that adds nothing."""


class Halved(snn.Leaky):
    def forward(self, input_, mem=None):
        return super().forward(input_ * 0.5, mem)


class Refractory(snn.Leaky):
    """Cannot fire twice in a row."""

    def forward(self, input_, mem=None):
        before = getattr(self, "before", torch.zeros_like(input_))
        before = before if before.shape == input_.shape else torch.zeros_like(input_)
        spikes = super().forward(input_ * (1 - before), mem)
        self.before = spikes
        return spikes


def test_subclasses_are_what_they_compute(spikes: Spikes) -> None:
    options = {"threshold": 0.3, **user.HIDDEN}
    same(one(Same(0.9, **options)), spikes)
    for kind in (Halved, Refractory):
        with pytest.raises(NetworkRefused, match="fires otherwise than snnTorch's own neuron"):
            from_snntorch(one(kind(0.9, **options)), spikes)


def test_a_neuron_patched_in_place_is_found(spikes: Spikes) -> None:
    module = one(neuron("leaky", reset_mechanism="zero"))
    module[1].fire = lambda mem: (mem > 0.6).float()
    with pytest.raises(NetworkRefused, match="fires otherwise"):
        from_snntorch(module, spikes)


def test_firing_at_the_threshold_is_exact(spikes: Spikes) -> None:
    """Membranes that lie on the threshold in every step of this network."""
    module = nn.Sequential(
        nn.Linear(12, 8, bias=False),
        snn.Leaky(1.0, threshold=0.5, spike_grad=lambda x: (x >= 0).float(), **user.HIDDEN),
    )
    with torch.no_grad():
        module[0].weight.fill_(0.25)
    net = same(module, spikes)
    above = nn.Sequential(module[0], snn.Leaky(1.0, threshold=0.5, **user.HIDDEN))
    assert (own(above, spikes) != own(module, spikes)).any()
    assert net.layers[0].neuron.threshold == np.nextafter(np.float32(0.5), np.float32(0))


def test_graded_spikes_go_into_the_next_weights(spikes: Spikes) -> None:
    module = user.lively(
        nn.Sequential(
            nn.Linear(12, 9),
            snn.Leaky(0.9, threshold=0.5, graded_spikes_factor=1.5, **user.HIDDEN),
            *(nn.Dropout(0.3), nn.Linear(9, 7)),
            snn.Leaky(0.8, threshold=0.4, reset_delay=False, **user.HIDDEN),
        )
    )
    net = from_snntorch(module.eval(), spikes)
    found = run(net, spikes, backend="snntorch").spikes
    np.testing.assert_array_equal(found[1], own(module, spikes))
    assert "multiplied by 1.5" in str(net.meta["lowered"])
    plain = module[3].weight.detach().numpy()
    np.testing.assert_allclose(net.layers[1].weight, 1.5 * plain, rtol=1e-6)


def test_lapicque_names_the_leaky_to_use(spikes: Spikes) -> None:
    lapicque = snn.Lapicque(R=4.0, C=2.0, threshold=0.6, **user.HIDDEN)
    with pytest.raises(NetworkRefused, match=r"Leaky\(beta=0\.875, threshold=1\.2, reset_me"):
        from_snntorch(one(lapicque), spikes)
    module = one(snn.Leaky(0.875, threshold=1.2, **user.HIDDEN))
    user.lively(module, 2.0)
    same(module, spikes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inhibition": True}, "inhibition"),
        ({"state_quant": torch.round}, "state quantised"),
        ({"spike_grad": lambda x: (x + torch.rand_like(x) > 0).float()}, "not a step"),
    ],
)
@pytest.mark.filterwarnings("ignore:Inhibition")
def test_what_changes_firing_is_refused(options: Any, words: str, spikes: Spikes) -> None:
    with pytest.raises(NetworkRefused, match=words):
        from_snntorch(one(neuron("leaky", reset_mechanism="zero", **options)), spikes)
