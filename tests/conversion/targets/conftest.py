"""Networks that every target has to take: SDCL's own two, a recurrent and a delayed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sdcl_neuro.conversion import quantize
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.snn.event_branch import COMPACT, PAPER, EventBranch
from sdcl_neuro.testing import random_network

RATE = 0.1


def random_input(net: IntNetwork, *, steps: int = 8, samples: int = 2) -> np.ndarray:
    """uint8 ``[T, B, *input_shape]`` of which a tenth is not zero."""
    shape = (steps, samples, *net.input_shape)
    return (np.random.default_rng(1).random(shape) < RATE).astype(np.uint8)


def branch(description: object, size: tuple[int, int]) -> IntNetwork:
    """An event branch with random weights, in the chip's integers."""
    torch.manual_seed(0)
    net = EventBranch(description).float_network(size)
    shape = (8, 1, *net.input_shape)
    calibration = (np.random.default_rng(0).random(shape) < RATE).astype(np.uint8)
    return quantize(net, calibration=calibration)


NETWORKS: dict[str, Callable[[], IntNetwork]] = {
    "compact": lambda: branch(COMPACT, (64, 32)),
    "paper": lambda: branch(PAPER, (128, 64)),
    "recurrent": lambda: random_network(5, kind="dense_rec", layers=2),
    "delayed": lambda: random_network(4, kind="delay", layers=2),
}


@pytest.fixture(scope="session")
def networks() -> dict[str, IntNetwork]:
    return {name: make() for name, make in NETWORKS.items()}


@pytest.fixture(scope="session")
def everything() -> IntNetwork:
    """Groups, strides, dilation, odd sizes, delays, recurrence, biases, slow currents in one."""
    rng = np.random.default_rng(3)

    def even(*shape: int) -> np.ndarray:
        return (2 * rng.integers(-25, 40, shape)).astype(np.int32)

    geometry = Convolution((2, 3), (1, 2), (1, 2), 2)
    size = geometry.output_size((9, 11), (3, 4))
    slow, fast = IntNeuron(1500, 300, 120), IntNeuron(4096, 0, 150)
    first = IntLayer(
        "conv", "conv", even(6, 2, 3, 4), slow, (4, 9, 11), (6, *size), even(6), geometry
    )
    flat = 6 * size[0] * size[1]
    second = IntLayer("late */", "dense", even(7, flat), fast, (6, *size), (7,), even(7))
    second = replace(second, delay=rng.integers(0, 4, (7, flat)).astype(np.int32))
    third = IntLayer("loop", "dense_rec", even(5, 7), slow, (7,), (5,), recurrent_weight=even(5, 5))
    return IntNetwork((4, 9, 11), (first, second, third))
