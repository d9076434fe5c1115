"""What the head of a method is: maps in, `Output` out, and which losses it is trained by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from sdcl_neuro.hybrid.bridge import Output
from sdcl_neuro.network.spec import Pair

Compared = Literal["cosine", "euclidean", "soft", "none"]


@dataclass(frozen=True)
class Shape:
    """What a method is built for.

    Attributes:
        channels: C of the frame network's map.
        size: height and width of the map.
        frames: T of a clip.
        identities: classes; 0 builds no classifiers and no losses.
    """

    channels: int
    size: Pair
    frames: int
    identities: int = 0


@dataclass(frozen=True)
class LossPlan:
    """How a method's own authors train it.

    Attributes:
        triplet: batch-hard, by ``cosine`` behind the BNNeck, ``euclidean`` before it, ``soft``:
            Euclidean with the soft margin; ``none`` leaves it out.
        joined: whether several classifiers' and features' losses are summed or averaged.
    """

    triplet: Compared = "cosine"
    joined: Literal["mean", "sum"] = "mean"


class MethodHead(nn.Module):
    """Maps of a clip to its embedding.

    Attributes:
        plan: see `LossPlan`.
        size: dimension of the embedding.
    """

    plan = LossPlan()
    size: int

    def forward(self, maps: Tensor) -> Output:
        """Map ``[B, T, C, h, w]`` to what the method says of B clips."""
        raise NotImplementedError

    def extra_losses(self, extra: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Return losses of the method's own, weighted, by name; none by default.

        Args:
            extra: `Output.extra` of the joint batch of all processes.
            labels: int64 ``[B]`` of it.
        """
        del extra, labels
        return {}

    def extra_logits(self, extra: Mapping[str, Tensor]) -> Tensor | None:
        """Return scores of the classes ``[B, identities]`` of a head without classifiers."""
        del extra
        return None


def neck(channels: int, *, shift: bool = True, spread: float = 0.0) -> nn.BatchNorm1d:
    """Return a BNNeck ``[B, C]``: without `shift` its bias stays zero; gamma is N(1, `spread`)."""
    norm = nn.BatchNorm1d(channels)
    norm.bias.requires_grad_(shift)
    if spread:
        nn.init.normal_(norm.weight, 1.0, spread)
    return norm


def classifier(channels: int, identities: int, *, bias: bool = False) -> nn.Linear | None:
    """Return scores of the classes; None without classes."""
    if not identities:
        return None
    layer = nn.Linear(channels, identities, bias=bias)
    nn.init.normal_(layer.weight, std=0.001)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def classifiers(widths: Iterable[int], identities: int, *, bias: bool = False) -> nn.ModuleList:
    """Return one of each width; an empty list without classes."""
    made = [classifier(width, identities, bias=bias) for width in widths]
    return nn.ModuleList(one for one in made if one is not None)


def scored(layers: Iterable[tuple[nn.Module | None, Tensor]]) -> tuple[Tensor, ...]:
    """Return what each classifier says of its feature, where there is one."""
    return tuple(layer(feature) for layer, feature in layers if layer is not None)


def pooled(maps: Tensor) -> Tensor:
    """Mean over the cells: ``[..., C, h, w]`` to ``[..., C]``."""
    return maps.mean((-2, -1))


def unit(vectors: Tensor, dim: int = -1) -> Tensor:
    """Scale to length 1 along an axis."""
    return functional.normalize(vectors, dim=dim)


def at_least(channels: int, factor: int, least: int = 4) -> int:
    """Return a fraction of a width; small networks keep a few channels."""
    return max(least, channels // factor)


def rows(norm: nn.Module, vectors: Tensor) -> Tensor:
    """Normalise over all but the last axis by a 1-d batch norm: ``[..., C]`` to the same."""
    flat: Tensor = norm(vectors.flatten(0, -2))
    return flat.view(vectors.shape)


def closing_norm(channels: int, kind: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    """Return a batch norm with gamma and beta zero: what it closes adds nothing at first."""
    norm = kind(channels)
    nn.init.zeros_(norm.weight)  # type: ignore[arg-type]
    nn.init.zeros_(norm.bias)  # type: ignore[arg-type]
    return norm
