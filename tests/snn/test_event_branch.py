"""The event branch in integers and in float against its own network in the engine; training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from snntorch import surrogate

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.snn.chip_ops import chip_weight
from sdcl_neuro.snn.event_branch import (
    COMPACT,
    PAPER,
    BranchDescription,
    ConvolutionSpec,
    EventBranch,
)


def sparse(*shape, rate=0.04, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator) < rate).float()


@pytest.mark.parametrize("description", [PAPER, COMPACT])
@pytest.mark.parametrize("bias", [False, True])
def test_branch_in_integers_equals_its_network_in_the_engine(description, bias):
    torch.manual_seed(0)
    description = BranchDescription(layers=description.layers, bias=bias, beta=0.87, threshold=1.3)
    branch = EventBranch(description)
    spikes = sparse(10, 2, 2, 32, 16)
    branch.calibrate_rates(spikes, rate=0.08)
    if bias:
        for synapse in branch.synapses:
            torch.nn.init.uniform_(synapse.bias, -0.1, 0.1)
    branch.prepare_quantization()
    outputs = branch(spikes)
    chip = quantize(from_snntorch(branch, spikes))
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    for index, output in enumerate(outputs):
        assert output.sum() > 300
        np.testing.assert_array_equal(record.spikes[index], output.detach().numpy())
    assert all(note["scale_from"] == "training" for note in chip.meta["quantisation"])


@pytest.mark.parametrize("description", [PAPER, COMPACT])
def test_branch_in_float_equals_its_description(description):
    torch.manual_seed(0)
    branch = EventBranch(description)
    spikes = sparse(10, 2, 2, 32, 16)
    branch.calibrate_rates(spikes, rate=0.08)
    record = run_float(
        Model(floating=from_snntorch(branch, spikes)), spikes.numpy().astype(np.uint8)
    )
    for index, output in enumerate(branch(spikes)):
        assert output.sum() > 300
        np.testing.assert_array_equal(record.spikes[index], output.detach().numpy())


def test_large_fan_in_needs_calibration_for_a_fine_scale():
    """With 1,250 inputs a neuron the worst case would wrap; what really comes in does not."""
    layers = (ConvolutionSpec(50, 3, 2, 1), ConvolutionSpec(4, 5, 1, 2))
    torch.manual_seed(0)
    branch = EventBranch(BranchDescription(layers))
    with torch.no_grad():
        branch.synapses[1].weight.uniform_(0.01, 0.02)
    spikes = sparse(6, 1, 2, 16, 16)
    careful = branch.prepare_quantization().scales[1]
    fine = branch.prepare_quantization(spikes).scales[1]
    assert careful < 0.7 * fine
    outputs = branch(spikes)
    record = run_network(quantize(from_snntorch(branch, spikes)), spikes.numpy().astype(np.uint8))
    assert record.activity[1].wraps.sum() == 0
    np.testing.assert_array_equal(record.spikes[1], outputs[1].detach().numpy())


def test_compact_meets_the_frame_branchs_grid():
    assert COMPACT.output_shape((64, 32)) == (16, 16, 8)
    assert PAPER.output_shape((128, 64)) == (8, 128, 64)


def test_untrained_branches_fire_a_few_percent():
    torch.manual_seed(0)
    spikes = sparse(24, 2, 2, 64, 32, rate=0.02)
    for description in (COMPACT, PAPER):
        rates = [float(out.detach().mean()) for out in EventBranch(description)(spikes)]
        assert all(0.005 < rate < 0.15 for rate in rates), rates
    branch = EventBranch(PAPER)
    reached = branch.calibrate_rates(spikes, rate=0.04)
    found = [float(out.detach().mean()) for out in branch(spikes)]
    assert found == pytest.approx(reached, abs=1e-4)
    assert found == pytest.approx([0.04, 0.04], abs=0.004)


def test_scale_leaves_the_asked_margin_and_the_largest_weight_fits():
    branch = EventBranch(COMPACT).prepare_quantization(margin=1.25)
    for synapse, scale in zip(branch.synapses, branch.scales, strict=True):
        largest = float(chip_weight(synapse.weight.detach(), scale).abs().max())
        assert 200 <= largest <= 206
        assert scale == float(np.float32(scale))


def test_branch_input_is_checked():
    branch = EventBranch(COMPACT)
    with pytest.raises(InputError, match=r"\[T, B, 2, H, W\]"):
        branch(torch.zeros(3, 2, 16, 16))
    with pytest.raises(InputError, match="as float"):
        branch(torch.zeros(3, 1, 2, 16, 16, dtype=torch.uint8))
    with pytest.raises(InputError, match="prepare_quantization"):
        branch.set_mode("int")
    with pytest.raises(InputError, match="'float' or 'int'"):
        branch.set_mode("fixed")
    with pytest.raises(InputError, match="leaves nothing"):
        EventBranch(BranchDescription((ConvolutionSpec(4, 9),))).float_network((4, 4))
    for layers in ((), (ConvolutionSpec(0, 3),), (ConvolutionSpec(4, 3, padding=-1),)):
        with pytest.raises(InputError):
            EventBranch(BranchDescription(layers))
    with pytest.raises(InputError, match=r"beta 1\.5"):
        EventBranch(BranchDescription(PAPER.layers, beta=1.5))


# ---------------------------------------------------------------- gradients


def smooth_net(mode, weight, spikes, beta, threshold):
    """Expected spikes of a branch of one layer, its gradients by autograd."""
    description = BranchDescription(
        (ConvolutionSpec(3, 3, 1, 1),),
        beta=beta,
        threshold=threshold,
        learn_beta=True,
        learn_threshold=True,
    )
    branch = EventBranch(description, spike_grad=surrogate.fast_sigmoid(slope=2))
    with torch.no_grad():
        branch.synapses[0].weight.copy_(weight)
    if mode == "int":
        branch.prepare_quantization()
    output = branch(spikes)[0]
    (output * torch.linspace(0, 1, output.numel()).reshape(output.shape)).sum().backward()
    neuron = branch.neurons[0]
    return branch.synapses[0].weight.grad, neuron.beta.grad, neuron.threshold.grad


@pytest.mark.parametrize("threshold", [1.0, 4.0])
def test_integer_gradients_are_the_float_ones_but_for_rounding(threshold):
    """At a threshold of 1 the surrogates' arguments are the same; above, the membranes are
    scaled so that the float surrogate would see them as far away as the integer one does."""
    torch.manual_seed(3)
    weight = 0.5 * torch.randn(3, 2, 3, 3)
    spikes = sparse(12, 2, 2, 12, 10, rate=0.15)
    at_one = smooth_net("float", weight, spikes, 0.8, 1.0)
    integer = smooth_net("int", weight * threshold, spikes, 0.8, threshold)
    weight_cosine = torch.cosine_similarity(
        at_one[0].flatten(), integer[0].flatten() * threshold, dim=0
    )
    assert weight_cosine > 0.97
    ratio = (integer[0] * threshold).norm() / at_one[0].norm()
    assert 0.9 < ratio < 1.1
    assert integer[1] == pytest.approx(float(at_one[1]), rel=0.15)
    assert integer[2] * threshold == pytest.approx(float(at_one[2]), rel=0.15)


def test_training_in_integers_learns():
    """Tell events on the left from events on the right; integer forward in every step."""
    torch.manual_seed(0)
    labels = torch.arange(16) % 2
    spikes = sparse(10, 16, 2, 16, 16, rate=0.1, seed=1)
    spikes[:, labels == 0, :, :, 8:] = 0
    spikes[:, labels == 1, :, :, :8] = 0
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes)
    branch.prepare_quantization()
    head = torch.nn.Linear(16, 2)
    optimiser = torch.optim.Adam([*branch.parameters(), *head.parameters()], lr=0.02)
    before = branch.synapses[0].weight.detach().clone()
    losses = []
    for _ in range(40):
        features = branch(spikes)[-1].sum(dim=(0, 3, 4))
        loss = torch.nn.functional.cross_entropy(head(features / 10), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert branch.mode == "int"
    assert losses[-1] < 0.5 * losses[0], losses
    assert (branch.synapses[0].weight - before).abs().max() > 0.01
    chip = quantize(from_snntorch(branch, spikes))
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    with torch.no_grad():
        np.testing.assert_array_equal(record.spikes[1], branch(spikes)[1].numpy())
