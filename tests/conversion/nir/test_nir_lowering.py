"""What NIR says beyond plain layers: pooling, thresholds per channel, other resets."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_nir, from_snntorch
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spike_file import write_spikes

DT = 1e-3


def _if(shape, threshold=0.3):
    values = np.broadcast_to(np.float32(threshold), shape).copy()
    return nir.IF(np.ones(shape, np.float32), values, np.zeros(shape, np.float32))


def _lif(shape, *, threshold=0.4, v_reset=0.0, beta=0.8):
    def full(value):
        return np.full(shape, value, np.float32)

    return nir.LIF(
        full(DT / (1 - beta)), full(1 / (1 - beta)), full(0.0), full(threshold), full(v_reset)
    )


def _graph(*nodes):
    named = {str(index): node for index, node in enumerate(nodes)}
    edges = list(zip(named, list(named)[1:], strict=False))
    return nir.NIRGraph(named, edges, metadata={"dt": DT}, type_check=False)


def _conv(module, size):
    return nir.Conv2d(
        size,
        module.weight.detach().numpy(),
        stride=1,
        padding=module.padding,
        dilation=1,
        groups=1,
        bias=module.bias.detach().numpy(),
    )


@pytest.mark.parametrize("size", [(8, 6), (9, 7)])
def test_pools_and_thresholds_are_those_of_snntorch(size):
    """Sizes that the pooling divides stay convolutions, odd ones with padding do not."""
    torch.manual_seed(0)
    conv1, conv2 = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    small = tuple(n // 2 for n in size)
    fc = nn.Linear(4 * (small[0] - 1) * (small[1] - 1), 5)
    channel = torch.tensor([0.3, 0.2, 0.3])[:, None, None]
    row = torch.linspace(0.1, 0.5, 5)
    options = {"init_hidden": True, "reset_mechanism": "zero"}
    module = nn.Sequential(
        conv1, snn.Leaky(1.0, threshold=channel, **options), nn.LPPool2d(1, 2),
        conv2, snn.Leaky(1.0, threshold=0.5, **options), nn.AvgPool2d(2, 1),
        nn.Flatten(), fc, snn.Leaky(1.0, threshold=row, **options),
    )  # fmt: skip
    graph = _graph(
        nir.Input(np.array([2, *size])),
        _conv(conv1, size),
        _if((3, *size), channel.numpy()),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        _conv(conv2, small),
        _if((4, *small), 0.5),
        nir.AvgPool2d(np.array([2, 2]), np.array([1, 1]), np.array([0, 0])),
        nir.Flatten(np.array([4, small[0] - 1, small[1] - 1]), start_dim=0),
        nir.Affine(fc.weight.detach().numpy(), fc.bias.detach().numpy()),
        _if((5,), row.numpy()),
        nir.Output(np.array([5])),
    )
    net, wanted = from_nir(graph), from_snntorch(module, torch.zeros(1, 1, 2, *size))
    odd = size[0] % 2 == 1
    assert [layer.kind for layer in net.layers] == ["conv", "dense" if odd else "conv", "dense"]
    assert len(net.meta["lowered"]) == 4
    for ours, theirs in zip(net.layers, wanted.layers, strict=True):
        np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-6)
        np.testing.assert_allclose(ours.bias, theirs.bias, rtol=1e-6)
        assert ours.in_shape == theirs.in_shape
        assert ours.neuron.threshold == pytest.approx(theirs.neuron.threshold)


POOL = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
HUGE = nir.SumPool2d(np.array([10**9, 1]), np.array([1, 1]), np.array([5 * 10**8, 0]))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([POOL, nir.Linear(np.ones((1, 8))), _if((1,)), POOL], "no synapse stands after"),
        ([nir.Flatten(np.array([2, 4, 4]), 0), POOL], "put it before the Flatten"),
        ([HUGE, nir.Linear(np.ones((1, 8)))], "cannot pool"),
        (
            [nir.SumPool2d(np.array([5, 5]), np.array([1, 1]), np.array([0, 0]))],
            "no window of 5 fits into 4",
        ),
    ],
)
def test_pools_that_cannot_be_folded(nodes, words):
    rest = [nir.Flatten(np.array([2, 2, 2]), 0), nir.Affine(np.ones((1, 8)), np.ones(1)), _if((1,))]
    if nodes[-1] is POOL and len(nodes) > 2:
        nodes, rest = [nodes[0], *rest, POOL], []
    elif len(nodes) == 2:
        rest = rest[1:]
    with pytest.raises(NetworkRefused, match=words):
        from_nir(_graph(nir.Input(np.array([2, 4, 4])), *nodes, *rest, nir.Output(np.array([1]))))


def _resting(v_reset, beta):
    rng = np.random.default_rng(1)
    weight = rng.normal(0.3, 0.5, (6, 10)).astype(np.float32)
    graph = _graph(
        nir.Input(np.array([10])),
        nir.Affine(weight, np.full(6, 0.05, np.float32)),
        _lif((6,), v_reset=v_reset, beta=beta),
        nir.Output(np.array([6])),
    )
    spikes = (rng.random((60, 4, 10)) < 0.3).astype(np.uint8)
    return graph, weight, spikes


@pytest.mark.parametrize(("v_reset", "beta"), [(-0.3, 0.8), (0.2, 0.9)])
def test_a_reset_to_another_potential(v_reset, beta):
    graph, weight, spikes = _resting(v_reset, beta)
    with pytest.raises(NetworkRefused, match=r"v_reset is not zero.*approximate=True"):
        from_nir(graph)
    net = from_nir(graph, approximate=True, calibration=spikes)
    voltage, wanted = np.zeros((4, 6)), []
    for frame in spikes:
        voltage = beta * voltage + frame @ weight.T + 0.05
        wanted.append(voltage > 0.4)
        voltage = np.where(wanted[-1], v_reset, voltage)
    wanted = np.stack(wanted)
    (note,) = net.meta["approximate"]
    assert "counted from" in note["approximated"][0]
    assert note["spikes"] == wanted.sum()
    ours = run_float(Model(floating=net), spikes).spikes[0]
    assert (ours != wanted).mean() < 0.05
    assert (ours != wanted)[30:].mean() < 0.02


def test_the_command_line_lists_what_is_approximate(tmp_path, capsys):
    graph, _, spikes = _resting(-0.3, 0.8)
    model, out, data = tmp_path / "m.nir", tmp_path / "m.net", tmp_path / "in.npz"
    nir.write(model, graph)
    write_spikes(data, spikes)
    assert main(["convert", str(model), str(out), "--calibrate", str(data)]) == 2
    assert main(["convert", str(model), str(out), "--approximate"]) == 2
    assert "--approximate: an approximation is set and measured on data" in capsys.readouterr().err
    assert not out.exists()
    both = ["--approximate", "--calibrate", str(data)]
    assert main(["convert", str(model), str(out), *both]) == 0
    assert "  approximate  1 " in capsys.readouterr().out
    account = json.loads((tmp_path / "m.net.json").read_text())
    assert account["approximate"][0]["spikes"] > 50
    assert account["rounded"][0]["scale_from"] == "calibration"
    again = tmp_path / "again.nir"
    assert main(["convert", str(model), str(again), *both]) == 0
    assert from_nir(again).meta["approximate"] == account["approximate"]


def test_approximation_needs_data():
    graph, _, spikes = _resting(-0.3, 0.8)
    for options in ({"approximate": True}, {"calibration": spikes}):
        with pytest.raises(InputError, match="give both"):
            from_nir(graph, **options)
