"""Tools of test_bridge.py.

Three deformable layers on eight maps of eight channels, 128 x 64, and the alignment's sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.hybrid.bridge.gathering import gathered_convolution
from sdcl_neuro.hybrid.bridge.offsets import kernel_grid, nearest_event_offsets
from sdcl_neuro.hybrid.bridge.point_sampling import mixed_samples, plain_mixed_samples
from sdcl_neuro.hybrid.bridge.sampling import nearest_event_index

MAPS, CHANNELS, HEIGHT, WIDTH, K, LAYERS = 8, 8, 128, 64, 3, 3
Call = Callable[[], Any]


def material(density: float) -> tuple[Tensor, list[Tensor], Tensor]:
    """Features, a weight a layer, and which cells hold an event."""
    torch.manual_seed(0)
    features = torch.randn(MAPS, CHANNELS, HEIGHT, WIDTH)
    weights = [torch.randn(CHANNELS, CHANNELS, K, K) / 9 for _ in range(LAYERS)]
    return features, weights, torch.rand(MAPS, HEIGHT, WIDTH) < density


def timed(layers: Callable[[Tensor, list[Tensor]], Tensor], density: float, train: bool) -> Call:
    """Forward alone, or with the gradients of features and weights."""
    features, weights, _ = material(density)
    slope = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))

    def forward() -> dict[str, Any]:
        with torch.no_grad():
            return {"out": layers(features, weights).numpy()}

    def both() -> dict[str, Any]:
        leaves = [leaf.detach().requires_grad_(True) for leaf in (features, *weights)]
        layers(leaves[0], leaves[1:]).backward(slope)
        return {f"gradient {i}": np.asarray(leaf.grad) for i, leaf in enumerate(leaves)}

    return both if train else forward


def ours(*, density: float, computed: bool = False, train: bool = False) -> Call:
    """An index found once for all layers, before timing unless `computed`."""
    _, _, active = material(density)
    kept = nearest_event_index(active, K)

    def layers(x: Tensor, weights: list[Tensor]) -> Tensor:
        index = nearest_event_index(active, K) if computed else kept
        for weight in weights:
            x = gathered_convolution(x, weight, index)
        return x

    return timed(layers, density, train)


def plain(*, density: float, train: bool = False) -> Call:
    """No mapping at all: a 3 x 3 convolution in its place."""

    def layers(x: Tensor, weights: list[Tensor]) -> Tensor:
        for weight in weights:
            x = functional.conv2d(x, weight, padding=K // 2)
        return x

    return timed(layers, density, train)


def published(*, density: float, computed: bool = False, train: bool = False) -> Call:
    """Deformable convolution in its published form, offsets to four corners a tap.

    Dai et al., ICCV 2017, Eqs. 2 to 4, step by step as implementations in torch alone do it: the
    four whole neighbours of each sampling point are gathered from the padded map, weighted by their
    bilinear kernel G, laid out as a map k times as high and as wide, and convolved with stride k.
    Offsets to the nearest events (Eqs. 8 to 11), by all pairs of events, are left out unless
    `computed`.
    """
    _, _, active = material(density)
    kept = nearest_event_offsets(active, K).float()

    def layers(x: Tensor, weights: list[Tensor]) -> Tensor:
        offsets = all_pairs(active).float() if computed else kept
        for weight in weights:
            x = deformed(x, weight, offsets)
        return x

    return timed(layers, density, train)


def grid_sampled(*, density: float, train: bool = False) -> Call:
    """The same samples by torch's grid_sample, one call for all taps."""
    _, _, active = material(density)
    place = points(nearest_event_offsets(active, K).float())  # [N, h, w, kk, 2]
    size = torch.tensor([HEIGHT, WIDTH])
    scaled = ((2 * place + 1) / size - 1).flip(-1)
    grid = scaled.permute(0, 3, 1, 2, 4).reshape(MAPS, K * K * HEIGHT, WIDTH, 2)

    def layers(x: Tensor, weights: list[Tensor]) -> Tensor:
        for weight in weights:
            taps = functional.grid_sample(x, grid, align_corners=False)
            taps = taps.view(MAPS, -1, HEIGHT * WIDTH)
            x = (weight.flatten(1) @ taps).view(x.shape)
        return x

    return timed(layers, density, train)


def points(offsets: Tensor) -> Tensor:
    """Where each tap reads, ``[N, h, w, kk, 2]`` in cells, (y, x)."""
    y, x = torch.arange(HEIGHT).view(-1, 1, 1), torch.arange(WIDTH).view(1, -1, 1)
    grid = kernel_grid(K)
    return torch.stack([y + grid[:, 0] + offsets[..., 0], x + grid[:, 1] + offsets[..., 1]], -1)


def deformed(x: Tensor, weight: Tensor, offsets: Tensor) -> Tensor:
    """One layer of `published`."""
    pad = 1
    padded = functional.pad(x, (pad, pad, pad, pad))
    height, width = padded.shape[2:]
    limit = torch.tensor([height - 1, width - 1])
    p = points(offsets) + pad
    low = p.floor()
    corners = torch.stack([low, low + 1])
    clipped = torch.minimum(corners.clamp(min=0), limit)
    p = torch.minimum(p.clamp(min=0), limit)
    flat, channels = padded.flatten(2), x.shape[1]
    samples, shares = [], []
    for i in (0, 1):
        for j in (0, 1):
            qy, qx = clipped[i, ..., 0], clipped[j, ..., 1]
            share = (1 - (qy - p[..., 0]).abs()) * (1 - (qx - p[..., 1]).abs())
            shares.append(share.clamp(min=0)[:, None])
            # The index is written out for every channel, as the usual implementations do.
            index = (qy * width + qx).long()[:, None].expand(-1, channels, -1, -1, -1).contiguous()
            samples.append(flat.gather(2, index.view(len(x), channels, -1)).view(index.shape))
    total = sum(share * sample for share, sample in zip(shares, samples, strict=True))
    rows = [part.reshape(*x.shape[:3], -1) for part in total.split(K, -1)]
    laid = torch.cat(rows, -1).view(*x.shape[:2], x.shape[2] * K, x.shape[3] * K)
    return functional.conv2d(laid, weight, stride=K)


def all_pairs(active: Tensor) -> Tensor:
    """Offsets by the distance of every event to every other of its map, and a sort."""
    window, n = 8, K * K
    offsets = torch.zeros(*active.shape, n, 2, dtype=torch.int64)
    grid = kernel_grid(K)
    for one, out in zip(active, offsets, strict=True):
        cells = one.nonzero()  # [P, 2]
        step = cells[None] - cells[:, None]  # [P, P, 2]
        manhattan = step.abs().sum(-1)
        # One number in the order of Manhattan distance, Euclidean distance, row, column.
        key = (manhattan << 40) + ((step**2).sum(-1) << 20) + (step[..., 0] + 512 << 10)
        key = torch.where(manhattan <= window, key + step[..., 1] + 512, 1 << 60)
        best, which = key.topk(min(n, len(cells)), dim=1, largest=False)
        if best.shape[1] < n:
            continue
        enough = best[:, -1] < 1 << 60
        near = step[enough].gather(1, which[enough][..., None].expand(-1, -1, 2))
        rows = (near[..., 0] * 1024 + near[..., 1]).argsort(1)
        near = near.gather(1, rows[..., None].expand(-1, -1, 2))
        out[cells[enough, 0], cells[enough, 1]] = near - grid
    return offsets


def aligned(*, fused: bool, channels: int, heads: int, maps: int, train: bool = False) -> Call:
    """The alignment's samples, 4 points a head on 16 x 8 cells, weighted and summed.

    In one pass if `fused`, else by torch's grid_sample and a product.
    """
    torch.manual_seed(0)
    sample = mixed_samples if fused else plain_mixed_samples
    value, slope = torch.randn(2, maps, channels, 16, 8)
    offset = 2 * torch.randn(maps, heads * 8, 16, 8)
    score = torch.randn(maps, heads, 4, 128).softmax(2)
    projection = torch.eye(3)[:2]

    def forward() -> dict[str, Any]:
        with torch.no_grad():
            return {"out": sample(value, offset, score, projection).numpy()}

    def both() -> dict[str, Any]:
        leaves = [leaf.detach().requires_grad_(True) for leaf in (value, offset, score)]
        sample(*leaves, projection).backward(slope)
        return {f"gradient {i}": np.asarray(leaf.grad) for i, leaf in enumerate(leaves)}

    return both if train else forward
