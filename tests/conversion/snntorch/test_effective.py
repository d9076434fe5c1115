"""A layer is what it computes: subclassed, quantised, pruned, hooked, normalised, in any state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
import torch.ao.nn.qat
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from helpers import user_modules as user
from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.errors import InputError, NetworkRefused

Spikes = NDArray[np.uint8]


def leaky(**options: Any) -> snn.Leaky:
    return snn.Leaky(0.9, **{"threshold": 0.3, **user.HIDDEN, **options})


def own(module: nn.Module, spikes: Spikes) -> Spikes:
    """In ``eval()``, in the module's own precision, step after step from clean states."""
    module.eval()
    kind = next(module.parameters()).dtype
    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    with torch.no_grad():
        sent = [module(step) for step in torch.tensor(spikes).to(kind)]
    return torch.stack(sent).float().numpy()


def same(module: nn.Module, spikes: Spikes) -> Any:
    """Described while in training mode, and equal to what it then sends in ``eval()``."""
    module.train()
    net = from_snntorch(module, spikes)
    expected = own(module, spikes)
    assert expected.mean() > 0.02
    found = run(net, spikes, backend="snntorch").spikes[len(net.layers) - 1]
    np.testing.assert_array_equal(found, expected)
    (check,) = net.meta["source_checks"]
    assert check["pair"]["holds"] is True
    return net


class Quantised(nn.Linear):
    def forward(self, x):
        step = self.weight.abs().max() / 7
        return nn.functional.linear(x, (self.weight / step).round() * step, self.bias)


class Binary(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight.sign() * 0.2, self.bias)


class Named(nn.Linear):
    """A subclass that computes what its base does."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)


class Rectified(nn.Linear):
    def forward(self, x):
        return super().forward(x).relu()


def test_subclasses(spikes: Spikes) -> None:
    net = same(user.lively(nn.Sequential(Named(12, 9), leaky())), spikes)
    assert net.meta["lowered"] == []
    module = user.lively(nn.Sequential(Quantised(12, 9), leaky()))
    net = same(module, spikes)
    step = module[0].weight.detach().abs().max() / 7
    grid = (module[0].weight.detach() / step).round() * step
    np.testing.assert_allclose(net.layers[0].weight, grid.numpy(), atol=1e-6)
    assert "measured" in net.meta["lowered"][0]
    with pytest.raises(NetworkRefused, match="something other than the Linear that it is"):
        from_snntorch(nn.Sequential(Rectified(12, 9), leaky()), spikes)


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 2, "padding": 1, "groups": 2},
        {"stride": 3, "padding": (0, 2), "dilation": 2, "bias": False},
        {},
    ],
)
def test_binary_convolutions_are_measured(geometry: Any, images: Spikes) -> None:
    module = nn.Sequential(Binary(2, 4, 3, **geometry), leaky(threshold=0.5))
    net = same(module, images)
    kernel = module[0].weight.detach().sign() * 0.2
    np.testing.assert_allclose(net.layers[0].weight, kernel.numpy(), atol=1e-6)


def test_torchs_own_fake_quantisation_is_measured(spikes: Spikes) -> None:
    config = torch.ao.quantization.get_default_qat_qconfig("fbgemm")
    module = nn.Sequential(torch.ao.nn.qat.Linear(12, 9, qconfig=config), leaky())
    user.lively(module)
    with torch.no_grad():
        module(torch.tensor(spikes[0]).float())  # observes its weights
    same(module, spikes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_layers_that_torch_quantised_are_refused(spikes: Spikes) -> None:
    module = nn.Sequential(nn.Linear(12, 9), leaky())
    chip = torch.ao.quantization.quantize_dynamic(module, {nn.Linear})
    with pytest.raises(NetworkRefused, match=r"quantised by torch.*conversion\.quantize"):
        from_snntorch(chip, spikes)


def _pruned(linear: nn.Linear) -> nn.Linear:
    prune.l1_unstructured(linear, "weight", 0.5)
    with torch.no_grad():
        linear.weight_orig.mul_(1.5)  # an optimiser's step: `weight` is stale until the next call
    return linear


def _normed(linear: nn.Linear) -> nn.Module:
    normed = weight_norm(linear)
    with torch.no_grad():
        normed.weight_g.mul_(2)
    return normed


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "change",
    [_pruned, _normed, spectral_norm, parametrizations.spectral_norm, parametrizations.orthogonal],
)
def test_computed_weights_are_those_of_eval(change: Callable[[Any], Any], spikes: Spikes) -> None:
    module = nn.Sequential(change(user.lively(nn.Linear(12, 9))), leaky(threshold=0.15))
    for step in torch.tensor(spikes).float():
        module(step)
        module[1].reset_mem()
    same(module, spikes)


def test_hooks_are_judged_by_what_they_do(spikes: Spikes) -> None:
    heard: list[Tensor] = []
    module = user.lively(nn.Sequential(nn.Linear(12, 9), leaky(), nn.Linear(9, 5), leaky()))
    for child in module:
        child.register_forward_hook(lambda module, given, gave: heard.append(gave) or None)
    net = same(module, spikes)
    assert net.meta["lowered"] == []
    module[2].register_forward_hook(lambda module, given, gave: gave * 2)
    net = same(module, spikes)
    np.testing.assert_allclose(
        net.layers[1].weight, 2 * module[2].weight.detach().numpy(), atol=1e-6
    )
    module[3].register_forward_hook(lambda module, given, gave: gave * 2)
    with pytest.raises(NetworkRefused, match="sends 2 where a spike is 1"):
        from_snntorch(module, spikes)


def test_modules_that_hand_on_what_they_receive(spikes: Spikes) -> None:
    class Probe(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    class Clips(nn.Module):
        def forward(self, x):
            return x.clamp(-1, 1)

    same(user.lively(nn.Sequential(nn.Linear(12, 9), Probe(), leaky(), Probe())), spikes)
    with pytest.raises(NetworkRefused, match="not among the modules"):
        from_snntorch(nn.Sequential(nn.Linear(12, 9), Clips(), leaky()), spikes)


def test_dropout_and_batch_norm_in_training(images: Spikes) -> None:
    module = user.lively(
        nn.Sequential(
            *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), leaky()),
            *(nn.Flatten(), nn.Dropout(0.9), nn.Linear(144, 6), nn.BatchNorm1d(6), leaky()),
        )
    ).train()
    with torch.no_grad():
        for step in torch.tensor(images).float():
            module(step)
    net = same(module, images)
    assert any("eval()" in note["what"] for note in net.meta["assumed"])


def test_a_layer_that_eval_does_not_reach_is_refused(images: Spikes) -> None:
    class Stubborn(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(True)

    module = nn.Sequential(nn.Conv2d(2, 4, 3), Stubborn(4), leaky())
    with pytest.raises(NetworkRefused, match="stays in training mode after eval"):
        from_snntorch(module, images)


def test_offsets_that_cancel_are_rounding_and_no_fault() -> None:
    """Large means and shifts, which folding adds up before it rounds and the module does not."""
    module = nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), leaky(threshold=0.5)).train()
    values = (torch.rand(30, 8, 2, 24, 24) < 0.3).float()
    with torch.no_grad():
        for step in values:
            module(step)
        norm = module[1]
        norm.running_mean.add_(400)
        norm.bias.add_(400 / (norm.running_var + norm.eps).sqrt() * norm.weight)
    net = from_snntorch(module, values)
    (check,) = net.meta["source_checks"]
    (layer,) = check["pair"]["layers"]
    assert layer["mismatches"] > 0
    assert layer["rounding"]["unexplained"] == 0
    assert "within rounding of the threshold" in check["pair"]["verdict"]


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_precisions(kind: torch.dtype, spikes: Spikes) -> None:
    module = user.lively(nn.Sequential(nn.Linear(12, 9), leaky())).to(kind)
    net = from_snntorch(module, spikes)
    (check,) = net.meta["source_checks"]
    assert check["pair"]["holds"] is True
    expected = own(module, spikes)
    assert check["pair"]["layers"][0]["spikes"]["snntorch Sequential"] == int(expected.sum()) > 20


def test_a_precision_in_which_the_module_does_not_run(spikes: Spikes) -> None:
    module = nn.Sequential(nn.Linear(12, 9), leaky(), nn.Linear(9, 5), leaky()).half()
    with pytest.raises(InputError, match=r"computes in torch\.float16: call module\.float\(\)"):
        from_snntorch(module, spikes)
    same(user.lively(module.float()), spikes)


def test_numbers_without_values(spikes: Spikes) -> None:
    with pytest.raises(InputError, match=r"device 'meta'.*load its weights on 'cpu'"):
        from_snntorch(nn.Sequential(nn.Linear(12, 7, device="meta"), leaky()), spikes)
    lazy = nn.Sequential(nn.LazyLinear(9), leaky())
    with pytest.raises(InputError, match=r"no weights yet.*run the module once"):
        from_snntorch(lazy, spikes)
    lazy(torch.tensor(spikes[0]).float())
    same(user.lively(lazy), spikes)


def test_learnt_numbers_are_read_as_the_forward_clamps_them(spikes: Spikes) -> None:
    neuron = leaky(threshold=torch.rand(9) + 0.2, learn_threshold=True, learn_beta=True)
    with torch.no_grad():
        neuron.beta.fill_(1.4)
    net = same(user.lively(nn.Sequential(nn.Linear(12, 9), neuron)), spikes)
    assert net.layers[0].neuron.beta == 1.0


def test_a_copy_of_a_module_is_not_needed(spikes: Spikes) -> None:
    """States of a training under way cannot be copied, and need not be."""
    module = user.lively(nn.Sequential(nn.Linear(12, 9), leaky()))
    module(torch.tensor(spikes[0]).float())
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    same(module, spikes)
