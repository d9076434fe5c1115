"""Modules that are graphs: traced, laid out as a chain, and equal to the module spike for spike.

Weights are even integers and decays 1 or 1/2, so that snnTorch and SpikingJelly themselves compute
in the chip's integers: what the chain sends has to be what the module sends, without a tolerance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn
from torch.nn import functional

from helpers import graph_oracle
from helpers.two_inputs import LoopedInputs, TwoInputs
from sdcl_neuro import conversion, run, verify
from sdcl_neuro.conversion.lowering.graph.nodes import FloatGraph, PopulationNode, ReadoutNode
from sdcl_neuro.errors import InputError, NetworkRefused

pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)
CHIP = {"reset_mechanism": "zero", "reset_delay": False}


def lif(beta=0.5, threshold=9.0, **options):
    return snn.Leaky(beta, threshold=threshold, **{**CHIP, "init_hidden": True, **options})


def spikes(*shape, steps=6, samples=2, rate=0.4):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand((steps, samples, *shape), generator=generator) < rate).float()


def whole(module, *, largest=12):
    """The module with even integers as weights."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, values in module.named_parameters():
            drawn = torch.randint(
                -largest // 2, largest // 2 + 3, values.shape, generator=generator
            )
            if name.endswith(("weight", "bias")):
                values.copy_(2 * drawn)
    return module.eval()


def as_integers(graph):
    """The graph with every weight as it stands, at a scale of one."""
    nodes = [
        replace(node, scale=1.0) if isinstance(node, PopulationNode | ReadoutNode) else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def check(module, sample, *, backends=("loihi",), least=50):
    """What the module's neurons send is what the chain sends, layer by layer, step by step."""
    own = sent_by(module, sample)
    graph = conversion.from_snntorch(module, sample)
    assert isinstance(graph, FloatGraph)
    chip = conversion.quantize(as_integers(graph))
    for backend in backends:
        record = run(chip, sample.numpy(), backend=backend)
        for index, node in enumerate(graph.populations):
            found = record.spikes[index]
            np.testing.assert_array_equal(found, own[node.name].reshape(found.shape))
    assert sum(int(each.sum()) for each in own.values()) >= least
    return graph, chip, record


def sent_by(module, sample):
    """What each neuron module of a module sends, ``[T, B, ...]``, from a run of its own."""
    found = {}

    def note(name):
        def hook(layer, inputs, output):
            gave = output[0] if isinstance(output, tuple) else output
            found.setdefault(name, []).append(gave.detach().clone())

        return hook

    neurons = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, snn.SpikingNeuron) or type(layer).__name__ in ("IFNode", "LIFNode")
    ]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in neurons]
    clean(neurons)
    with torch.no_grad():
        if getattr(module, "takes_all_steps", False):
            module(sample)
        else:
            for step in sample:
                module(step)
    for hook in hooks:
        hook.remove()
    clean(neurons)
    return {
        name: (torch.stack(calls) if len(calls) > 1 else calls[0]).numpy()
        for name, calls in found.items()
    }


def clean(neurons):
    for _, neuron in neurons:
        for state in ("mem", "syn"):
            if hasattr(neuron, state):
                setattr(neuron, state, torch.zeros_like(getattr(neuron, state)))
        if not hasattr(neuron, "mem"):
            neuron.reset()


class UNet(nn.Module):
    """Two levels, concats, max pooling and upsampling; decays differ between channels."""

    takes_all_steps = True

    def __init__(self):
        super().__init__()
        options = {"init_hidden": False}
        self.down1, self.lif1 = nn.Conv2d(2, 4, 3, padding=1), lif(**options)
        mixed = torch.tensor([1.0, 0.5, 0.5, 1.0]).reshape(4, 1, 1)
        self.down2, self.lif2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), lif(mixed, **options)
        self.bottom, self.lif3 = nn.Conv2d(4, 6, 3, padding=1), lif(1.0, 19.0, **options)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.lif4 = lif(1.0, 7.0, **options)
        self.join, self.lif5 = nn.Conv2d(8, 4, 3, padding=1), lif(0.5, 19.0, **options)
        self.last, self.lif6 = nn.Conv2d(8, 2, 1), lif(1.0, **options)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        mems = [None] * 6
        outputs = []
        for step in x:
            one, mems[0] = self.lif1(self.down1(step), mems[0])
            two, mems[1] = self.lif2(self.down2(self.pool(one)), mems[1])
            low, mems[2] = self.lif3(self.bottom(functional.max_pool2d(two, 2)), mems[2])
            up, mems[3] = self.lif4(self.up(low), mems[3])
            mid, mems[4] = self.lif5(self.join(torch.cat([up, two], 1)), mems[4])
            wide = functional.interpolate(mid, scale_factor=2, mode="nearest")
            out, mems[5] = self.lif6(self.last(torch.cat((wide, one), dim=1)), mems[5])
            outputs.append(out)
        return torch.stack(outputs)


@pytest.mark.parametrize("backends", [("loihi",), pytest.param(("lava",), marks=pytest.mark.lava)])
def test_a_unet_with_concats_and_max_pooling(backends):
    graph, chip, _ = check(whole(UNet()), spikes(2, 8, 8), backends=backends)
    assert len(graph.populations) == 6
    assert all(layer.kind == "conv" for layer in chip.layers), "space to depth carries all of it"
    assert sum(chip.meta["graph"]["relayed"]) > 0


def sew_network():
    from spikingjelly.activation_based import functional as sj
    from spikingjelly.activation_based import layer, neuron

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = layer.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            self.sn1 = neuron.IFNode(v_threshold=9.0)
            self.conv2 = layer.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.sn2 = neuron.IFNode(v_threshold=11.0)
            self.down = None
            if stride > 1:
                self.down = layer.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
                self.sn3 = neuron.IFNode(v_threshold=5.0)

        def forward(self, x):
            out = self.sn2(self.conv2(self.sn1(self.conv1(x))))
            return out + (x if self.down is None else self.sn3(self.down(x)))

    class Sew(nn.Module):
        takes_all_steps = True

        def __init__(self):
            super().__init__()
            self.stem, self.sn = layer.Conv2d(2, 4, 3, padding=1), neuron.IFNode(v_threshold=7.0)
            self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2), Block(6, 6, 1))
            self.pool, self.flat = layer.AvgPool2d(4, divisor_override=1), layer.Flatten()
            self.fc = layer.Linear(6, 5, bias=False)
            self.out = neuron.IFNode(v_threshold=21.0)

        def forward(self, x):
            x = self.blocks(self.sn(self.stem(x)))
            return self.out(self.fc(self.flat(self.pool(x))))

    module = whole(Sew())
    sj.set_step_mode(module, "m")
    return module


@pytest.mark.parametrize("backends", [("loihi",), pytest.param(("lava",), marks=pytest.mark.lava)])
def test_a_sew_resnet_of_spikingjelly(backends):
    pytest.importorskip("spikingjelly")
    graph, chip, _ = check(sew_network(), spikes(2, 8, 8), backends=backends)
    assert len(graph.populations) == 9
    own = sum(int(np.prod(record)) for record in ([4, 8, 8], [4, 8, 8], [4, 8, 8]))
    assert sum(chip.meta["graph"]["relayed"]) > own, "sums of spikes are relayed one by one"


class Branches(nn.Module):
    """Slices, chunks, a stack that is added up, an output that is read twice; one step a call."""

    def __init__(self):
        super().__init__()
        self.first, self.lif1 = nn.Conv2d(2, 6, 3, padding=1), lif()
        self.left, self.lif2 = nn.Conv2d(3, 4, 3, padding=1), lif(1.0, 11.0)
        self.right, self.lif3 = nn.Conv2d(3, 4, 1), lif()
        self.fc, self.lif4 = nn.Linear(4 * 25, 6), lif(threshold=31.0)

    def forward(self, x):
        first = self.lif1(self.first(x))
        left, right = first.chunk(2, dim=1)
        left = self.lif2(self.left(left))
        right = self.lif3(self.right(right) + self.right(first[:, :3]))
        joined = torch.stack([left, right, left]).sum(0)
        return self.lif4(self.fc(joined.flatten(1)))


def test_branches_slices_and_shared_synapses():
    graph, _, _ = check(whole(Branches()), spikes(2, 5, 5))
    assert len([node for node in graph.nodes if node.name.startswith("right")]) == 2


class Line(nn.Module):
    """Layers along a line; the spikes are ``[T, B, C, L]``."""

    def __init__(self):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv1d(2, 4, 3, padding=1), lif(torch.tensor([[1.0], [0.5]] * 2))
        self.pool, self.conv2, self.lif2 = nn.MaxPool1d(3, 2, 1), nn.Conv1d(4, 3, 3, 2, 1), lif()
        self.fc, self.lif3 = nn.Linear(3 * 4, 5), lif(threshold=13.0)

    def forward(self, x):
        x = self.lif2(self.conv2(self.pool(self.lif1(self.conv1(x)))))
        return self.lif3(self.fc(x.flatten(1)))


def test_layers_along_a_line():
    graph, chip, record = check(whole(Line()), spikes(2, 13), least=30)
    assert graph.inputs[0].shape == (2, 1, 13)
    assert record.spikes[0].shape == (6, 2, 4, 1, 13)
    given = spikes(2, 13).numpy().astype(np.uint8)
    certificate = verify(chip, spikes=given, against=["snntorch-int"], cache=False)
    assert certificate.holds


@pytest.mark.parametrize("kind", [TwoInputs, LoopedInputs])
def test_a_forward_of_two_inputs(kind):
    torch.manual_seed(2)
    module = kind(0.5, 0.5, 0.5, reset_delay=False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    sample = {"image": spikes(2, 4, 4), "vector": spikes(6)}
    graph = conversion.from_snntorch(module, sample)
    assert [(node.name, node.shape) for node in graph.inputs] == [
        ("image", (2, 4, 4)),
        ("vector", (6,)),
    ]
    check = graph.meta["source_checks"][0]["pair"]
    assert check["holds"]
    assert {layer["name"] for layer in check["layers"]} == {"lif1", "lif2", "lif3"}
    given = {name: each.numpy().astype(np.uint8) for name, each in sample.items()}
    chip = conversion.quantize(graph, calibration=given)
    certificate = verify(chip, spikes=given, against=["snntorch-int"], cache=False)
    assert certificate.holds
    record = run(chip, given)
    # The module's own last spikes, by snnTorch alone, in float.
    utils.reset(module)
    with torch.no_grad():
        steps = zip(sample["image"], sample["vector"], strict=True)
        own = torch.stack([TwoInputs.forward(module, *step) for step in steps]).numpy()
    assert record.spikes[2].sum() > 4
    assert (record.spikes[2] != own).mean() < 0.05
    floating = run(module, given, backend="snntorch")
    np.testing.assert_array_equal(floating.spikes[2], own)
    assert type(module) is kind
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]) or name.endswith("mem")


def test_inputs_by_name_have_to_be_those_of_the_forward():
    sample = {"image": spikes(2, 4, 4), "vector": spikes(6)}
    with pytest.raises(InputError, match="its forward takes image, vector"):
        conversion.from_snntorch(TwoInputs(0.5, 0.5, 0.5), {"x": sample["image"]})
    with pytest.raises(InputError, match="same steps and samples"):
        conversion.from_snntorch(
            TwoInputs(0.5, 0.5, 0.5), {**sample, "vector": sample["vector"][1:]}
        )
    with pytest.raises(InputError, match="vector"):
        conversion.from_snntorch(TwoInputs(0.5, 0.5, 0.5), {"image": sample["image"]})
    with pytest.raises(InputError, match="its forward takes image, vector"):
        conversion.prepare_quantization(TwoInputs(0.5, 0.5, 0.5), {"x": sample["image"]})


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_counts_reach_a_later_layer_as_thermometers(bits):
    """The input skips a layer, as counts up to 7: each height is a relay of its own."""

    largest = (1 << bits) - 1

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.lif1 = nn.Conv2d(2, 3, 3, padding=1), lif(threshold=15.0 * largest)
            self.conv2, self.lif2 = nn.Conv2d(5, 4, 3, padding=1), lif(threshold=15.0 * largest)

        def forward(self, x):
            return self.lif2(self.conv2(torch.cat([self.lif1(self.conv1(x)), x], 1)))

    module = whole(Skip(), largest=6)
    graph = as_integers(conversion.from_snntorch(module, spikes(2, 5, 5)))
    counts = np.random.default_rng(bits).integers(0, largest, (6, 2, 2, 5, 5), endpoint=True)
    counts = counts.astype(np.uint8)
    chip = conversion.quantize(graph, message_bits=bits, check=False)
    record = run(chip, counts)
    # A layer of heights, then the heights pass the first layer as relays.
    assert chip.layers[0].neurons == largest * 50
    assert chip.meta["graph"]["relayed"][1] == largest * 50
    expected, _ = graph_oracle.run(graph, {"input": counts})
    for index, node in enumerate(graph.populations):
        np.testing.assert_array_equal(record.spikes[index], expected[node.name])
        assert 50 < expected[node.name].sum() < 0.95 * expected[node.name].size
    certificate = verify(chip, spikes=counts, against=["snntorch-int"], cache=False)
    assert certificate.holds


def test_counts_beyond_the_heights_are_refused():
    graph = conversion.from_snntorch(Line(), spikes(2, 13))
    with pytest.raises(NetworkRefused, match="input counts up to 15; a graph takes at most 7"):
        conversion.quantize(graph, message_bits=4, check=False)


@pytest.mark.parametrize("end", ["linear", "leaky", "synaptic"])
def test_readouts(end):
    """Membranes of neurons that never reset, and sums that no neuron receives."""
    last = {
        "linear": [],
        "leaky": [snn.Leaky(0.5, reset_mechanism="none", init_hidden=True)],
        "synaptic": [snn.Synaptic(0.5, 0.5, reset_mechanism="none", init_hidden=True)],
    }[end]
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3), lif(), nn.Flatten(), nn.Linear(48, 4, bias=not last), *last
    )
    whole(module)
    sample = spikes(2, 6, 6, steps=5)
    graph, chip, record = check(module, sample, least=20)
    expected, state = [], None
    clean([(None, layer) for layer in module if isinstance(layer, snn.SpikingNeuron)])
    with torch.no_grad():
        for step in sample:
            state = module(step) if not last else module(step) * 0 + module[-1].mem
            expected.append(state.numpy())
    assert record.readout_units[0] == 64
    np.testing.assert_array_equal(record.readout(0), np.stack(expected))
    floating = run(graph, sample.numpy(), backend="snntorch")
    np.testing.assert_array_equal(floating.readout(0), np.stack(expected))
    assert record.saturations == {0: 0}
    assert chip.layers[-1].neuron.threshold == (1 << 17) - 1


def shared():
    neuron = lif()
    return nn.Sequential(nn.Linear(6, 6), neuron, nn.Linear(6, 6), neuron)


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.lif = nn.Linear(6, 6), nn.Linear(6, 6), lif()

    def forward(self, x):
        return self.lif(self.one(x) * self.two(x))


class Delayed(nn.Module):
    """Reads its own output of the step before."""

    takes_all_steps = True

    def __init__(self):
        super().__init__()
        self.one, self.two, self.lif = nn.Linear(6, 6), nn.Linear(6, 6), lif(init_hidden=False)

    def forward(self, x):
        sent, mem = torch.zeros_like(x[0]), None
        for step in x:
            sent, mem = self.lif(self.one(step) + self.two(sent), mem)
        return sent


@pytest.mark.parametrize(
    ("module", "shape", "words", "remedy"),
    [
        (
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), lif()),
            (2, 6, 6),
            "maximum of weighted sums",
            "pool after the neuron",
        ),
        (shared(), (6,), "used twice", "its own"),
        (Gated(), (6,), "product of two tensors", "ADD"),
        (Delayed(), (6,), "used twice in a step|different steps|not come from the input", ""),
        (
            nn.Sequential(nn.Conv2d(2, 3, 3), lif(threshold=torch.tensor([1.0, 2.0]))),
            (2, 6, 6),
            "threshold of shape",
            "shapes",
        ),
        (
            nn.Sequential(nn.Linear(6, 4), snn.RLeaky(torch.rand(4), linear_features=4, **CHIP)),
            (6,),
            "beta",
            "one",
        ),
    ],
)
def test_refusals_have_remedies(module, shape, words, remedy):
    with pytest.raises(NetworkRefused, match=words) as caught:
        conversion.from_snntorch(module, spikes(*shape))
    assert any(remedy in refusal.hint for refusal in caught.value.refusals)


def test_normalisation_and_thresholds_in_float():
    """Batch norm of spikes, thresholds within a channel: the float graph is the module's."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        lif(0.7, torch.linspace(0.1, 0.6, 4)),
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, padding=1),
        lif(torch.rand(4, 1, 1), 0.3),
    )
    module[2].running_mean.uniform_(-0.1, 0.1)
    module[2].running_var.uniform_(0.3, 1)
    module.eval()
    sample = spikes(2, 6, 6, steps=12)
    graph = conversion.from_snntorch(module, sample)
    own = sent_by(module, sample)
    floating = run(graph, sample.numpy(), backend="snntorch")
    for index, name in enumerate(("1", "4")):
        assert (floating.spikes[index] != own[name]).mean() < 0.002
    chip = conversion.quantize(graph, calibration=sample.numpy())
    record = run(chip, sample.numpy())
    for index in record.spikes:
        assert (record.spikes[index] != floating.spikes[index]).mean() < 0.05
    assert "1: thresholds from 0.1 to 0.6" in "\n".join(chip.meta["lowered"])


class Sliced(nn.Module):
    """Every way to take a step or channels, the batch first."""

    takes_all_steps = True

    def __init__(self):
        super().__init__()
        self.one, self.lif1 = nn.Conv2d(2, 6, 3, padding=1), lif(init_hidden=False)
        self.two, self.lif2 = nn.Conv2d(7, 3, 3, padding=1), lif(threshold=5.0, init_hidden=False)

    def forward(self, x):
        first, second = [None] * 2
        sent = []
        for step in x.transpose(0, 1).unbind(1):
            one, first = self.lif1(self.one(step), first)
            parts = [
                one.narrow(1, 1, 2),
                one.index_select(1, torch.tensor([5, 0])),
                one[:, ::3],
                torch.select(one, 1, 4)[:, None],
            ]
            two, second = self.lif2(self.two(torch.cat(parts[: self.count], 1)), second)
            sent.append(two)
        return torch.stack(sent)


def test_steps_and_channels_taken_in_many_ways():
    module = whole(Sliced())
    module.count = 4
    with pytest.raises(NetworkRefused, match=r"slice it: x\[:, c:c \+ 1\]"):
        conversion.from_snntorch(module, spikes(2, 5, 5))
    module.count, module.two = 3, nn.Conv2d(6, 3, 3, padding=1)
    check(whole(module), spikes(2, 5, 5))
