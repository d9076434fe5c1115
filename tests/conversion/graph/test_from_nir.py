"""NIR graphs that are no chains: skips, branches, unequal decays, read-outs, several inputs."""

from __future__ import annotations

import json
import re

import nir
import numpy as np
import pytest

from sdcl_neuro import conversion, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.network.spike_file import write_spikes

DT = 1e-3
pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)


def lif(shape, *, beta=0.75, threshold=0.5):
    """r is what takes dt / tau back, so that the weights stand as they are."""
    beta = np.broadcast_to(np.asarray(beta, np.float32), shape).astype(np.float32)
    tau = DT / (1 - beta)
    ones = np.ones(shape, np.float32)
    return nir.LIF(
        tau=tau, r=tau / DT, v_leak=0 * ones, v_threshold=threshold * ones, v_reset=0 * ones
    )


def conv(rng, outputs, inputs, size, kernel=3, stride=1):
    weight = rng.normal(0, 0.35, (outputs, inputs, kernel, kernel)).astype(np.float32)
    bias = rng.normal(0, 0.05, outputs).astype(np.float32)
    return nir.Conv2d(size, weight, stride, kernel // 2, 1, 1, bias)


def residual():
    """Two residual blocks, the second with a stride and a projected skip; unequal decays."""
    rng = np.random.default_rng(3)
    nodes = {
        "input": nir.Input(np.array([2, 8, 8])),
        "stem": conv(rng, 4, 2, (8, 8)),
        "lif0": lif((4, 8, 8)),
        "conv1": conv(rng, 4, 4, (8, 8)),
        "lif1": lif((4, 8, 8), beta=np.array([0.5, 0.9, 0.5, 0.75]).reshape(4, 1, 1)),
        "conv2": conv(rng, 6, 4, (8, 8), stride=2),
        "project": conv(rng, 6, 4, (8, 8), kernel=1, stride=2),
        "lif2": lif((6, 4, 4)),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([6, 2, 2])}, 0, -1),
        "fc": nir.Affine(rng.normal(0, 0.4, (5, 24)).astype(np.float32), np.zeros(5, np.float32)),
        "lif3": lif((5,)),
        "output": nir.Output(np.array([5])),
    }
    edges = [
        ("input", "stem"),
        ("stem", "lif0"),
        ("lif0", "conv1"),
        ("conv1", "lif1"),
        ("lif0", "conv2"),
        ("lif1", "conv2"),
        ("lif0", "project"),
        ("conv2", "lif2"),
        ("project", "lif2"),
        ("lif2", "pool"),
        ("pool", "flat"),
        ("flat", "fc"),
        ("fc", "lif3"),
        ("lif3", "output"),
    ]
    return nir.NIRGraph(nodes, edges, type_check=False)


def euler(graph, spikes):
    """The graph stepped as NIR's equations say, node by node, in float64."""
    import torch

    order = list(graph.nodes)
    into = {name: [a for a, b in graph.edges if b == name] for name in order}
    voltages, sent = {}, {}
    for step in spikes:
        values = {}
        for name in order:
            node = graph.nodes[name]
            read = sum(values[each] for each in into[name]) if into[name] else None
            kind = type(node).__name__
            if kind == "Input":
                values[name] = torch.from_numpy(step).double()
            elif kind == "Conv2d":
                weight, bias = (torch.from_numpy(v).double() for v in (node.weight, node.bias))
                padding = tuple(int(p) for p in np.broadcast_to(node.padding, 2))
                stride = tuple(int(s) for s in np.broadcast_to(node.stride, 2))
                values[name] = torch.nn.functional.conv2d(read, weight, bias, stride, padding)
            elif kind == "SumPool2d":
                values[name] = 4 * torch.nn.functional.avg_pool2d(read, 2)
            elif kind == "Flatten":
                values[name] = read.flatten(1)
            elif kind == "Affine":
                values[name] = read @ torch.from_numpy(node.weight).double().T
            elif kind == "LIF":
                tau, r = (torch.from_numpy(v).double() for v in (node.tau, node.r))
                v = voltages.get(name, torch.zeros_like(read))
                v = v + DT / tau * (-v + r * read)
                fired = v > torch.from_numpy(node.v_threshold).double()
                voltages[name] = torch.where(fired, 0.0, v)
                values[name] = fired.double()
                sent.setdefault(name, []).append(fired.numpy())
            else:
                values[name] = read
    return {name: np.stack(steps) for name, steps in sent.items()}


@pytest.fixture(scope="module")
def spikes():
    return (np.random.default_rng(0).random((12, 2, 2, 8, 8)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize("backend", ["loihi", pytest.param("lava", marks=pytest.mark.lava)])
def test_a_residual_network(spikes, backend):
    source = residual()
    graph = conversion.from_nir(source, dt=DT)
    assert isinstance(graph, FloatGraph)
    assert [len(node.inputs) for node in graph.nodes if node.name.endswith(".sum")] == [2, 2]
    own = euler(source, spikes)
    floating = run(graph, spikes, backend="snntorch")
    for index, node in enumerate(graph.populations):
        assert (floating.spikes[index] != own[node.name]).mean() < 0.001
    assert own["lif3"].sum() > 5
    chip = conversion.quantize(graph, calibration=spikes)
    exact, other = run(chip, spikes), run(chip, spikes, backend=backend)
    for index in exact.spikes:
        np.testing.assert_array_equal(exact.spikes[index], other.spikes[index])
        assert (exact.spikes[index] != own[graph.populations[index].name]).mean() < 0.08


def test_convert_a_file(spikes, tmp_path, capsys):
    nir.write(str(tmp_path / "n.nir"), residual())
    write_spikes(tmp_path / "in.npz", spikes)
    command = ["convert", str(tmp_path / "n.nir"), str(tmp_path / "n.net"), "--dt", str(DT)]
    given = ["--calibrate", str(tmp_path / "in.npz")]
    assert main([*command, *given, "--quiet"]) == 0
    account = json.loads((tmp_path / "n.net.json").read_text())
    text = "\n".join(account["folded"])
    assert "layers became a chain of" in text
    assert "neurons, " in text
    assert "relay or pool" in text
    assert [entry["name"] for entry in account["rounded"]][:1] == ["lif0"]
    assert "graph: " in capsys.readouterr().out
    other = str(tmp_path / "other.nir")
    assert main([*command[:2], other, "--dt", str(DT), "--quiet"]) == 0
    assert main(["convert", other, str(tmp_path / "o.net"), *given, "--quiet"]) == 0
    ours, again = (conversion.from_netx(tmp_path / name) for name in ("n.net", "o.net"))
    assert ours == again
    assert main([*command[:2], other, "--dt", str(DT), "--for", "norse", "--quiet"]) == 2
    assert "in NIR's own words, not for norse" in capsys.readouterr().err


def test_options_and_costs_on_the_command_line(tmp_path, capsys):
    source = residual()
    for node in source.nodes.values():
        if isinstance(node, nir.LIF):
            node.v_threshold *= 6  # above 253 in integers
    nir.write(str(tmp_path / "n.nir"), source)

    def convert(*more):
        out = tmp_path / "n.net"
        code = main(["convert", str(tmp_path / "n.nir"), str(out), "--dt", str(DT), *more])
        printed = capsys.readouterr()
        return code, printed, json.loads((tmp_path / "n.net.json").read_text())

    neurons = {}
    for relays in ("ceiling", "copies"):
        code, printed, account = convert("--relays", relays)
        assert code == 0
        lines = [line for line in account["folded"] if line.startswith("graph: layer ")]
        rows = [re.match(r".*: ([0-9,]+) neurons, ([0-9,]+) of them", line) for line in lines]
        neurons[relays] = sum(int(row[1].replace(",", "")) for row in rows if row)
        chip = conversion.from_netx(tmp_path / "n.net")
        assert neurons[relays] == sum(layer.neurons for layer in chip.layers)
        assert "lif1: its decays take 3 layers" in "\n".join(account["warnings"])
        assert "one beta and one alpha take one" in printed.out
    assert neurons["copies"] > neurons["ceiling"]
    code, printed, account = convert("--growth", "1.5")
    assert code == 2
    assert "the limit is 1.5" in printed.err
    assert account["refused"][0]["where"] == "graph"
    code, printed, _ = convert("--growth", "0.5")
    assert code == 2
    assert "--growth: growth is 0.5; give 1 or more" in printed.err


def test_relays_are_refused_where_nothing_is_relayed(tmp_path, capsys):
    layers = [nir.Affine(np.ones((3, 4), np.float32), np.zeros(3, np.float32)), lif((3,))]
    graph = nir.NIRGraph.from_list(nir.Input(np.array([4])), *layers, nir.Output(np.array([3])))
    nir.write(str(tmp_path / "n.nir"), graph)
    command = ["convert", str(tmp_path / "n.nir"), str(tmp_path / "n.net"), "--dt", str(DT)]
    assert main([*command, "--relays", "copies"]) == 2
    assert "--relays: the network is not a graph" in capsys.readouterr().err


def test_readouts_and_several_inputs():
    weight = np.random.default_rng(3).normal(0, 1, (3, 4)).astype(np.float32)
    ones = np.ones(3, np.float32)
    nodes = {
        "left": nir.Input(np.array([4])),
        "right": nir.Input(np.array([4])),
        "a": nir.Linear(weight),
        "b": nir.Linear(-weight),
        "lif": lif((3,)),
        "fc": nir.Linear(np.eye(3, dtype=np.float32)),
        "li": nir.LI(tau=ones * 4e-3, r=ones * 4, v_leak=0 * ones),
        "output": nir.Output(np.array([3])),
    }
    edges = [("left", "a"), ("right", "b"), ("a", "lif"), ("b", "lif"), ("lif", "fc")]
    graph = conversion.from_nir(
        nir.NIRGraph(nodes, [*edges, ("fc", "li"), ("li", "output")], type_check=False), dt=DT
    )
    assert [node.name for node in graph.inputs] == ["left", "right"]
    (readout,) = graph.readouts
    assert readout.beta == pytest.approx(0.75)
    given = {
        name: (np.random.default_rng(k).random((9, 2, 4)) < 0.5).astype(np.uint8)
        for k, name in enumerate(("left", "right"))
    }
    chip = conversion.quantize(graph, calibration=given)
    record, floating = run(chip, given), run(graph, given, backend="snntorch")
    sent = record.spikes[0]
    expected, membrane = [], 0.0
    for step in sent:
        membrane = 0.75 * membrane + step
        expected.append(membrane)
    np.testing.assert_allclose(record.readout(0), np.stack(expected), atol=0.05)
    assert (floating.spikes[0] != sent).mean() < 0.1
    assert verify(chip, spikes=given, against=["snntorch-int"], cache=False).holds
    with pytest.raises(InputError, match="give left, right"):
        verify(chip, spikes={"left": given["left"]}, against=["snntorch-int"], cache=False)


def test_verify_takes_an_image_and_a_vector_by_name():
    rng = np.random.default_rng(5)
    weights = [rng.normal(0.2, 1, shape).astype(np.float32) for shape in ((3, 32), (3, 5))]
    nodes = {
        "image": nir.Input(np.array([2, 4, 4])),
        "vector": nir.Input(np.array([5])),
        "flat": nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1),
        "a": nir.Linear(weights[0]),
        "b": nir.Linear(weights[1]),
        "lif": lif((3,)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("image", "flat"), ("flat", "a"), ("vector", "b"), ("a", "lif"), ("b", "lif")]
    graph = conversion.from_nir(
        nir.NIRGraph(nodes, [*edges, ("lif", "output")], type_check=False), dt=DT
    )
    given = {
        "image": (rng.random((9, 2, 2, 4, 4)) < 0.4).astype(np.uint8),
        "vector": (rng.random((9, 2, 5)) < 0.4).astype(np.uint8),
    }
    chip = conversion.quantize(graph, calibration=given)
    certificate = verify(chip, spikes=given, against=["snntorch-int"], cache=False)
    assert certificate.holds
    assert run(chip, given).spikes[0].sum() > 5


def test_layers_along_a_line():
    """Conv1d, a skip and neurons of shape (C, L); the input is [T, B, C, L]."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 1, (3, channels, 3)).astype(np.float32) for channels in (2, 3)]
    none = np.zeros(3, np.float32)
    nodes = {
        "input": nir.Input(np.array([2, 12])),
        "one": nir.Conv1d(12, weights[0], 1, 1, 1, 1, none),
        "lif1": lif((3, 12)),
        "two": nir.Conv1d(12, weights[1], 1, 1, 1, 1, none),
        "lif2": lif((3, 12)),
        "flat": nir.Flatten({"input": np.array([3, 12])}, 0, -1),
        "fc": nir.Linear(rng.normal(0, 1, (4, 36)).astype(np.float32)),
        "lif3": lif((4,)),
        "output": nir.Output(np.array([4])),
    }
    edges = [("input", "one"), ("one", "lif1"), ("lif1", "two"), ("two", "lif2")]
    edges += [("lif1", "flat"), ("lif2", "flat"), ("flat", "fc"), ("fc", "lif3")]
    source = nir.NIRGraph(nodes, [*edges, ("lif3", "output")], type_check=False)
    graph = conversion.from_nir(source, dt=DT)
    assert graph.inputs[0].shape == (2, 1, 12)
    assert graph.meta["source_checks"][0]["pair"]["holds"]
    given = (rng.random((9, 2, 2, 12)) < 0.5).astype(np.uint8)
    own = conversion.reference_run(source, given, dt=DT)
    floating = run(graph, given, backend="snntorch")
    for index, expected in enumerate(own.spikes):
        assert expected.sum() > 10
        assert (floating.spikes[index].reshape(expected.shape) != expected).sum() <= 2
    chip = conversion.quantize(graph, calibration=given, check=False)
    assert verify(chip, spikes=given, against=["snntorch-int"], cache=False).holds


def test_cycles_and_delays_are_refused():
    graph = residual()
    nodes, edges = dict(graph.nodes), [*graph.edges, ("lif2", "back"), ("back", "lif1")]
    nodes["back"] = conv(np.random.default_rng(4), 4, 6, (4, 4))
    with pytest.raises(NetworkRefused, match="cycle through"):
        conversion.from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=DT)
    nodes = dict(graph.nodes) | {"wait": nir.Delay(np.full((4, 8, 8), 2e-3, np.float32))}
    edges = [edge for edge in graph.edges if edge != ("lif0", "conv2")]
    edges += [("lif0", "wait"), ("wait", "conv2")]
    with pytest.raises(NetworkRefused, match="remove the delay"):
        conversion.from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=DT)
