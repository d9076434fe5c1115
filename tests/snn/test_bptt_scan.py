"""Leaky populations over all steps: slopes, registers, surrogates, the same on a GPU."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from snntorch import surrogate

from helpers import branch_learning as learning
from helpers.launches import Launches
from sdcl_neuro.gpu_kernels import usable
from sdcl_neuro.snn.bptt import kernels, steps
from sdcl_neuro.snn.bptt.surrogates import recognise
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_backward_is_the_slope_of_a_smooth_function(spike_grad, dtype):
    """With resets held fixed, a scan is linear in time; its slopes by autograd in float64."""
    rng = np.random.default_rng(3)
    neuron = LoihiLeaky(0.8, 0.7, spike_grad=spike_grad, learn_beta=True, learn_threshold=True)
    sums = torch.tensor(rng.normal(0.2, 0.5, (9, 2, 30)), dtype=dtype, requires_grad=True)
    weights = torch.tensor(rng.normal(size=sums.shape), dtype=dtype)
    spikes = neuron.sequence(sums)
    assert 0.05 < spikes.detach().mean() < 0.6
    own = [sums, neuron.beta, neuron.threshold]
    found = torch.autograd.grad((spikes * weights).sum(), own)
    leaves = [value.detach().double().requires_grad_() for value in own]
    membrane, total = torch.zeros(2, 30, dtype=torch.float64), 0.0
    for t in range(9):
        held = membrane * (1 - spikes[t - 1].detach().double()) if t else membrane
        membrane = leaves[1] * held + leaves[0][t]
        far = membrane - leaves[2]
        slope = torch.autograd.grad(
            spike_grad(far), far, torch.ones_like(far).float(), retain_graph=True
        )[0]
        total = total + (slope.detach() * far * weights[t].double()).sum()
    expected = torch.autograd.grad(total, leaves)
    learning.assert_close([each.double() for each in found], expected, 2e-5)


def test_gradients_by_finite_differences():
    """Far below the threshold a wide sigmoid is smooth enough to be measured."""
    kernel = kernels.leak_backward
    rng = np.random.default_rng(1)
    drive, weights = rng.normal(0, 0.3, (5, 6)), rng.normal(size=(5, 6))

    def run(values, beta=0.7, threshold=50.0):
        state, total = np.zeros(6), 0.0
        for step, weight in zip(values, weights, strict=True):
            state = beta * state + step
            # The integral of 1 / (|x| + 1)^2, the slope of a fast sigmoid of slope 1.
            far = state - threshold
            total += (weight * far / (1 + np.abs(far))).sum()
        return total, state

    membranes, spikes, state = np.empty((5, 6)), np.empty((5, 6), np.float32), np.zeros(6)
    kernels.leak_float(0, 6, drive, membranes, spikes, state, 0.7, 50.0, 1.0, 0.0)
    np.testing.assert_allclose(state, run(drive)[1])
    result, carry, sums = np.empty((5, 6)), np.zeros(6), np.zeros((2, 6))
    kernel(
        0, 6, membranes, weights, result, carry, 0.7, 50.0, 1.0, np.inf, 1.0,
        kernels.FAST_SIGMOID, 1.0, sums,
    )  # fmt: skip
    step = 1e-4
    for t, n in np.ndindex(5, 6):
        moved = drive.copy()
        moved[t, n] += step
        slope = (run(moved)[0] - run(drive)[0]) / step
        assert result[t, n] == pytest.approx(slope, rel=1e-3, abs=1e-9)
    slope = (run(drive, 0.7 + step)[0] - run(drive, 0.7 - step)[0]) / (2 * step)
    assert sums[0].sum() == pytest.approx(slope, rel=1e-4)
    slope = (run(drive, 0.7, 50 + step)[0] - run(drive, 0.7, 50 - step)[0]) / (2 * step)
    assert -sums[1].sum() == pytest.approx(slope, rel=1e-4)


def test_who_is_recognised():
    assert all(recognise(each) is not None for each in learning.SURROGATES.values())
    assert recognise(surrogate.atan(alpha=3.0)).sharpness == 3.0
    others = [surrogate.SSO(), surrogate.LSO(), surrogate.atan(alpha=torch.tensor(2.0))]
    assert all(recognise(each) is None for each in (*others, *learning.BY_THE_LOOP.values()))
    plain = torch.zeros(3, 2, 4)
    assert LoihiLeaky(0.9).leak(plain) is not None
    assert LoihiLeaky(0.9).leak(plain.half()) is None
    assert LoihiLeaky(0.9, reset_delay=False).leak(plain) is None
    assert LoihiLeaky(0.9, mode="int", scale=9.0).leak(plain.double()) is None
    assert LoihiLeaky(torch.tensor([0.9], dtype=torch.float64)).leak(plain) is None


def test_saturated_membranes_and_wrapped_currents():
    """At the ends of the registers gradients stop where the clamp stops them."""
    neuron = LoihiLeaky(0.99, 120_000.0, mode="int", scale=1.0, learn_beta=True)
    rng = np.random.default_rng(0)
    reach = np.array([60_000, 131_071, 131_072, 140_000, 3_000_000])[:, None]
    sums = torch.from_numpy(rng.integers(-reach, reach + 1, (20, 5, 60)).astype(np.float32))
    sums[3, :, 0], sums[4, :, 0] = -131_071, -63
    sums.requires_grad_()
    bias = torch.from_numpy(rng.integers(-4096, 4096, 60).astype(np.float32)).requires_grad_()
    found, expected = neuron.sequence(sums, bias), neuron.step_by_step(sums, bias)
    assert torch.equal(found, expected)
    assert 0.02 < found.mean() < 0.6
    wanted = [sums, bias, neuron.beta]
    learning.assert_close(
        learning.gradients([found], wanted), learning.gradients([expected], wanted)
    )


@pytest.mark.parametrize("mode", ["float", "int"])
@pytest.mark.parametrize("name", ["atan", "fast_sigmoid", "straight"])
def test_torchs_steps_are_the_kernels(name, mode):
    """What a GPU compiles, operation by operation on the CPU."""
    neuron = LoihiLeaky(0.9, 800.0, mode=mode, scale=1.0, spike_grad=learning.SURROGATES[name])
    rng = np.random.default_rng(0)
    sums = torch.from_numpy(rng.integers(-400, 600, (11, 60)).astype(np.float32))
    sums[5, :9], sums[6, 9:12] = 131_072.0, -131_072.0
    leak, _ = neuron.leak(sums)
    results = []
    for forward, backward in (
        (leak.forward, leak.backward),
        (leak._forward_steps, leak._backward_steps),
    ):
        membranes, spikes, result = (torch.empty_like(sums) for _ in range(3))
        state, carry, collected = torch.zeros(60), torch.zeros(60), torch.zeros(2, 60).double()
        offset = None if mode == "float" else torch.arange(60.0) * 64
        forward(sums, membranes, spikes, state, offset)
        gradient = torch.linspace(-1, 1, sums.numel()).view_as(sums)
        backward(membranes, gradient, result, carry, collected)
        results.append((membranes, spikes, state, result, carry, collected))
    for one, two in zip(results[0][:3], results[1][:3], strict=True):
        assert torch.equal(one, two)
    assert 0.02 < results[0][1].mean() < 0.6
    learning.assert_close(results[0][3:], results[1][3:])


def test_steps_go_on_where_they_cannot_be_compiled(monkeypatch):
    class OnGpu:
        device = torch.device("cuda")

    def function(thing):
        return "as it is"

    def broken(function):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(steps, "_compiled", broken)
    with pytest.warns(UserWarning, match=r"torch.compile failed \(RuntimeError\)"):
        assert steps.run(function, OnGpu()) == "as it is"
    assert steps.run(function, OnGpu()) == "as it is"


def calls(value):
    """Each function of `steps` with numbers as a learned parameter would change them."""
    drive, state = torch.linspace(-900, 1500, 70).view(7, 10), torch.linspace(-5, 5, 10)
    yield steps.leak_float, drive, state, value, 800.0 * value
    yield steps.leak_int, drive.trunc(), state, None, 4096 * value // 1, 8e4 * value, 64.0, 8e6
    for kind in (kernels.STRAIGHT, kernels.ATAN, kernels.FAST_SIGMOID):
        numbers = (value, 800.0, 300.0 * value, 8e6, 64.0, kind, 2.0 * value)
        yield steps.leak_backward, drive, drive.flip(0), state, *numbers


def test_one_graph_serves_every_number():
    """A learned beta must not be compiled for again; a tensor in its place changes no spike.

    Torch divides a number by a tensor by its reciprocal, so that slopes may differ in the last bit.
    """
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    compiled = {}
    for value in np.linspace(0.05, 0.95, 12):
        for function, *arguments in calls(float(value)):
            if function not in compiled:
                compiled[function] = torch.compile(function, backend=backend, dynamic=False)
            given = [steps.variable(each, torch.device("cpu")) for each in arguments]
            with steps._more_graphs():
                found = compiled[function](*given)
            rounding = 1e-5 if function is steps.leak_backward else 0.0
            for one, two in zip(found, function(*arguments), strict=True):
                torch.testing.assert_close(one, two, rtol=rounding, atol=1e-6 * bool(rounding))
    assert len(graphs) == 5  # the kind of surrogate is the only constant


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("mode", ["float", "int"])
def test_on_a_gpu(mode):
    branch, spikes = learning.branch_of(2, mode=mode)
    wanted = learning.wanted_of(branch, spikes)
    before = branch(spikes)
    expected = learning.gradients(before, wanted)
    twin, there = copy.deepcopy(branch).cuda(), spikes.detach().cuda()
    there.requires_grad_(spikes.requires_grad)
    found = twin(there)
    for one, two in zip(found, before, strict=True):
        assert (one.cpu() != two).float().mean() <= (0 if mode == "int" else 1e-3)
    if mode == "int":
        outputs = [each.cpu() for each in found]
        got = learning.gradients(outputs, learning.wanted_of(twin, there))
        learning.assert_close([g if g is None else g.cpu() for g in got], expected, 1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("mode", ["float", "int"])
def test_a_gpus_kernels_round_as_the_cpus(mode):
    """The same sums give the same spikes and the same gradients of the sums, to the last bit."""
    for name in ("atan", "fast_sigmoid", "straight"):
        neuron = LoihiLeaky(
            0.9, 0.7 if mode == "float" else 800.0, mode=mode, scale=1.0,
            spike_grad=learning.SURROGATES[name], learn_beta=True,
        )  # fmt: skip
        rng = np.random.default_rng(0)
        sums = torch.from_numpy(rng.normal(0.2, 0.6, (40, 3, 500)).astype(np.float32))
        sums = (sums if mode == "float" else (sums * 1000).round()).requires_grad_()
        there = sums.detach().cuda().requires_grad_()
        expected, found = neuron.sequence(sums), copy.deepcopy(neuron).cuda().sequence(there)
        assert torch.equal(found.cpu(), expected)
        weights = torch.randn_like(expected)
        (slopes,) = torch.autograd.grad((expected * weights).sum(), sums)
        (own,) = torch.autograd.grad((found * weights.cuda()).sum(), there)
        if usable(there.device):
            assert torch.equal(own.cpu(), slopes)
        else:
            learning.assert_close([own.cpu()], [slopes])


@pytest.mark.parametrize(("mode", "there", "back"), [("float", 4, 1), ("int", 6, 1)])
def test_operations_a_step_without_triton(mode, there, back):
    """What a GPU launches for each step; what needs no step of its own is done at once."""
    neuron = LoihiLeaky(0.9, 800.0, mode=mode, scale=1.0, learn_beta=True)
    counts = []
    for length in (3, 35):
        sums = torch.ones(length, 20)
        leak, _ = neuron.leak(sums)
        membranes, spikes, result = (torch.empty_like(sums) for _ in range(3))
        zero, collected = torch.zeros(20), torch.zeros(2, 20).double()
        with Launches() as forward:
            leak._forward_steps(sums, membranes, spikes, zero.clone(), None)
        with Launches() as backward:
            leak._backward_steps(membranes, sums, result, zero.clone(), collected)
        counts.append((forward.total, backward.total))
    (few, few_back), (many, many_back) = counts
    assert many - few <= 32 * there
    assert many_back - few_back <= 32 * back
    assert few <= 3 * there + 25
    assert few_back <= 3 * back + 40
