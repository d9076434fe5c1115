"""Losses for training embeddings; label-smoothed cross-entropy is torch's own."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.errors import InputError

MARGIN = 0.3  # SDCL's published code; also Hermans et al.'s common choice


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.1) -> Tensor:
    """Mean cross-entropy of ``[B, N]`` logits and ``[B]`` labels, smoothed over all classes."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


Metric = Literal["cosine", "euclidean"]


def batch_hard_triplet(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float | None = MARGIN,
    metric: Metric = "euclidean",
) -> Tensor:
    """Return batch-hard triplet loss (Hermans et al., "In Defense of the Triplet Loss", 2017, Eq.
    5).

    ``mean over anchors of max(0, margin + farthest same - nearest other)``.
    An anchor without another of its own label counts with distance 0 to itself, as published.

    Args:
        embeddings: float ``[B, D]``.
        labels: integers ``[B]``.
        margin: at least so much farther shall the others be; None takes the soft margin instead,
            ``log(1 + exp(farthest same - nearest other))``.
        metric: Euclidean distance, or one minus the cosine, which the embeddings' scale does not
            change.

    Returns:
        A scalar.

    Raises:
        InputError: other shapes, or, on a CPU, a batch with a single identity.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise InputError(
            f"embeddings of shape {tuple(embeddings.shape)} with labels {tuple(labels.shape)}",
            where="batch_hard_triplet",
            hint="give [B, D] and [B]",
        )
    same = labels[:, None] == labels[None, :]
    # A GPU would have to be waited for: whoever draws batches there draws two persons or more.
    if labels.device.type == "cpu" and bool(same.all()):
        raise InputError(
            "a batch with a single identity has no negatives",
            where="batch_hard_triplet",
            hint="sample at least two identities a batch",
        )
    distances = _distances(embeddings) if metric == "euclidean" else _angles(embeddings)
    farthest = distances.masked_fill(~same, 0.0).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    if margin is None:
        return functional.softplus(farthest - nearest).mean()
    return (farthest - nearest + margin).clamp_min(0.0).mean()


def _angles(embeddings: Tensor) -> Tensor:
    """Return one minus the cosine of every pair, ``[B, D] -> [B, B]``."""
    unit = functional.normalize(embeddings)
    return 1 - unit @ unit.T


def _distances(embeddings: Tensor) -> Tensor:
    """Return ``[B, D] -> [B, B]``; the floor under the root keeps the gradient of equal pairs
    finite.
    """
    squares = (embeddings[:, None] - embeddings[None, :]).square().sum(-1)  # [B, B]
    return squares.clamp_min(1e-12).sqrt()
