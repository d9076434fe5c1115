"""Speck sums windows by itself: poolings folded into weights are taken out before it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
from torch import nn

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.hardware import load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.layers import populations
from sdcl_neuro.hardware.placement.own_pooling import unfold
from sdcl_neuro.network.spec import FloatNetwork


def lowered(*modules: nn.Module, size: tuple[int, int, int] = (2, 16, 16)) -> FloatNetwork:
    net = nn.Sequential(*modules)
    for module in modules:
        if isinstance(module, snntorch.Leaky):
            module.init_hidden = True
    return from_snntorch(net, np.zeros((2, 1, *size), np.uint8))


def spiking() -> snntorch.Leaky:
    return snntorch.Leaky(1.0, threshold=1.0, init_hidden=True, reset_mechanism="zero")


def entries(found: Fit, name: str) -> list[float]:
    return [layer.loads[name].most for layer in found.layers]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("pool", "side"),
    [
        (nn.AvgPool2d(2), 2),
        (nn.AvgPool2d(4), 4),
        (nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2)), 4),
        (nn.AdaptiveAvgPool2d(8), 2),
    ],
)
def test_poolings_come_out_of_kernels_and_matrices(pool: nn.Module, side: int, exact: bool) -> None:
    net = lowered(
        nn.Conv2d(2, 8, 3, padding=1, bias=False), spiking(), pool,
        nn.Conv2d(8, 4, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * (8 // side) ** 2, 10, bias=False), spiking(),
    )  # fmt: skip
    found = fit(quantize(net) if exact else net, "speck2f")
    assert found.fits is True
    # As sinabs counts the network before lowering: 3x3 kernels, and a matrix over what is left.
    last = max(1, 8 // side)
    log = (last * last - 1).bit_length()
    assert entries(found, "kernel_entries") == [
        2 * 2 ** (4 + 3),
        8 * 2 ** (4 + 2),
        4 * 2 ** (log + 4),
    ]
    assert [layer.own_pooling for layer in found.layers] == [1, side, 2]
    assert f"{side}x{side} sum pooling stands before" in str(found)
    assert found.to_dict()["layers"][1]["own_pooling"] == side


def test_a_pooled_input_keeps_the_limit_of_the_sensor() -> None:
    modules = nn.AvgPool2d(2), nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), spiking()
    assert fit(lowered(*modules, size=(2, 128, 128)), "speck2e").fits is True
    found = fit(lowered(*modules, size=(2, 132, 128)), "speck2e")
    assert [(entry.limit, entry.value) for entry in found.broken] == [("input_size", 132)]
    assert found.input_shape == (2, 132, 128)


def test_what_lies_beyond_the_last_window_is_dropped() -> None:
    # 9 columns leave 4 windows of two; AvgPool2d drops the ninth, as the chip does.
    net = lowered(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * 4 * 4, 6, bias=False), spiking(), size=(2, 9, 9),
    )  # fmt: skip
    found = fit(net, "speck2f")
    assert [layer.own_pooling for layer in found.layers] == [1, 2]
    assert entries(found, "kernel_entries")[1] == 4 * 2 ** (4 + 3)


@pytest.mark.parametrize(
    "pool", [nn.AvgPool2d(8), nn.AvgPool2d(3), nn.AvgPool2d((2, 1)), nn.AvgPool2d(2, stride=1)]
)
def test_windows_that_the_chip_has_not_stay_folded(pool: nn.Module) -> None:
    out = pool(np_zeros(4, 24, 24)).shape[-3:]
    net = lowered(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), spiking(), pool, nn.Flatten(),
        nn.Linear(int(np.prod(out)), 6, bias=False), spiking(), size=(2, 24, 24),
    )  # fmt: skip
    found = fit(net, "speck2f")
    windows = load_profile("speck2f").limits["pooling"].values
    # A window of eight is one of four that is summed on: the rest stays in the matrix.
    expected = 4 if pool.kernel_size == 8 else 1
    assert windows == (1, 2, 4)
    assert found.layers[1].own_pooling == expected


def np_zeros(*shape: int) -> object:
    import torch

    return torch.zeros(1, *shape)


def test_weights_that_differ_within_a_window_are_no_pooling() -> None:
    net = lowered(
        nn.Conv2d(2, 4, 4, stride=2, padding=2, bias=False), spiking(), nn.Flatten(),
        nn.Linear(4 * 9 * 9, 6, bias=False), spiking(),
    )  # fmt: skip
    found = unfold(net.layers, populations(net), (1, 2, 4))
    assert [entry.pool for entry in found] == [1, 1]
    assert [entry.population for entry in found] == list(populations(net))


def test_other_chips_get_the_folded_network() -> None:
    net = lowered(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, bias=False), spiking(),
    )  # fmt: skip
    assert "own_pooling" not in str(fit(net, "loihi1").to_dict())
