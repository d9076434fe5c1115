"""Every entry of the table of what is supported, tried."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.conversion import from_netx, from_nir, from_snntorch, quantize, to_netx, to_nir
from sdcl_neuro.conversion.backends.snntorch_run import run_float, run_integer
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.support import LAYERS, NEURONS, page
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import NetworkRefused

pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning",
    "ignore:Using padding='same' with even kernel:UserWarning",
)
"""Networks that were never trained lose spikes by rounding."""
ROWS = {**LAYERS, **NEURONS}
IMAGE, ROW, LINE, DT = (2, 6, 6), (3, 8), (8,), 1e-3
ZERO = {"reset_mechanism": "zero", "init_hidden": True}
AT_ONCE = {**ZERO, "reset_delay": False}


def lif(**options):
    return snn.Leaky(0.8, **{"threshold": 0.3, **ZERO, **options})


def on_image(*modules):
    """A convolution's spikes, then `modules`."""
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), lif(), *modules)


def on_line(*modules, bias=True):
    return nn.Sequential(nn.Linear(8, 6, bias=bias), *modules)


class Skip(nn.Module):
    def __init__(self, last=lif, *, bias=True, **options):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(8, 8), lif(**options)
        self.fc2, self.lif2 = nn.Linear(8, 6, bias=bias), last(**options)

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x)) + x))


class Joined(nn.Module):
    """Two branches, put together by a function."""

    def __init__(self, join):
        super().__init__()
        self.one, self.two, self.lif1, self.lif2 = nn.Linear(8, 6), nn.Linear(8, 6), lif(), lif()
        self.fc, self.lif, self.join = nn.Linear(9, 4), lif(), join

    def forward(self, x):
        return self.lif(self.fc(self.join(self.lif1(self.one(x)), self.lif2(self.two(x)))))


def rleaky(beta=0.8, **options):
    return snn.RLeaky(beta, threshold=0.3, **{**AT_ONCE, **options})


def switched_on(name):
    """Set afterwards: snnTorch warns of it where it is built."""
    neuron = lif()
    setattr(neuron, name, True)
    return neuron


def norm():
    layer = nn.BatchNorm2d(3)
    layer.running_mean.uniform_(-0.1, 0.1)
    layer.running_var.uniform_(0.3, 1)
    return layer


SNNTORCH = {
    "Conv2d: strides, padding, dilation, groups": lambda: [
        nn.Sequential(nn.Conv2d(2, 4, 3, 2, 2, 2, 2), lif())
    ],
    "Conv2d, padding 'same', even kernels": lambda: [
        nn.Sequential(nn.Conv2d(2, 3, (2, 4), padding="same"), lif())
    ],
    "Conv2d, padded otherwise than with zeros": lambda: [
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), lif())
    ],
    "Linear; NIR's Affine": lambda: [on_line(lif()), on_line(lif(), bias=False)],
    "Conv1d, BatchNorm1d, pooling along a line": lambda: [
        nn.Sequential(nn.Conv1d(3, 2, 3, padding=1), nn.BatchNorm1d(2), lif(), nn.MaxPool1d(2)),
        nn.Sequential(nn.Conv1d(3, 2, 2, stride=2), nn.AvgPool1d(2), lif()),
    ],
    "transposed convolution": lambda: [on_image(nn.ConvTranspose2d(3, 2, 2), lif())],
    "nearest upsampling": lambda: [
        on_image(nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3), lif())
    ],
    "batch norm between synapse and neuron": lambda: [
        nn.Sequential(nn.Conv2d(2, 3, 3), norm(), lif())
    ],
    "batch norm of spikes": lambda: [on_image(norm(), nn.Conv2d(3, 2, 3), lif())],
    "LayerNorm, GroupNorm": lambda: [
        on_line(nn.LayerNorm(6), lif()),
        nn.Sequential(nn.Conv2d(2, 2, 3), nn.GroupNorm(1, 2), lif()),
    ],
    "Dropout, Identity": lambda: [on_line(nn.Dropout(), lif(), nn.Identity())],
    "Flatten": lambda: [on_image(nn.Flatten(), nn.Linear(108, 4), lif())],
    "average or sum pooling, windows divide the size": lambda: [
        on_image(pool, nn.Conv2d(3, 4, 3, padding=1), lif())
        for pool in (nn.AvgPool2d(2), nn.LPPool2d(1, 2), nn.AvgPool2d(3, divisor_override=1))
    ],
    "average or sum pooling, odd sizes under padding": lambda: [
        on_image(nn.AvgPool2d(4), nn.Conv2d(3, 4, 3, padding=1), lif()),
        on_image(nn.LPPool2d(1, 4), nn.Conv2d(3, 4, 3, padding=1), lif()),
    ],
    "pooling before a Linear": lambda: [
        on_image(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 4), lif())
    ],
    "pooling between Conv2d and neuron": lambda: [
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d(2), lif())
    ],
    "AdaptiveAvgPool2d": lambda: [on_image(nn.AdaptiveAvgPool2d(4), nn.Conv2d(3, 4, 3), lif())],
    "pooling at the end": lambda: [on_image(nn.AvgPool2d(2))],
    "max pooling of spikes": lambda: [on_image(nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), lif())],
    "max pooling of sums": lambda: [on_image(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), lif())],
    "ReLU and other activations": lambda: [on_line(nn.ReLU(), lif()), on_line(nn.Tanh(), lif())],
    "skip connection, branch, sum, concat, slice of channels": lambda: [
        Skip(),
        Joined(lambda a, b: torch.cat([a, b[:, 2:5]], 1)),
    ],
    "product of spikes or sums": lambda: [Joined(lambda a, b: torch.cat([a * b, a[:, :3]], 1))],
    "several synapses in series": lambda: [on_line(nn.Linear(6, 6), lif())],
    "Leaky, reset to zero; LIF": lambda: [on_line(lif()), on_line(lif(reset_delay=False))],
    "Leaky with beta 1; IF": lambda: [on_line(snn.Leaky(1.0, **ZERO))],
    "threshold per channel or row": lambda: [
        on_line(lif(threshold=torch.linspace(0.2, 0.7, 6))),
        nn.Sequential(nn.Conv2d(2, 2, 3), lif(threshold=torch.tensor([[[0.2]], [[0.4]]]))),
    ],
    "thresholds within one channel": lambda: [
        nn.Sequential(nn.Conv2d(2, 2, 3), lif(threshold=torch.linspace(0.2, 0.5, 4)))
    ],
    "decays that differ between channels": lambda: [
        on_line(snn.Leaky(torch.linspace(0.2, 0.7, 6), threshold=0.3, **ZERO))
    ],
    "decays of more than 16 values in a population": lambda: [
        nn.Sequential(
            nn.Linear(8, 17), snn.Leaky(torch.linspace(0.2, 0.9, 17), threshold=0.3, **ZERO)
        )
    ],
    "decays that differ in a recurrent population": lambda: [
        on_line(rleaky(beta=torch.linspace(0.2, 0.7, 6), linear_features=6))
    ],
    "reset by subtraction": lambda: [
        on_line(lif(reset_mechanism="subtract")),
        Skip(reset_mechanism="subtract"),
    ],
    "read-out: no reset, LI, CubaLI, or a synapse without neurons": lambda: [
        on_line(lif(), nn.Linear(6, 4)),
        on_line(lif(), nn.Linear(6, 4), lif(reset_mechanism="none")),
    ],
    "Synaptic, reset to zero at once; CubaLIF": lambda: [
        on_line(snn.Synaptic(0.6, 0.8, threshold=0.4, **AT_ONCE), bias=False)
    ],
    "Synaptic or RLeaky, delayed reset": lambda: [
        on_line(snn.Synaptic(0.6, 0.8, threshold=0.4, **ZERO), bias=False),
        on_line(rleaky(linear_features=6, reset_delay=True)),
        Skip(lambda: snn.Synaptic(0.6, 0.8, threshold=0.4, **ZERO), bias=False),
    ],
    "bias before a current": lambda: [
        on_line(snn.Synaptic(0.6, 0.8, threshold=0.4, **AT_ONCE)),
        Skip(lambda: snn.Synaptic(0.6, 0.8, threshold=0.4, **AT_ONCE)),
    ],
    "Synaptic with beta 1": lambda: [
        on_line(snn.Synaptic(0.6, 1.0, threshold=0.4, **AT_ONCE), bias=False)
    ],
    "RLeaky, dense recurrence; LIF in a cycle with Affine": lambda: [
        on_line(rleaky(linear_features=6))
    ],
    "one-to-one recurrence": lambda: [
        on_line(rleaky(all_to_all=False, V=0.4)),
        on_line(rleaky(all_to_all=False, V=torch.linspace(-0.4, 0.4, 6))),
    ],
    "convolutional recurrence": lambda: [
        nn.Sequential(nn.Conv2d(2, 2, 3), rleaky(conv2d_channels=2, kernel_size=3))
    ],
    "RSynaptic": lambda: [on_line(snn.RSynaptic(0.6, 0.8, linear_features=6, **ZERO))],
    "Lapicque, Alpha, SLSTM": lambda: [
        on_line(snn.Lapicque(0.8)),
        on_line(snn.Alpha(0.9, 0.8)),
        on_line(snn.SLSTM(6, 6)),
    ],
    "graded spikes of one value": lambda: [
        nn.Sequential(
            *(nn.Linear(8, 6), lif(graded_spikes_factor=2.0)),
            *(nn.Linear(6, 6), lif(graded_spikes_factor=1.0)),
        ),
    ],
    "inhibition, state_quant": lambda: [
        on_line(switched_on("inhibition")),
        on_line(lif(state_quant=torch.round)),
    ],
}


def _values(shape, value):
    return np.broadcast_to(np.float32(value), shape).copy()


def nir_lif(shape, *, threshold=0.3, v_reset=0.0, tau=5e-3, r=1.0, v_leak=0.0):
    named = (tau, r, v_leak, threshold, v_reset)
    return nir.LIF(*(_values(shape, value) for value in named))


def nir_cuba(shape):
    named = {"tau_syn": 2e-3, "tau_mem": 5e-3, "r": 5, "v_leak": 0, "v_threshold": 0.4, "w_in": 2}
    return nir.CubaLIF(**{k: _values(shape, v) for k, v in named.items()})


def affine(outputs=6, inputs=8, *, bias=0.1, seed=0):
    weight = np.random.default_rng(seed).normal(0.5, 1, (outputs, inputs)).astype(np.float32)
    return nir.Affine(weight, _values((outputs,), bias))


def conv(channels=2, size=(6, 6), *, kernel=3, **options):
    form = (3, channels, kernel, kernel)
    weight = np.random.default_rng(1).normal(0.5, 1, form).astype(np.float32)
    named = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, **options}
    return nir.Conv2d(size, weight, bias=_values((3,), 0.1), **named)


def pool(kind, size):
    return kind(np.array([size, size]), np.array([size, size]), np.array([0, 0]))


def flatten(*shape):
    return nir.Flatten(np.array(shape), start_dim=0)


def graph(first, *nodes, last=6, more=()):
    nodes = [nir.Input(np.array(first)), *nodes, nir.Output(np.array([last]))]
    named = {str(index): node for index, node in enumerate(nodes)}
    edges = list(zip(named, list(named)[1:], strict=False))
    for index, (name, node, links) in enumerate(more):
        named[f"{name}{index}"] = node
        edges += links
    return nir.NIRGraph(named, edges, metadata={"dt": DT}, type_check=False)


def loop(node):
    return [("loop", node, [("2", "loop0"), ("loop0", "2")])]


def images(*nodes):
    return graph(IMAGE, conv(), nir_lif((3, 6, 6)), *nodes)


NIR = {
    "Conv2d: strides, padding, dilation, groups": lambda: [
        graph(IMAGE, conv(stride=2, dilation=2), nir_lif((3, 2, 2)))
    ],
    "Conv2d, padding 'same', even kernels": lambda: [
        graph(IMAGE, conv(kernel=2, padding="same"), nir_lif((3, 6, 6)))
    ],
    "Linear; NIR's Affine": lambda: [
        graph(LINE, affine(), nir_lif(6)),
        graph(LINE, nir.Linear(affine().weight), nir_lif(6)),
    ],
    "Conv1d, BatchNorm1d, pooling along a line": lambda: [
        graph(
            ROW,
            nir.Conv1d(8, np.linspace(-1, 1, 27).reshape(3, 3, 3), 1, 1, 1, 1, np.zeros(3)),
            nir_lif((3, 8)),
        )
    ],
    "Flatten": lambda: [images(flatten(3, 6, 6), affine(4, 108), nir_lif(4))],
    "average or sum pooling, windows divide the size": lambda: [
        images(pool(kind, 2), conv(3, (3, 3)), nir_lif((3, 3, 3)))
        for kind in (nir.SumPool2d, nir.AvgPool2d)
    ],
    "average or sum pooling, odd sizes under padding": lambda: [
        images(pool(kind, 4), conv(3, (1, 1)), nir_lif((3, 1, 1)))
        for kind in (nir.SumPool2d, nir.AvgPool2d)
    ],
    "pooling before a Linear": lambda: [
        images(pool(nir.AvgPool2d, 2), flatten(3, 3, 3), affine(4, 27), nir_lif(4))
    ],
    "pooling between Conv2d and neuron": lambda: [
        graph(IMAGE, conv(), pool(nir.AvgPool2d, 2), nir_lif((3, 3, 3)))
    ],
    "pooling at the end": lambda: [images(pool(nir.SumPool2d, 2))],
    "skip connection, branch, sum, concat, slice of channels": lambda: [
        graph(
            LINE,
            affine(8),
            nir_lif(8),
            affine(6),
            nir_lif(6),
            more=[("skip", affine(8), [("0", "skip0"), ("skip0", "3")])],
        )
    ],
    "several synapses in series": lambda: [graph(LINE, affine(), affine(6, 6), nir_lif(6))],
    "Scale": lambda: [graph(LINE, nir.Scale(np.linspace(0.5, 2, 8)), affine(), nir_lif(6))],
    "Delay": lambda: [graph(LINE, nir.Delay(np.ones(8)), affine(), nir_lif(6))],
    "Leaky, reset to zero; LIF": lambda: [graph(LINE, affine(), nir_lif(6))],
    "Leaky with beta 1; IF": lambda: [
        graph(LINE, affine(), nir.IF(_values(6, 1), _values(6, 0.3), _values(6, 0)))
    ],
    "threshold per channel or row": lambda: [
        graph(LINE, affine(), nir_lif(6, threshold=np.linspace(0.2, 0.7, 6))),
        graph(IMAGE, conv(), nir_lif((3, 6, 6), threshold=np.array([[[0.2]], [[0.3]], [[0.2]]]))),
    ],
    "thresholds within one channel": lambda: [
        graph(IMAGE, conv(), nir_lif((3, 6, 6), threshold=np.linspace(0.2, 0.7, 6)))
    ],
    "decays that differ between channels": lambda: [
        graph(LINE, affine(), nir_lif(6, tau=np.linspace(2e-3, 7e-3, 6)))
    ],
    "decays of more than 16 values in a population": lambda: [
        graph(LINE, affine(17), nir_lif(17, tau=np.linspace(2e-3, 9e-3, 17)))
    ],
    "decays that differ in a recurrent population": lambda: [
        graph(LINE, affine(), nir_lif(6, tau=np.linspace(2e-3, 7e-3, 6)), more=loop(affine(6, 6)))
    ],
    "reset to another potential": lambda: [graph(LINE, affine(), nir_lif(6, v_reset=-0.1))],
    "rest and reset at another potential (v_leak = v_reset)": lambda: [
        graph(LINE, affine(), nir_lif(6, v_leak=-0.1, v_reset=-0.1))
    ],
    "a resting potential alone (v_leak), per channel": lambda: [
        graph(LINE, affine(), nir_lif(6, v_leak=0.1)),
        graph(IMAGE, conv(), nir_lif((3, 6, 6), v_leak=np.array([[[0.1]], [[0.0]], [[-0.1]]]))),
    ],
    "LIF with an infinite tau and r": lambda: [
        graph(LINE, affine(), nir_lif(6, tau=np.inf, r=np.inf))
    ],
    "Synaptic, reset to zero at once; CubaLIF": lambda: [
        graph(LINE, affine(bias=0), nir_cuba(6))
    ],
    "bias before a current": lambda: [graph(LINE, affine(), nir_cuba(6))],
    "RLeaky, dense recurrence; LIF in a cycle with Affine": lambda: [
        graph(LINE, affine(), nir_lif(6), more=loop(affine(6, 6, seed=3)))
    ],
    "one-to-one recurrence": lambda: [
        graph(LINE, affine(), nir_lif(6), more=loop(nir.Scale(np.ones(6))))
    ],
    "convolutional recurrence": lambda: [
        graph(IMAGE, conv(), nir_lif((3, 6, 6)), more=loop(conv(3)))
    ],
    "recurrent CubaLIF": lambda: [
        graph(LINE, affine(bias=0), nir_cuba(6), more=loop(affine(6, 6, bias=0, seed=3)))
    ],
    "read-out: no reset, LI, CubaLI, or a synapse without neurons": lambda: [
        graph(LINE, affine(), nir.LI(_values(6, 5e-3), _values(6, 1), _values(6, 0))),
    ],
}  # fmt: skip


def spikes_for(shape):
    return (np.random.default_rng(5).random((12, 3, *shape)) < 0.4).astype(np.uint8)


def attempt(read, verdict, shape):
    """Read exactly, approximately or not at all, as the table says; the network if there is one."""
    spikes = spikes_for(shape)
    if verdict == "exact":
        net = read(spikes)
        assert "approximate" not in net.meta
        return net
    with pytest.raises(NetworkRefused) as caught:
        read(spikes)
    for refusal in caught.value.refusals:
        assert refusal.where
        assert refusal.what
        assert refusal.hint
    if verdict == "approximate":
        assert any("approximate=True" in reason.hint for reason in caught.value.refusals)
        net = read(spikes, approximate=True, calibration=spikes)
        assert any(note["approximated"] for note in net.meta["approximate"])
        return net
    with pytest.raises(NetworkRefused):
        read(spikes, approximate=True, calibration=spikes)
    return None


def reaches_its_targets(net, row, tmp_path):
    """Written, read back and run, as the table says."""
    graph = isinstance(net, FloatGraph)
    spikes = spikes_for(net.inputs[0].shape if graph else net.input_shape)
    chip = quantize(net, calibration=spikes)
    to_netx(chip, tmp_path / "n.net")
    back = from_netx(tmp_path / "n.net")
    for one, two in zip(chip.layers, back.layers, strict=True):
        np.testing.assert_array_equal(one.weight, two.weight)
        assert one.neuron == two.neuron
    ran, other = run_network(chip, spikes), run_integer(Model(integer=chip), spikes)
    for index in range(len(chip.layers)):
        np.testing.assert_array_equal(ran.spikes[index], other.spikes[index])
    assert row.netx == row.engine != "-"
    if row.to_nir == "refused":
        with pytest.raises(NetworkRefused):
            to_nir(net, tmp_path / "n.nir")
        return
    to_nir(net, tmp_path / "n.nir")
    if graph:
        assert quantize(from_nir(tmp_path / "n.nir"), calibration=spikes) == chip
        assert row.to_nir == row.netx
        return
    for one, two in zip(net.layers, from_nir(tmp_path / "n.nir").layers, strict=True):
        np.testing.assert_array_equal(one.weight, two.weight)
        assert one.neuron == two.neuron
    assert row.to_nir == row.netx


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.snntorch != "-"])
def test_from_snntorch(name, tmp_path):
    torch.manual_seed(0)
    row = ROWS[name]
    for module in SNNTORCH[name]():
        first = next(child for child in module.modules() if hasattr(child, "weight"))
        shape = IMAGE if isinstance(first, nn.Conv2d) else LINE
        shape = ROW if isinstance(first, nn.Conv1d) else shape

        def read(spikes, module=module, **options):
            return from_snntorch(module, torch.from_numpy(spikes).float(), **options)

        net = attempt(read, row.snntorch, shape)
        if net is None:
            continue
        reaches_its_targets(net, row, tmp_path)
        if isinstance(net, FloatGraph) and row.snntorch == "exact":
            (check,) = net.meta["source_checks"]
            assert check["pair"]["holds"]
            assert check["pair"]["layers"] or not net.populations
        elif row.snntorch == "exact":
            spikes, module = spikes_for(shape), module.eval()
            with torch.no_grad():
                own = [module(step).flatten(1) for step in torch.from_numpy(spikes).float()]
            found = run_float(Model(floating=net), spikes).spikes[len(net.layers) - 1]
            assert (found.reshape(12, 3, -1) != torch.stack(own).numpy()).mean() <= 0.002


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.nir != "-"])
def test_from_nir(name, tmp_path):
    row = ROWS[name]
    for each in NIR[name]():
        shape = tuple(int(n) for n in each.nodes["0"].input_type["input"])

        def read(spikes, each=each, **options):
            return from_nir(each, **options)

        net = attempt(read, row.nir, shape)
        if net is not None:
            reaches_its_targets(net, row, tmp_path)


def test_every_entry_has_a_case():
    assert {name for name, row in ROWS.items() if row.snntorch != "-"} == SNNTORCH.keys()
    assert {name for name, row in ROWS.items() if row.nir != "-"} == NIR.keys()


@pytest.mark.generated
def test_the_page_is_that_of_the_table(root, expect_page):
    expect_page(root / "docs" / "support.md", page())
