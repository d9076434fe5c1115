"""Parts of an evaluation that processes do apart, into a common store: embeddings of some batches,
and counts of some settings.

Whoever evaluates afterwards with the same store finds them there, the same bits as its own. What is
there is not computed again, so that a part may be done twice, or stopped and resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.jobs import Shard

from ..training.distributed import Group
from .counting import fill_counts
from .deployment import check_priced, profiles_of
from .extraction import Extraction, fill_store
from .feature_sources import check_backends
from .planning import Condition, DataSource, OpenedData, arms_to_run, by_bins, places
from .setting import Setting
from .trained import Trained

SCHEMA = {"name": "sdcl_neuro.evaluation_part", "version": 1}


@dataclass(frozen=True)
class EmbeddedPart:
    """What a part embedded, or found in the store.

    Attributes:
        part: which.
        tracklets: each counted once for each condition and number of bins.
    """

    part: Shard
    tracklets: int

    def __str__(self) -> str:
        return f"part {self.part}: {self.tracklets:,} tracklets embedded"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "part": self.part.index,
            "parts": self.part.count,
            "tracklets": self.tracklets,
        }


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
) -> EmbeddedPart:
    """Embed a part of what `evaluate` with the same arguments would.

    Args:
        trained, data, backends, settings, conditions, hardware: as for `evaluate`.
        part: which batches.
        how: with a store; its group is not looked at.

    Raises:
        InputError: no store, or what `evaluate` raises.
    """
    if how.store.folder is None:
        raise InputError("nowhere to keep a part", where="--part", hint="give --cache DIR")
    check_backends(backends)
    chips = profiles_of(hardware)
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
    return EmbeddedPart(part, done)
