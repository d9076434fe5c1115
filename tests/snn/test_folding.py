"""Random chains: what is folded and expanded computes what the modules compute."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.depth import examples
from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.conversion.backends.lava import backend as lava
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.conversion.backends.snntorch_run import run_integer
from sdcl_neuro.conversion.layer_modules import float_layer
from sdcl_neuro.conversion.lowering import folding as folding_module
from sdcl_neuro.conversion.lowering.graph import forms, kernels
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import NetworkRefused

FIXED = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}


def _pool(draw, shape, *, behind=False):
    if draw(st.integers(0, 4)) == 0 and not behind:
        wanted = tuple(draw(st.integers(1, size)) for size in shape[1:])
        return nn.AdaptiveAvgPool2d(wanted)
    kernel = tuple(draw(st.integers(1, min(3, size))) for size in shape[1:])
    stride = kernel if draw(st.booleans()) else tuple(draw(st.integers(1, 3)) for _ in range(2))
    if draw(st.integers(0, 4)) == 0:
        return nn.LPPool2d(1, kernel, stride, ceil_mode=not behind and draw(st.booleans()))
    return nn.AvgPool2d(
        kernel,
        stride,
        padding=0 if behind else tuple(draw(st.integers(0, k // 2)) for k in kernel),
        ceil_mode=not behind and draw(st.booleans()),
        count_include_pad=draw(st.booleans()),
        divisor_override=draw(st.sampled_from([None, None, 1, 3])),
    )


def _convolution(draw, shape):
    groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == 0]))
    return nn.Conv2d(
        shape[0],
        groups * draw(st.integers(1, 2)),
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        stride=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        padding=(draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        dilation=(draw(st.integers(1, 2)), 1),
        groups=groups,
        bias=draw(st.booleans()),
    )


def _neuron(draw, shape):
    threshold = draw(st.sampled_from([0.1, 0.5]))
    if draw(st.booleans()):
        values = torch.tensor(draw(st.lists(st.sampled_from([0.1, 0.3, 0.25]), min_size=1)))
        each = values[torch.arange(shape[0]) % len(values)]
        threshold = each.reshape(-1, *[1] * (len(shape) - 1))
    options = {"threshold": threshold, **FIXED}
    kind = draw(st.sampled_from(["leaky", "leaky", "if", "diagonal", "recurrent"]))
    if kind in ("leaky", "if"):
        return snn.Leaky(1.0 if kind == "if" else 0.8, **options)
    if kind == "diagonal":
        gain = draw(st.sampled_from([0.3, -0.5, torch.linspace(-1, 1, shape[-1])]))
        return snn.RLeaky(0.7, V=gain, all_to_all=False, **options)
    if len(shape) == 1:
        return snn.RLeaky(0.7, linear_features=shape[0], **options)
    kernel = draw(st.sampled_from([1, 3, (3, 1)]))
    return snn.RLeaky(0.7, conv2d_channels=shape[0], kernel_size=kernel, **options)


def _norm(draw, shape):
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    norm = kind(shape[0], affine=draw(st.booleans()))
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.1, 2)
    return norm


def _out(module, shape):
    with torch.no_grad():
        return tuple(module.eval()(torch.zeros(1, *shape)).shape[1:])


@st.composite
def chains(draw):
    """Segments up to each neuron: what stands before it, the neuron, its input's shape."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(2, 7)), draw(st.integers(2, 7)))
    input_shape, segments = shape, []
    for _ in range(draw(st.integers(1, 3))):
        start, before = shape, []
        if len(shape) == 3:
            for _ in range(draw(st.integers(0, 2))):
                before.append(_pool(draw, shape))
                shape = _out(before[-1], shape)
        if len(shape) == 3 and draw(st.booleans()):
            synapse = _convolution(draw, shape)
            size = [
                (n + 2 * p - d * (k - 1) - 1) // s + 1
                for n, p, d, k, s in zip(
                    shape[1:], synapse.padding, synapse.dilation, synapse.kernel_size,
                    synapse.stride, strict=True,
                )
            ]  # fmt: skip
            assume(min(size) >= 1)
            before.append(synapse)
        else:
            if len(shape) == 3:
                before.append(nn.Flatten())
            before.append(nn.Linear(prod(shape), draw(st.integers(1, 5)), draw(st.booleans())))
        shape = _out(nn.Sequential(*before), start)
        if draw(st.booleans()):
            before.append(_norm(draw, shape))
        if len(shape) == 3 and draw(st.booleans()):
            before.append(_pool(draw, shape, behind=True))
            shape = _out(before[-1], shape)
            if draw(st.booleans()):
                before.append(_norm(draw, shape))
        segments.append((nn.Sequential(*before).eval(), _neuron(draw, shape), start, shape))
    return input_shape, segments


def _sequence(segments):
    return nn.Sequential(*(step for before, neuron, *_ in segments for step in (before, neuron)))


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(chains())
def test_currents_of_random_chains(case):
    input_shape, segments = case
    net = from_snntorch(_sequence(segments), torch.zeros(1, 1, *input_shape))
    assert len(net.layers) == len(segments)
    for layer, (before, neuron, start, shape) in zip(net.layers, segments, strict=True):
        spikes = (torch.rand(1, 4, *start) < 0.4).double()
        with torch.no_grad():
            wanted = before.double()(spikes[0])
            stage = float_layer(layer).synapse.double()
            found = stage(spikes.reshape(1, 4, *layer.in_shape)).reshape(wanted.shape)
            fired = (torch.rand(4, *shape) < 0.4).double()
            if isinstance(neuron, snn.RLeaky):
                wanted = wanted + neuron.recurrent.double()(fired)
        if layer.recurrent_weight is not None:
            fed = fired.flatten(1) @ torch.from_numpy(layer.recurrent_weight).double().T
            found = found + fed.reshape(wanted.shape)
        wanted = wanted / neuron.threshold.detach().double()
        found = found / layer.neuron.threshold
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


@settings(max_examples=examples(80), deadline=None, derandomize=True)
@given(chains(), st.integers(0, 1000))
def test_random_chains_in_integers(case, seed):
    """Converted, quantised: the engine and snnTorch's integer modules agree on every spike."""
    input_shape, segments = case
    net = from_snntorch(_sequence(segments), torch.zeros(1, 1, *input_shape))
    # A kernel that reads nothing but its padding has no weight left.
    assume(all(layer.kind == "conv" or layer.weight.any() for layer in net.layers))
    chip = quantize(net, check=False)
    rng = np.random.default_rng(seed)
    spikes = (rng.random((6, 2, *input_shape)) < 0.5).astype(np.uint8)
    ours, theirs = run_network(chip, spikes), run_integer(Model(integer=chip), spikes)
    for index in range(len(chip.layers)):
        np.testing.assert_array_equal(ours.spikes[index], theirs.spikes[index])


@pytest.mark.lava
def test_random_chains_in_lava():
    """Whatever the engine takes of them Lava takes too, and agrees on every spike."""
    pairs = []

    @settings(max_examples=examples(36), deadline=None, derandomize=True, phases=[Phase.generate])
    @given(chains(), st.integers(0, 1000))
    def collect(case, seed):
        input_shape, segments = case
        net = from_snntorch(_sequence(segments), torch.zeros(1, 1, *input_shape))
        assume(all(layer.weight.any() for layer in net.layers))
        chip = quantize(net, check=False)
        rng = np.random.default_rng(seed)
        pairs.append((chip, (rng.random((12, 1, *input_shape)) < 0.5).astype(np.uint8)))

    collect()
    assert len(pairs) >= examples(36)
    fired = 0
    for (chip, spikes), theirs in zip(pairs, lava.run_many(pairs), strict=True):
        ours = run_network(chip, spikes)
        for index in range(len(chip.layers)):
            np.testing.assert_array_equal(ours.spikes[index], theirs.spikes[index])
            fired += int(ours.spikes[index].sum())
    assert fired > 500


def _fixed(*modules):
    return nn.Sequential(*modules, nn.Conv2d(2, 3, 3, padding=1), snn.Leaky(0.9, **FIXED))


def test_a_pool_that_divides_the_size_stays_a_convolution():
    net = from_snntorch(_fixed(nn.AvgPool2d(2)), torch.zeros(1, 1, 2, 8, 6))
    (layer,) = net.layers
    assert layer.kind == "conv"
    assert layer.weight.shape == (3, 2, 6, 6)
    assert (layer.convolution.stride, layer.convolution.padding) == ((2, 2), (2, 2))
    assert "54 weights to 216 (4 times)" in net.meta["lowered"][0]


def test_an_odd_size_with_padding_is_expanded_and_said():
    net = from_snntorch(_fixed(nn.AvgPool2d(2)), torch.zeros(1, 1, 2, 9, 6))
    assert net.layers[0].kind == "dense"
    assert net.layers[0].out_shape == (3 * 4 * 3,)
    assert "expanded into a matrix" in net.meta["lowered"][0]


def test_overlapping_windows_without_padding_fold():
    module = nn.Sequential(nn.AvgPool2d(3, 2), nn.Conv2d(2, 3, 2), snn.Leaky(0.9, **FIXED))
    (layer,) = from_snntorch(module, torch.zeros(1, 1, 2, 11, 8)).layers
    assert layer.weight.shape == (3, 2, 5, 5)


def test_expansion_is_bounded(monkeypatch):
    for module in (folding_module, forms, kernels):
        monkeypatch.setattr(module, "EXPANSION_MAX", 60)
    with pytest.raises(NetworkRefused, match=r"takes 3,888 weights, beyond 60.*strided"):
        from_snntorch(_fixed(nn.AvgPool2d(2)), torch.zeros(1, 1, 2, 9, 6))


@pytest.mark.lava
def test_lava_agrees_with_folded_and_expanded_layers():
    """Pooling in a kernel and in a matrix, thresholds per channel, an expanded recurrence."""
    torch.manual_seed(1)
    each = torch.tensor([0.2, 0.5, 0.3, 0.2]).reshape(4, 1, 1)
    module = nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(2, 4, 3, padding=1),
        snn.Leaky(0.8, threshold=each, **FIXED),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 2, 3, padding=1),
        snn.RLeaky(0.7, conv2d_channels=2, kernel_size=3, threshold=0.3, **FIXED),
        nn.AvgPool2d(2, 1),
        nn.Flatten(),
        nn.Linear(2, 3),
        snn.Leaky(1.0, threshold=0.2, **FIXED),
    )
    chip = quantize(from_snntorch(module, torch.zeros(1, 1, 2, 10, 8)))
    assert [layer.kind for layer in chip.layers] == ["conv", "dense_rec", "dense"]
    spikes = (np.random.default_rng(0).random((10, 2, 2, 10, 8)) < 0.6).astype(np.uint8)
    ours, theirs = run(chip, spikes), run(chip, spikes, backend="lava")
    for index in range(3):
        assert ours.spikes[index].any()
        np.testing.assert_array_equal(ours.spikes[index], theirs.spikes[index])
