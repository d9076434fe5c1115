"""Sequences of snnTorch modules: what they become, and every reason why they do not."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sdcl_neuro.conversion import from_netx, from_snntorch, make_deployable, quantize, to_netx
from sdcl_neuro.conversion.backends.snntorch_run import run_float
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky, LoihiRLeaky, LoihiSynaptic


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(4)


def leaky(beta=0.9, **options):
    return snn.Leaky(beta, init_hidden=True, **{"reset_mechanism": "zero", **options})


def synaptic(alpha=0.7, beta=0.8, **options):
    fixed = {"reset_mechanism": "zero", "reset_delay": False, **options}
    return snn.Synaptic(alpha, beta, init_hidden=True, **fixed)


def rleaky(features, **options):
    fixed = {"reset_mechanism": "zero", "reset_delay": False, **options}
    return snn.RLeaky(0.8, linear_features=features, init_hidden=True, **fixed)


def sample(*shape, steps=9, batch=3, rate=0.3):
    return (torch.rand(steps, batch, *shape) < rate).float()


def step_by_step(module, spikes):
    """The module itself in eval, with its hidden states cleared: spikes ``[T, B, ...]``."""
    module.eval()
    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    with torch.no_grad():
        return torch.stack([module(step) for step in spikes]).numpy()


def lively(module, gain):
    """Larger weights, so that neurons fire."""
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.Conv2d | nn.Linear):
                child.weight.mul_(gain)
    return module


def assert_same_run(module, spikes, *, spare=0.0):
    """The description's run equals the module's; `spare`: rounding where things were folded."""
    net = from_snntorch(module, spikes)
    ours = run_float(Model(floating=net), spikes.numpy().astype(np.uint8))
    theirs = step_by_step(module, spikes)
    last = ours.spikes[len(net.layers) - 1]
    assert theirs.mean() > 0.02, "a silent network proves nothing"
    assert (last != theirs).mean() <= spare
    return net


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(("kernel", "dilation"), [((2, 4), 1), ((3, 2), (2, 3)), ((4, 1), 2)])
def test_padding_same_with_an_even_kernel_is_exact(kernel, dilation):
    conv = nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation)
    net = assert_same_run(lively(nn.Sequential(conv, leaky()), 4), sample(2, 7, 8))
    assert net.layers[0].out_shape == (3, 7, 8)


def test_convolutions_dropout_flatten_linear():
    module = nn.Sequential(
        nn.Conv2d(2, 4, (3, 5), stride=(1, 2), padding=(0, 2), bias=True),
        leaky(0.85, threshold=0.7),
        nn.Dropout(0.5),
        nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, dilation=2, padding="same"), leaky(0.5)),
        nn.Flatten(),
        nn.Linear(6 * 7 * 4, 10),
        leaky(1.0),
    )
    net = assert_same_run(lively(module, 3.0), sample(2, 9, 8))
    assert [layer.kind for layer in net.layers] == ["conv", "conv", "dense"]
    assert [layer.name for layer in net.layers] == ["0", "3.0", "5"]
    assert net.layers[1].convolution.padding == (2, 2)
    assert net.layers[2].in_shape == (6, 7, 4)
    assert net.layers[0].neuron.threshold == pytest.approx(0.7)
    assert "dropout" in net.meta["lowered"][0]


def test_flatten_at_the_input_keeps_the_networks_shape():
    module = lively(nn.Sequential(nn.Flatten(), nn.Linear(18, 5), leaky()), 4.0)
    net = assert_same_run(module, sample(2, 3, 3))
    assert net.input_shape == net.layers[0].in_shape == (2, 3, 3)
    assert quantize(net).layers[0].weight.shape == (5, 18)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_folded(affine):
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4, affine=affine),
        leaky(),
        nn.Flatten(),
        nn.Linear(4 * 36, 7, bias=False),
        nn.BatchNorm1d(7, affine=affine),
        leaky(),
    )
    for norm in (module[1], module[5]):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.02, 0.1)
        if affine:
            nn.init.uniform_(norm.weight, 0.8, 1.5)
            nn.init.uniform_(norm.bias, 0.0, 0.3)
    net = assert_same_run(module, sample(2, 6, 6), spare=0.002)
    assert all(layer.bias is not None for layer in net.layers)
    assert sum("batch norm" in note for note in net.meta["lowered"]) == 2


def test_current_based_and_recurrent_neurons():
    module = nn.Sequential(nn.Linear(20, 16, bias=False), synaptic(), nn.Linear(16, 12), rleaky(12))
    net = assert_same_run(lively(module, 2.0), sample(20), spare=0.002)
    assert [layer.kind for layer in net.layers] == ["dense", "dense_rec"]
    assert net.layers[0].neuron.alpha == pytest.approx(0.7)
    folded = module[2].bias + module[3].recurrent.bias
    np.testing.assert_allclose(net.layers[1].bias, folded.detach(), rtol=1e-6)


def test_effective_parametrised_weights_are_read():
    module = nn.Sequential(parametrizations.weight_norm(nn.Linear(10, 8)), leaky())
    with torch.no_grad():
        module[0].parametrizations.weight.original0.mul_(4.0)
    assert_same_run(module, sample(10))


def test_every_reason_comes_in_one_answer():
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        leaky(reset_mechanism="subtract"),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding_mode="circular", padding=1),
        synaptic(reset_delay=True),
        nn.Flatten(),
        nn.Linear(36, 5),
        snn.RSynaptic(0.5, 0.8, linear_features=5, init_hidden=True),
        nn.ReLU(),
        nn.Linear(5, 2),
    )
    with pytest.raises(NetworkRefused) as refused:
        from_snntorch(module, sample(2, 6, 6))
    text = str(refused.value)
    assert "\n" not in text
    for place, reason, remedy in (
        ("module 1 (1, Leaky)", "subtract", "make_deployable"),
        ("module 4 (4, Synaptic)", "reset_delay=True", "reset_delay=False"),
        ("module 7 (7, RSynaptic)", "previous spike", "RLeaky"),
        ("module 8 (8, ReLU)", "non-linearity", "remove"),
    ):
        match = [r for r in refused.value.refusals if r.where == place]
        assert match, place
        assert reason in match[0].what
        assert remedy in match[0].hint


def _renamed():
    """snnTorch keeps resetting by subtraction here, whatever the name says."""
    neuron = leaky(reset_mechanism="subtract")
    neuron.reset_mechanism = "zero"
    return neuron


def _twice():
    neuron = leaky()
    return [nn.Linear(4, 4), neuron, nn.Linear(4, 4), neuron]


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([nn.Linear(4, 3), leaky(threshold=torch.tensor([1.0, 0.0, 1.0]))], "threshold of zero"),
        ([nn.Linear(4, 3), leaky(threshold=torch.tensor([1.0, -2.0, 1.0]))], "threshold -2"),
        ([nn.Linear(4, 3), leaky(threshold=torch.ones(4))], r"threshold of shape \[4\]"),
        ([nn.Linear(4, 3), leaky(graded_spikes_factor=-2.0)], "graded spikes of -2"),
        ([nn.Linear(4, 3), leaky(graded_spikes_factor=torch.ones(3))], "graded spikes that"),
        ([nn.Linear(4, 3), leaky(spike_grad=torch.sigmoid)], "not a step"),
        ([nn.Linear(4, 3), _renamed()], "resets by 'subtract'"),
        ([nn.Linear(4, 3), synaptic()], "through the current's decay"),
        ([nn.Linear(4, 3), rleaky(5)], r"recurrence of 5 neurons after \[3\]"),
        (
            [
                nn.Linear(4, 3),
                snn.RLeaky(
                    0.8,
                    all_to_all=False,
                    V=torch.ones(4),
                    reset_mechanism="zero",
                    reset_delay=False,
                ),
            ],
            r"V of shape \[4\]",
        ),
        ([nn.Linear(4, 3), nn.BatchNorm2d(3), leaky()], "use BatchNorm2d after a Conv2d"),
        ([nn.Linear(4, 3), leaky(), nn.AvgPool2d(2)], "before the Flatten"),
        ([nn.AvgPool1d(2), nn.Linear(2, 3), leaky()], "flat shape"),
        ([nn.Conv1d(1, 1, 2), leaky()], "height of one"),
        ([nn.ConvTranspose2d(1, 1, 2), leaky()], "transposed"),
        ([nn.Linear(4, 3), snn.Lapicque(0.8)], "Lapicque"),
        ([nn.Linear(4, 3), snn.Alpha(0.9, 0.8)], "no equivalent"),
        ([nn.Linear(4, 3)], "no neuron receives"),
        ([nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False), leaky()], "at hand"),
        ([nn.Linear(5, 3), leaky()], "takes 5 values, receives 4"),
        ([nn.Conv2d(2, 3, 3), leaky()], "takes 2 channels"),
        ([nn.Identity()], "no layer with neurons"),
        ([nn.Bilinear(2, 2, 2)], "not among the modules"),
        (_twice(), "used twice"),
        ([nn.Linear(4, 3), nn.Flatten(0), leaky()], "flattens axes 0"),
    ],
)
def test_refusals(modules, words):
    with pytest.raises(NetworkRefused, match=words):
        from_snntorch(nn.Sequential(*modules), sample(4))


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([nn.AvgPool2d(7), nn.Conv2d(2, 3, 1), leaky()], "no window of 7 fits into 6"),
        ([nn.LPPool2d(2, 2), nn.Conv2d(2, 3, 1), leaky()], "norm_type"),
        ([nn.Conv2d(2, 3, 1), nn.MaxPool2d(2), leaky()], "pool after the neuron"),
        ([nn.Linear(6, 3), leaky()], "last axis"),
        ([nn.Conv2d(2, 3, 9), leaky()], "larger than its input"),
        ([nn.Conv2d(2, 3, 3), rleaky(3)], "a Linear before"),
    ],
)
def test_refusals_of_images(modules, words):
    with pytest.raises(NetworkRefused, match=words):
        from_snntorch(nn.Sequential(*modules), sample(2, 6, 6))


def test_learnt_decays_are_clamped_as_the_forward_pass_clamps_them():
    wild = torch.tensor([1.0, 1.3, 2.0, 1.1, 1.0])
    module = nn.Sequential(
        nn.Linear(9, 5), leaky(wild, learn_beta=True), nn.Linear(5, 4), leaky(-0.2)
    )
    net = assert_same_run(lively(module, 3.0), sample(9))
    assert [layer.neuron.beta for layer in net.layers] == [1.0, 0.0]


def test_thresholds_per_row_report_their_rounding():
    steep = leaky(threshold=torch.tensor([0.1, 1.0, 1.0, 50.0]))
    chip = quantize(from_snntorch(nn.Sequential(nn.Linear(9, 4), steep), sample(9)))
    (note,) = chip.meta["quantisation"]
    assert note["row_error_max"] > 0.5, "the last row's weights hardly reach the grid"
    assert "thresholds from 0.1 to 50 became 1" in chip.meta["lowered"][0]


def test_samples_of_another_rank():
    with pytest.raises(InputError, match=r"\[T, B, N\]"):
        from_snntorch(nn.Sequential(), torch.zeros(3, 4))


def test_make_deployable_keeps_parameters_and_weights():
    learnt = leaky(0.77, reset_mechanism="subtract", learn_beta=True, learn_threshold=True)
    module = nn.Sequential(
        nn.Linear(6, 5, bias=False),
        snn.Synaptic(0.6, 0.7, init_hidden=True),
        nn.Linear(5, 5),
        snn.RLeaky(0.8, linear_features=5, threshold=0.4, init_hidden=True),
        nn.Linear(5, 4),
        learnt,
    )
    before = [parameter for _, parameter in module.named_parameters()]
    names = [name for name, _ in module.named_parameters()]
    values = [parameter.detach().clone() for parameter in before]
    assert make_deployable(module) is module
    kinds = [type(module[i]) for i in (1, 3, 5)]
    assert kinds == [LoihiSynaptic, LoihiRLeaky, LoihiLeaky]
    after = dict(module.named_parameters())
    assert sorted(after) == sorted(names)
    for name, parameter, value in zip(names, before, values, strict=True):
        assert after[name] is parameter, "an optimiser built before would lose it"
        torch.testing.assert_close(parameter.detach(), value)
    assert module[5].beta.item() == pytest.approx(0.77)
    assert module[3].threshold.item() == pytest.approx(0.4)
    module(sample(6)[0])
    net = assert_same_run(lively(module, 4.0), sample(6), spare=0.002)
    assert [layer.kind for layer in net.layers] == ["dense", "dense_rec", "dense"]


def test_make_deployable_refuses_before_it_changes_anything():
    module = nn.Sequential(
        nn.Linear(4, 3),
        leaky(),
        nn.Linear(3, 3),
        snn.RLeaky(torch.tensor([0.5, 0.6, 0.7]), linear_features=3),
        snn.Lapicque(0.9),
    )
    with pytest.raises(NetworkRefused, match=r"3 \(RLeaky\): beta differs.*4 \(Lapicque\)"):
        make_deployable(module)
    assert type(module[1]) is snn.Leaky


def test_make_deployable_of_a_lone_neuron():
    assert isinstance(make_deployable(snn.Leaky(0.5)), LoihiLeaky)


@pytest.mark.parametrize("least", [-0.5, -0.25, -0.0625])
def test_a_matrix_without_positive_weights_ends_beside_a_power_of_two(least, tmp_path):
    """netx would store 256 where an inhibitory weight ends at 255."""
    module = nn.Sequential(nn.Linear(9, 4), leaky(), nn.Linear(4, 3), leaky(threshold=0.01))
    with torch.no_grad():
        module[2].weight.copy_(-torch.rand(3, 4) * 0.02)
        module[2].weight[0, 0] = least
        module[2].bias.fill_(4095 / 256)  # the bias alone fixes the scale, at 256
    chip = quantize(from_snntorch(module, sample(9)), check=False)
    lowest = int(chip.layers[1].weight.min())
    assert lowest == round(256 * least) + 2
    to_netx(chip, tmp_path / "n.net")
    assert from_netx(tmp_path / "n.net") == chip
