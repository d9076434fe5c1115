"""STAM against a slow re-implementation of the paper's formulas in numpy, one cell at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.hybrid.bridge import Stam
from sdcl_neuro.hybrid.bridge.stam import ResidualPair

Array = np.ndarray


def settled(module: nn.Module, seed: int) -> nn.Module:
    """Random parameters and statistics, evaluation mode: batch norm is a fixed affine map."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        for name, buffer in module.named_buffers():
            if buffer.dtype.is_floating_point:
                values = torch.rand(buffer.shape, generator=generator)
                buffer.copy_(values + 0.5 if name.endswith("var") else values - 0.5)
    return module.double().eval()


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy()


def norm(bn: nn.Module, x: Array) -> Array:
    """Batch norm of ``[c, cells]`` in evaluation."""
    scale = array(bn.weight) / np.sqrt(array(bn.running_var) + bn.eps)
    return (x - array(bn.running_mean)[:, None]) * scale[:, None] + array(bn.bias)[:, None]


def conv(block: nn.Module, x: Array) -> Array:
    """1x1 convolution, batch norm, ReLU of ``[c, cells]``."""
    return np.maximum(norm(block[1], array(block[0].weight)[:, :, 0, 0] @ x), 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gate(block: nn.Module, x: Array) -> Array:
    return sigmoid(array(block[2].weight) @ np.maximum(array(block[0].weight) @ x, 0))


def spatial_weight(block: nn.Module, x: Array) -> Array:
    return sigmoid(norm(block[1], array(block[0].weight)[:, :, 0, 0] @ x))[0]


def by_cell(left: Array, right: Array) -> Array:
    """Affinity [cells of left, cells of right], one product at a time."""
    cells = left.shape[1]
    return np.array([[left[:, p] @ right[:, q] for q in range(cells)] for p in range(cells)])


def slow_temporal(stam: nn.Module, steps: list[Array]) -> Array:
    module = stam.temporal
    e = [conv(stam.embed[1], conv(stam.embed[0], x)) for x in steps]
    v = [x.mean(1) for x in steps]
    q, k = ([conv(block, x) for x in steps] for block in (module.query, module.key))
    cells = steps[0].shape[1]
    total = np.zeros_like(steps[0])
    for own in (0, 1):
        other = 1 - own
        forth, back = by_cell(q[own], k[other]), by_cell(q[other], k[own])
        relation_in = np.zeros((2 * cells, cells))
        for p in range(cells):  # a cell of the own step; channels are the cells of the other
            relation_in[:cells, p] = forth[p, :]
            relation_in[cells:, p] = back[:, p]
        relation = conv(module.relation, relation_in)
        joint = conv(module.joint, np.concatenate([e[own], e[other]]))
        a = spatial_weight(module.weight, np.concatenate([joint, relation]))
        theta = array(module.theta.weight)
        c = gate(module.gate, np.concatenate([theta @ v[own], theta @ v[other]]))
        total += c[:, None] * a[None] * steps[own]
    return np.maximum(total, 0) ** 2


def slow_spatial(stam: nn.Module, steps: list[Array]) -> Array:
    module = stam.spatial
    cells = steps[0].shape[1]
    total = np.zeros_like(steps[0])
    for x in steps:
        e = conv(stam.embed[1], conv(stam.embed[0], x))
        own = by_cell(conv(module.query, x), conv(module.key, x))
        relation_in = np.zeros((2 * cells, cells))
        for p in range(cells):
            relation_in[:cells, p] = own[p, :]
            relation_in[cells:, p] = own[:, p]
        joint = conv(module.joint, np.concatenate([e, conv(module.relation, relation_in)]))
        s = spatial_weight(module.weight, joint)
        total += gate(module.gate, x.mean(1))[:, None] * s[None] * x
    return np.maximum(total, 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_attention_formulas(seed: int) -> None:
    height, width, channels = 3, 2, 24
    stam = settled(Stam(channels, cells=height * width), seed)
    pair = torch.rand(2, 2, channels, height, width, dtype=torch.float64)
    embedded = stam.embed(pair.flatten(0, 1)).unflatten(0, (2, 2))
    pooled = pair.mean((3, 4))
    temporal = stam.temporal(pair, embedded, pooled)
    spatial = stam.spatial(pair, embedded, pooled)
    whole = stam(pair)
    for n in range(2):
        steps = [array(x.flatten(1)) for x in pair[n]]
        slow = slow_temporal(stam, steps), slow_spatial(stam, steps)
        assert all(part.max() > 0 for part in slow)
        np.testing.assert_allclose(array(temporal[n].flatten(1)), slow[0], atol=1e-10)
        np.testing.assert_allclose(array(spatial[n].flatten(1)), slow[1], atol=1e-10)
        both = torch.from_numpy(slow[0] + slow[1]).view(1, channels, height, width)
        torch.testing.assert_close(whole[n : n + 1], stam.bottleneck(both))


def test_exchanging_the_steps_changes_nothing() -> None:
    """The formulas treat i and i + 1 alike, so the block must not care for their order."""
    stam = settled(Stam(16, cells=8), 2)
    pair = torch.rand(3, 2, 16, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(stam(pair), stam(pair.flip(1)))


def test_widths_at_the_papers_size() -> None:
    with torch.device("meta"):
        stam = Stam(1024, cells=128)
    shapes = {name: tuple(p.shape) for name, p in stam.named_parameters()}
    assert shapes["embed.0.0.weight"] == (256, 1024, 1, 1)
    assert shapes["embed.1.0.weight"] == (128, 256, 1, 1)
    assert shapes["temporal.query.0.weight"] == (128, 1024, 1, 1)
    assert shapes["temporal.relation.0.weight"] == (128, 256, 1, 1)
    assert shapes["temporal.joint.0.weight"] == (128, 256, 1, 1)
    assert shapes["temporal.weight.0.weight"] == (1, 256, 1, 1)
    assert shapes["temporal.theta.weight"] == (128, 1024)
    assert shapes["temporal.gate.0.weight"] == (128, 256)
    assert shapes["temporal.gate.2.weight"] == (1024, 128)
    assert shapes["spatial.weight.0.weight"] == (1, 128, 1, 1)
    assert shapes["spatial.gate.0.weight"] == (128, 1024)
    assert shapes["bottleneck.1.0.weight"] == (256, 256, 3, 3)


@pytest.mark.parametrize("block", [Stam(16, cells=8), ResidualPair(16)])
def test_two_steps_become_one(block: nn.Module) -> None:
    assert block(torch.rand(5, 2, 16, 4, 2)).shape == (5, 16, 4, 2)
