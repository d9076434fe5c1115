"""STAM and its plain alternative for inference, on rows of channels (see `rows`, `stam`).

The relation of a cell to all cells is never made: with queries q, keys k and the two halves U, W
of the relation's weight, ``[q k'^T | k q'^T] (U | W)^T = q (U k')^T + k (W q')^T``, which is a
product with a small matrix; the primes are of the other step, or of the same in space.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .rows import Product, SquareConvolution, TwoProducts, folded_weights
from .stam import ResidualPair, SpatialAttention, Stam, TemporalAttention

Size = tuple[int, int]


class Relation(nn.Module):
    """Relation of each cell to the cells of a step: ``[N, hw, 2 c]`` twice to ``[N, hw, inner]``.

    Args:
        layers: the convolution over ``2 * hw`` channels, batch norm, ReLU.
        cells: h * w.
    """

    to_key: Tensor
    to_query: Tensor
    bias: Tensor

    def __init__(self, layers: nn.Sequential, cells: int) -> None:
        super().__init__()
        weight, bias = folded_weights(layers)
        flat = weight.flatten(1)
        self.register_buffer("to_key", flat[:, :cells].contiguous())
        self.register_buffer("to_query", flat[:, cells:].contiguous())
        self.register_buffer("bias", bias)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Return queries and keys side by side, of the own step and of the one it is related to."""
        width = own.shape[-1] // 2
        query, key = other[..., :width], other[..., width:]
        mixed = torch.cat([self.to_key @ key, self.to_query @ query], -1)  # [N, inner, 2c]
        return (own @ mixed.transpose(1, 2) + self.bias).relu_()


class Gating(nn.Module):
    """A channel weight in (0, 1) from a vector."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        first, last = layers[0], layers[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        self.hidden = Product(first.weight, first.bias, relu=True)
        self.last = Product(last.weight, last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map ``[..., inputs]`` to ``[..., C]``."""
        weight: Tensor = self.last(self.hidden(vectors))
        return weight.sigmoid_()


class TemporalRows(nn.Module):
    """`stam.TemporalAttention`: weights of two steps, judged by the two together."""

    def __init__(self, attention: TemporalAttention, cells: int) -> None:
        super().__init__()
        self.relation = Relation(attention.relation, cells)
        weight, bias = folded_weights(attention.joint)
        inner = weight.shape[0]
        flat = weight.flatten(1)
        both = torch.cat([flat[:, :inner], flat[:, inner:]])  # own, then the other step's
        self.joint = Product(both, torch.cat([bias, torch.zeros_like(bias)]))
        where, shift = folded_weights(attention.weight)
        self.where = TwoProducts(where, shift, first=inner, relu=False)
        self.theta = Product(attention.theta.weight, None, relu=True)
        self.gate = Gating(attention.gate)

    def forward(self, crossed: Tensor, embedded: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh.

        Args:
            crossed: ``[N, 2, hw, 2 c]``, queries and keys side by side.
            embedded: ``[N, 2, hw, inner]``.
            pooled: ``[N, 2, C]``.

        Returns:
            Weights of cells ``[N, 2, hw, 1]`` and of channels ``[N, 2, 1, C]``.
        """
        shape = crossed.shape[:2]
        relation = self.relation(crossed.flatten(0, 1), crossed.flip(1).flatten(0, 1))
        own, other = self.joint(embedded).chunk(2, -1)
        joint = (own + other.flip(1)).relu_()
        where = self.where(joint, relation.unflatten(0, shape)).sigmoid_()
        vector = self.theta(pooled)
        what = self.gate(torch.cat([vector, vector.flip(1)], -1))
        return where, what[:, :, None]


class SpatialRows(nn.Module):
    """`stam.SpatialAttention`: weights of two steps, each judged by itself."""

    def __init__(self, attention: SpatialAttention, cells: int) -> None:
        super().__init__()
        self.relation = Relation(attention.relation, cells)
        weight, bias = folded_weights(attention.joint)
        self.joint = TwoProducts(weight, bias, first=weight.shape[0], relu=True)
        self.where = Product(*folded_weights(attention.weight))
        self.gate = Gating(attention.gate)

    def forward(self, crossed: Tensor, embedded: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Compute as `TemporalRows` does."""
        flat = crossed.flatten(0, 1)
        relation = self.relation(flat, flat).unflatten(0, crossed.shape[:2])
        where = self.where(self.joint(embedded, relation)).sigmoid_()
        return where, self.gate(pooled)[:, :, None]


class BottleneckRows(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each with ReLU: ``[N, hw, C] -> [N, hw, C]``."""

    def __init__(self, layers: nn.Sequential, size: Size) -> None:
        super().__init__()
        first, middle, last = layers
        assert isinstance(middle, nn.Sequential)
        self.first, self.last = Product.of(first), Product.of(last)
        self.middle = SquareConvolution(middle, size)

    def forward(self, rows: Tensor) -> Tensor:
        """Return condense rows."""
        condensed: Tensor = self.last(self.middle(self.first(rows)))
        return condensed


class StamRows(nn.Module):
    """`stam.Stam`: ``[N, 2, hw, C] -> [N, hw, C]``."""

    def __init__(self, block: Stam, size: Size) -> None:
        super().__init__()
        cells = size[0] * size[1]
        entry, inner = block.embed
        temporal, spatial = block.temporal, block.spatial
        assert isinstance(entry, nn.Sequential)
        # All that begins with the two steps' maps is one product.
        parts = (entry, temporal.query, temporal.key, spatial.query, spatial.key)
        folded = [folded_weights(part) for part in parts]
        weight, bias = (torch.cat(side) for side in zip(*folded, strict=True))
        self.widths = (len(folded[0][1]), 2 * len(folded[1][1]), 2 * len(folded[3][1]))
        self.entry = Product(weight, bias, relu=True)
        self.embed = Product.of(inner)
        self.temporal = TemporalRows(temporal, cells)
        self.spatial = SpatialRows(spatial, cells)
        self.bottleneck = BottleneckRows(block.bottleneck, size)

    def forward(self, pair: Tensor) -> Tensor:
        """Map steps i and i + 1 to one."""
        entered, in_time, in_space = self.entry(pair).split(self.widths, -1)
        embedded = self.embed(entered)
        pooled = pair.mean(2)  # [N, 2, C]
        taken = _weighted(pair, *self.temporal(in_time, embedded, pooled)).square_()
        taken += _weighted(pair, *self.spatial(in_space, embedded, pooled))
        condensed: Tensor = self.bottleneck(taken)
        return condensed


def _weighted(pair: Tensor, where: Tensor, what: Tensor) -> Tensor:
    """Return ``relu(c_0 a_0 x_0 + c_1 a_1 x_1)``, ``[N, hw, C]``."""
    first = pair[:, 0] * where[:, 0]
    second = pair[:, 1] * where[:, 1]
    return (first.mul_(what[:, 0])).addcmul_(second, what[:, 1]).relu_()


class ResidualRows(nn.Module):
    """`stam.ResidualPair`: ``[N, 2, hw, C] -> [N, hw, C]``."""

    def __init__(self, block: ResidualPair, size: Size) -> None:
        super().__init__()
        self.bottleneck = BottleneckRows(block.bottleneck, size)

    def forward(self, pair: Tensor) -> Tensor:
        """Map steps i and i + 1 to one."""
        condensed: Tensor = self.bottleneck(pair[:, 0] + pair[:, 1])
        return condensed


def rows_block(block: nn.Module, size: Size) -> nn.Module:
    """Return a block of the pyramid for rows."""
    if isinstance(block, Stam):
        return StamRows(block, size)
    assert isinstance(block, ResidualPair)
    return ResidualRows(block, size)
