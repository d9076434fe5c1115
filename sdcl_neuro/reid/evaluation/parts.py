"""Parts of an evaluation that processes do apart, into a common store: embeddings of some batches
and counts of some settings, then blocks of the rankings.

Whoever evaluates afterwards with the same store finds them there, the same bits as its own. What is
there is not computed again, so that a part may be done twice, or stopped and resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.jobs import Shard

from ..training.distributed import Group
from .counting import fill_counts
from .evaluate import embeddings_of
from .extraction import Extraction, fill_store
from .planning import by_bins, places
from .rankings import STAGES, Stage, pieces
from .request import EvaluationRequest

SCHEMA = {"name": "sdcl_neuro.evaluation_part", "version": 1}


EMBEDDINGS = "embeddings"
"""The stage before those of `rankings.STAGES`."""


@dataclass(frozen=True)
class PartDone:
    """How much one part computed, or found in the store.

    Attributes:
        part: which.
        tracklets: each counted once for each condition and number of bins.
        stage: of the work.
        blocks: of rankings, or of neighbours for them.
    """

    part: Shard
    tracklets: int = 0
    stage: str = EMBEDDINGS
    blocks: int = 0

    def __str__(self) -> str:
        if self.stage == EMBEDDINGS:
            return f"part {self.part}: {number_of(self.tracklets, 'tracklet')} embedded"
        return f"part {self.part}: {number_of(self.blocks, 'block')} of {self.stage}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "part": self.part.index,
            "parts": self.part.count,
            "tracklets": self.tracklets,
            "stage": self.stage,
            "blocks": self.blocks,
        }


def count_blocks(request: EvaluationRequest) -> dict[Stage, int]:
    """Return how many blocks the rankings of all rows have, by stage, in the stages' order."""
    rows = len(request.conditions) * len(request.settings) * max(1, len(request.backends))
    data, reranking = request.base, request.judging.reranking
    found = {stage: rows * len(pieces(stage, data, reranking)) for stage in STAGES}
    return {stage: count for stage, count in found.items() if count}


def count_batches(request: EvaluationRequest) -> int:
    """Return into how many batches an evaluation cuts query and gallery."""
    positions, _ = places(request.base)
    return -(-len(positions) // request.how.batch)


def embed_part(request: EvaluationRequest, part: Shard) -> PartDone:
    """Embed a part of what an evaluation would.

    Args:
        request: of the evaluation, with a store; its group is not looked at.
        part: which batches.

    Raises:
        InputError: no store, or what `evaluate` raises.
    """
    trained, how, done = request.trained, request.how, 0
    _need_store(how)

    def count(tracklets: int) -> None:
        nonlocal done
        done += tracklets
        how.on_batch(tracklets)

    own = replace(how, group=Group(part.index - 1, part.count), on_batch=count)
    with request.prepared() as ready:
        opened = ready.opened
        for condition in request.conditions:
            for bins, group in by_bins(trained, ready.arms).items():
                fill_store(
                    trained.checkpoint.model,
                    condition.of(opened(bins)),
                    places(opened(bins))[0],
                    clip=replace(trained.clip, bins=bins),
                    arms=group,
                    how=own,
                )
        if ready.chips:
            fill_counts(trained, opened, ready.arms, how, part)
    return PartDone(part, done)


def rank_part(request: EvaluationRequest, part: Shard, *, stage: Stage) -> PartDone:
    """Compute a part of one stage of the rankings that an evaluation makes.

    Embeddings that the store lacks, and neighbours, are computed by whoever needs them: have the
    stages before it done first.

    Args:
        request: of the evaluation, with a store.
        part: which run of the blocks of all rows.
        stage: see `rankings.STAGES`.

    Raises:
        InputError: no store, or what `evaluate` raises.
    """
    trained, judging, how = request.trained, request.judging, request.how
    _need_store(how)
    with request.prepared() as ready:
        base = ready.opened.base
        blocks = pieces(stage, base, judging.reranking)
        rows = product(request.conditions, ready.arms)
        mine = part.run_of([(row, *block) for row in rows for block in blocks])
        for (condition, arm), own in groupby(mine, key=lambda one: one[0]):
            found = embeddings_of(trained, ready.opened, [arm], condition, how)[arm.label]
            ranked = judging.rankings(base, found, how.store)
            for kind, some in groupby(own, key=lambda one: one[1]):
                ranked.arrays(kind, [number for _, _, number in some])
    return PartDone(part, stage=stage, blocks=len(mine))


def _need_store(how: Extraction) -> None:
    if how.store.folder is None:
        raise InputError("nowhere to keep a part", where="--part", hint="give --cache DIR")
