"""STAM against the formulas of the paper and its published code, in numpy, one cell at a time.

The oracle is written from the formulas alone: for every pair (i, i + 1) and each of its steps, own
and other, with all products as loops or plain matrix products in float64, batch norm included. In
training the norms of relation, joint embedding and spatial weight see one step at a time; all
others see both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.hybrid.bridge import BridgeConfig, PstaBridge, Stam
from sdcl_neuro.hybrid.bridge.stam import ResidualPair
from sdcl_neuro.hybrid.frame_branch import frame_branch

Array = np.ndarray
HEIGHT, WIDTH, CHANNELS = 3, 2, 24
CELLS = HEIGHT * WIDTH


def settled(module: nn.Module, seed: int) -> nn.Module:
    """Random parameters and statistics in float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        for name, buffer in module.named_buffers():
            if buffer.dtype.is_floating_point:
                values = torch.rand(buffer.shape, generator=generator)
                buffer.copy_(values + 0.5 if name.endswith("var") else values - 0.5)
    return module.double()


class Oracle:
    """STAM on pairs ``[N, 2, C, cells]``, from its parameters by name."""

    def __init__(self, stam: nn.Module) -> None:
        self.values = {k: v.detach().numpy() for k, v in stam.state_dict().items()}
        self.training = stam.training

    def norm(self, name: str, maps: Sequence[Array]) -> list[Array]:
        """Batch norm of several maps ``[c, cells]`` that are normalised together."""
        mean, var = self.values[f"{name}.running_mean"], self.values[f"{name}.running_var"]
        if self.training:
            together = np.concatenate(maps, 1)
            mean, var = together.mean(1), together.var(1)
        scale = self.values[f"{name}.weight"] / np.sqrt(var + 1e-5)
        shift = self.values[f"{name}.bias"] - mean * scale
        return [one * scale[:, None] + shift[:, None] for one in maps]

    def conv(self, name: str, maps: Sequence[Array], *, relu: bool = True) -> list[Array]:
        weight = self.values[f"{name}.0.weight"][:, :, 0, 0]
        normed = self.norm(f"{name}.1", [weight @ one for one in maps])
        return [np.maximum(one, 0) if relu else one for one in normed]

    def linear(self, name: str, vector: Array) -> Array:
        found: Array = self.values[f"{name}.weight"] @ vector
        bias = self.values.get(f"{name}.bias")
        return found if bias is None else found + bias

    def gate(self, name: str, vector: Array) -> Array:
        hidden = np.maximum(self.linear(f"{name}.0", vector), 0)
        return 1 / (1 + np.exp(-self.linear(f"{name}.2", hidden)))

    def weight(self, name: str, maps: Sequence[Array]) -> list[Array]:
        return [1 / (1 + np.exp(-one[0])) for one in self.conv(name, maps, relu=False)]

    def __call__(self, pairs: Array) -> Array:
        """``[N, 2, C, cells]`` to what the bottleneck is given, ``[N, C, cells]``."""
        count = len(pairs)
        flat = [pairs[n, s] for n in range(count) for s in range(2)]
        embedded = self.conv("embed.1", self.conv("embed.0", flat))
        e = [[embedded[2 * n + s] for s in range(2)] for n in range(count)]
        return self.temporal(pairs, flat, e) + self.spatial(pairs, flat, e)

    def both(self, name: str, flat: Sequence[Array], count: int) -> list[list[Array]]:
        made = self.conv(name, flat)
        return [[made[2 * n + s] for s in range(2)] for n in range(count)]

    def temporal(self, pairs: Array, flat: Sequence[Array], e: list[list[Array]]) -> Array:
        count = len(pairs)
        q, k = (self.both(f"temporal.{one}", flat, count) for one in ("query", "key"))
        theta = [
            [np.maximum(self.linear("temporal.theta", pairs[n, s].mean(1)), 0) for s in range(2)]
            for n in range(count)
        ]
        total = np.zeros_like(pairs[:, 0])
        for own in (0, 1):
            other = 1 - own
            relations, joints = [], []
            for n in range(count):
                forth = by_cell(q[n][own], k[n][other])  # own's cells by other's
                back = by_cell(q[n][other], k[n][own])
                relations.append(np.concatenate([forth.T, back]))
                joints.append(np.concatenate([e[n][own], e[n][other]]))
            relation = self.conv("temporal.relation", relations)
            joint = self.conv("temporal.joint", joints)
            stacked = [np.concatenate(one) for one in zip(joint, relation, strict=True)]
            spatial = self.weight("temporal.weight", stacked)
            for n in range(count):
                channel = self.gate(
                    "temporal.gate", np.concatenate([theta[n][own], theta[n][other]])
                )
                total[n] += channel[:, None] * spatial[n][None] * pairs[n, own]
        return np.maximum(total, 0) ** 2

    def spatial(self, pairs: Array, flat: Sequence[Array], e: list[list[Array]]) -> Array:
        count = len(pairs)
        p, d = (self.both(f"spatial.{one}", flat, count) for one in ("query", "key"))
        total = np.zeros_like(pairs[:, 0])
        for step in (0, 1):
            affinity = [by_cell(p[n][step], d[n][step]) for n in range(count)]
            relation = self.conv(
                "spatial.relation", [np.concatenate([one.T, one]) for one in affinity]
            )
            stacked = [np.concatenate([e[n][step], relation[n]]) for n in range(count)]
            weight = self.weight("spatial.weight", self.conv("spatial.joint", stacked))
            for n in range(count):
                channel = self.gate("spatial.gate", pairs[n, step].mean(1))
                total[n] += channel[:, None] * weight[n][None] * pairs[n, step]
        return np.maximum(total, 0)


def by_cell(left: Array, right: Array) -> Array:
    """Affinity [cells of left, cells of right], one product at a time."""
    return np.array([[one @ two for two in right.T] for one in left.T])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("training", [False, True])
def test_the_formulas(seed: int, training: bool) -> None:
    stam = settled(Stam(CHANNELS, cells=CELLS), seed).train(training)
    pairs = torch.rand(3, 2, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64)
    expected = Oracle(stam)(pairs.flatten(3).numpy())
    assert expected.max() > 0
    seen: list[torch.Tensor] = []
    stam.bottleneck.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    stam(pairs)
    np.testing.assert_allclose(seen[0].flatten(2).detach().numpy(), expected, rtol=1e-9, atol=1e-10)


def test_theta_is_rectified() -> None:
    """A theta that is negative everywhere says nothing: the channel weights do not see it."""
    stam = settled(Stam(CHANNELS, cells=CELLS), 3).eval()
    pairs = torch.rand(2, 2, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        stam.temporal.theta.weight.copy_(-stam.temporal.theta.weight.abs())
        once = stam(pairs)
        stam.temporal.theta.weight.mul_(3)
        assert torch.equal(stam(pairs), once)


def test_norms_of_a_step_see_that_step_alone() -> None:
    """In training, another second step does not change what the first one's norms saw."""
    stam = settled(Stam(CHANNELS, cells=CELLS), 4).train()
    pairs = torch.rand(4, 2, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64)
    counted = [
        module
        for name, module in stam.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        and name.split(".")[1] in ("relation", "joint", "weight")
    ]
    assert len(counted) == 6
    stam(pairs)
    assert {int(module.num_batches_tracked) for module in counted} == {2}
    assert int(stam.embed[0][1].num_batches_tracked) == 1


def test_exchanging_the_steps_changes_nothing() -> None:
    """The formulas treat i and i + 1 alike, so the block must not care for their order."""
    stam = settled(Stam(16, cells=8), 2).eval()
    pair = torch.rand(3, 2, 16, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(stam(pair), stam(pair.flip(1)))


def test_parameters_are_those_of_the_published_code() -> None:
    with torch.device("meta"):
        stam = Stam(1024, cells=128)
        config = BridgeConfig(
            channels=1024, frame_channels=2048, frames=8, inputs="v", fusion="none", identities=100
        )
        psta = nn.ModuleList([frame_branch("resnet50"), PstaBridge(config)])
    assert sum(p.numel() for p in stam.parameters()) == 2_630_020
    assert sum(p.numel() for p in psta.parameters()) == 33_810_936
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
