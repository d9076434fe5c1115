"""Speck sums windows by itself: poolings folded into weights are taken out before it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.hardware import load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.layers import populations
from sdcl_neuro.hardware.placement.matrices import as_convolution
from sdcl_neuro.hardware.placement.own_pooling import unfold
from sdcl_neuro.network.spec import FloatNetwork

# Weights are as they were drawn; whether anything fires or rounds well is not asked here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning"
)


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    torch.manual_seed(0)


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
    found = fit(quantize(net, check=False) if exact else net, "speck2f")
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


def test_odd_sizes_under_padding_come_back_from_their_matrices() -> None:
    """As in Sinabs' own example for N-MNIST: 17 columns pooled to 8, a padded convolution."""
    net = lowered(
        nn.Conv2d(2, 8, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2),
        nn.Conv2d(16, 8, 3, padding=1, bias=False), spiking(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10, bias=False), spiking(), size=(2, 34, 34),
    )  # fmt: skip
    assert net.layers[2].kind == "dense"  # lowering has no kernel for it
    for found in (fit(net, "speck2f"), fit(quantize(net, check=False), "speck2f")):
        assert found.fits is True
        assert [layer.own_pooling for layer in found.layers] == [1, 2, 2, 2]
        assert entries(found, "kernel_entries") == [
            2 * 2 ** (4 + 3), 8 * 2 ** (4 + 4), 16 * 2 ** (4 + 3), 8 * 2 ** (4 + 4),
        ]  # fmt: skip
        assert entries(found, "neuron_entries")[2] == 8 * 2 ** (3 + 3)


@pytest.mark.parametrize("seed", range(12))
def test_matrices_are_the_convolutions_they_were(seed: int) -> None:
    from torch.nn import functional

    rng = np.random.default_rng(seed)
    kernel, stride = int(rng.integers(1, 6)), int(rng.choice([1, 2, 4]))
    padding, size = int(rng.integers(0, kernel)), rng.integers(6, 12, 2)
    weight = torch.from_numpy(rng.normal(size=(3, 2, kernel, kernel)))
    eye = torch.eye(int(2 * size.prod()), dtype=torch.float64).reshape(-1, 2, *map(int, size))
    out = functional.conv2d(eye, weight, stride=stride, padding=padding)
    matrix = out.reshape(len(eye), -1).T.reshape(-1, 2, *map(int, size)).numpy()
    found = as_convolution(matrix)
    if out.shape[2:] == (1, 1):
        assert found is None
        return
    assert found is not None
    assert found.out_box == tuple(out.shape[1:])
    assert (found.rows.kernel, found.rows.stride, found.rows.padding) == (kernel, stride, padding)
    assert found.columns.size == size[1]
    # One weight that differs, and it is none.
    spot = tuple(np.argwhere(matrix)[len(np.argwhere(matrix)) // 2])
    broken = matrix.copy()
    broken[spot] += 1
    other = as_convolution(broken)
    assert other is None or (other.rows.kernel, other.out_box) != (kernel, found.out_box)
