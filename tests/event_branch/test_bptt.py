"""Training through compiled scans: snnTorch's spikes and gradients, the chip's, in any memory."""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate

from sdcl_neuro.bptt import convolution, kernels, memory, sparse, steps, workers
from sdcl_neuro.bptt.surrogates import recognise
from sdcl_neuro.errors import InputError
from sdcl_neuro.event_branch import BranchDescription, ConvolutionSpec, EventBranch
from sdcl_neuro.loihi_leaky import LoihiLeaky

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
    for one, two in zip(found, expected, strict=True):
        assert (one is None) == (two is None)
        if two is not None:
            scale = max(1.0, float(two.abs().max()))
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
    for index in range(len(branch.synapses)):
        spikes = branch._neuron(index).step_by_step(*branch._sums(index, spikes))
        outputs.append(spikes)
    return outputs


def wanted_of(branch, spikes):
    return [p for p in (*branch.parameters(), spikes) if p.requires_grad]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.sampled_from(sorted(SURROGATES)))
def test_float_is_snntorchs_loop(seed, name):
    branch, spikes = branch_of(seed, spike_grad=SURROGATES[name])
    found, expected = branch(spikes), snntorch_loop(branch, spikes)
    for one, two in zip(found, expected, strict=True):
        assert one.is_contiguous()
        assert torch.equal(one, two)
    wanted = wanted_of(branch, spikes)
    assert_close(gradients(found, wanted), gradients(expected, wanted))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.sampled_from(sorted(SURROGATES)))
def test_integers_are_those_of_single_steps(seed, name):
    branch, spikes = branch_of(seed, mode="int", spike_grad=SURROGATES[name])
    found, expected = branch(spikes), step_by_step(branch, spikes)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
    wanted = wanted_of(branch, spikes)
    assert_close(gradients(found, wanted), gradients(expected, wanted), 3e-5)


@pytest.mark.parametrize("mode", ["float", "int"])
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_recomputing_changes_nothing(seed, mode):
    branch, spikes = branch_of(seed, mode=mode)
    expected = branch(spikes)
    wanted = wanted_of(branch, spikes)
    before = gradients(expected, wanted)
    for stretch in (1, 3, 7, 50):
        branch.recompute_steps = stretch
        found = branch(spikes)
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
        assert_close(gradients(found, wanted), before)
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
            branch(sparse_spikes(0, 16, 1, 2, 32, 16))
        kept[stretch] = sum(sizes)
    # Input, spikes and membranes; of the membranes half remain.
    whole = 16 * 2 * 8 * 32 * 16
    assert kept[None] - kept[2] == whole // 2


FLOAT32 = [(name, torch.float32) for name in ("atan", "sigmoid")]


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float64) for name in sorted(SURROGATES)), *FLOAT32]
)
def test_backward_is_the_slope_of_a_smooth_function(name, dtype):
    """With resets held fixed, a scan is linear in time; its slopes by autograd in float64."""
    rng = np.random.default_rng(3)
    neuron = LoihiLeaky(
        0.8, 0.7, spike_grad=SURROGATES[name], learn_beta=True, learn_threshold=True
    )
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
            SURROGATES[name](far), far, torch.ones_like(far).float(), retain_graph=True
        )[0]
        total = total + (slope.detach() * far * weights[t].double()).sum()
    expected = torch.autograd.grad(total, leaves)
    assert_close([each.double() for each in found], expected, 2e-5)


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


@pytest.mark.parametrize("name", sorted(BY_THE_LOOP))
def test_what_is_unknown_goes_through_the_loop(name):
    branch, spikes = branch_of(4, spike_grad=BY_THE_LOOP[name])
    assert branch._neuron(0).leak(spikes) is None
    found, expected = branch(spikes), snntorch_loop(branch, spikes)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    wanted = wanted_of(branch, spikes)
    assert_close(gradients(found, wanted), gradients(expected, wanted))


def test_who_is_recognised():
    assert all(recognise(each) is not None for each in SURROGATES.values())
    assert recognise(surrogate.atan(alpha=3.0)).sharpness == 3.0
    others = [surrogate.SSO(), surrogate.LSO(), surrogate.atan(alpha=torch.tensor(2.0))]
    assert all(recognise(each) is None for each in (*others, *BY_THE_LOOP.values()))
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
    assert_close(gradients([found], wanted), gradients([expected], wanted))


def test_without_gradients_nothing_is_kept():
    branch, spikes = branch_of(2)
    expected = branch(spikes)
    with torch.no_grad():
        found = branch(spikes)
    assert all(not out.requires_grad for out in found)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    twin = copy.deepcopy(branch).requires_grad_(False)
    assert not twin(spikes.detach())[-1].requires_grad


def test_backward_twice_and_from_an_inner_layer():
    branch, spikes = branch_of(5)
    outputs = branch(spikes)
    wanted = wanted_of(branch, spikes)
    one = torch.autograd.grad(outputs[-1].sum(), wanted, retain_graph=True)
    two = torch.autograd.grad(outputs[-1].sum(), wanted, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    weight = branch.synapses[0].weight
    (inner,) = torch.autograd.grad(outputs[0].sum(), weight)
    (loop,) = torch.autograd.grad(snntorch_loop(branch, spikes)[0].sum(), weight)
    assert_close([inner], [loop])


# ---------------------------------------------------------------- its parts


@pytest.mark.parametrize("mode", ["float", "int"])
@pytest.mark.parametrize("name", ["atan", "fast_sigmoid", "straight"])
def test_torchs_steps_are_the_kernels(name, mode):
    """What a GPU compiles, operation by operation on the CPU."""
    neuron = LoihiLeaky(0.9, 800.0, mode=mode, scale=1.0, spike_grad=SURROGATES[name])
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
    assert_close(results[0][3:], results[1][3:])


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("mode", ["float", "int"])
def test_on_a_gpu(mode):
    branch, spikes = branch_of(2, mode=mode)
    wanted = wanted_of(branch, spikes)
    before = branch(spikes)
    expected = gradients(before, wanted)
    twin, there = copy.deepcopy(branch).cuda(), spikes.detach().cuda()
    there.requires_grad_(spikes.requires_grad)
    found = twin(there)
    for one, two in zip(found, before, strict=True):
        assert (one.cpu() != two).float().mean() <= (0 if mode == "int" else 1e-3)
    if mode == "int":
        outputs = [each.cpu() for each in found]
        got = gradients(outputs, wanted_of(twin, there))
        assert_close([g if g is None else g.cpu() for g in got], expected, 1e-3)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.sampled_from([8, 16, 24]),
)
def test_convolution_from_spikes(seed, kernel, stride, padding, outputs):
    spikes = sparse_spikes(seed, 3, 2, 12, 10) * 2.0
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-128, 128, (outputs, 2, *kernel), generator=generator).float()
    ours = sparse.SparseConvolution((12, 10), tuple(weight.shape), stride, padding)
    expected = torch.nn.functional.conv2d(spikes, weight, None, stride, padding)
    found = ours.sums(spikes, ours.stored(weight))
    assert torch.equal(found, expected.round())
    assert found.is_contiguous()
    drive = torch.randn(expected.shape, generator=generator)
    found = ours.weight_gradient(spikes, drive.permute(0, 2, 3, 1).contiguous())
    expected = torch.nn.grad.conv2d_weight(
        spikes.double(), weight.shape, drive.double(), stride, padding
    )
    assert_close([found.double()], [expected], 2e-6)


def test_sparse_gradients_where_they_pay():
    weight = torch.zeros(8, 8, 3, 3)
    rare, often = (sparse_spikes(0, 4, 8, 32, 16, rate=rate) for rate in (0.02, 0.6))
    assert sparse.pays(rare, weight, (1, 1))
    assert not sparse.pays(often, weight, (1, 1))
    assert not sparse.pays(rare, weight[:7], (1, 1))
    assert not sparse.pays(rare[..., :3], weight, (1, 1))


def test_memory_comes_back_when_nobody_holds_it():
    pool = memory.Pool(keep_bytes=3 << 20)
    first = pool.empty((64, 1 << 12), torch.float32)
    assert first.data_ptr() % memory.ALIGNMENT == 0
    place, view = first.data_ptr(), first[3:].flatten()[5:]
    del first
    assert pool.free_bytes() == 0
    assert pool.empty((64, 1 << 12), torch.float32).data_ptr() != place
    del view
    gc.collect()
    assert pool.free_bytes() == 2 << 20
    again = [pool.empty((60, 1 << 12), torch.float32) for _ in range(2)]
    assert place in [each.data_ptr() for each in again]
    small = pool.empty((5,), torch.float64)
    assert small.dtype == torch.float64
    again += [pool.empty((64, 1 << 12), torch.float32) for _ in range(2)]
    del again
    assert 0 < pool.free_bytes() <= 3 << 20
    pool.clear()
    assert pool.free_bytes() == 0


@pytest.mark.parametrize("team", [True, False])
def test_shares_cover_everything_once(team, monkeypatch):
    if not team:
        monkeypatch.setattr(workers, "_openmp", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for count in (1, 2, 5, 47, 1000):
        found = workers.share(lambda *a: a, count, "x", work=1 << 20)
        edges = [edge for first, last, _ in found for edge in (first, last)]
        assert edges[0] == 0
        assert edges[-1] == count
        assert edges[1:-1:2] == edges[2:-1:2]
    assert len(found) == 3
    assert len(workers.share(lambda *a: a, 1000, work=10)) == 1

    def fail(first, last):
        raise KeyError(first)

    with pytest.raises(KeyError):
        workers.share(fail, 100, work=1 << 20)


def test_any_number_of_threads_gives_the_same(monkeypatch):
    branch, spikes = branch_of(3)
    expected = branch(spikes)
    wanted = wanted_of(branch, spikes)
    before = gradients(expected, wanted)
    monkeypatch.setattr(workers, "SERIAL", 0)
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(convolution, "CALL_ELEMENTS", 1)
    found = branch(spikes)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    assert_close(gradients(found, wanted), before)
