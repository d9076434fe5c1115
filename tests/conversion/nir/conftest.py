"""Random networks: of every kind that a file must hold, from one seed each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sdcl_neuro.network.spec import (
    Convolution,
    FloatLayer,
    FloatNetwork,
    FloatNeuron,
    IntLayer,
    IntNetwork,
    IntNeuron,
)


def _pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    first, second = rng.integers(low, high + 1, 2)
    return int(first), int(second)


def _convolution(rng: np.random.Generator, channels: int) -> tuple[Convolution, tuple[int, ...]]:
    groups = int(rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
    out = groups * int(rng.integers(1, 4))
    geometry = Convolution(_pair(rng, 1, 2), _pair(rng, 0, 2), _pair(rng, 1, 2), groups)
    return geometry, (out, channels // groups, *_pair(rng, 1, 3))


def make_float(seed: int, *, plain: bool = False) -> FloatNetwork:
    """A float network of one to four layers; `plain` keeps to Leaky neurons."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (int(rng.integers(1, 4)), *_pair(rng, 7, 10))
    if rng.random() < 0.3:
        shape = (int(rng.integers(2, 12)),)
    first, layers = shape, []
    for index in range(int(rng.integers(1, 5))):
        kind = str(rng.choice(["conv", "dense", "dense_rec"]))
        geometry, recurrent = None, None
        if kind == "conv" and (len(shape) == 1 or min(shape[1:]) < 5):
            kind = "dense"
        if kind == "conv":
            geometry, form = _convolution(rng, shape[0])
            out = (form[0], *geometry.output_size(shape[1:], form[2:]))
        else:
            out = (int(rng.integers(1, 9)),)
            form = (out[0], int(np.prod(shape)))
        weight = rng.normal(0, 1, form).astype(np.float32)
        bias = rng.normal(0, 0.2, form[0]).astype(np.float32) if rng.random() < 0.5 else None
        if kind == "dense_rec":
            recurrent = rng.normal(0, 0.5, (*out, *out)).astype(np.float32)
        beta = float(rng.choice([0.0, 1.0, rng.random(), 1 - 10 ** -rng.uniform(1, 4)]))
        alpha = 0.0 if plain or beta == 1 or rng.random() < 0.7 else float(rng.uniform(0, 0.99))
        neuron = FloatNeuron(beta, float(rng.uniform(0.1, 3)), alpha)
        scale = float(rng.uniform(1, 200)) if rng.random() < 0.5 else None
        layers.append(
            FloatLayer(
                f"layer/{index}.é",
                kind,
                weight,
                neuron,
                shape,
                out,
                bias,
                geometry,
                recurrent,
                scale,
            )
        )
        shape = out
    return FloatNetwork(first, tuple(layers), {"seed": seed, "notes": ["a", None, 0.1]})


def make_int(seed: int) -> IntNetwork:
    """An integer network with the layers of `make_float`, and integers of its own."""
    rng = np.random.default_rng(seed + 1)
    layers = []
    for layer in make_float(seed).layers:
        integrator = layer.neuron.beta == 1
        recurrent = layer.recurrent_weight
        layers.append(
            IntLayer(
                layer.name,
                layer.kind,
                rng.integers(-128, 128, layer.weight.shape).astype(np.int32) * 2,
                IntNeuron(
                    current_decay=4096 if integrator else int(rng.choice([4096, 1000, 1])),
                    voltage_decay=0 if integrator else int(rng.integers(1, 4096)),
                    threshold=int(rng.integers(1, 1 << 17)),
                ),
                layer.in_shape,
                layer.out_shape,
                None
                if layer.bias is None
                else rng.integers(-4096, 4096, layer.bias.shape).astype(np.int32),
                layer.convolution,
                None
                if recurrent is None
                else rng.integers(-256, 255, recurrent.shape).astype(np.int32),
                np.zeros(layer.weight.shape, np.int32) if rng.random() < 0.2 else None,
            )
        )
    bits = int(rng.choice([0, 4]))
    return IntNetwork(make_float(seed).input_shape, tuple(layers), bits, {"seed": seed})


@pytest.fixture(scope="session")
def random_float() -> Callable[..., FloatNetwork]:
    return make_float


@pytest.fixture(scope="session")
def random_int() -> Callable[..., IntNetwork]:
    return make_int


@pytest.fixture(scope="session")
def same() -> Callable[[object, object], None]:
    """Asserts two networks equal in every field, arrays by value and type."""

    def check(a: object, b: object) -> None:
        assert type(a) is type(b)
        assert a.input_shape == b.input_shape
        # For which step a file is, and what reading it found, is not in the network written.
        step = {"dt_s", "dt_source", "source_checks"}
        one, two = ({k: v for k, v in net.meta.items() if k not in step} for net in (a, b))
        assert one == two
        assert getattr(a, "message_bits", None) == getattr(b, "message_bits", None)
        assert len(a.layers) == len(b.layers)
        for one, two in zip(a.layers, b.layers, strict=True):
            for name in one.__dataclass_fields__:
                left, right = getattr(one, name), getattr(two, name)
                if isinstance(left, np.ndarray):
                    assert left.dtype == right.dtype, name
                    assert np.array_equal(left, right), name
                else:
                    assert left == right, name

    return check
