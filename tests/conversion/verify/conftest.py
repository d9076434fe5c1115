"""A small network in chip integers, and as float with the scales that lead there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.network.spec import (
    Convolution,
    FloatLayer,
    FloatNetwork,
    FloatNeuron,
    IntLayer,
    IntNetwork,
    IntNeuron,
)


@pytest.fixture
def int_net() -> IntNetwork:
    rng = np.random.default_rng(0)
    first = (rng.integers(-60, 60, (4, 2, 3, 3)) * 2).astype(np.int32)
    second = (rng.integers(-20, 30, (6, 4 * 8 * 7)) * 2).astype(np.int32)
    bias = rng.integers(-20, 20, 4).astype(np.int32)
    return IntNetwork(
        (2, 8, 7),
        (
            IntLayer(
                "first",
                "conv",
                first,
                IntNeuron(4096, 410, 200),
                (2, 8, 7),
                (4, 8, 7),
                bias,
                Convolution(padding=(1, 1)),
            ),
            IntLayer("second", "dense", second, IntNeuron(4096, 410, 300), (4, 8, 7), (6,)),
        ),
    )


@pytest.fixture
def sourced() -> IntNetwork:
    """A network of a module of snnTorch, with the comparison of the two."""
    torch.manual_seed(0)
    options = {"init_hidden": True, "reset_mechanism": "zero", "threshold": 0.3}
    module = nn.Sequential(
        *(nn.Linear(10, 8), snn.Leaky(0.9, **options)),
        *(nn.Linear(8, 5), snn.Leaky(0.8, **options)),
    )
    spikes = (np.random.default_rng(0).random((20, 2, 10)) < 0.3).astype(np.uint8)
    return quantize(from_snntorch(module, spikes), calibration=spikes)


@pytest.fixture
def make_float_net() -> Callable[..., FloatNetwork]:
    def make(scale: float | None = None, threshold: float = 1.0) -> FloatNetwork:
        rng = np.random.default_rng(0)
        first = rng.normal(0, 0.5, (4, 2, 3, 3)).astype(np.float32)
        second = rng.normal(0.05, 0.2, (6, 4 * 8 * 7)).astype(np.float32)
        neuron = FloatNeuron(0.9, threshold)
        return FloatNetwork(
            (2, 8, 7),
            (
                FloatLayer(
                    "first",
                    "conv",
                    first,
                    neuron,
                    (2, 8, 7),
                    (4, 8, 7),
                    None,
                    Convolution(padding=(1, 1)),
                    scale=scale,
                ),
                FloatLayer("second", "dense", second, neuron, (4, 8, 7), (6,), scale=scale),
            ),
        )

    return make
