"""The scan's kernels in Triton's interpreter, against numba's loops and torch's autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import branch_learning as learning
from helpers.launches import Launches
from sdcl_neuro import gpu_kernels
from sdcl_neuro.snn.bptt import scan_kernels
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky

CASES = [("float", torch.float32), ("float", torch.float64), ("int", torch.float32)]


@pytest.fixture(autouse=True)
def no_kernel_fails():
    assert gpu_kernels.usable(torch.device("cpu"))
    yield
    assert not gpu_kernels._refused


def population(mode, spike_grad, *, beta=0.9, threshold=None, learns=True):
    return LoihiLeaky(
        beta,
        threshold or (0.7 if mode == "float" else 800.0),
        mode=mode,
        scale=1.0,
        spike_grad=spike_grad,
        learn_beta=learns,
        learn_threshold=learns,
    )


def inputs(seed, mode, dtype, *, shape=(11, 2, 75)):
    rng = np.random.default_rng(seed)
    if mode == "float":
        sums = torch.tensor(rng.normal(0.2, 0.6, shape), dtype=dtype)
        bias = torch.tensor(rng.normal(0, 0.1, shape[-1]), dtype=dtype)
    else:
        sums = torch.from_numpy(rng.integers(-400, 600, shape)).to(dtype)
        bias = torch.from_numpy(rng.integers(-50, 50, shape[-1])).to(dtype)
    return sums.requires_grad_(), bias.requires_grad_()


def gradients(neuron, spikes, sums, bias):
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(spikes.shape, generator=generator)
    own = [sums, bias, *(each for each in (neuron.beta, neuron.threshold) if each.requires_grad)]
    return torch.autograd.grad((spikes * weights).sum(), own)


def without_kernels(monkeypatch, neuron, sums, bias):
    with monkeypatch.context() as patch:
        patch.setattr(gpu_kernels, "_refused", ["not now"])
        spikes = neuron.sequence(sums, bias)
        return spikes, gradients(neuron, spikes, sums, bias)


@pytest.mark.parametrize(("mode", "dtype"), CASES)
def test_spikes_and_gradients_are_numbas_to_the_last_bit(monkeypatch, mode, dtype):
    for seed, spike_grad in enumerate(learning.SURROGATES.values()):
        neuron = population(mode, spike_grad, learns=seed % 3 != 1)
        sums, bias = inputs(seed, mode, dtype)
        spikes = neuron.sequence(sums, bias)
        expected, slopes = without_kernels(monkeypatch, neuron, sums, bias)
        assert torch.equal(spikes, expected)
        assert 0.02 < spikes.detach().mean() < 0.6
        for one, two in zip(gradients(neuron, spikes, sums, bias), slopes, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize(("mode", "dtype"), CASES)
def test_spikes_and_gradients_are_the_loops(mode, dtype):
    """Torch's autograd adds and divides in another order, which is rounding alone.

    In integers a beta's gradient is taken where the loop takes it; see `chip_ops.decay`.
    """
    for seed, spike_grad in enumerate(learning.SURROGATES.values()):
        neuron = population(mode, spike_grad)
        sums, bias = inputs(seed, mode, dtype)
        spikes, expected = neuron.sequence(sums, bias), neuron.step_by_step(sums, bias)
        assert torch.equal(spikes, expected)
        learning.assert_close(
            gradients(neuron, spikes, sums, bias),
            gradients(neuron, expected, sums, bias),
            1e-5 if dtype is torch.float32 else 1e-6,
        )


def test_registers_at_their_ends(monkeypatch):
    neuron = population("int", None, beta=0.99, threshold=120_000.0)
    rng = np.random.default_rng(0)
    reach = np.array([60_000, 131_071, 131_072, 140_000, 3_000_000])[:, None]
    sums = torch.from_numpy(rng.integers(-reach, reach + 1, (20, 5, 60)).astype(np.float32))
    sums[3, :, 0], sums[4, :, 0] = -131_071, -63
    bias = torch.from_numpy(rng.integers(-4096, 4096, 60).astype(np.float32)).requires_grad_()
    spikes = neuron.sequence(sums.requires_grad_(), bias)
    expected, slopes = without_kernels(monkeypatch, neuron, sums, bias)
    assert torch.equal(spikes, expected)
    assert torch.equal(spikes, neuron.step_by_step(sums, bias))
    assert 0.02 < spikes.detach().mean() < 0.6
    for one, two in zip(gradients(neuron, spikes, sums, bias), slopes, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("beta", [-0.1, 0.0, 1.0, 1.2])
def test_a_beta_beyond_its_clamp_has_no_gradient(monkeypatch, beta):
    neuron = population("float", None, beta=beta)
    sums, bias = inputs(1, "float", torch.float32)
    spikes = neuron.sequence(sums, bias)
    expected, slopes = without_kernels(monkeypatch, neuron, sums, bias)
    assert torch.equal(spikes, expected)
    found = gradients(neuron, spikes, sums, bias)
    assert bool(found[2]) == (0 <= beta <= 1)
    for one, two in zip(found, slopes, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("mode", ["float", "int"])
def test_one_kernel_each_way(monkeypatch, mode):
    neuron = population(mode, None)
    sums, _ = inputs(0, mode, torch.float32, shape=(32, 1, 20))
    launches = Launches()
    with launches.of(monkeypatch, scan_kernels):
        spikes = neuron.sequence(sums)
    forward = launches.total
    assert launches.kernels.total() == 1
    gradient = torch.ones_like(spikes)
    with launches.of(monkeypatch, scan_kernels):
        torch.autograd.grad(spikes, [sums, neuron.beta, neuron.threshold], gradient)
    print(mode, "forward", forward, "backward", launches.total - forward)
    print(dict(launches.operations), dict(launches.kernels))
    assert launches.kernels.total() == 2
    assert forward <= 3
    assert launches.total - forward <= 6
