"""Rounding a float network after training: scales, refusals, and the measured agreement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.depth import examples
from sdcl_neuro.conversion import QuantizationWarning, from_snntorch, quantize
from sdcl_neuro.conversion.quantisation.report import quantization_report
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.scales import CURRENT_MAX, choose_scale
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch


def dense(weight, *, beta=0.9, threshold=1.0, alpha=0.0, **fields):
    weight = np.asarray(weight, np.float32)
    return FloatLayer(
        name=fields.pop("name", "fc"),
        kind=fields.pop("kind", "dense"),
        weight=weight,
        neuron=FloatNeuron(beta, threshold, alpha),
        in_shape=(weight.shape[1],),
        out_shape=(weight.shape[0],),
        **fields,
    )


def network(*layers):
    return FloatNetwork(layers[0].in_shape, tuple(layers))


def spikes_for(net, *, steps=20, samples=3, rate=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((steps, samples, *net.input_shape)) < rate).astype(np.uint8)


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=8).filter(any),
    st.floats(0.001, 100),
    st.lists(st.floats(-3, 3, width=32), max_size=3),
)
def test_chosen_scales_fit_and_fill(weights, threshold, bias):
    """Weights, threshold and bias fit; one of them fills its bits."""
    layer = dense([weights], threshold=threshold, bias=np.full(1, sum(bias), np.float32))
    scale = choose_scale(layer.weight, threshold=threshold, bias=layer.bias)
    largest = {
        "weight": max(max(weights) * scale / 254, -min(weights) * scale / 256),
        "threshold": threshold * scale / 131071,
        "bias": max(sum(bias) * scale / 4095, -sum(bias) * scale / 4096),
    }
    assert all(share <= 1 + 1e-6 for share in largest.values())
    assert max(largest.values()) > 1 - 1e-6


def test_untrained_scale_fills_eight_bits_and_says_what_it_did():
    net = network(dense([[0.5, -0.25], [0.1, 0.2]], bias=np.array([0.1, 0], np.float32)))
    chip = quantize(net)
    (layer,) = chip.layers
    np.testing.assert_array_equal(layer.weight, [[254, -128], [50, 102]])
    assert layer.neuron.threshold == 508
    np.testing.assert_array_equal(layer.bias, [51, 0])
    (note,) = chip.meta["quantisation"]
    assert note["scale"] == 508
    assert note["scale_from"] == "weights"
    assert note["weight_error_max"] == pytest.approx(128 / 508 - 0.25)
    assert note["beta_error"] == pytest.approx((4096 - 410) / 4096 - 0.9)
    assert note["threshold_error"] == 0
    assert note["may_wrap"] is False
    json.dumps(chip.meta, allow_nan=False)


def test_calibration_keeps_the_current_from_wrapping():
    """2,000 inputs of one sign: at 8 bits the current would wrap into its opposite."""
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 1.0, (4, 2000)).astype(np.float32)
    net = network(dense(weight, threshold=900.0))
    spikes = spikes_for(net, rate=0.8)
    bold, careful = quantize(net), quantize(net, calibration=spikes)
    assert bold.meta["quantisation"][0]["may_wrap"] is True
    assert run_network(bold, spikes).activity[0].wraps.sum() > 0
    assert run_network(careful, spikes).activity[0].wraps.sum() == 0
    assert careful.meta["quantisation"][0]["scale_from"] == "calibration"
    report = quantization_report(net, careful, spikes)
    assert report.layers[0].wraps == 0
    assert report.layers[0].agreement > 0.97
    worse = quantization_report(net, bold, spikes).layers[0]
    assert worse.wraps > 0
    assert worse.agreement < report.layers[0].agreement
    currents = np.abs(careful.layers[0].weight).sum(axis=1).max() * 0.8
    assert currents < CURRENT_MAX


def test_current_based_and_recurrent_layers_agree_after_rounding():
    rng = np.random.default_rng(2)
    first = dense(rng.normal(0, 0.4, (40, 30)), alpha=0.6, beta=0.8, name="cuba")
    second = dense(
        rng.normal(0, 0.4, (25, 40)),
        kind="dense_rec",
        name="rec",
        recurrent_weight=rng.normal(0, 0.2, (25, 25)).astype(np.float32),
        bias=rng.normal(0, 0.05, 25).astype(np.float32),
    )
    net = network(first, second)
    spikes = spikes_for(net, samples=6)
    chip = quantize(net, calibration=spikes)
    assert chip.layers[0].neuron.current_decay == round(4096 * 0.4)
    report = quantization_report(net, chip, spikes)
    for layer in report.layers:
        assert layer.spikes_float > 300
        assert layer.agreement > 0.97
        assert abs(layer.rate_change) < 0.05
    text, data = str(report), report.to_dict()
    assert "cuba" in text
    assert "rec" in text
    assert data["schema"]["name"] == "sdcl_neuro.quantisation_report"
    json.dumps(data, allow_nan=False)


def test_message_bits_go_with_the_network():
    net = network(dense([[0.5, 0.25]]))
    counts = np.full((3, 1, 2), 7, np.uint8)
    chip = quantize(net, calibration=counts, message_bits=3)
    assert chip.message_bits == 3
    assert quantization_report(net, chip, counts).layers[0].mismatches == 0
    with pytest.raises(InputError, match=r"count of 7.*message_bits"):
        quantize(net, calibration=counts)
    with pytest.raises(InputError, match="spikes of shape"):
        quantize(net, calibration=counts[..., :1])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (dense([[1.0]], beta=0.9999), "rounds to nothing: beta 0.9999"),
        (dense([[1.0]], alpha=0.9999), "current decay that rounds to nothing"),
        (dense([[1.0]], beta=0.0001), "does not fit 12 bits"),
        (dense([[1.0]], beta=1.2), r"decays in \[0, 1\]"),
        (dense([[0.0, 0.0]]), "all-zero"),
        (dense([[1.0]], threshold=-1.0), "threshold -1"),
        (dense([[np.nan]]), "not finite"),
        (dense([[1.0]], threshold=float("inf")), "not finite"),
        (dense([[1.0]], threshold=3000.0, scale=100.0), "17 bits"),
        (dense([[1.0]], bias=np.array([90.0], np.float32), scale=100.0), "13 signed bits"),
        (dense([[1.0]], scale=-1.0), "weight scale -1"),
    ],
)
def test_refusals_name_the_layer(layer, words):
    with pytest.raises(NetworkRefused, match=words) as refused:
        quantize(network(layer))
    assert refused.value.refusals[0].where == "layer 0 (fc)"


def test_refusals_come_together():
    layers = (dense([[1.0]], beta=0.99999), dense([[0.0]], threshold=-1.0, name="last"))
    with pytest.raises(NetworkRefused) as refused:
        quantize(network(*layers))
    assert len(refused.value.refusals) == 3


def test_a_leak_of_nothing_is_allowed_where_it_was_meant():
    assert quantize(network(dense([[1.0]], beta=1.0))).layers[0].neuron.voltage_decay == 0


def test_training_may_clip_weights_and_the_note_says_so():
    chip = quantize(network(dense([[3.0, -0.5]], scale=100.0)))
    np.testing.assert_array_equal(chip.layers[0].weight, [[254, -50]])
    assert chip.meta["quantisation"][0]["weights_clipped"] == 1


def test_quantised_after_float_training_agrees_with_it():
    """A branch trained in float on moving edges, rounded afterwards: nearly the same spikes."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    spikes = (torch.rand(16, 8, 2, 32, 16, generator=generator) < 0.02).float()
    for step in range(16):
        spikes[step, ::2, 1, 2 * step : 2 * step + 2, 4:12] = 1
        spikes[step, 1::2, 0, 30 - 2 * step : 32 - 2 * step, 4:12] = 1
    labels = torch.arange(8) % 2
    branch, head = EventBranch(COMPACT), torch.nn.Linear(16, 2)
    branch.calibrate_rates(spikes)
    optimiser = torch.optim.Adam([*branch.parameters(), *head.parameters()], lr=0.01)
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(
            head(branch(spikes)[-1].sum(dim=(0, 3, 4)) / 10), labels
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.3
    net = from_snntorch(branch, spikes)
    assert all(layer.scale is None for layer in net.layers)
    calibration = spikes.numpy().astype(np.uint8)
    chip = quantize(net, calibration=calibration)
    report = quantization_report(net, chip, calibration)
    for layer in report.layers:
        assert layer.spikes_float > 500
        assert layer.agreement > 0.985
        assert layer.spike_agreement > 0.8
        assert abs(layer.rate_change) < 0.06


def test_report_of_a_silent_layer_keeps_its_columns_apart():
    net = network(dense([[0.1]]))
    calibration = np.ones((2, 1, 1), np.uint8)
    with pytest.warns(QuantizationWarning, match=r"layer 0 \(fc\) never fires"):
        chip = quantize(net)
    text = str(quantization_report(net, chip, calibration))
    assert text.splitlines()[1].count("  no spikes") == 2


def test_report_refuses_networks_that_do_not_belong_together():
    net = network(dense([[1.0]]))
    chip = quantize(net)
    with pytest.raises(InputError, match="not made from"):
        quantization_report(
            network(*net.layers, replace(net.layers[0], name="two")), chip, spikes_for(net)
        )
