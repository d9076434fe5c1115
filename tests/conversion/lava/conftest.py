"""Small networks by hand, and what only a process with Lava in it can tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

NEURON = IntNeuron(current_decay=4096, voltage_decay=400, threshold=60)
SCRIPT = Path(__file__).with_name("in_lava.py")


def make_conv(
    name: str,
    shape: tuple[int, int, int],
    outputs: int,
    kernel: tuple[int, int],
    *,
    neuron: IntNeuron = NEURON,
    bias: Any = None,
    span: tuple[int, int] = (-30, 60),
    seed: int = 0,
    **geometry: Any,
) -> IntLayer:
    """A convolution of even weights, drawn from twice `span`."""
    convolution = Convolution(**geometry)
    size = (outputs, shape[0] // convolution.groups, *kernel)
    weight = 2 * np.random.default_rng(seed).integers(*span, size).astype(np.int32)
    out = (outputs, *convolution.output_size(shape[1:], kernel))
    bias = None if bias is None else np.asarray(bias, np.int32)
    return IntLayer(name, "conv", weight, neuron, shape, out, bias, convolution)


def make_dense(
    name: str,
    shape: tuple[int, ...],
    outputs: int,
    *,
    neuron: IntNeuron = NEURON,
    bias: Any = None,
    weight: Any = None,
    recurrent: Any = None,
    delay: Any = None,
    seed: int = 0,
) -> IntLayer:
    """A dense layer, recurrent if recurrent weights are given; even weights unless given."""
    if weight is None:
        size = (outputs, int(np.prod(shape)))
        weight = 2 * np.random.default_rng(seed).integers(-30, 60, size)
    arrays = [
        None if a is None else np.asarray(a, np.int32) for a in (weight, bias, recurrent, delay)
    ]
    kind = "dense" if recurrent is None else "dense_rec"
    return IntLayer(
        name, kind, arrays[0], neuron, shape, (outputs,), arrays[1], None, arrays[2], arrays[3]
    )


def make_chain(*layers: IntLayer, message_bits: int = 0, **meta: Any) -> IntNetwork:
    return IntNetwork(layers[0].in_shape, layers, message_bits, meta)


@pytest.fixture(scope="session")
def conv() -> Callable[..., IntLayer]:
    return make_conv


@pytest.fixture(scope="session")
def dense() -> Callable[..., IntLayer]:
    return make_dense


@pytest.fixture(scope="session")
def chain() -> Callable[..., IntNetwork]:
    return make_chain


@pytest.fixture(scope="session")
def unequal() -> Callable[[IntNetwork, IntNetwork], list[str]]:
    """Names of what differs between two networks, names and meta included."""

    def compare(left: IntNetwork, right: IntNetwork) -> list[str]:
        wrong = [
            name
            for name in ("input_shape", "message_bits", "meta")
            if getattr(left, name) != getattr(right, name)
        ]
        if len(left.layers) != len(right.layers):
            return [*wrong, "layers"]
        for one, other in zip(left.layers, right.layers, strict=True):
            for field in fields(IntLayer):
                a, b = getattr(one, field.name), getattr(other, field.name)
                if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
                    same = a.dtype == b.dtype and np.array_equal(a, b)
                else:
                    same = a is b or (not isinstance(a, np.ndarray) and a == b)
                wrong += [] if same else [f"{one.name}.{field.name}"]
        return wrong

    return compare


@pytest.fixture(scope="session")
def in_lava() -> Callable[..., None]:
    """Run a part of `in_lava.py` in a process that has Lava mended."""

    def call(part: str, *arguments: object) -> None:
        command = [sys.executable, str(SCRIPT), part, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    return call


@pytest.fixture(scope="session")
def slayer_files(in_lava: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Netx files that lava-dl's slayer wrote itself; `in_lava.py` lists them."""
    folder = tmp_path_factory.mktemp("slayer")
    in_lava("slayer", folder)
    return folder
