"""Networks that SANA-FE takes, and the mark of tests that need it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sdcl_neuro.conversion import quantize
from sdcl_neuro.conversion.backends.sanafe import interpreter
from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.snn.event_branch import EventBranch
from sdcl_neuro.testing import random_network


def _installed() -> bool:
    try:
        interpreter.find_interpreter()
    except EnvironmentFault:
        return False
    return True


needs_sanafe = pytest.mark.skipif(
    not _installed(),
    reason="SANA-FE is not installed (set SDCL_NEURO_SANAFE to a Python that has it)",
)


def suited(seed: int, kind: str = "any", *, extreme: bool = False) -> IntNetwork:
    """A random network without what SANA-FE refuses: slower currents and delays."""
    net = random_network(seed, kind=kind, extreme=extreme, layers=3)
    layers = (
        replace(layer, neuron=replace(layer.neuron, current_decay=4096), delay=None)
        for layer in net.layers
    )
    return replace(net, layers=tuple(layers))


def branch(description: object, size: tuple[int, int]) -> IntNetwork:
    """An event branch with random weights, in the chip's integers."""
    torch.manual_seed(0)
    net = EventBranch(description).float_network(size)
    shape = (8, 1, *net.input_shape)
    return quantize(net, calibration=(np.random.default_rng(0).random(shape) < 0.1).astype("u1"))
