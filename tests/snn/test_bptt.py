"""Training through compiled scans: snnTorch's spikes and gradients, the chip's, in any memory."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import branch_learning as learning
from sdcl_neuro.errors import InputError
from sdcl_neuro.snn.bptt import chain, workers
from sdcl_neuro.snn.event_branch import BranchDescription, ConvolutionSpec, EventBranch


@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_float_is_snntorchs_loop(spike_grad, seed):
    branch, spikes = learning.branch_of(seed, spike_grad=spike_grad)
    found, expected = branch(spikes), learning.snntorch_loop(branch, spikes)
    assert found[-1].is_contiguous()
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
    wanted = learning.wanted_of(branch, spikes)
    learning.assert_close(learning.gradients(found, wanted), learning.gradients(expected, wanted))


@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_integers_are_those_of_single_steps(spike_grad, seed):
    branch, spikes = learning.branch_of(seed, mode="int", spike_grad=spike_grad)
    found, expected = branch(spikes), learning.step_by_step(branch, spikes)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
    wanted = learning.wanted_of(branch, spikes)
    learning.assert_close(
        learning.gradients(found, wanted), learning.gradients(expected, wanted), 3e-5
    )


@pytest.mark.parametrize("mode", ["float", "int"])
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_recomputing_changes_nothing(seed, mode):
    branch, spikes = learning.branch_of(seed, mode=mode)
    expected = branch(spikes)
    wanted = learning.wanted_of(branch, spikes)
    before = learning.gradients(expected, wanted)
    for stretch in (1, 3, 7, 50):
        branch.recompute_steps = stretch
        found = branch(spikes)
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
        learning.assert_close(learning.gradients(found, wanted), before)
    with pytest.raises(InputError, match="recompute_steps 0"):
        EventBranch(recompute_steps=0)


def test_recomputing_keeps_less():
    kept = {}
    for stretch in (None, 2):
        torch.manual_seed(0)
        branch = EventBranch(recompute_steps=stretch)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
        ):
            branch(learning.sparse_spikes(0, 16, 1, 2, 32, 16))
        kept[stretch] = sum(sizes)
    # Input, spikes and membranes; of the membranes half remain.
    whole = 16 * 2 * 8 * 32 * 16
    assert kept[None] - kept[2] == whole // 2


@pytest.mark.parametrize("name", ["custom", "own"])
def test_what_is_unknown_goes_through_the_loop(name):
    branch, spikes = learning.branch_of(4, spike_grad=learning.BY_THE_LOOP[name])
    assert branch._neuron(0).leak(spikes) is None
    found, expected = branch(spikes), learning.snntorch_loop(branch, spikes)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    wanted = learning.wanted_of(branch, spikes)
    learning.assert_close(learning.gradients(found, wanted), learning.gradients(expected, wanted))


def test_without_gradients_nothing_is_kept():
    branch, spikes = learning.branch_of(2)
    expected = branch(spikes)
    with torch.no_grad():
        found = branch(spikes)
    assert all(not out.requires_grad for out in found)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    twin = copy.deepcopy(branch).requires_grad_(False)
    assert not twin(spikes.detach())[-1].requires_grad


def test_backward_twice_and_from_an_inner_layer():
    branch, spikes = learning.branch_of(5)
    outputs = branch(spikes)
    wanted = learning.wanted_of(branch, spikes)
    one = torch.autograd.grad(outputs[-1].sum(), wanted, retain_graph=True)
    two = torch.autograd.grad(outputs[-1].sum(), wanted, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    weight = branch.synapses[0].weight
    (inner,) = torch.autograd.grad(outputs[0].sum(), weight)
    (loop,) = torch.autograd.grad(learning.snntorch_loop(branch, spikes)[0].sum(), weight)
    learning.assert_close([inner], [loop])


def test_any_number_of_threads_gives_the_same(monkeypatch):
    branch, spikes = learning.branch_of(3)
    expected = branch(spikes)
    wanted = learning.wanted_of(branch, spikes)
    before = learning.gradients(expected, wanted)
    monkeypatch.setattr(workers, "SERIAL", 0)
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(chain, "CALL_ELEMENTS", 1)
    found = branch(spikes)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    learning.assert_close(learning.gradients(found, wanted), before)


def deep_branch(**options):
    torch.manual_seed(3)
    layers = tuple(ConvolutionSpec(channels, 3, 1, 1) for channels in (8, 3, 16, 8))
    branch = EventBranch(BranchDescription(layers, learn_beta=True), **options)
    branch.calibrate_rates(learning.sparse_spikes(0, 6, 2, 2, 16, 8), rate=0.1)
    return branch, learning.sparse_spikes(0, 6, 2, 2, 16, 8)


@pytest.mark.parametrize("frozen", [(0,), (0, 1), (2,), (3,), (1, 3), (0, 1, 2)])
@pytest.mark.parametrize("recompute", [None, 4])
def test_layers_that_do_not_learn(frozen, recompute):
    branch, spikes = deep_branch(recompute_steps=recompute)
    for index in frozen:
        branch.synapses[index].requires_grad_(False)
        branch.neurons[index].requires_grad_(False)
    found, expected = branch(spikes), learning.snntorch_loop(branch, spikes)
    assert [one.requires_grad for one in found] == [two.requires_grad for two in expected]
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    wanted = learning.wanted_of(branch, spikes)
    for outputs in ([-1], [-2, -1], [-1, 2]):
        got, due = (
            learning.gradients([every[index] for index in outputs], wanted)
            for every in (branch(spikes), learning.snntorch_loop(branch, spikes))
        )
        learning.assert_close(got, due)


def test_a_changed_layer_goes_its_own_way():
    branch, spikes = deep_branch()
    expected = branch(spikes)
    wanted = learning.wanted_of(branch, spikes)
    due = learning.gradients(expected, wanted)
    seen = []
    branch.synapses[1].register_forward_hook(lambda *call: seen.append(call[-1].shape))
    found = branch(spikes)
    assert len(seen) == 1
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    learning.assert_close(learning.gradients(found, wanted), due)
    (alone,) = torch.autograd.grad(branch(spikes)[0].sum(), branch.synapses[0].weight)
    loop = learning.snntorch_loop(branch, spikes)
    (due,) = torch.autograd.grad(loop[0].sum(), branch.synapses[0].weight)
    learning.assert_close([alone], [due])


def test_input_of_any_layout():
    branch, spikes = deep_branch()
    expected = branch(spikes)
    due = learning.gradients(expected, list(branch.parameters()))
    strange = torch.stack([spikes, spikes], -1)[..., 0]
    for given_ in (spikes.movedim(2, -1).contiguous().movedim(-1, 2), strange):
        found = branch(given_)
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
        learning.assert_close(learning.gradients(found, list(branch.parameters())), due)
