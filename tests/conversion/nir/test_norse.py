"""Norse, through NIR, fires as snnTorch does, but for neurons within rounding of the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import snntorch as snn
import torch

from sdcl_neuro.conversion.backends import norse
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.parity.rounding import explain_mismatches
from sdcl_neuro.errors import EnvironmentFault, InputError, NetworkRefused
from sdcl_neuro.network.spec import Convolution, FloatLayer, FloatNetwork, FloatNeuron


def _random_spikes(shape, rate, seed):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def _snntorch(net, spikes):
    """snnTorch by hand: torch's own layers and snn.Leaky, reset to zero."""
    flow, found = [torch.from_numpy(frame).float() for frame in spikes], {}
    for index, layer in enumerate(net.layers):
        neuron = snn.Leaky(layer.neuron.beta, layer.neuron.threshold, reset_mechanism="zero")
        weight = torch.from_numpy(layer.weight)
        bias = None if layer.bias is None else torch.from_numpy(layer.bias)
        state, out = neuron.init_leaky(), []
        for frame in flow:
            if layer.convolution is None:
                total = torch.nn.functional.linear(frame.flatten(1), weight, bias)
            else:
                g = layer.convolution
                total = torch.nn.functional.conv2d(
                    frame, weight, bias, g.stride, g.padding, g.dilation, g.groups
                )
            fired, state = neuron(total, state)
            out.append(fired)
        flow = out
        found[index] = torch.stack(out).to(torch.uint8).numpy()
    return found


def _paper(seed=0):
    """The paper's network, a part of its picture: 8 channels, 5x5 and 3x3, same size."""
    rng = np.random.default_rng(seed)
    shape, layers = (2, 48, 24), []
    for index, (channels, kernel) in enumerate([(8, 5), (8, 3)]):
        weight = rng.normal(0, 0.25, (channels, shape[0], kernel, kernel)).astype(np.float32)
        bias = rng.normal(0, 0.02, channels).astype(np.float32)
        out = (channels, *shape[1:])
        layers.append(
            FloatLayer(
                f"conv{index}",
                "conv",
                weight,
                FloatNeuron(0.9, 1.0),
                shape,
                out,
                bias,
                Convolution(padding=(kernel // 2, kernel // 2)),
            )
        )
        shape = out
    return FloatNetwork((2, 48, 24), tuple(layers))


def test_a_network_like_the_papers_fires_as_in_snntorch():
    net = _paper()
    spikes = _random_spikes((16, 2, *net.input_shape), 0.05, 1)
    theirs = norse.run(net, spikes)
    ours = _snntorch(net, spikes)
    for index in range(2):
        assert ours[index].sum() > 1000
    for layer in explain_mismatches(net, spikes, ours, theirs.spikes):
        assert layer.unexplained == 0
        assert layer.neurons <= 2
        assert layer.largest_gap < 1e-5
    assert theirs.backend == "norse"
    assert theirs.versions["norse"]
    assert (theirs.steps, theirs.samples) == (16, 2)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_fire_as_in_the_snntorch_backend(seed, random_float):
    net = random_float(seed)
    layers = [
        replace(layer, bias=None) if layer.neuron.alpha > 0 else layer for layer in net.layers
    ]
    net = replace(net, layers=tuple(layers))
    spikes = _random_spikes((12, 2, *net.input_shape), 0.3, seed)
    model = Model(floating=net)
    theirs = run(model, spikes, backend="norse")
    ours = run(model, spikes, backend="snntorch")
    judged = explain_mismatches(net, spikes, ours.spikes, theirs.spikes)
    assert [layer.unexplained for layer in judged] == [0] * len(net.layers)
    assert sum(layer.neurons for layer in judged) <= 1


def _one(weight, beta, threshold, **more):
    weight = np.asarray(weight, np.float32)
    return FloatNetwork(
        (weight.shape[1],),
        (
            FloatLayer(
                "fc",
                "dense",
                weight,
                FloatNeuron(beta, threshold),
                weight.shape[1:],
                weight.shape[:1],
                **more,
            ),
        ),
    )


def test_a_membrane_on_the_threshold_counts_as_rounding():
    """0.1 + 0.2 against 0.3: whoever adds in another order may fire; both are right."""
    net = _one([[0.1, 0.2]], 0.0, float(np.float32(0.1) + np.float32(0.2)))
    spikes = np.ones((3, 1, 2), np.uint8)
    quiet, loud = {0: np.zeros((3, 1, 1), np.uint8)}, {0: np.ones((3, 1, 1), np.uint8)}
    (judged,) = explain_mismatches(net, spikes, quiet, loud)
    assert (judged.mismatches, judged.neurons, judged.unexplained) == (3, 1, 0)
    assert judged.following == 2
    assert judged.largest_gap < 1e-6


def test_what_follows_from_a_rounding_is_no_second_one(random_float):
    """A spike more in the first layer moves the second, rightly."""
    first = _one([[0.1, 0.2]], 0.0, float(np.float32(0.1) + np.float32(0.2))).layers[0]
    second = FloatLayer(
        "b", "dense", np.ones((1, 1), np.float32), FloatNeuron(0.5, 0.5), (1,), (1,)
    )
    net = FloatNetwork((2,), (first, second))
    spikes = np.ones((2, 1, 2), np.uint8)
    zero, one = np.zeros((2, 1, 1), np.uint8), np.ones((2, 1, 1), np.uint8)
    judged = explain_mismatches(net, spikes, {0: zero, 1: zero}, {0: one, 1: one})
    assert (judged[1].mismatches, judged[1].neurons, judged[1].following) == (2, 0, 2)
    assert judged[1].unexplained == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: replace(layer, weight=layer.weight * np.float32(1.001)),
        lambda layer: replace(layer, neuron=replace(layer.neuron, beta=0.8995)),
        lambda layer: replace(layer, neuron=replace(layer.neuron, threshold=1.001)),
        lambda layer: replace(layer, bias=None),
    ],
)
def test_another_network_is_not_rounding(change):
    net = _paper()
    spikes = _random_spikes((16, 2, *net.input_shape), 0.05, 1)
    other = replace(net, layers=(change(net.layers[0]), net.layers[1]))
    judged = explain_mismatches(
        net, spikes, _snntorch(net, spikes), norse.run(other, spikes).spikes
    )
    assert judged[0].unexplained > 0


def test_norse_keeps_the_layers_asked_for(random_float):
    net = _paper()
    spikes = _random_spikes((3, 1, *net.input_shape), 0.1, 1)
    assert set(norse.run(net, spikes, layers=[1]).spikes) == {1}
    with pytest.raises(InputError, match="there is no layer 7"):
        norse.run(net, spikes, layers=[7])
    with pytest.raises(InputError, match="for a network that takes"):
        norse.run(net, spikes[:, :, :1])
    with pytest.raises(InputError, match="at most 1"):
        norse.run(net, spikes * 3)


def test_norse_refuses_what_its_importer_misreads():
    layer = _one([[1.0]], 0.5, 1.0, bias=np.ones(1, np.float32)).layers[0]
    layer = replace(layer, neuron=FloatNeuron(0.5, 1.0, 0.5))
    with pytest.raises(NetworkRefused, match="after a synaptic current"):
        norse.run(FloatNetwork((1,), (layer,)), np.ones((2, 1, 1), np.uint8))


def test_norse_missing_is_the_environments_fault(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "norse.torch.utils.import_nir", None)
    with pytest.raises(EnvironmentFault, match="pip install") as caught:
        norse.run(_one([[1.0]], 0.5, 1.0), np.ones((2, 1, 1), np.uint8))
    assert caught.value.exit_code == 3


def test_torchvision_is_not_imported():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from sdcl_neuro.conversion.backends import norse;"
        "from sdcl_neuro.network.spec import *;"
        "n = FloatNetwork((1,), (FloatLayer('a', 'dense', np.ones((1, 1), np.float32),"
        " FloatNeuron(0.5, 0.5), (1,), (1,)),));"
        "r = norse.run(n, np.ones((2, 1, 1), np.uint8)); assert r.spikes[0].sum() == 2;"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
