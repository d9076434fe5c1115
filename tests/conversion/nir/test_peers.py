"""Networks of other libraries, by those libraries' own NIR exchange: read, run, taken to Lava.

Spikes are compared with each library's own run; a difference counts only beyond rounding.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.conversion import from_nir, quantize, to_netx, to_nir
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.parity.rounding import explain_mismatches
from sdcl_neuro.conversion.parity.verify import verify
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, FloatNeuron

WHERE = "tests/conversion/nir/peers.txt says how to install it"
DT = 1e-4
# Sinabs 3.1.3 calls nirtorch's older functions.
OLD_NIRTORCH = pytest.mark.filterwarnings("ignore:nirtorch.*deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def jelly():
    """SpikingJelly's modules by name."""
    pytest.importorskip("spikingjelly", reason=WHERE)
    from spikingjelly.activation_based import layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

    names = {"layer": layer, "neuron": neuron, "write": export_to_nir, "read": import_from_nir}
    return type("Jelly", (), {name: staticmethod(value) for name, value in names.items()})


@pytest.fixture(scope="module")
def sinabs():
    """Sinabs' modules by name."""
    pytest.importorskip("sinabs", reason=WHERE)
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir

    return sinabs


def _spikes(shape, seed=0, steps=16, samples=2, rate=0.3):
    draw = np.random.default_rng(seed).random((steps, samples, *shape))
    return (draw < rate).astype(np.uint8)


def _strong(net, factor=3.0):
    """Weights at which every layer fires."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.data *= factor
    return net


def _explained(net, spikes, theirs):
    """Our float run of `net` and another's spikes are equal but for rounding; at most 1 neuron."""
    ours = run(Model(floating=net), spikes, backend="snntorch").spikes
    theirs = {k: values.reshape(ours[k].shape) for k, values in theirs.items()}
    assert all(ours[k].sum() > 0 for k in ours)
    judged = explain_mismatches(net, spikes, ours, theirs)
    assert [layer.unexplained for layer in judged] == [0] * len(net.layers)
    assert sum(layer.neurons for layer in judged) <= 1


def _certified(net, spikes, tmp_path):
    """The network in chip integers, in Lava: every spike of every layer equal."""
    to_netx(quantize(net, calibration=spikes), tmp_path / "peer.net")
    certificate = verify(tmp_path / "peer.net", spikes=spikes, against=["lava"], cache=False)
    assert certificate.holds
    assert all(layer.spikes[1] > 0 for layer in certificate.pairs[0].layers)


def _of_jelly(jelly, name):
    layer, neuron = jelly.layer, jelly.neuron
    if name == "leaky":
        parts = [layer.Linear(12, 20), neuron.LIFNode(tau=3.0, decay_input=False)]
        return [*parts, layer.Linear(20, 6), neuron.LIFNode(tau=2.0, decay_input=True)], (12,)
    if name == "current":
        parts = [layer.Linear(12, 20, bias=False), neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75)]
        last = neuron.CUBALIFNode(c_decay=0.25, v_decay=0.9)
        return [*parts, layer.Linear(20, 6, bias=False), last], (12,)
    parts = [layer.Conv2d(2, 4, 3, padding=1), neuron.LIFNode(tau=2.0, decay_input=False)]
    parts += [layer.AvgPool2d(2, 2), layer.Conv2d(4, 6, 3), neuron.IFNode(), layer.Flatten()]
    return [*parts, layer.Linear(24, 5), neuron.LIFNode(tau=4.0, decay_input=False)], (2, 8, 8)


def _run_jelly(jelly, net, spikes):
    found = {}
    populations = [m for m in net.modules() if isinstance(m, jelly.neuron.BaseNode)]
    for index, module in enumerate(populations):
        keep = found.setdefault(index, [])
        module.register_forward_hook(lambda _, __, out, keep=keep: keep.append(out.detach()))
    with torch.no_grad():
        for frame in spikes:
            net(torch.from_numpy(frame).float())
    return {k: torch.stack(kept).to(torch.uint8).numpy() for k, kept in found.items()}


@pytest.mark.parametrize("name", ["leaky", "current", "pooled"])
def test_spikingjelly_to_us(name, jelly, tmp_path):
    torch.manual_seed(1)
    parts, shape = _of_jelly(jelly, name)
    net, spikes = _strong(nn.Sequential(*parts)), _spikes(shape)
    example = torch.from_numpy(spikes[0]).float()
    jelly.write(net, example, tmp_path / "peer.nir", dt=DT)
    _explained(from_nir(tmp_path / "peer.nir", dt=DT), spikes, _run_jelly(jelly, net, spikes))


@pytest.mark.lava
@pytest.mark.parametrize("name", ["current", "pooled"])
def test_spikingjelly_to_lava(name, jelly, tmp_path):
    torch.manual_seed(1)
    parts, shape = _of_jelly(jelly, name)
    net, spikes = _strong(nn.Sequential(*parts)), _spikes(shape, samples=1)
    jelly.write(net, torch.from_numpy(spikes[0]).float(), tmp_path / "peer.nir", dt=DT)
    _certified(from_nir(tmp_path / "peer.nir", dt=DT), spikes, tmp_path)


def _recurrent(path):
    """A recurrent CubaLIF population and a read-out one, written with NIR's own library."""
    rng = np.random.default_rng(0)
    size = 9

    def cuba(count, tau_syn, tau_mem):
        ones = np.ones(count, np.float32)
        return nir.CubaLIF(
            tau_syn=tau_syn * ones,
            tau_mem=tau_mem * ones,
            r=tau_mem / DT * ones,
            v_leak=0 * ones,
            v_threshold=ones,
            v_reset=0 * ones,
            w_in=tau_syn / DT * ones,
        )

    def affine(*shape, scale):
        weight = rng.normal(0, scale, shape).astype(np.float32)
        return nir.Affine(weight=weight, bias=np.zeros(shape[0], np.float32))

    nodes = {
        "input": nir.Input(np.array([7])),
        "in": affine(size, 7, scale=1.0),
        "population": cuba(size, 2.5 * DT, 5 * DT),
        "back": affine(size, size, scale=0.4),
        "out": affine(4, size, scale=1.0),
        "read": cuba(4, 2 * DT, 4 * DT),
        "output": nir.Output(np.array([4])),
    }
    order = ["input", "in", "population", "out", "read", "output"]
    edges = [*pairwise(order), ("population", "back")]
    nir.write(path, nir.NIRGraph(nodes, [*edges, ("back", "population")], type_check=False))


def _imported(jelly, path, spikes):
    """The last layer's spikes of a file in SpikingJelly."""
    net, state, kept = jelly.read(path, dt=DT), None, []
    with torch.no_grad():
        for frame in spikes:
            out, state = net(torch.from_numpy(frame).float(), state)
            kept.append(out)
    return torch.stack(kept).to(torch.uint8).numpy()


@pytest.mark.lava
def test_a_recurrent_cubalif_network_in_spikingjelly_here_and_in_lava(jelly, tmp_path):
    _recurrent(tmp_path / "peer.nir")
    net, spikes = from_nir(tmp_path / "peer.nir", dt=DT), _spikes((7,), samples=2)
    assert [(layer.kind, layer.neuron.alpha > 0) for layer in net.layers] == [
        ("dense_rec", True),
        ("dense", True),
    ]
    ours = run(Model(floating=net), spikes, backend="snntorch").spikes
    assert min(ours[0].sum(), ours[1].sum()) > 20
    assert np.array_equal(ours[1], _imported(jelly, tmp_path / "peer.nir", spikes))
    _certified(net, spikes[:, :1], tmp_path)


@pytest.mark.parametrize("seed", [2, 3, 12, 33, 42])  # of every kind, square kernels, lively
def test_ours_in_spikingjelly(seed, jelly, random_float, tmp_path):
    """What it refuses, beta = 0 and a bias after a current, is left out of the draw."""
    net = random_float(seed)
    layers = []
    for layer in net.layers:
        beta = layer.neuron.beta if layer.neuron.beta > 0 else 0.5
        bias = None if layer.neuron.alpha > 0 else layer.bias
        layers.append(replace(layer, bias=bias, neuron=replace(layer.neuron, beta=beta)))
    net = replace(net, layers=tuple(layers))
    spikes = _spikes(net.input_shape, seed)
    to_nir(net, tmp_path / "ours.nir", dt=DT)
    ours = run(Model(floating=net), spikes, backend="snntorch").spikes[len(layers) - 1]
    theirs = _imported(jelly, tmp_path / "ours.nir", spikes)
    assert ours.sum() > 15
    assert np.array_equal(theirs.reshape(ours.shape), ours)


def _neurons_of_sinabs(sinabs, **options):
    """One spike at a time and a reset to zero: neither is Sinabs' default."""
    single = {"spike_fn": sinabs.activation.SingleSpike}
    single["reset_fn"] = sinabs.activation.MembraneReset()
    return sinabs.layers.IAFSqueeze(**single, **options)


def _run_sinabs(sinabs, net, spikes):
    """Spikes of every population; Sinabs folds time into the batch."""
    steps, samples = spikes.shape[:2]
    flat = torch.from_numpy(spikes.swapaxes(0, 1).reshape(-1, *spikes.shape[2:]).copy()).float()
    found, kinds = {}, (sinabs.layers.IAFSqueeze, sinabs.layers.LIFSqueeze)
    populations = [m for m in net.modules() if isinstance(m, kinds)]
    for index, module in enumerate(populations):
        module.register_forward_hook(
            lambda _, __, out, index=index: found.__setitem__(index, out.detach())
        )
    with torch.no_grad():
        net(flat)
    return {
        index: out.reshape(samples, steps, *out.shape[1:]).swapaxes(0, 1).to(torch.uint8).numpy()
        for index, out in found.items()
    }


@OLD_NIRTORCH
@pytest.mark.parametrize("writer", ["sinabs", "sinabs-unnormed"])
def test_leaky_neurons_of_sinabs_are_read_in_its_words(writer, sinabs):
    """Its tau counts steps, its decay is exponential, its input may count whole."""
    torch.manual_seed(2)
    samples = 2
    single = {"spike_fn": sinabs.activation.SingleSpike, "batch_size": samples}
    single |= {"reset_fn": sinabs.activation.MembraneReset(), "norm_input": writer == "sinabs"}
    parts = [nn.Linear(12, 20), sinabs.layers.LIFSqueeze(tau_mem=torch.tensor(6.0), **single)]
    parts += [nn.Linear(20, 5), sinabs.layers.LIFSqueeze(tau_mem=torch.tensor(2.5), **single)]
    net = _strong(nn.Sequential(*parts), 9.0 if writer == "sinabs" else 3.0)
    spikes = _spikes((12,), samples=samples)
    theirs = _run_sinabs(sinabs, net, spikes)
    flat = torch.zeros(2 * samples, 12)
    graph = sinabs.nir.to_nir(_fresh(net), flat)
    read = from_nir(graph, writer=writer)
    betas = [layer.neuron.beta for layer in read.layers]
    assert betas == pytest.approx([np.exp(-1 / 6), np.exp(-1 / 2.5)], rel=1e-6)
    _explained(read, spikes, theirs)
    plain = run(Model(floating=from_nir(graph, dt=1.0)), spikes, backend="snntorch").spikes
    assert not np.array_equal(plain[0], theirs[0])
    with pytest.raises(InputError, match="unknown writer"):
        from_nir(graph, writer="sinab")


def _cnn_of_sinabs(sinabs, samples):
    parts = [nn.Conv2d(2, 4, 3, padding=1), _neurons_of_sinabs(sinabs, batch_size=samples)]
    parts += [sinabs.layers.SumPool2d(2), nn.Conv2d(4, 6, 3, bias=False)]
    parts += [_neurons_of_sinabs(sinabs, batch_size=samples), nn.Flatten(), nn.Linear(24, 5)]
    return _strong(nn.Sequential(*parts, _neurons_of_sinabs(sinabs, batch_size=samples)))


def _write_sinabs(sinabs, net, spikes, path):
    """Its exporter leaves out the input's size of convolutions, which nir 1.0.8 cannot write."""
    flat = torch.from_numpy(spikes.swapaxes(0, 1).reshape(-1, *spikes.shape[2:]).copy()).float()
    graph = sinabs.nir.to_nir(net, flat)
    graph.nodes["0"].input_shape, graph.nodes["3"].input_shape = (8, 8), (4, 4)
    graph.infer_types()
    nir.write(path, graph)


@OLD_NIRTORCH
@pytest.mark.lava
def test_a_pooled_network_of_sinabs_here_and_in_lava(sinabs, tmp_path):
    torch.manual_seed(0)
    spikes = _spikes((2, 8, 8))
    net = _cnn_of_sinabs(sinabs, spikes.shape[1])
    theirs = _run_sinabs(sinabs, net, spikes)
    _write_sinabs(sinabs, _fresh(net), spikes, tmp_path / "peer.nir")
    ours = from_nir(tmp_path / "peer.nir")
    assert any("sum pooling" in note for note in ours.meta["lowered"])
    _explained(ours, spikes, theirs)
    _certified(ours, spikes[:, :1], tmp_path)


def _fresh(net):
    """The network, its states forgotten."""
    for module in net.modules():
        if hasattr(module, "reset_states"):
            module.reset_states()
    return net


@OLD_NIRTORCH
def test_ours_in_sinabs(sinabs, tmp_path):
    """An integrator is written with r = 1 / dt, and Sinabs' is one at dt = 1."""
    rng = np.random.default_rng(3)
    sizes, layers = (12, 9, 5), []
    for index in range(2):
        size = (sizes[index + 1], sizes[index])
        weight = rng.normal(0, 0.6, size).astype(np.float32)
        unit = FloatNeuron(1.0, 1.0)
        layers.append(FloatLayer(f"l{index}", "dense", weight, unit, size[1:], size[:1]))
    net, spikes = FloatNetwork((12,), tuple(layers)), _spikes((12,))
    to_nir(net, tmp_path / "ours.nir", dt=1.0)
    read = sinabs.nir.from_nir(nir.read(tmp_path / "ours.nir"), batch_size=spikes.shape[1])
    for module in read.modules():
        if isinstance(module, sinabs.layers.IAFSqueeze):
            # Its importer clips below -threshold, fires several times a step and subtracts.
            module.min_v_mem = None
            module.spike_fn = sinabs.activation.SingleSpike
            module.reset_fn = sinabs.activation.MembraneReset()
    _explained(net, spikes, _run_sinabs(sinabs, read, spikes))


@pytest.mark.parametrize("decay_input", [True, False])
def test_what_spikingjelly_resets_to_another_potential(decay_input, jelly, tmp_path):
    """It rests, starts and resets there: exactly the chip's neuron, counted from there."""
    torch.manual_seed(3)
    neurons = jelly.neuron.LIFNode(tau=4.0, v_reset=-0.5, decay_input=decay_input)
    net = _strong(nn.Sequential(jelly.layer.Linear(12, 8), neurons), 9.0 if decay_input else 3.0)
    spikes = _spikes((12,))
    jelly.write(net, torch.from_numpy(spikes[0]).float(), tmp_path / "peer.nir", dt=DT)
    for options in ({"dt": DT}, {"writer": "spikingjelly"}):
        read = from_nir(tmp_path / "peer.nir", **options)
        neurons.reset()
        _explained(read, spikes, _run_jelly(jelly, net, spikes))


def test_torchvision_is_not_imported():
    code = (
        "import sys\n"
        "for name in ('spikingjelly.activation_based.nir_exchange', 'sinabs.nir'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError: pass\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
