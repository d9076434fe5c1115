"""Branches, surrogates and loops over time that training is compared by."""

from __future__ import annotations

import numpy as np
import snntorch as snn
import torch
from snntorch import surrogate

from sdcl_neuro.snn.event_branch import BranchDescription, ConvolutionSpec, EventBranch
from sdcl_neuro.snn.spiking_layers import synaptic_sums

SURROGATES = {
    "atan": surrogate.atan(),
    "atan, sharp": surrogate.atan(alpha=5.0),
    "fast_sigmoid": surrogate.fast_sigmoid(),
    "straight": surrogate.straight_through_estimator(),
    "sigmoid": surrogate.sigmoid(slope=3),
    "triangular": surrogate.triangular(),
    "heaviside": surrogate.heaviside(),
    "SFS": surrogate.SFS(slope=4, B=0.1),
    "escape": surrogate.spike_rate_escape(beta=1, slope=2),
}
BY_THE_LOOP = {
    "custom": surrogate.custom_surrogate(lambda x, g, s: g / (1 + x**2)),
    "own": lambda x: (x > 0).float() + torch.sigmoid(x) - torch.sigmoid(x).detach(),
}


def sparse_spikes(seed, *shape, rate=0.15):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def gradients(outputs, wanted, seed=0):
    """Of a random weighting of all outputs."""
    generator = torch.Generator().manual_seed(seed)
    total = sum((out * torch.randn(out.shape, generator=generator)).sum() for out in outputs)
    return torch.autograd.grad(total, wanted, allow_unused=True)


def assert_close(found, expected, tolerance=1e-5):
    largest = max(float(two.abs().max()) for two in expected if two is not None)
    for one, two in zip(found, expected, strict=True):
        assert (one is None) == (two is None)
        if two is not None:
            scale = max(1.0, float(two.abs().max()))
            if two.numel() == 1:  # a sum over all neurons and steps, most of which may cancel
                scale = max(scale, largest / 100)
            torch.testing.assert_close(one, two, rtol=0, atol=tolerance * scale)


def branch_of(seed, *, mode="float", spike_grad=None, **options):
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(rng.integers(1, 4)):
        channels, kernel = int(rng.choice([1, 3, 8, 16])), int(rng.choice([1, 2, 3, 5]))
        padding = kernel // 2 + int(rng.integers(0, 2))
        layers.append(ConvolutionSpec(channels, kernel, int(rng.integers(1, 4)), padding))
    description = BranchDescription(
        tuple(layers),
        beta=float(rng.choice([0.0, 0.5, 0.9, 0.97, 1.0])),
        threshold=float(rng.choice([0.3, 1.0, 2.5])),
        bias=bool(rng.integers(2)),
        learn_beta=bool(rng.integers(2)),
        learn_threshold=bool(rng.integers(2)),
    )
    torch.manual_seed(seed)
    branch = EventBranch(description, spike_grad=spike_grad, **options)
    if description.bias:
        for synapse in branch.synapses:
            torch.nn.init.uniform_(synapse.bias, -0.1, 0.1)
    if mode == "int":
        branch.prepare_quantization()
    spikes = sparse_spikes(seed, 7, 2, 2, 24, 16).requires_grad_(bool(rng.integers(2)))
    return branch, spikes


def snntorch_loop(branch, spikes):
    """As a user of snnTorch writes it."""
    neurons = [
        snn.Leaky(n.beta, threshold=n.threshold, reset_mechanism="zero", spike_grad=n.spike_grad)
        for n in branch.neurons
    ]
    for neuron, own in zip(neurons, branch.neurons, strict=True):  # the same parameters
        for name in ("beta", "threshold"):
            neuron._buffers.pop(name, None)
            neuron._parameters.pop(name, None)
            object.__setattr__(neuron, name, getattr(own, name))
    states = [neuron.reset_mem() for neuron in neurons]
    outputs = [[] for _ in neurons]
    for step in spikes.unbind(0):
        for index, (synapse, neuron) in enumerate(zip(branch.synapses, neurons, strict=True)):
            step, states[index] = neuron(synapse(step), states[index])
            outputs[index].append(step)
    return [torch.stack(each) for each in outputs]


def step_by_step(branch, spikes):
    """The branch by torch's own operations."""
    outputs = []
    for synapse, neuron in zip(branch.synapses, branch.neurons, strict=True):
        spikes = neuron.step_by_step(*synaptic_sums(synapse, neuron, spikes))
        outputs.append(spikes)
    return outputs


def wanted_of(branch, spikes):
    return [p for p in (*branch.parameters(), spikes) if p.requires_grad]
