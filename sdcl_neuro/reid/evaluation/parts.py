"""Parts of an evaluation that processes do apart, into a common store: embeddings of some batches
and counts of some settings, then blocks of the rankings.

Whoever evaluates afterwards with the same store finds them there, the same bits as its own. What is
there is not computed again, so that a part may be done twice, or stopped and resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.jobs import Shard
from sdcl_neuro.profiling.api import load_targets

from ..datasets import DataSet
from ..training.distributed import Group
from .counting import fill_counts
from .deployment import check_priced
from .evaluate import EvaluationSettings, embeddings_of
from .extraction import Extraction, fill_store
from .feature_sources import check_backends
from .planning import Condition, DataSource, OpenedData, arms_to_run, by_bins, places
from .rankings import STAGES, Stage, pieces
from .setting import Setting
from .trained import Trained

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
            return f"part {self.part}: {self.tracklets:,} tracklets embedded"
        return f"part {self.part}: {self.blocks:,} blocks of {self.stage}"

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


def count_blocks(data: DataSet, *, rows: int, judging: EvaluationSettings) -> dict[Stage, int]:
    """Return how many blocks the rankings of so many rows have, by stage, in the stages' order."""
    found = {stage: rows * len(pieces(stage, data, judging.reranking)) for stage in STAGES}
    return {stage: count for stage, count in found.items() if count}


def count_batches(trained: Trained, data: DataSource, *, batch: int) -> int:
    """Return into how many batches an evaluation cuts query and gallery."""
    positions, _ = places(OpenedData(trained, data).base)
    return -(-len(positions) // batch)


def embed_part(
    trained: Trained,
    data: DataSource,
    part: Shard,
    *,
    how: Extraction,
    backends: Sequence[str] = (),
    settings: Sequence[Setting] = (Setting(),),
    conditions: Sequence[Condition] = (Condition(),),
    hardware: Sequence[str | Path | HardwareProfile] = (),
) -> PartDone:
    """Embed a part of what `evaluate` with the same arguments would.

    Args:
        trained, data, backends, settings, conditions, hardware: as for `evaluate`.
        part: which batches.
        how: with a store; its group is not looked at.

    Raises:
        InputError: no store, or what `evaluate` raises.
    """
    _need_store(how)
    check_backends(backends)
    chips = load_targets(hardware)
    opened, done = OpenedData(trained, data), 0

    def count(tracklets: int) -> None:
        nonlocal done
        done += tracklets
        how.on_batch(tracklets)

    own = replace(how, group=Group(part.index - 1, part.count), on_batch=count)
    with scratch_folder("sdcl_neuro") as folder:
        arms, _ = arms_to_run(trained, opened.base, backends, settings, folder, how.device or "cpu")
        check_priced(arms, chips)
        for condition in conditions:
            for bins, group in by_bins(trained, arms).items():
                fill_store(
                    trained.checkpoint.model,
                    condition.of(opened(bins)),
                    places(opened(bins))[0],
                    clip=replace(trained.clip, bins=bins),
                    arms=group,
                    how=own,
                )
        if chips:
            fill_counts(trained, opened, arms, how, part)
    return PartDone(part, done)


def rank_part(
    trained: Trained,
    data: DataSource,
    part: Shard,
    *,
    stage: Stage,
    judging: EvaluationSettings,
    how: Extraction,
    backends: Sequence[str] = (),
    settings: Sequence[Setting] = (Setting(),),
    conditions: Sequence[Condition] = (Condition(),),
) -> PartDone:
    """Compute a part of one stage of the rankings that `evaluate` with the same arguments makes.

    Embeddings that the store lacks, and neighbours, are computed by whoever needs them: have the
    stages before it done first.

    Args:
        trained, data, backends, settings, conditions, judging, how: as for `embed_part` and
            `evaluate`.
        part: which run of the blocks of all rows.
        stage: see `rankings.STAGES`.

    Raises:
        InputError: no store, or what `evaluate` raises.
    """
    _need_store(how)
    check_backends(backends)
    opened = OpenedData(trained, data)
    with scratch_folder("sdcl_neuro") as folder:
        arms, _ = arms_to_run(trained, opened.base, backends, settings, folder, how.device or "cpu")
        blocks = pieces(stage, opened.base, judging.reranking)
        mine = part.run_of([(row, *block) for row in product(conditions, arms) for block in blocks])
        for (condition, arm), own in groupby(mine, key=lambda one: one[0]):
            found = embeddings_of(trained, opened, [arm], condition, how)[arm.label]
            ranked = judging.rankings(opened.base, found, how.store)
            for kind, some in groupby(own, key=lambda one: one[1]):
                ranked.arrays(kind, [number for _, _, number in some])
    return PartDone(part, stage=stage, blocks=len(mine))


def _need_store(how: Extraction) -> None:
    if how.store.folder is None:
        raise InputError("nowhere to keep a part", where="--part", hint="give --cache DIR")
