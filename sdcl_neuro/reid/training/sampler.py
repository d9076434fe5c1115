"""Batches of P identities with K tracklets each, as batch-hard mining wants them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError


def pk_batches(
    labels: ArrayLike, persons: int, tracklets: int, *, steps: int, seed: int = 0
) -> Iterator[NDArray[np.int64]]:
    """Yield `steps` batches of indices into `labels`, ``[P*K]``, an identity's K side by side.

    Identities come round evenly: each is drawn once before any is drawn again. So do the
    tracklets of an identity; one with fewer than K repeats some within a batch.

    Args:
        labels: integers ``[N]``.
        persons: P, at most the number of identities.
        tracklets: K.
        steps: number of batches.
        seed: the same seed gives the same batches.

    Raises:
        InputError: P or K below 1, more persons than identities, or labels of another shape.
    """
    ids = np.asarray(labels)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"labels are {ids.dtype} of shape {ids.shape}", hint="give integers [N]")
    identities = np.unique(ids)
    if not 1 <= persons <= len(identities) or tracklets < 1:
        raise InputError(
            f"batches of {persons} persons with {tracklets} tracklets, from {len(identities)} "
            "identities",
            hint="give 1 or more of each, and no more persons than there are",
        )
    generator = np.random.default_rng(seed)
    turn = _Rounds(identities, generator)
    turns = {int(one): _Rounds(np.flatnonzero(ids == one), generator) for one in identities}
    for _ in range(steps):
        chosen = turn.draw(persons)
        yield np.concatenate([turns[int(one)].draw(tracklets) for one in chosen])


class _Rounds:
    """Draws from shuffled rounds: every item once before any comes again."""

    def __init__(self, items: NDArray[np.int64], generator: np.random.Generator) -> None:
        self.items, self.generator = items, generator
        self.rest: list[int] = []

    def draw(self, count: int) -> NDArray[np.int64]:
        """Return `count` items, as different as can be: none m times before all are there m - 1
        times.
        """
        drawn: list[int] = []
        passed: list[int] = []
        while len(drawn) < count:
            if not self.rest:
                self.rest = self.generator.permutation(self.items).tolist()
            item = self.rest.pop()
            early = drawn.count(item) > len(drawn) // len(self.items)
            (passed if early else drawn).append(item)
        self.rest += passed
        return np.array(drawn, dtype=np.int64)
