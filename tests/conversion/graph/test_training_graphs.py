"""Graphs that train in the chip's integers: the module's own spikes are the chain's, exactly."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import nn

from helpers.two_inputs import LoopedInputs, TwoInputs
from sdcl_neuro import conversion, run
from sdcl_neuro.conversion.sources.snntorch.quantisation_aware import set_mode
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky
from sdcl_neuro.snn.loihi_readout import LoihiReadout, LoihiSynapticReadout

pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)
ZERO = {"init_hidden": True, "reset_mechanism": "zero"}
SILENT = {"init_hidden": True, "output": True, "reset_mechanism": "none"}


def channels(*values):
    return torch.tensor(values).reshape(-1, 1, 1)


class Residual(nn.Module):
    """A skip, batch norm, both poolings, two decays learnt, and a read-out of membranes."""

    def __init__(self, end=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.lif1 = snn.Leaky(0.8, threshold=0.5, **ZERO)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        decays = channels(0.5, 0.9, 0.5, 0.9)
        self.lif2 = snn.Leaky(decays, learn_beta=True, threshold=0.5, **ZERO)
        self.skip, self.pool, self.average = nn.Conv2d(4, 4, 1), nn.MaxPool2d(2), nn.AvgPool2d(2)
        self.fc = nn.Linear(16, 5, bias=not isinstance(end, snn.Synaptic))
        self.end = snn.Leaky(0.9, **SILENT) if end is None else end

    def forward(self, x):
        one = self.pool(self.lif1(self.bn1(self.conv1(x))))
        two = self.lif2(self.bn2(self.conv2(one)) + self.skip(one))
        out = self.end(self.fc(self.average(two + one).flatten(1)))
        return out[-1] if isinstance(out, tuple) else out


class Whole(nn.Module):
    """All steps at once; a branch with a current, thresholds per channel, a concat."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.lif1 = snn.Leaky(0.75, threshold=channels(0.3, 0.5, 0.4), learn_threshold=True)
        self.right, self.pool = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.AvgPool2d(2)
        self.lif2 = snn.Synaptic(0.25, 0.75, threshold=0.3)
        self.fc, self.lif3 = nn.Linear(5 * 9, 6), snn.Leaky(0.75, threshold=0.4)

    def forward(self, x):
        mem1, (syn2, mem2), mem3 = (
            self.lif1.reset_mem(),
            self.lif2.reset_mem(),
            self.lif3.reset_mem(),
        )
        outputs = []
        for step in x:
            one, mem1 = self.lif1(self.pool(self.left(step)), mem1)
            two, syn2, mem2 = self.lif2(self.pool(self.right(step)), syn2, mem2)
            joined = torch.cat([one, two], 1).flatten(1)
            out, mem3 = self.lif3(self.fc(joined), mem3)
            outputs.append(out)
        return torch.stack(outputs)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 8), nn.Linear(12, 8)
        self.one = snn.RLeaky(0.75, linear_features=8, threshold=0.3, **ZERO)
        self.two, self.last = snn.Leaky(0.5, threshold=0.3, **ZERO), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.cat([self.one(self.fc1(x)), self.two(self.fc2(x))], 1))


def spikes(*shape, steps=8, samples=4, rate=0.3):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand((steps, samples, *shape), generator=generator) < rate).float()


def output(module, sample):
    utils.reset(module)
    if isinstance(module, Whole):
        return module(sample)
    return torch.stack([module(step) for step in sample])


def train(module, sample, *, steps=6):
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    labels, losses = torch.arange(sample.shape[1]) % 3, []
    module.train()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(output(module, sample).mean(0), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    utils.reset(module)
    return losses


def seen(module, sample):
    """Batch norm's statistics from a few batches in float."""
    module.train()
    with torch.no_grad():
        for _ in range(3):
            output(module, sample)
    utils.reset(module)
    return module


NETWORKS = {
    "residual": (Residual, (2, 8, 8)),
    "current at the end": (lambda: Residual(snn.Synaptic(0.5, 0.8, **SILENT)), (2, 8, 8)),
    "a bare Linear": (lambda: Residual(nn.Identity()), (2, 8, 8)),
    "all steps at once": (Whole, (2, 6, 6)),
    "recurrent beside another": (Recurrent, (12,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_trains_in_integers_is_what_the_chip_computes(name):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    sample = spikes(*shape)
    module = seen(make(), sample)
    names = {id(parameter) for parameter in module.parameters()}
    conversion.make_deployable(module, sample)
    conversion.prepare_quantization(module, sample)
    assert {id(parameter) for parameter in module.parameters()} == names
    losses = train(module, sample)
    assert losses[-1] < losses[0]
    fresh = spikes(*shape, samples=3, rate=0.4)
    module.eval()
    with torch.no_grad():
        expected = output(module, fresh)
    utils.reset(module)
    graph = conversion.from_snntorch(module, sample)
    (check,) = graph.meta["source_checks"]
    assert check["pair"]["kind"] == "exact"
    chip = conversion.quantize(graph)
    assert {note["scale_from"] for note in chip.meta["quantisation"]} == {"training"}
    record = run(chip, fresh.numpy())
    if record.readouts:
        found = np.rint(expected.numpy() * record.readout_units[0])
        np.testing.assert_array_equal(record.readouts[0], found)
        assert np.count_nonzero(found) > 20
    else:
        np.testing.assert_array_equal(record.spikes[2], expected.numpy())
        assert expected.mean() > 0.02
    # The same integers, described in float mode or from a copy.
    twin = copy.deepcopy(module)
    set_mode(module, "float")
    again = conversion.quantize(conversion.from_snntorch(module, sample))
    copied = conversion.quantize(conversion.from_snntorch(twin, sample))
    assert twin.fc.weight is not module.fc.weight if hasattr(module, "fc") else True
    assert again == chip
    assert copied == chip


@pytest.mark.parametrize("kind", [TwoInputs, LoopedInputs])
def test_several_inputs_train_in_integers(kind):
    torch.manual_seed(0)
    module = kind(0.8, 0.7, 0.9)
    sample = {"image": spikes(2, 4, 4), "vector": spikes(6)}
    conversion.make_deployable(module, sample)
    assert conversion.prepare_quantization(module, sample) is module
    assert type(module) is kind

    def sent(given, **how):
        utils.reset(module)
        if kind is LoopedInputs:
            return module(given["image"], given["vector"])
        calls = zip(given["image"], given["vector"], strict=True)
        if how:  # by name, in another order
            return torch.stack([module(vector=b, image=a) for a, b in calls])
        return torch.stack([module(a, b) for a, b in calls])

    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(sent(sample).mean(0), torch.arange(4) % 3)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    module.eval()
    with torch.no_grad():
        expected = sent(sample)
        assert torch.equal(expected, sent(sample, by="name"))
    utils.reset(module)
    graph = conversion.from_snntorch(module, sample)
    (check,) = graph.meta["source_checks"]
    assert (check["pair"]["kind"], check["pair"]["holds"]) == ("exact", True)
    chip = conversion.quantize(graph)
    assert {note["scale_from"] for note in chip.meta["quantisation"]} == {"training"}
    record = run(chip, {name: each.numpy() for name, each in sample.items()})
    np.testing.assert_array_equal(record.spikes[2], expected.numpy())
    assert expected.mean() > 0.02


def test_a_state_dict_brings_the_same_integers_back():
    torch.manual_seed(0)
    sample = spikes(2, 8, 8)
    modules = [seen(Residual(), sample) for _ in range(2)]
    for module in modules:
        conversion.make_deployable(module)
        conversion.prepare_quantization(module, sample)
    train(modules[0], sample, steps=2)
    modules[1].load_state_dict(modules[0].state_dict())
    for module in modules:
        module.eval()
    with torch.no_grad():
        assert torch.equal(*(output(module, sample) for module in modules))
    chips = []
    for module in modules:
        utils.reset(module)
        chips.append(conversion.quantize(conversion.from_snntorch(module, sample)))
    assert chips[0] == chips[1]


def exact_numbers(module):
    """Weights, gains and decays that no rounding changes at a scale of 64."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.eps = 0.0
                child.running_var.fill_(4.0)
                child.running_mean.copy_(torch.randint(-8, 8, (4,), generator=generator) / 8)
            elif isinstance(child, nn.Conv2d | nn.Linear):
                drawn = torch.randint(-5, 9, child.weight.shape, generator=generator)
                child.weight.copy_(drawn / 4)
                if child.bias is not None:
                    child.bias.copy_(torch.randint(-4, 5, child.bias.shape) / 8)
    return module


def test_gradients_are_those_of_the_float_loop_where_nothing_is_rounded():
    torch.manual_seed(0)
    module = Residual(snn.Leaky(0.5, **SILENT))
    module.lif1 = snn.Leaky(0.5, threshold=1.0, **ZERO)
    module.lif2 = snn.Leaky(channels(0.5, 1.0, 0.5, 1.0), learn_beta=True, threshold=1.0, **ZERO)
    sample = spikes(2, 8, 8, steps=5)
    exact_numbers(module).eval()
    floating = copy.deepcopy(module)
    conversion.make_deployable(module)
    conversion.prepare_quantization(module, sample)
    for child in module.modules():
        if isinstance(child, LoihiLeaky | LoihiReadout):
            child.scale.fill_(64.0)
    outputs = [output(each, sample) for each in (module, floating)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-6)
    weights = torch.rand(outputs[0].shape)
    for each in outputs:
        (each * weights).sum().backward()
    theirs = dict(floating.named_parameters())
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(
            parameter.grad.reshape(-1), theirs[name].grad.reshape(-1), rtol=1e-4, atol=1e-4
        )
    assert float(module.conv1.weight.grad.abs().max()) > 0
    assert float(module.lif2.beta.grad.abs().max()) > 0


def test_float_mode_computes_as_before_and_parts_alone_are_refused():
    torch.manual_seed(0)
    sample = spikes(2, 8, 8)
    module = conversion.make_deployable(seen(Residual(), sample)).eval()
    with torch.no_grad():
        before = output(module, sample)
        conversion.prepare_quantization(module, sample)
        set_mode(module, "float")
        assert torch.equal(output(module, sample), before)
        set_mode(module, "int")
        fresh = conversion.make_deployable(seen(Residual(), sample)).eval()
        conversion.prepare_quantization(fresh, sample)
        with pytest.raises(InputError, match=r"outside of the module.*set_mode"):
            fresh.lif1(torch.zeros(4, 4, 8, 8))


def test_batch_norm_keeps_its_statistics_in_integers():
    torch.manual_seed(0)
    sample = spikes(2, 8, 8)
    module = conversion.make_deployable(seen(Residual(), sample))
    conversion.prepare_quantization(module, sample)
    before = module.bn1.running_mean.clone()
    gains = module.bn1.weight.detach().clone()
    train(module, sample, steps=2)
    assert torch.equal(module.bn1.running_mean, before)
    assert not torch.equal(module.bn1.weight, gains)


def test_readouts_stay_readouts():
    module = nn.Sequential(
        nn.Linear(4, 3), snn.Leaky(0.5, **ZERO), nn.Linear(3, 3), snn.Synaptic(0.5, 0.5, **SILENT)
    )
    conversion.make_deployable(module)
    assert type(module[1]) is LoihiLeaky
    assert type(module[3]) is LoihiSynapticReadout


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.lif = nn.Linear(6, 6), nn.Linear(6, 6), snn.Leaky(0.5, **ZERO)

    def forward(self, x):
        return self.lif(self.one(x) * self.two(x))


@pytest.mark.parametrize("verb", ["make_deployable", "prepare_quantization"])
def test_what_has_no_chain_is_refused_before_anything_changes(verb):
    sample = spikes(6)
    module = Gated()
    kept, hooks = module.lif, len(module._forward_pre_hooks)
    change = getattr(conversion, verb)
    with pytest.raises(NetworkRefused, match="product of two tensors"):
        change(module, sample)
    assert module.lif is kept
    assert len(module._forward_pre_hooks) == hooks


def test_plain_neurons_in_a_graph_are_refused_by_name():
    module = Residual()
    with pytest.raises(NetworkRefused, match=r"lif1 \(Leaky\).*make_deployable"):
        conversion.prepare_quantization(module, spikes(2, 8, 8))
    assert not module._forward_pre_hooks
